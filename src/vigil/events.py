"""Events and what belongs to them: tiers, windows, changes, ids, marks, and the event that is still open.

An event is one incident at one source, from its onset to its end. `OpenEvent` collects its windows and descriptions
while it is open; `Event` is an immutable snapshot of it. An `EventChange` is the unit that is stored and then
published. A `Mark` is a user's assessment of an event: true, false alarm, or unsure.
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
    """How certain an event is; the thresholds are settings (`TierThresholds`)."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWindow:
    """A window that belongs to an event; `p_alarm` is None if its verdict was unknown.

    `label` is the class that it shows, its most probable label that alarms; empty for questions with two labels.
    `p_raw` is the probability before calibration, None if it is not known.
    """

    window: int
    start_s: float
    end_s: float
    p_alarm: float | None
    label: str = ""
    p_raw: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One incident; `end_s` is None while it is open.

    `source` is the name of the camera; `camera_id` is its id, which does not change when it is renamed (empty if
    unknown), and `place` says where it is now. `rule` is the name of the rule that made it, empty in old stores.

    Times ending in `_s` are seconds of the source: the position in a file, or the seconds since a live session began.
    `epoch_s` is the `time.time()` of second 0, None for files. `announced_s` is when the event was first published: the
    end of the window that opened it, plus the time since its capture (live) or the verdict's latency (files). `peak_s`
    is the middle of the window with the highest probability, and `label` the class that this window shows (empty for
    questions with two labels).
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
    rule: str = ""
    label: str = ""
    place: str = field(default="", compare=False)

    @property
    def is_open(self) -> bool:
        """Whether the event has not ended."""
        return self.end_s is None


ChangeKind: TypeAlias = Literal["opened", "raised", "grew", "closed"]


@dataclass(frozen=True, slots=True)
class EventChange:
    """One change, and the whole event after it.

    `raised` is a higher tier; `grew` is more windows or a better description at the same tier. Descriptions take
    seconds, so `grew` may follow `closed`; it then changes only the text. A `late` change was stored by an earlier
    watcher that was killed before it had published it to all observers; some may have received it, with the same event
    id. `sequence` is its number in the store's change log, None if it is not stored (yet).
    """

    kind: ChangeKind
    event: Event
    late: bool = False
    sequence: int | None = None


class EventIdGenerator:
    """Generates ids like `20261120T115033123Z-9f3c21ab`: unique, sorted by time, and valid in file names.

    It is thread-safe, and ids increase even if the clock is set back.
    """

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
"""The id generator of this process."""


MarkValue: TypeAlias = Literal["true", "false_alarm", "unsure", ""]
"""The values of a mark; `""` takes an earlier mark back."""

MARK_WORDS: tuple[MarkValue, ...] = get_args(MarkValue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One mark: `number` counts the marks of an event from 1, the newest is valid; `marked_utc` is when it was made.

    `label` is the class that the event really shows, if the user corrected it.
    """

    event_id: str
    number: int
    mark: MarkValue
    who: str
    note: str = ""
    marked_utc: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierThresholds:
    """The calibrated probabilities from which an event is low, medium or high; raises UsageError if out of order."""

    low: float = 0.75
    medium: float = 0.85
    high: float = 0.92

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.medium <= self.high <= 1:
            raise UsageError(
                f"tiers must rise from above 0 to at most 1, not low {self.low}, medium {self.medium}, high {self.high}"
            )

    def of(self, p_alarm: float) -> Tier:
        """The tier of a probability; everything below `medium` is low."""
        if p_alarm >= self.high:
            return Tier.HIGH
        return Tier.MEDIUM if p_alarm >= self.medium else Tier.LOW


@dataclass(slots=True, kw_only=True)
class OpenEvent:
    """An event that is still open, or that may still get a description.

    `pending` holds the windows since the last one that was added; they become part of the event only if another one is
    added. `quiet_s` is how many seconds of judged footage since then are below the rule's threshold.
    """

    id: str
    source: str
    tiers: TierThresholds
    task: str = ""
    model: str = ""
    epoch_s: float | None = None
    camera_id: str = ""
    rule: str = ""
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
        """Adds windows, the last of which is above the threshold, together with the pending ones before them."""
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
        """Holds a window that is not added (yet), and counts its seconds of quiet footage."""
        self.pending.append(evidence)
        self.quiet_s += quiet_s

    def describe(self, window: int, text: str) -> bool:
        """Offers the description of one of its windows; returns True if it is used.

        Of all descriptions, that of the window with the highest probability is used.
        """
        p = next((e.p_alarm for e in reversed(self.windows) if e.window == window), None)
        if not text or p is None or p < self.text_p or text == self.text:
            return False
        if p == self.text_p and window != self.text_window:
            return False
        self.text, self.text_p, self.text_window = text, p, window
        return True

    def has_window(self, window: int) -> bool:
        """Whether a window is part of the event."""
        if not self.windows or not self.windows[0].window <= window <= self.windows[-1].window:
            return False
        return any(evidence.window == window for evidence in reversed(self.windows))

    def close(self, because: str) -> None:
        """Closes the event at the end of its last window; pending windows are dropped."""
        self.end_s = max(evidence.end_s for evidence in self.windows)
        self.closed_because = because
        self.pending.clear()

    def snapshot(self) -> Event:
        """The event in its current state."""
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
            rule=self.rule,
            label=peak.label,
            closed_because=self.closed_because,
        )
