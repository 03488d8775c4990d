"""The count rule: so many incidents within a time make one event (the fifth alarm within ten minutes).

    settings = CountSettings(name="unrest", times=5, within_s=600)
    rule = CountRule(settings, source="door", task="fight", epoch_s=time.time())

An incident begins with a window in which the condition holds, and is over after `gap_s` seconds of judged footage in
which it does not. What nobody saw neither begins an incident nor ends one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from vigil.errors import UsageError
from vigil.events import EventChange, EventWindow, TierThresholds
from vigil.rules.condition import Term, evidence_of, sight_of
from vigil.rules.ongoing_event import OngoingEventRule
from vigil.rules.rule import EPSILON_S, QUIET, TOO_LONG
from vigil.verdict import JudgedWindow

MOST_TIMES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSettings:
    """How many incidents within `within_s` seconds open an event; it closes when there are fewer.

    It also closes after `unknown_timeout_s` without a known window, and is split after `max_event_s`, from which on as
    many incidents must come again. With a `site`, the incidents of all its cameras are counted together
    (`vigil.rules.site_count`). Raises UsageError for inconsistent values.
    """

    type: Literal["count"] = "count"
    name: str
    question: str = ""
    label: str = "alarm"
    p_from: float = 0.75
    times: int = 3
    within_s: float = 600.0
    gap_s: float = 6.0
    unknown_timeout_s: float = 120.0
    max_event_s: float = 3600.0
    site: str = ""
    tiers: TierThresholds = field(default_factory=TierThresholds)

    def __post_init__(self) -> None:
        checks = (
            (bool(self.name.strip()), "name must not be empty"),
            (2 <= self.times <= MOST_TIMES, f"times must be from 2 to {MOST_TIMES}, not {self.times}"),
            (0 < self.within_s < float("inf"), f"within_s must be above 0, not {self.within_s}"),
            (self.gap_s > 0, f"gap_s must be above 0, not {self.gap_s}"),
            (self.unknown_timeout_s > 0, f"unknown_timeout_s must be above 0, not {self.unknown_timeout_s}"),
            (self.max_event_s > 0, f"max_event_s must be above 0, not {self.max_event_s}"),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))
        Term(label=self.label, p_from=self.p_from)

    @property
    def terms(self) -> tuple[Term, ...]:
        """What an incident is."""
        return (Term(question=self.question, label=self.label, p_from=self.p_from),)

    @property
    def memory_s(self) -> float:
        """Seconds of the past from which it goes on after a restart."""
        return self.within_s + self.unknown_timeout_s

    def asking(self, questions: Sequence[str]) -> "CountSettings":
        """The same settings with this question in place of that of `terms`."""
        return replace(self, question=questions[0])


class CountRule(OngoingEventRule[CountSettings]):
    """Makes an event of many incidents at one source; windows are pushed in order."""

    def begin_anew(self) -> None:
        """Forgets the incidents so far."""
        self._begins_s: list[float] = []
        self._held: list[EventWindow] = []
        """The windows of the incidents that still count."""
        self._is_on = False
        self._off_s = 0.0

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window; returns the changes, in order."""
        sight = sight_of(self.settings.terms, judged, task=self._origin.task, tiers=self.settings.tiers)
        is_known = sight.holds is not None
        changes = self.tick(judged.start_s if is_known else judged.end_s)
        new_s = self._ongoing.see(judged, is_known=is_known)
        evidence = evidence_of(judged, sight.p, self.settings.terms[0])
        if sight.holds is False:
            self._count_off(new_s)
        elif sight.holds:
            changes += self._count(evidence, judged)
        return changes

    def tick(self, now_s: float) -> list[EventChange]:
        """Forgets what is too long ago at `now_s`, and closes the event if too little is left or it is lost."""
        self._forget(now_s - self.settings.within_s)
        if not self._ongoing.open_events:
            return []
        lost = self._ongoing.tick(now_s)
        return lost or (self._ongoing.close(QUIET) if len(self._begins_s) < self.settings.times else [])

    def _count(self, evidence: EventWindow, judged: JudgedWindow) -> list[EventChange]:
        if not self._is_on:
            self._begins_s.append(evidence.start_s)
        self._is_on, self._off_s = True, 0.0
        self._held.append(evidence)
        if self._ongoing.open_events:
            return self._grow(evidence)
        if len(self._begins_s) < self.settings.times:
            return []
        return [self._ongoing.open(self._origin, self._held, judged, epoch_s=self.epoch_s)]

    def _grow(self, evidence: EventWindow) -> list[EventChange]:
        changes = self._ongoing.grow(evidence)
        if changes and changes[-1].event.closed_because == TOO_LONG:
            self.begin_anew()
        return changes

    def _count_off(self, new_s: float) -> None:
        self._off_s += new_s
        if self._off_s >= self.settings.gap_s - EPSILON_S:
            self._is_on = False

    def _forget(self, before_s: float) -> None:
        """Drops the incidents that began before a second of the source, with their windows."""
        self._begins_s = [begin_s for begin_s in self._begins_s if begin_s > before_s + EPSILON_S]
        first_s = self._begins_s[0] if self._begins_s else float("inf")
        self._held = [each for each in self._held if each.start_s >= first_s]
