"""The legs of an analysis: each is one watch, in one mode; a switch of the mode ends one and begins the next."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vigil.analysis.findings import AnalysisResults
from vigil.analysis.recent import RecentPictures
from vigil.errors import SourceError
from vigil.events.judged import JudgedWindow
from vigil.frames import Frame, FrameSampling, encode_jpeg
from vigil.sources.address import Address
from vigil.sources.fullrate import video_info
from vigil.verdict import Outcome
from vigil.watch import SourceState, Watcher, WatchObserver, WatchSettings
from vigil.watch.settings import ClipSettings
from vigil.watch.source import OpenCapture
from vigil.watch.state import SourceStatus

FILE_IN_FLIGHT = 8
"""Windows of one visitor's file that are asked about at once: enough to keep the server busy, and others served."""

PATIENT_WINDOWS = 600
"""Windows of a camera that may wait when every one is to be judged: twenty minutes."""

PREVIEW_FPS = 5.0
"""Pictures a second of a camera for the person who looks at it; a file is played by its own player."""


EPSILON_S = 1e-3


@dataclass(frozen=True, slots=True)
class Segment:
    """How to go on: live or window by window, and from which second of a file."""

    live: bool
    from_s: float = 0.0

    def on_the_grid(self, address: Address, sampling: FrameSampling) -> "Segment":
        """One that begins no later than the last whole window of its file, as a shorter one would be off the grid."""
        length_s = None if address.kind != "file" else _length_s(address)
        if length_s is None:
            return self
        whole_s = (sampling.frames - 1) / sampling.fps
        return replace(self, from_s=max(0.0, min(self.from_s, length_s - whole_s - EPSILON_S)))

    def settings(self, address: Address, settings: WatchSettings, *, words: bool) -> WatchSettings:
        """The settings of the leg's watch: nothing is kept, and a visitor asks no more than is theirs."""
        waiting = settings.queue_windows if self.live else PATIENT_WINDOWS
        return replace(
            settings,
            realtime=self.live and not address.is_live,
            in_flight=min(settings.in_flight, FILE_IN_FLIGHT),
            queue_windows=waiting,
            words=settings.words if words else "never",
            clips=ClipSettings(most_s=0.0),
            store="",
            motion_gate=0.0,
            preview_fps=PREVIEW_FPS if address.is_live else 0.0,
        )

    def opener(self, address: Address, opener: OpenCapture) -> OpenCapture:
        """Opens a file where the leg begins."""
        return opener if address.is_live or not self.from_s else partial(opener, start_s=self.from_s)


def _length_s(address: Address) -> float | None:
    """How long a file is, where its header tells it."""
    with suppress(SourceError):
        return video_info(Path(address.location)).duration_s
    return None


class SegmentObserver(WatchObserver):
    """Follows a leg's watch and keeps what it says, until the next leg begins; may be read under `lock`."""

    def __init__(
        self,
        findings: AnalysisResults,
        lock: threading.Lock,
        *,
        shift_s: float,
        words: bool,
        recent: RecentPictures | None = None,
        quality: int = 90,
    ) -> None:
        self.stage = SourceStatus.WAITING
        self.detail = ""
        self.problems: tuple[str, ...] = ()
        self.position_s = 0.0
        self.epoch_s: float | None = None
        self.lag_s: float | None = None
        self.picture: bytes | None = None
        self.wordless: dict[int, int] = {}
        self._has_previews = False
        self._findings = findings
        self._lock = lock
        self._shift_s = shift_s
        self._words = words
        self._recent, self._quality = recent, quality
        self._over = False

    def end(self) -> None:
        """Listens no more: what still comes belongs to nobody."""
        with self._lock:
            self._over = True

    def on_frame(self, source: str, frame: Frame) -> None:
        wanted = frame.captured_s is not None and not self._has_previews
        picture = encode_jpeg(frame.image, quality=85) if wanted else self.picture
        if self._recent is not None and not self._over:
            self._recent.add(frame, time_s=frame.time_s + self._shift_s, quality=self._quality)
        with self._lock:
            self.position_s = frame.time_s + self._shift_s
            self.picture = picture
            if frame.captured_s is not None:
                self.epoch_s = frame.captured_s - self.position_s

    def wants_preview(self, source: str) -> bool:
        return not self._over

    def on_preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        with self._lock:
            self.picture, self._has_previews = jpeg, True

    def on_state(self, state: SourceState) -> None:
        with self._lock:
            self.stage, self.detail, self.problems = state.stage, state.detail, state.problems

    def on_verdict(self, judged: JudgedWindow) -> None:
        self._unless_over(lambda: self._add(judged))

    def on_result(self, judged: JudgedWindow) -> None:
        self._unless_over(lambda: self._describe(judged))

    def _unless_over(self, note: Callable[[], None]) -> None:
        with self._lock:
            if not self._over:
                note()

    def _add(self, judged: JudgedWindow) -> None:
        shift_s, verdict = self._shift_s, judged.verdict
        moved = replace(verdict, start_s=verdict.start_s + shift_s, end_s=verdict.end_s + shift_s)
        number = self._findings.add(replace(judged, verdict=moved))
        if self._words and verdict.outcome is Outcome.ALARM:
            self.wordless[judged.window] = number
        if judged.captured_s is not None and verdict.cause is None:
            self.lag_s = time.time() - judged.captured_s

    def _describe(self, judged: JudgedWindow) -> None:
        number = self.wordless.pop(judged.window, None)
        if number is not None and judged.verdict.text:
            self._findings.describe(number, judged.verdict.text)


class RunningSegment:
    """A watch that is under way, with who follows it."""

    def __init__(self, watch: Watcher, notes: SegmentObserver) -> None:
        self.watch = watch
        self.notes = notes

    def abandon(self) -> None:
        """Ends it at once, with the requests that are under way; in the watch's loop."""
        self.watch.stop()
        self.watch.stop()
