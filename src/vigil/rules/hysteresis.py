"""The hysteresis rule: verdicts in, event changes out, so that one incident makes one event.

    rule = HysteresisRule(HysteresisSettings(), source="door", task="fight", model="m", epoch_s=time.time())
    for change in rule.push(judged):
        store.events.save(change.event)
    ...
    rule.finish("stopped")

A rest window, at the end of an uninterrupted run of frames, may extend an event, but never open one. Unknown verdicts
neither open nor close an event, until there has been no known verdict for `unknown_timeout_s`. The thresholds are
settings; docs/events.md explains the defaults.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vigil.errors import UsageError
from vigil.events import Event, EventChange, EventWindow, OpenEvent, TierThresholds, new_id
from vigil.rules.late_texts import LateTexts
from vigil.rules.rule import EPSILON_S, LOST_SIGHT, NEVER_S, QUIET, TOO_LONG, announced_s, verdict_on
from vigil.verdict import JudgedWindow, Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class HysteresisSettings:
    """When an event opens, continues and closes.

    It opens when `k` of the last `n` known verdicts reach `tiers.low`, and continues with windows that reach
    `keep_from`. It closes after `quiet_s` seconds of judged footage below `keep_from`, or after `unknown_timeout_s`
    seconds without a known verdict (lost sight). An event longer than `max_event_s` is split. Without a `name` it takes
    that of its question. An empty `question` is the task's own; an alarm is an answer with one of `labels` (none: those
    of the question that are alarms). Raises UsageError for inconsistent values.
    """

    type: Literal["hysteresis"] = "hysteresis"
    name: str = ""
    question: str = ""
    labels: tuple[str, ...] = ()
    k: int = 2
    n: int = 3
    tiers: TierThresholds = field(default_factory=TierThresholds)
    keep_from: float = 0.5
    quiet_s: float = 6.0
    unknown_timeout_s: float = 60.0
    max_event_s: float = 600.0

    def __post_init__(self) -> None:
        checks = (
            (1 <= self.k <= self.n, f"k must be from 1 to n, not {self.k} of {self.n}"),
            (self.n <= 100, f"n must be at most 100, not {self.n}"),
            (
                0 < self.keep_from <= self.tiers.low,
                f"keep_from must be above 0 and at most tiers.low, not {self.keep_from}",
            ),
            (self.quiet_s > 0, f"quiet_s must be above 0, not {self.quiet_s}"),
            (
                self.unknown_timeout_s >= self.quiet_s,
                f"unknown_timeout_s must be at least quiet_s, not {self.unknown_timeout_s}",
            ),
            (
                self.max_event_s >= self.unknown_timeout_s,
                f"max_event_s must be at least unknown_timeout_s, not {self.max_event_s}",
            ),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def memory_s(self) -> float:
        """Seconds of the past from which it goes on after a restart: older votes count no more."""
        return 2 * self.unknown_timeout_s

    def weight(self, verdict: Verdict) -> float | None:
        """The probability that a verdict counts as; None if it is unknown.

        Without probabilities from the server, an alarm counts as `tiers.low` and anything else as 0.
        """
        if verdict.outcome is Outcome.UNKNOWN:
            return None
        if verdict.p_alarm is not None:
            return None if math.isnan(verdict.p_alarm) else verdict.p_alarm
        return self.tiers.low if verdict.outcome is Outcome.ALARM else 0.0


class HysteresisRule:
    """Makes events from the verdicts of one source; at most one event is open.

    Windows are pushed in order. `epoch_s` is the `time.time()` of second 0 on live sources. `clock` returns
    `time.time()`, from which the delay between capture and publication is computed.
    """

    def __init__(
        self,
        settings: HysteresisSettings,
        *,
        source: str,
        task: str = "",
        model: str = "",
        epoch_s: float | None = None,
        camera_id: str = "",
        clock: Callable[[], float] = time.time,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self.settings = settings
        self.source = source
        self.task = task
        self.model = model
        self.epoch_s = epoch_s
        self.camera_id = camera_id
        self._clock = clock
        self._make_id = make_id
        self._incident: OpenEvent | None = None
        self._texts = LateTexts()
        self._since_over: list[EventWindow] = []
        self._covered_until_s = NEVER_S
        self._known_until_s = NEVER_S
        self._first: list[JudgedWindow] = []
        self._pushed = 0

    @property
    def name(self) -> str:
        """The name of the rule: that of its settings, or else the task's."""
        return self.settings.name or self.task

    @property
    def open_event(self) -> Event | None:
        """The open event, or None."""
        return None if self._incident is None else self._incident.snapshot()

    @property
    def open_events(self) -> tuple[Event, ...]:
        """The open event, if there is one."""
        return () if self._incident is None else (self._incident.snapshot(),)

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window's verdict; returns the changes, in order."""
        judged = self._on_its_question(judged)
        evidence = self._evidence(judged)
        self._note_window(judged)
        known = evidence.p_alarm is not None
        changes = self.tick(evidence.start_s if known else evidence.end_s)
        new_footage_s = evidence.end_s - max(evidence.start_s, self._covered_until_s)
        self._covered_until_s = max(self._covered_until_s, evidence.end_s)
        if known:
            self._known_until_s = evidence.end_s
        changes += self._split(evidence)
        if self._incident is None:
            # A rest window repeats frames of the window before it, so it is not a second vote.
            return changes if judged.rest else changes + self._maybe_open(evidence, judged)
        return changes + self._continue(self._incident, evidence, new_footage_s=max(0.0, new_footage_s))

    def describe(self, window: int, text: str) -> list[EventChange]:
        """Adds the description of a window, at any time; that of an event's most certain window describes the event."""
        incident = self._incident
        if incident is None or not incident.has_window(window):
            return self._texts.describe_closed(window, text)
        return [EventChange("grew", incident.snapshot())] if incident.describe(window, text) else []

    def tick(self, now_s: float) -> list[EventChange]:
        """Closes the open event as lost from sight if it is due at `now_s`; for times when no windows arrive."""
        if self._incident is None or now_s - self._known_until_s < self.settings.unknown_timeout_s:
            return []
        return self._close(LOST_SIGHT)

    def suspend(self, because: str) -> list[EventChange]:
        """Closes the open event and forgets the votes so far, as the rule does not apply now; opens nothing."""
        self._since_over.clear()
        self._first.clear()
        # What was seen so far is no short source.
        self._pushed = max(self._pushed, self.settings.k)
        return self._close(because)

    def change_to(self, settings: HysteresisSettings) -> None:
        """Goes on under other settings from the next window on; an open event stays, and keeps its tiers."""
        self.settings = settings

    def finish(self, because: str) -> list[EventChange]:
        """Ends the source and closes the open event; a second call changes nothing.

        A source with fewer than `k` windows in all (a short clip; rest windows do not count) makes an event if every
        known verdict reaches `tiers.low`.
        """
        changes = self._close(because) if self._incident else self._close_short_source(because)
        self._since_over.clear()
        self._first.clear()
        self._pushed = 0
        self._covered_until_s = self._known_until_s = NEVER_S
        return changes

    def _note_window(self, judged: JudgedWindow) -> None:
        self._pushed += not judged.rest
        if self._pushed < self.settings.k:
            self._first.append(judged)
        else:
            self._first.clear()
        self._texts.keep(judged.window, judged.verdict.text)

    def _on_its_question(self, judged: JudgedWindow) -> JudgedWindow:
        if not self.settings.labels:
            return judged
        return verdict_on(judged, question=self.settings.question or self.task, labels=self.settings.labels)

    def _evidence(self, judged: JudgedWindow) -> EventWindow:
        return EventWindow(
            window=judged.window,
            start_s=judged.start_s,
            end_s=judged.end_s,
            p_alarm=self.settings.weight(judged.verdict),
            p_raw=judged.verdict.p_raw,
            label=judged.verdict.alarm_label,
        )

    def _is_over(self, evidence: EventWindow) -> bool:
        return evidence.p_alarm is not None and evidence.p_alarm >= self.settings.tiers.low

    def _maybe_open(self, evidence: EventWindow, judged: JudgedWindow) -> list[EventChange]:
        self._since_over.append(evidence)
        expired_s = evidence.start_s - self.settings.unknown_timeout_s
        known = [e for e in self._since_over if e.p_alarm is not None and e.end_s > expired_s][-self.settings.n :]
        over = [e for e in known if self._is_over(e)]
        if len(over) >= self.settings.k:
            return [self._open(self._from(over[0]), judged)]
        self._since_over = self._from(over[0]) if over else []
        return []

    def _from(self, first: EventWindow) -> list[EventWindow]:
        return self._since_over[self._since_over.index(first) :]

    def _open(self, evidence: Sequence[EventWindow], judged: JudgedWindow) -> EventChange:
        incident = OpenEvent(
            id=self._make_id(),
            source=self.source,
            camera_id=self.camera_id,
            tiers=self.settings.tiers,
            task=self.settings.question or self.task,
            model=self.model,
            epoch_s=self.epoch_s,
            rule=self.name,
            announced_s=announced_s(judged, clock=self._clock),
        )
        self._incident = incident
        self._since_over = []
        self._texts.add_windows(incident, evidence)
        return EventChange("opened", incident.snapshot())

    def _continue(self, incident: OpenEvent, evidence: EventWindow, *, new_footage_s: float) -> list[EventChange]:
        if evidence.p_alarm is None:
            incident.add_pending(evidence, quiet_s=0.0)
            return []
        if evidence.p_alarm < self.settings.keep_from:
            incident.add_pending(evidence, quiet_s=new_footage_s)
            return self._close(QUIET) if incident.quiet_s >= self.settings.quiet_s - EPSILON_S else []
        tier = incident.tier
        self._texts.add_windows(incident, [evidence])
        return [EventChange("grew" if incident.tier is tier else "raised", incident.snapshot())]

    def _split(self, evidence: EventWindow) -> list[EventChange]:
        """Closes an event if the next window would make it longer than `max_event_s`; the next one opens as usual."""
        incident = self._incident
        joins = evidence.p_alarm is not None and evidence.p_alarm >= self.settings.keep_from
        if incident is None or not joins:
            return []
        lasts_s = evidence.end_s - incident.windows[0].start_s
        return self._close(TOO_LONG) if lasts_s > self.settings.max_event_s + EPSILON_S else []

    def _close(self, because: str) -> list[EventChange]:
        incident = self._incident
        if incident is None:
            return []
        incident.close(because)
        self._incident = None
        self._texts.closed(incident)
        return [EventChange("closed", incident.snapshot())]

    def _close_short_source(self, because: str) -> list[EventChange]:
        evidence = [self._evidence(judged) for judged in self._first]
        known = [e for e in evidence if e.p_alarm is not None]
        if not known or not all(map(self._is_over, known)):
            return []
        between = evidence[evidence.index(known[0]) : evidence.index(known[-1]) + 1]
        return [self._open(between, self._first[-1]), *self._close(because)]
