"""The duration rule: what holds for a time makes an event (loitering, lights that stay on with nobody there).

    settings = DurationSettings(name="loitering", for_s=300, schedule="22:00-06:00")
    rule = DurationRule(settings, source="door", task="person", epoch_s=time.time())

It is one label, or several terms (`all`) that must hold together.

Every second of a source is in one of three states. It is true or false if a judged window shows it, and unknown if no
window does or its verdict is unknown (dropped, skipped, the camera away). Only true seconds add to the duration, each
of them once even though windows overlap. False seconds end it once they last `gap_s`. Unknown seconds do neither, until
nothing has been known for `unknown_timeout_s`. docs/rules.md explains the settings.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from vigil.errors import UsageError
from vigil.events import Event, EventChange, EventWindow, OpenEvent, TierThresholds, new_id
from vigil.rules.condition import Term, evidence_of, sight_of
from vigil.rules.late_texts import LateTexts
from vigil.rules.rule import EPSILON_S, LOST_SIGHT, NEVER_S, OUT_OF_SCHEDULE, QUIET, TOO_LONG, announced_s
from vigil.rules.schedule import SourceSchedule, WeeklySchedule
from vigil.verdict import JudgedWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationSettings:
    """When a label has held for long enough, and when it no longer does.

    The label holds in a window if its probability is at least `p_from`. After `for_s` seconds in which it holds, an
    event opens, which began with the first of them. It closes after `gap_s` seconds of footage in which the label does
    not hold, after `unknown_timeout_s` without a known verdict, and when the `schedule` ends; one that has been open
    for `max_event_s` is split. An empty `question` is the task's own; an empty `schedule` is always open. `timezone`
    is that of the schedule, empty for this machine's. Instead of one label, `all` names terms that must hold together.
    Raises UsageError for inconsistent values.
    """

    type: Literal["duration"] = "duration"
    name: str
    question: str = ""
    label: str = "alarm"
    p_from: float = 0.5
    all: tuple[Term, ...] = ()
    for_s: float = 60.0
    gap_s: float = 6.0
    schedule: str = ""
    timezone: str = ""
    unknown_timeout_s: float = 60.0
    max_event_s: float = 3600.0
    tiers: TierThresholds = field(default_factory=TierThresholds)

    def __post_init__(self) -> None:
        checks = (
            (bool(self.name.strip()), "name must not be empty"),
            (bool(self.label), "label must not be empty"),
            (0 < self.p_from <= 1, f"p_from must be above 0 and at most 1, not {self.p_from}"),
            (0 < self.for_s < float("inf"), f"for_s must be above 0, not {self.for_s}"),
            (self.gap_s >= 0, f"gap_s must not be negative, not {self.gap_s}"),
            (self.unknown_timeout_s > 0, f"unknown_timeout_s must be above 0, not {self.unknown_timeout_s}"),
            (
                self.max_event_s >= self.unknown_timeout_s,
                f"max_event_s must be at least unknown_timeout_s, not {self.max_event_s}",
            ),
            (bool(self.schedule or not self.timezone), "timezone is that of a schedule, and there is none"),
            (
                not self.all or (self.question, self.label, self.p_from) == ("", "alarm", 0.5),
                "with all, each of its terms has a question, label and p_from of its own; the rule has none",
            ),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))
        self.weekly()

    @property
    def terms(self) -> tuple[Term, ...]:
        """What must hold together."""
        return self.all or (Term(question=self.question, label=self.label, p_from=self.p_from),)

    def asking(self, questions: Sequence[str]) -> "DurationSettings":
        """The same settings with these questions in place of those of `terms`, in their order."""
        if not self.all:
            return replace(self, question=questions[0])
        named = zip(self.all, questions, strict=True)
        return replace(self, all=tuple(replace(term, question=question) for term, question in named))

    @property
    def memory_s(self) -> float:
        """Seconds of the past from which it goes on after a restart: what lasted with gaps, at a third of the time."""
        return 3 * self.for_s + self.unknown_timeout_s

    def weekly(self) -> WeeklySchedule | None:
        """The schedule, None if it is always open; raises UsageError if it cannot be read."""
        return WeeklySchedule.parse(self.schedule, timezone=self.timezone) if self.schedule.strip() else None


class LastingSettings(Protocol):
    """What the duration rule needs to know: `DurationSettings`, or others of something that lasts."""

    @property
    def name(self) -> str: ...
    @property
    def terms(self) -> tuple[Term, ...]: ...
    @property
    def for_s(self) -> float: ...
    @property
    def gap_s(self) -> float: ...
    @property
    def schedule(self) -> str: ...
    @property
    def unknown_timeout_s(self) -> float: ...
    @property
    def max_event_s(self) -> float: ...
    @property
    def tiers(self) -> TierThresholds: ...
    def weekly(self) -> WeeklySchedule | None: ...


class DurationRule:
    """Makes events from how long a label holds at one source; at most one event is open.

    Windows are pushed in order. `epoch_s` is the `time.time()` of second 0 on live sources; without it, a rule with a
    schedule does not run. `clock` returns `time.time()`, from which the delay between capture and publication is
    computed.
    """

    def __init__(
        self,
        settings: LastingSettings,
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
        self._schedule = self._schedule_of(settings)
        self._clock = clock
        self._make_id = make_id
        self._texts = LateTexts()
        self._run: OpenEvent | None = None
        """The windows since the label began to hold; an event, and with an id, once it has held for long enough."""
        self._true_s = 0.0
        self._opened_at_s = 0.0
        self._known_until_s = NEVER_S

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.settings.name

    @property
    def open_events(self) -> tuple[Event, ...]:
        """The open event, if there is one."""
        return () if self._event is None else (self._event.snapshot(),)

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window; returns the changes, in order."""
        sight = sight_of(self.settings.terms, judged, task=self.task, tiers=self.settings.tiers)
        evidence = evidence_of(judged, sight.p, self.settings.terms[0])
        self._texts.keep(judged.window, judged.verdict.text)
        if not self._schedule.is_open(evidence.start_s, evidence.end_s, epoch_s=self.epoch_s):
            return self._reset(OUT_OF_SCHEDULE)
        if sight.holds is None:
            changes = self.tick(evidence.end_s)
            self._add_pending(evidence, false_s=0.0)
            return changes
        changes = self.tick(evidence.start_s)
        new_s = max(0.0, evidence.end_s - max(evidence.start_s, self._known_until_s))
        self._known_until_s = max(self._known_until_s, evidence.end_s)
        if not sight.holds:
            return changes + self._count_false(evidence, new_s)
        return changes + self._count_true(evidence, judged, new_s)

    def tick(self, now_s: float) -> list[EventChange]:
        """Closes the open event if it is lost from sight or out of schedule at `now_s`."""
        if self._run is None:
            return []
        if now_s - self._known_until_s >= self.settings.unknown_timeout_s - EPSILON_S:
            return self._reset(LOST_SIGHT)
        is_open = self._schedule.is_open(now_s, epoch_s=self.epoch_s)
        return [] if is_open else self._reset(OUT_OF_SCHEDULE)

    def describe(self, window: int, text: str) -> list[EventChange]:
        """Adds the description of a window, at any time; that of an event's most certain window describes the event."""
        run = self._run
        if run is None or not run.has_window(window):
            return self._texts.describe_closed(window, text)
        is_used = run.describe(window, text)
        return [EventChange("grew", run.snapshot())] if is_used and self._event is not None else []

    def suspend(self, because: str) -> list[EventChange]:
        """Closes the open event and forgets the seconds so far, as the rule does not apply now."""
        return self._reset(because)

    def change_to(self, settings: LastingSettings) -> None:
        """Goes on under other settings from the next window on; an open event stays, and keeps its tiers."""
        self.settings = settings
        self._schedule = self._schedule_of(settings)

    def finish(self, because: str) -> list[EventChange]:
        """Ends the source and closes the open event; a second call changes nothing."""
        changes = self._reset(because)
        self._known_until_s = NEVER_S
        return changes

    @property
    def _event(self) -> OpenEvent | None:
        """The run, if it has become an event."""
        return self._run if self._run is not None and self._run.id else None

    def _schedule_of(self, settings: LastingSettings) -> SourceSchedule:
        return SourceSchedule(
            settings.weekly(),
            warning=f"{self.source}: the rule {settings.name} has a schedule ({settings.schedule}) and does not run "
            "here: a file has no time of day; watch it with --realtime, or take the schedule out of the rule",
        )

    def _count_true(self, evidence: EventWindow, judged: JudgedWindow, new_s: float) -> list[EventChange]:
        changes = self._split(evidence)
        run = self._run = self._run or self._new_run()
        tier = run.tier
        self._texts.add_windows(run, [evidence])
        self._true_s += new_s
        if self._event is not None:
            return [*changes, EventChange("grew" if run.tier is tier else "raised", run.snapshot())]
        if self._true_s < self.settings.for_s - EPSILON_S:
            return changes
        run.id, run.epoch_s = self._make_id(), self.epoch_s
        run.announced_s = announced_s(judged, clock=self._clock)
        self._opened_at_s = evidence.end_s
        return [*changes, EventChange("opened", run.snapshot())]

    def _count_false(self, evidence: EventWindow, new_s: float) -> list[EventChange]:
        self._add_pending(evidence, false_s=new_s)
        is_over = self._run is not None and self._run.quiet_s >= self.settings.gap_s - EPSILON_S
        return self._reset(QUIET) if is_over else []

    def _add_pending(self, evidence: EventWindow, *, false_s: float) -> None:
        if self._run is not None:
            self._run.add_pending(evidence, quiet_s=false_s)

    def _new_run(self) -> OpenEvent:
        self._true_s = 0.0
        return OpenEvent(
            id="",
            source=self.source,
            camera_id=self.camera_id,
            tiers=self.settings.tiers,
            task=self.task,
            model=self.model,
            rule=self.name,
        )

    def _split(self, evidence: EventWindow) -> list[EventChange]:
        """Closes an event that has been open for `max_event_s`; the next one opens as usual."""
        is_due = self._event is not None and evidence.end_s - self._opened_at_s > self.settings.max_event_s + EPSILON_S
        return self._reset(TOO_LONG) if is_due else []

    def _reset(self, because: str) -> list[EventChange]:
        """Ends the current run of the label, and closes the open event."""
        event, self._run = self._event, None
        if event is None:
            return []
        event.close(because)
        self._texts.closed(event)
        return [EventChange("closed", event.snapshot())]
