"""Camera rules: something is wrong with the camera itself, whatever the scene shows (the lens covered, turned away).

    settings = CameraFaultSettings(fault="covered")
    rule = DurationRule(settings, source="door", task=CAMERA, epoch_s=time.time())

A camera rule asks no model. The pixels of each window say whether it shows the fault (`vigil.watch.camera_health`), as
the answer to a question of its own (`fault_question`), and the duration rule counts the seconds. Its events have the
task `camera` and no model, so that nobody takes them for something that the scene showed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from vigil.errors import UsageError
from vigil.events import Tier, TierThresholds
from vigil.rules.condition import Term
from vigil.rules.schedule import WeeklySchedule
from vigil.verdict import Answer, Cause

CAMERA = "camera"
"""The task of events that are about a camera."""

SHOWN, NOT_SHOWN = "shown", "not shown"
"""The labels of the question whether a window shows a fault."""


class Fault(StrEnum):
    """What may be wrong with a camera."""

    COVERED = "covered"
    MOVED = "moved"
    FROZEN = "frozen"
    DARK = "dark"
    BLURRED = "blurred"


USUAL_S: Mapping[Fault, float] = {
    Fault.COVERED: 10.0,
    Fault.MOVED: 30.0,
    Fault.FROZEN: 30.0,
    Fault.DARK: 30.0,
    Fault.BLURRED: 60.0,
}
"""Seconds that a fault must last, unless the settings say otherwise."""

P_SHOWN = 0.75
"""What a shown fault counts as: pixels show it or not, so the tier of its events is set and not measured."""

TIERS: Mapping[Tier, TierThresholds] = {
    Tier.LOW: TierThresholds(low=P_SHOWN, medium=1.0, high=1.0),
    Tier.MEDIUM: TierThresholds(low=P_SHOWN, medium=P_SHOWN, high=1.0),
    Tier.HIGH: TierThresholds(low=P_SHOWN, medium=P_SHOWN, high=P_SHOWN),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFaultSettings:
    """Which `fault` of the camera makes an event, and after how many seconds.

    An event opens when the fault was seen for `for_s` seconds (0: the usual ones of the fault) and closes after `gap_s`
    seconds of pictures without it, after `unknown_timeout_s` without any picture, and when the `schedule` ends; one
    that has been open for `max_event_s` is split. Its tier is always `tier`. Without a `name` it is called after its
    fault. Raises UsageError for inconsistent values.
    """

    type: Literal["camera"] = "camera"
    fault: Fault
    name: str = ""
    tier: Tier = Tier.MEDIUM
    for_s: float = 0.0
    gap_s: float = 6.0
    schedule: str = ""
    timezone: str = ""
    unknown_timeout_s: float = 60.0
    max_event_s: float = 86_400.0

    def __post_init__(self) -> None:
        checks = (
            (0 <= self.for_s < float("inf"), f"for_s must not be negative, not {self.for_s}"),
            (self.gap_s >= 0, f"gap_s must not be negative, not {self.gap_s}"),
            (self.unknown_timeout_s > 0, f"unknown_timeout_s must be above 0, not {self.unknown_timeout_s}"),
            (
                self.max_event_s >= self.unknown_timeout_s,
                f"max_event_s must be at least unknown_timeout_s, not {self.max_event_s}",
            ),
            (bool(self.schedule or not self.timezone), "timezone is that of a schedule, and there is none"),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))
        self.weekly()
        # Frozen as it is: what is left out follows from the fault.
        object.__setattr__(self, "name", self.name.strip() or f"camera {self.fault}")
        object.__setattr__(self, "for_s", self.for_s or USUAL_S[self.fault])

    @property
    def tiers(self) -> TierThresholds:
        """Thresholds under which all its events are of the same tier."""
        return TIERS[self.tier]

    @property
    def terms(self) -> tuple[Term, ...]:
        """That a window shows the fault."""
        return (Term(question=fault_question(self.fault), label=SHOWN),)

    @property
    def memory_s(self) -> float:
        """Seconds of the past from which it goes on after a restart: what lasted with gaps, at a third of the time."""
        return 3 * self.for_s + self.unknown_timeout_s

    def weekly(self) -> WeeklySchedule | None:
        """The schedule, None if it is always open; raises UsageError if it cannot be read."""
        return WeeklySchedule.parse(self.schedule, timezone=self.timezone) if self.schedule.strip() else None


def fault_question(fault: Fault) -> str:
    """The question whether a window shows a fault, as the answers of a judged window name it."""
    return f"{CAMERA} {fault.value}"


def fault_answer(fault: Fault, shown: bool | None) -> Answer:
    """The answer to `fault_question`; None is unknown, as when there is nothing yet to compare the view with."""
    question = fault_question(fault)
    if shown is None:
        return Answer(question=question, cause=Cause.UNREADABLE, detail="the pictures do not tell")
    return Answer(question=question, stated_label=SHOWN if shown else NOT_SHOWN)
