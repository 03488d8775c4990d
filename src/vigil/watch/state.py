"""What is known of each source while it is watched: its connection, its counts, its last verdict."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from enum import StrEnum

from vigil.verdict import Cause, JudgedWindow, Outcome

RATE_OVER_S = 10.0
PASSED_OVER = frozenset({Cause.DROPPED, Cause.SKIPPED})
"""Windows that nobody asked about, for the sake of another one: the last verdict still stands."""


class SourceStatus(StrEnum):
    """Where a source is."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    WATCHING = "watching"
    LOST = "lost"
    ENDED = "ended"
    UNREADABLE = "unreadable"
    PAUSED = "paused"


@dataclass(slots=True, kw_only=True)
class SourceState:
    """One source, live; every window that was cut is in exactly one of judged, unknown, dropped and skipped.

    `camera_id` is empty until its watch begins.
    `lag_s` is the time from the capture of a window's last frame to its verdict, None on files. It and `p_alarm` are
    those of the last window that was asked about, None where that one got no verdict.
    """

    name: str
    live: bool
    camera_id: str = ""
    stage: SourceStatus = SourceStatus.WAITING
    detail: str = ""
    size_wh: tuple[int, int] | None = None
    connections: int = 0
    frames: int = 0
    cut: int = 0
    judged: int = 0
    alarms: int = 0
    unknown: Counter[Cause] = field(default_factory=Counter)
    events: int = 0
    open_event: str = ""
    tokens: int = 0
    words_skipped: int = 0
    position_s: float = 0.0
    p_alarm: float | None = None
    lag_s: float | None = None
    latency_ms: float = 0.0
    problems: tuple[str, ...] = ()
    _arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=64))

    @property
    def dropped(self) -> int:
        """Windows that a newer one replaced."""
        return self.unknown[Cause.DROPPED]

    @property
    def skipped(self) -> int:
        """Windows that the motion gate found still."""
        return self.unknown[Cause.SKIPPED]

    @property
    def failed(self) -> int:
        """Windows that were asked about, or waited for it, and got no verdict."""
        return self.unknown.total() - self.dropped - self.skipped

    @property
    def settled(self) -> int:
        """Windows with an outcome of any kind; equal to `cut` at the end."""
        return self.judged + self.unknown.total()

    @property
    def fps(self) -> float:
        """Sampled frames a second over the last ten seconds."""
        now_s = time.monotonic()
        # The reader's thread adds to it; a copy is taken in one piece.
        recent = [at_s for at_s in tuple(self._arrivals) if now_s - at_s <= RATE_OVER_S]
        span_s = now_s - recent[0] if recent else 0.0
        return len(recent) / span_s if span_s > 0 else 0.0

    @property
    def is_current(self) -> bool:
        """Whether probability and lag are of now: not once the source is lost, paused or over."""
        return self.stage is SourceStatus.WATCHING

    def copy(self) -> "SourceState":
        """The state as it is now, for another thread."""
        return replace(self, unknown=Counter(self.unknown), _arrivals=self._arrivals.copy())

    def saw(self, time_s: float) -> None:
        """Counts a frame."""
        self.frames += 1
        self.position_s = time_s
        self._arrivals.append(time.monotonic())

    def count_cut(self) -> None:
        """Counts a window that was cut."""
        self.cut += 1

    def count(self, judged: JudgedWindow) -> None:
        """Counts a window's outcome."""
        verdict = judged.verdict
        if verdict.cause is not None:
            self.unknown[verdict.cause] += 1
            if verdict.cause not in PASSED_OVER:
                self.p_alarm = self.lag_s = None
            return
        self.judged += 1
        self.alarms += verdict.outcome is Outcome.ALARM
        self.tokens += verdict.tokens
        self.p_alarm = verdict.p_alarm
        self.latency_ms = verdict.latency_ms
        if judged.captured_s is not None:
            self.lag_s = time.time() - judged.captured_s


@dataclass(frozen=True, slots=True)
class WatchSummary:
    """How a watch ended, source by source; `failures` counts what failed in Vigil itself."""

    sources: tuple[SourceState, ...]
    store_losses: int = 0
    media_losses: int = 0
    failures: int = 0

    @property
    def events(self) -> int:
        """Events that were opened."""
        return sum(state.events for state in self.sources)

    @property
    def unaccounted(self) -> int:
        """Windows that were cut and have no outcome: 0, or there is a fault in Vigil."""
        return sum(state.cut - state.settled for state in self.sources)
