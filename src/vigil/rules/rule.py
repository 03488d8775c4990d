"""The interface of a rule (judged windows in, event changes out) and `RuleSet`, the rules of one source.

    rules = RuleSet([HysteresisRule(...), DurationRule(...)])
    for change in rules.push(judged):
        store.events.save(change.event)

An unknown verdict neither fulfils nor breaks any rule.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from vigil.events import Event, EventChange
from vigil.questions import ALARM
from vigil.rules.schedule import SourceSchedule, WeeklySchedule
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict

log = logging.getLogger(__name__)

QUIET = "quiet"
LOST_SIGHT = "lost sight"
TOO_LONG = "split after max_event_s"
OUT_OF_SCHEDULE = "the schedule ended"
TAKEN_AWAY = "the rule was taken from the camera"

EPSILON_S = 1e-6
"""Durations that differ by less are equal: they are sums of floating-point numbers."""

NEVER_S = -math.inf
"""The second until which a rule knows its source, before the first window: past ones have negative seconds."""

Guard = Callable[[str], AbstractContextManager[object]]
"""Takes the name of a rule and returns a context that handles, and suppresses, the exceptions it raises."""


class Rule(Protocol):
    """Turns the judged windows of one source into changes of events; at most one event of a rule is open.

    `epoch_s` is the `time.time()` of second 0 on live sources, None for files; it follows steps of the clock.
    """

    epoch_s: float | None

    @property
    def settings(self) -> Any:
        """Its settings."""

    @property
    def name(self) -> str:
        """The name of the rule; its events carry it."""

    @property
    def open_events(self) -> tuple[Event, ...]:
        """The events that are open."""

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window; returns the changes, in order."""

    def tick(self, now_s: float) -> list[EventChange]:
        """Closes what is due at `now_s` (seconds of the source); for times when no windows arrive."""

    def describe(self, window: int, text: str) -> list[EventChange]:
        """Adds the description of a window, at any time."""

    def suspend(self, because: str) -> list[EventChange]:
        """Closes the open event and forgets the windows so far, as the rule does not apply now; opens nothing."""

    def change_to(self, settings: Any) -> None:
        """Goes on under other settings of its kind from the next window on; an open event stays."""

    def finish(self, because: str) -> list[EventChange]:
        """Ends the source and closes the open event; a second call changes nothing."""


@runtime_checkable
class ReadsObservations(Protocol):
    """A rule that is about the semantic log, whose lines come later than the verdicts of their windows."""

    def observe(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window with its observation; returns the changes, in order."""


@contextmanager
def log_failures(name: str) -> Iterator[None]:
    """Logs an exception that a rule raises in the block and suppresses it."""
    try:
        yield
    except Exception:
        log.exception("the rule %s failed; this is a fault in Vigil, please report it", name)


class RuleSet:
    """Several rules of one source, itself a rule; each has its own events.

    A rule that raises an exception silences no other: each runs in the context that `guard` makes for it. Outside of
    the `schedule` (None: always open) no rule opens an event, and an open one is closed. `go_on_with` exchanges both.
    """

    def __init__(
        self, rules: Iterable[Rule], *, guard: Guard = log_failures, schedule: WeeklySchedule | None = None
    ) -> None:
        self.rules: Sequence[Rule] = tuple(rules)
        self._guard = guard
        self._schedule = self._schedule_of(schedule)

    def go_on_with(self, rules: Iterable[Rule], *, schedule: WeeklySchedule | None) -> list[EventChange]:
        """Sets the rules and the schedule from the next window on; a rule that is no longer there closes its event."""
        kept = tuple(rules)
        gone = [rule for rule in self.rules if not any(rule is other for other in kept)]
        self.rules = kept
        self._schedule = self._schedule_of(schedule)
        return self._each(lambda rule: rule.suspend(TAKEN_AWAY), of=gone)

    @property
    def settings(self) -> tuple[Any, ...]:
        """The settings of all rules."""
        return tuple(rule.settings for rule in self.rules)

    @property
    def name(self) -> str:
        """The names of all rules."""
        return ", ".join(rule.name for rule in self.rules)

    @property
    def epoch_s(self) -> float | None:
        """The `time.time()` of second 0; setting it sets it for all rules."""
        return self.rules[0].epoch_s if self.rules else None

    @epoch_s.setter
    def epoch_s(self, epoch_s: float | None) -> None:
        for rule in self.rules:
            rule.epoch_s = epoch_s

    @property
    def open_events(self) -> tuple[Event, ...]:
        """The open events of all rules, at most one each."""
        return tuple(event for rule in self.rules for event in rule.open_events)

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window under every rule; returns the changes, rule by rule."""
        if not self._schedule.is_open(judged.start_s, judged.end_s, epoch_s=self.epoch_s):
            return self.suspend(OUT_OF_SCHEDULE)
        return self._each(lambda rule: rule.push(judged))

    def observe(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes a window with its observation, later than its verdict, under the rules that are about those."""
        if not self._schedule.is_open(judged.start_s, judged.end_s, epoch_s=self.epoch_s):
            return []
        changes: list[EventChange] = []
        for rule in self.rules:
            if isinstance(rule, ReadsObservations):
                with self._guard(rule.name):
                    changes += rule.observe(judged)
        return changes

    def tick(self, now_s: float) -> list[EventChange]:
        """Closes what is due at `now_s` under every rule."""
        if not self._schedule.is_open(now_s, epoch_s=self.epoch_s):
            return self.suspend(OUT_OF_SCHEDULE)
        return self._each(lambda rule: rule.tick(now_s))

    def suspend(self, because: str) -> list[EventChange]:
        """Closes the open events of all rules, which forget the windows so far."""
        return self._each(lambda rule: rule.suspend(because))

    def describe(self, window: int, text: str) -> list[EventChange]:
        """Adds the description of a window to the events of all rules that it belongs to."""
        return self._each(lambda rule: rule.describe(window, text))

    def finish(self, because: str) -> list[EventChange]:
        """Ends the source under every rule."""
        return self._each(lambda rule: rule.finish(because))

    def _schedule_of(self, schedule: WeeklySchedule | None) -> SourceSchedule:
        return SourceSchedule(
            schedule,
            warning=f"the rules {self.name} do not run here: their source has a schedule, and a file has no time of "
            "day; watch it with --realtime, or take the schedule away",
        )

    def _each(self, act: Callable[[Rule], list[EventChange]], *, of: Sequence[Rule] | None = None) -> list[EventChange]:
        changes: list[EventChange] = []
        for rule in self.rules if of is None else of:
            with self._guard(rule.name):
                changes += act(rule)
        return changes


LABELS = ("alarm", "normal")


def label_probability(judged: JudgedWindow, *, question: str, label: str) -> float | None:
    """The probability of a label of a question's answer on a window; None if it is not known.

    An empty `question` is the one that the verdict answers, with the labels `alarm` and `normal` or those of its
    probabilities. An answer without probabilities counts as 1 for the stated label and 0 for the others. A follow-up
    that was not asked, as the answer before it did not call for it, has 0 for each label.
    """
    if question:
        answer = judged.answers.get(question)
        return None if answer is None else answer_probability(answer, label)
    if label in judged.verdict.probabilities:
        return judged.verdict.probabilities[label]
    p_alarm = _p_alarm(judged.verdict)
    if p_alarm is None or label not in LABELS:
        return None
    return p_alarm if label == "alarm" else 1.0 - p_alarm


def has_probabilities(judged: JudgedWindow, *, question: str) -> bool:
    """Whether the answer that `label_probability` reads has probabilities, and not just a word."""
    if not question:
        return judged.verdict.p_alarm is not None
    answer = judged.answers.get(question)
    return answer is not None and bool(answer.probabilities)


def verdict_on(judged: JudgedWindow, *, question: str, labels: Sequence[str]) -> JudgedWindow:
    """The window with the verdict that its answer to another question comes to: that one of `labels` is right.

    The verdict is an alarm from a probability of 0.5 on, and unknown if the question was not answered.
    """
    answer = judged.answers.get(question, Answer.unknown(Cause.SKIPPED))
    known = [p for label in labels if (p := answer_probability(answer, label)) is not None]
    if len(known) < len(labels):
        verdict = Verdict.unknown(answer.cause or Cause.OUTSIDE, detail=answer.detail)
    else:
        # Without probabilities the stated word decides, as in a verdict of such a server.
        is_measured = bool(answer.probabilities) or answer.cause is Cause.NOT_ASKED
        raw = answer.raw_probabilities
        verdict = Verdict(
            outcome=Outcome.ALARM if sum(known) >= 0.5 else Outcome.NORMAL,
            p_alarm=min(1.0, sum(known)) if is_measured else None,
            p_raw=min(1.0, sum(raw[label] for label in labels)) if raw.keys() >= set(labels) else None,
            alarm_label=_most_probable(answer, labels),
        )
    own = judged.verdict
    timed = replace(verdict, start_s=own.start_s, end_s=own.end_s, latency_ms=own.latency_ms, text=own.text)
    return replace(judged, verdict=timed)


def _most_probable(answer: Answer, labels: Sequence[str]) -> str:
    """The class that an answer shows, among labels that alarm; empty if `alarm` is the only one."""
    if tuple(labels) == (ALARM,):
        return ""
    return max(labels, key=lambda label: answer_probability(answer, label) or 0.0, default="")


def answer_probability(answer: Answer, label: str) -> float | None:
    """The probability of a label in an answer; None if it is not known."""
    if answer.cause is Cause.NOT_ASKED:
        return 0.0
    if answer.cause is not None:
        return None
    if not answer.probabilities:
        return 1.0 if answer.stated_label == label else 0.0
    return answer.probabilities.get(label)


def _p_alarm(verdict: Verdict) -> float | None:
    if verdict.outcome is Outcome.UNKNOWN:
        return None
    if verdict.p_alarm is None:
        return 1.0 if verdict.outcome is Outcome.ALARM else 0.0
    return None if math.isnan(verdict.p_alarm) else verdict.p_alarm


def announced_s(judged: JudgedWindow, *, clock: Callable[[], float]) -> float:
    """The second of the source at which an event that this window opens is published.

    That is the window's end, plus the time since its capture (live sources) or the verdict's latency (files). `clock`
    returns `time.time()`.
    """
    if judged.captured_s is None:
        return judged.end_s + judged.verdict.latency_ms / 1000.0
    return judged.end_s + max(0.0, clock() - judged.captured_s)
