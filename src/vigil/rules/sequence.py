"""The sequence rule: one thing and then another, within a time (a door opens, and somebody runs).

    settings = SequenceSettings(name="tailgating", first=Term(label="open"), then=Term(label="two"), within_s=60)
    rule = SequenceRule(settings, source="door", task="door", epoch_s=time.time())

`then` must hold in a later window than `first` did, one that begins at most `within_s` after that one ended. What holds
only in windows that nobody saw (dropped, skipped, the camera away) counts for neither; the time goes on meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from vigil.errors import UsageError
from vigil.events import EventChange, EventWindow, TierThresholds
from vigil.rules.condition import Sight, Term, evidence_of, sight_of
from vigil.rules.ongoing_event import OngoingEventRule
from vigil.rules.rule import EPSILON_S, QUIET
from vigil.verdict import JudgedWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceSettings:
    """What must hold `first`, and what `then` within `within_s` seconds, for an event to open.

    The event goes on while `then` holds. It closes after `quiet_s` seconds of judged footage in which it does not, and
    after `unknown_timeout_s` without a known window; one that has been open for `max_event_s` is split. The next event
    needs both anew. Raises UsageError for inconsistent values.
    """

    type: Literal["sequence"] = "sequence"
    name: str
    first: Term
    then: Term
    within_s: float = 60.0
    quiet_s: float = 6.0
    unknown_timeout_s: float = 60.0
    max_event_s: float = 600.0
    tiers: TierThresholds = field(default_factory=TierThresholds)

    def __post_init__(self) -> None:
        checks = (
            (bool(self.name.strip()), "name must not be empty"),
            (self.first != self.then, "first and then must differ; what lasts is a duration rule"),
            (0 < self.within_s < float("inf"), f"within_s must be above 0, not {self.within_s}"),
            (self.quiet_s > 0, f"quiet_s must be above 0, not {self.quiet_s}"),
            (self.unknown_timeout_s > 0, f"unknown_timeout_s must be above 0, not {self.unknown_timeout_s}"),
            (self.max_event_s > 0, f"max_event_s must be above 0, not {self.max_event_s}"),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def terms(self) -> tuple[Term, ...]:
        """Both terms, in their order."""
        return (self.first, self.then)

    @property
    def memory_s(self) -> float:
        """Seconds of the past from which it goes on after a restart."""
        return self.within_s + self.unknown_timeout_s

    def asking(self, questions: Sequence[str]) -> "SequenceSettings":
        """The same settings with these questions in place of those of `terms`, in their order."""
        first, then = questions
        return replace(self, first=replace(self.first, question=first), then=replace(self.then, question=then))


class SequenceRule(OngoingEventRule[SequenceSettings]):
    """Makes an event of two things that follow each other at one source; windows are pushed in order."""

    def begin_anew(self) -> None:
        """Forgets what came first."""
        self._since_first: list[EventWindow] = []
        """The last window in which `first` held, and those after it; empty if there is none that still counts."""

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window; returns the changes, in order."""
        first, then = (self._sight(term, judged) for term in self.settings.terms)
        is_known = then.holds is not None
        changes = self._ongoing.tick(judged.start_s if is_known else judged.end_s)
        new_s = self._ongoing.see(judged, is_known=is_known)
        evidence = evidence_of(judged, then.p, self.settings.terms[1])
        if self._ongoing.open_events:
            changes += self._continue(evidence, holds=then.holds, new_s=new_s)
        elif self._follows(judged) and then.holds:
            opened = [*self._since_first, evidence]
            changes.append(self._ongoing.open(self._origin, opened, judged, epoch_s=self.epoch_s))
            self._since_first = []
        self._note_first(replace(evidence, p_alarm=first.p) if first.holds else evidence, held=bool(first.holds))
        return changes

    def _sight(self, term: Term, judged: JudgedWindow) -> Sight:
        return sight_of([term], judged, task=self._origin.task, tiers=self.settings.tiers)

    def _follows(self, judged: JudgedWindow) -> bool:
        """Whether what comes first was seen shortly enough before a window."""
        if not self._since_first:
            return False
        return judged.start_s - self._since_first[0].end_s <= self.settings.within_s + EPSILON_S

    def _note_first(self, evidence: EventWindow, *, held: bool) -> None:
        if held:
            self._since_first = [evidence]
        elif self._since_first:
            expired = evidence.start_s - self._since_first[0].end_s > self.settings.within_s + EPSILON_S
            self._since_first = [] if expired else [*self._since_first, evidence]

    def _continue(self, evidence: EventWindow, *, holds: bool | None, new_s: float) -> list[EventChange]:
        if holds:
            return self._ongoing.grow(evidence)
        self._ongoing.wait(evidence, quiet_s=new_s if holds is False else 0.0)
        return self._ongoing.close(QUIET) if self._ongoing.quiet_s >= self.settings.quiet_s - EPSILON_S else []
