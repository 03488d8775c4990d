"""An event: one incident at one source, from its onset to its end."""

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """How sure an event is; the thresholds are settings (`vigil.events.rules`)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A window that an event rests on; `p_alarm` is None where its verdict was unknown."""

    window: int
    start_s: float
    end_s: float
    p_alarm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One incident: `end_s` is None while it goes on.

    `source` is the name of the camera, `camera_id` the id that stays when that is renamed (empty where none is known).

    Times ending in `_s` are seconds of the source (the position in a file; on live sources since the watch of it
    began); `epoch_s` is the `time.time()` of second 0 there, None for files. `announced_s` is the second at which the
    event was first announced: the last frame of the window that opened it plus the time from its capture (live) or
    the verdict's latency (files). `peak_s` is the middle of the window with the highest probability.
    """

    id: str
    source: str
    onset_s: float
    peak: float
    peak_s: float
    tier: Tier
    windows: tuple[Evidence, ...]
    end_s: float | None = None
    announced_s: float | None = None
    epoch_s: float | None = None
    text: str = ""
    task: str = ""
    model: str = ""
    closed_because: str = ""
    camera_id: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the incident still goes on."""
        return self.end_s is None
