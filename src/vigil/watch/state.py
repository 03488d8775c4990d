"""The state of each source while it is watched: its connection, its counts, its last verdict."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from enum import StrEnum

from vigil.verdict import Cause, JudgedWindow, Outcome

RATE_OVER_S = 10.0
NOT_JUDGED = frozenset({Cause.DROPPED, Cause.SKIPPED})
"""Causes of windows that are not sent to the judge: the last verdict stays valid."""


class SourceStatus(StrEnum):
    """The status of a source."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    WATCHING = "watching"
    LOST = "lost"
    ENDED = "ended"
    UNREADABLE = "unreadable"
    PAUSED = "paused"


@dataclass(slots=True, kw_only=True)
class SourceState:
    """The live state of one source; every window is in exactly one of judged, unknown, dropped and skipped.

    `camera_id` is empty until the source starts, and so is `place`, where the camera is. `lag_s` is the time from the
    capture of a window's last frame to its verdict, None for files. `lag_s` and `p_alarm` belong to the last window
    that was sent to the judge; both are None if it got no verdict. `observation` is the last line of the semantic log,
    of the window that ended at `observed_s`; `observations_skipped` counts those that were due and were left out, or
    gave way to verdicts, `observations_as_words` those that were not of the form that was asked for.
    `refused_questions` says which of its questions cannot be asked of the model, and why.
    """

    name: str
    live: bool
    camera_id: str = ""
    place: str = ""
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
    descriptions_skipped: int = 0
    observations: int = 0
    observations_skipped: int = 0
    observations_as_words: int = 0
    observation: str = ""
    observed_s: float | None = None
    position_s: float = 0.0
    p_alarm: float | None = None
    lag_s: float | None = None
    latency_ms: float = 0.0
    problems: tuple[str, ...] = ()
    refused_questions: tuple[str, ...] = ()
    _arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=64))

    @property
    def dropped(self) -> int:
        """Windows dropped from a full queue in favour of newer ones."""
        return self.unknown[Cause.DROPPED]

    @property
    def skipped(self) -> int:
        """Windows in which the gate found no motion, or nobody."""
        return self.unknown[Cause.SKIPPED]

    @property
    def failed(self) -> int:
        """Windows that were sent to the judge, or waiting for it, and got no verdict."""
        return self.unknown.total() - self.dropped - self.skipped

    @property
    def settled(self) -> int:
        """Windows with an outcome of any kind; equal to `cut` once the source has ended."""
        return self.judged + self.unknown.total()

    @property
    def fps(self) -> float:
        """Sampled frames per second over the last ten seconds."""
        now_s = time.monotonic()
        # The reader thread appends to it; a copy is atomic.
        recent = [at_s for at_s in tuple(self._arrivals) if now_s - at_s <= RATE_OVER_S]
        span_s = now_s - recent[0] if recent else 0.0
        return len(recent) / span_s if span_s > 0 else 0.0

    @property
    def is_current(self) -> bool:
        """Whether probability and lag are current: not after the source was lost, was paused or has ended."""
        return self.stage is SourceStatus.WATCHING

    def copy(self) -> "SourceState":
        """A copy of the current state, for use in another thread."""
        return replace(self, unknown=Counter(self.unknown), _arrivals=self._arrivals.copy())

    def count_frame(self, time_s: float) -> None:
        """Counts a sampled frame."""
        self.frames += 1
        self.position_s = time_s
        self._arrivals.append(time.monotonic())

    def count_cut(self) -> None:
        """Counts a new window."""
        self.cut += 1

    def count(self, judged: JudgedWindow) -> None:
        """Counts the outcome of a window."""
        verdict = judged.verdict
        if verdict.cause is not None:
            self.unknown[verdict.cause] += 1
            if verdict.cause not in NOT_JUDGED:
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
    """The final state of every source; `failures` counts unexpected errors in Vigil itself."""

    sources: tuple[SourceState, ...]
    store_losses: int = 0
    media_losses: int = 0
    failures: int = 0

    @property
    def events(self) -> int:
        """The number of events opened."""
        return sum(state.events for state in self.sources)

    @property
    def unaccounted(self) -> int:
        """The number of windows without an outcome: 0 unless there is a bug in Vigil."""
        return sum(state.cut - state.settled for state in self.sources)
