"""The event that is going on: windows join it, words describe it, and at any moment it can be read as an Event.

An event: one incident at one source, from its onset to its end.

What happened to an event: the unit that is stored, then announced.

Event ids: unique, sorted by the time they were made, and fit for file names on every system.

What a person says of an event: it was true, a false alarm, or they are not sure.

The calibrated probabilities from which an event is low, medium or high.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, TypeAlias, get_args

from vigil.errors import UsageError


class Tier(StrEnum):
    """How sure an event is; the thresholds are settings (`vigil.rules.hysteresis`)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWindow:
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
    windows: tuple[EventWindow, ...]
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


ChangeKind: TypeAlias = Literal["opened", "raised", "grew", "closed"]


@dataclass(frozen=True, slots=True)
class EventChange:
    """One change and the whole event after it.

    `raised` is a higher tier, `grew` more windows or better words at the same tier. Words take seconds, so a `grew`
    may follow `closed`; it then changes nothing but the text. `late` is what an earlier watch had stored and was killed
    before it told of it: it may have been told in part, and always has the same event id. `sequence` is its number in
    the store's log of changes, None where it is not in there (yet).
    """

    kind: ChangeKind
    event: Event
    late: bool = False
    sequence: int | None = None


class EventIdGenerator:
    """Makes ids like `20261120T115033123Z-9f3c21ab`; thread-safe, and rising even when the clock is set back."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_ms = 0

    def __call__(self) -> str:
        with self._lock:
            self._last_ms = max(self._last_ms + 1, int(self._clock() * 1000))
            made_ms = self._last_ms
        seconds, millis = divmod(made_ms, 1000)
        moment = datetime.fromtimestamp(seconds, UTC)
        return f"{moment:%Y%m%dT%H%M%S}{millis:03d}Z-{secrets.token_hex(4)}"


new_id = EventIdGenerator()
"""The process's maker of ids."""


MarkValue: TypeAlias = Literal["true", "false_alarm", "unsure", ""]
"""`""` takes an earlier mark back."""

MARK_WORDS: tuple[MarkValue, ...] = get_args(MarkValue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One mark: `number` counts an event's marks from 1, the newest counts; `marked_utc` is when it was made."""

    event_id: str
    number: int
    mark: MarkValue
    who: str
    note: str = ""
    marked_utc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierThresholds:
    """The calibrated probabilities from which an event is low, medium or high."""

    low: float = 0.75
    medium: float = 0.85
    high: float = 0.92

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.medium <= self.high <= 1:
            raise UsageError(
                f"tiers must rise from above 0 to at most 1, not low {self.low}, medium {self.medium}, high {self.high}"
            )

    def of(self, p_alarm: float) -> Tier:
        """The tier of a probability; everything below `high` and `medium` is low."""
        if p_alarm >= self.high:
            return Tier.HIGH
        return Tier.MEDIUM if p_alarm >= self.medium else Tier.LOW


@dataclass(slots=True, kw_only=True)
class OpenEvent:
    """An event under construction.

    `waiting` holds the windows since the last that joined: they belong to the event only when another one joins.
    `quiet_s` is how much judged footage since then lies below the threshold to stay.
    """

    id: str
    source: str
    tiers: TierThresholds
    task: str = ""
    model: str = ""
    epoch_s: float | None = None
    camera_id: str = ""
    announced_s: float | None = None
    end_s: float | None = None
    closed_because: str = ""
    windows: list[EventWindow] = field(default_factory=list)
    pending: list[EventWindow] = field(default_factory=list)
    quiet_s: float = 0.0
    peak: EventWindow | None = None
    text: str = ""
    text_p: float = -1.0
    text_window: int = -1

    def add_windows(self, evidence: Sequence[EventWindow]) -> None:
        """Takes in windows, the last of them over the threshold, with those that waited before them."""
        joining = [*self.pending, *evidence]
        self.windows += joining
        self.pending.clear()
        self.quiet_s = 0.0
        for each in joining:
            if each.p_alarm is not None and each.p_alarm > self.peak_p:
                self.peak = each

    @property
    def peak_p(self) -> float:
        """The highest probability so far."""
        return -1.0 if self.peak is None or self.peak.p_alarm is None else self.peak.p_alarm

    @property
    def tier(self) -> Tier:
        """The tier of the highest probability so far."""
        return self.tiers.of(self.peak_p)

    def add_pending(self, evidence: EventWindow, *, quiet_s: float) -> None:
        """Notes a window that does not join, with the seconds of quiet footage that it adds."""
        self.pending.append(evidence)
        self.quiet_s += quiet_s

    def describe(self, window: int, text: str) -> bool:
        """Offers the words of one of its windows; True when they are taken, as it is the surest with words."""
        p = next((e.p_alarm for e in reversed(self.windows) if e.window == window), None)
        if not text or p is None or p < self.text_p or text == self.text:
            return False
        if p == self.text_p and window != self.text_window:
            return False
        self.text, self.text_p, self.text_window = text, p, window
        return True

    def has_window(self, window: int) -> bool:
        """Whether a window is part of it."""
        return any(evidence.window == window for evidence in reversed(self.windows))

    def close(self, because: str) -> None:
        """Ends it with its last window."""
        self.end_s = max(evidence.end_s for evidence in self.windows)
        self.closed_because = because
        self.pending.clear()

    def snapshot(self) -> Event:
        """The event as it stands."""
        peak = self.peak or self.windows[0]
        return Event(
            id=self.id,
            source=self.source,
            camera_id=self.camera_id,
            onset_s=self.windows[0].start_s,
            end_s=self.end_s,
            peak=self.peak_p,
            peak_s=(peak.start_s + peak.end_s) / 2,
            tier=self.tier,
            windows=tuple(self.windows),
            announced_s=self.announced_s,
            epoch_s=self.epoch_s,
            text=self.text,
            task=self.task,
            model=self.model,
            closed_because=self.closed_because,
        )
