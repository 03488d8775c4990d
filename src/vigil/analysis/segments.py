"""The segments of an analysis: each is one run of a watcher in one mode; switching the mode starts the next.

`AnalysisResults` holds the windows of all segments and their events. When the mode is switched, or a file continues
from an earlier second, the windows that will be judged again are discarded, and the events are computed again from the
rest with the hysteresis rule that a watcher uses. `RecentPictures` keeps the newest pictures of a live source, so that
questions about them can still be asked.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vigil.chat.attachment import KeptPicture
from vigil.errors import SourceError
from vigil.events import Event, EventChange
from vigil.frames import Frame, FrameSampling, encode_jpeg
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.sources.address import Address
from vigil.sources.video_info import video_info
from vigil.verdict import Cause, JudgedWindow, Outcome
from vigil.watch import SourceState, Watcher, WatchObserver, WatchSettings
from vigil.watch.pipeline import OpenCapture
from vigil.watch.settings import ClipSettings
from vigil.watch.state import SourceStatus

MOST_WINDOWS = 10_000
"""Five and a half hours of a camera; older windows are discarded."""


SAME_S = 1e-3


class AnalysisResults:
    """Windows in order of time, renumbered, with their events; not thread-safe."""

    def __init__(self, rules: HysteresisSettings, *, source: str, task: str = "", model: str = "") -> None:
        self.judged: list[JudgedWindow] = []
        self.events: dict[str, Event] = {}
        self.forgotten = 0
        self._rules = rules
        self._source, self._task, self._model = source, task, model
        self._tracker = self._new_tracker()
        self._next = 0

    def add(self, judged: JudgedWindow) -> int:
        """Appends a window that follows all others; returns its number here."""
        numbered = replace(judged, window=self._next)
        self._next += 1
        self.judged.append(numbered)
        if len(self.judged) > MOST_WINDOWS:
            del self.judged[0]
            self.forgotten += 1
        self._take(self._tracker.push(numbered))
        return numbered.window

    def describe(self, number: int, text: str) -> None:
        """Adds the description of a window."""
        for index in range(len(self.judged) - 1, -1, -1):
            judged_window = self.judged[index]
            if judged_window.window == number:
                self.judged[index] = replace(judged_window, verdict=replace(judged_window.verdict, text=text))
                self._take(self._tracker.describe(number, text))
                return

    def drop_from(self, start_s: float) -> None:
        """Discards the windows that begin at this second or later, and computes the events of the others again."""
        self.judged = [judged for judged in self.judged if judged.start_s < start_s - SAME_S]
        self.events = {}
        self._tracker = self._new_tracker()
        for judged in self.judged:
            # Without a capture time: the event must not be announced at the current time.
            self._take(self._tracker.push(replace(judged, captured_s=None)))
            if judged.verdict.text:
                self._take(self._tracker.describe(judged.window, judged.verdict.text))

    def first_gap_s(self) -> float | None:
        """The start of the first window that was dropped or cancelled; None if there is none."""
        left_out = {Cause.DROPPED, Cause.CANCELLED}
        return next((judged.start_s for judged in self.judged if judged.verdict.cause in left_out), None)

    def finish(self, because: str) -> None:
        """Closes the open event, if any."""
        self._take(self._tracker.finish(because))

    def _take(self, changes: Iterable[EventChange]) -> None:
        self.events.update((change.event.id, change.event) for change in changes)

    def _new_tracker(self) -> HysteresisRule:
        return HysteresisRule(self._rules, source=self._source, task=self._task, model=self._model)


MOST_PICTURES = 300
"""Two and a half minutes at the contract's two frames per second."""


class RecentPictures:
    """The newest judged pictures, oldest first; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[KeptPicture] = deque(maxlen=MOST_PICTURES)

    def add(self, frame: Frame, *, time_s: float, quality: int) -> None:
        """Adds the picture of second `time_s` of the analysis; evicts the oldest if there are too many."""
        height, width = frame.image.shape[:2]
        jpeg = encode_jpeg(frame.image, quality=quality)
        with self._lock:
            self._kept.append(KeptPicture(time_s=time_s, jpeg=jpeg, size_wh=(width, height)))

    def between(self, start_s: float, end_s: float) -> list[KeptPicture]:
        """The pictures of these seconds, both ends included."""
        with self._lock:
            return [one for one in self._kept if start_s - 0.01 <= one.time_s <= end_s + 0.01]


FILE_IN_FLIGHT = 8
"""Windows of one visitor's file in flight at once: enough to keep the server busy and still serve others."""

PATIENT_WINDOWS = 600
"""Queue length for a camera if every window is to be judged: twenty minutes."""

PREVIEW_FPS = 5.0
"""Preview frames per second of a camera; a file is played by the browser's own player."""


EPSILON_S = 1e-3


@dataclass(frozen=True, slots=True)
class Segment:
    """The mode, live or window by window, and the second of a file to start from."""

    live: bool
    from_s: float = 0.0

    def on_the_grid(self, address: Address, sampling: FrameSampling) -> "Segment":
        """A segment that starts no later than the last full window of its file; a shorter one is off the grid."""
        length_s = None if address.kind != "file" else _length_s(address)
        if length_s is None:
            return self
        whole_s = (sampling.frames - 1) / sampling.fps
        return replace(self, from_s=max(0.0, min(self.from_s, length_s - whole_s - EPSILON_S)))

    def settings(self, address: Address, settings: WatchSettings, *, with_descriptions: bool) -> WatchSettings:
        """The settings of the segment's watcher: nothing is stored, and one visitor's requests are limited."""
        waiting = settings.queue_windows if self.live else PATIENT_WINDOWS
        return replace(
            settings,
            realtime=self.live and not address.is_live,
            in_flight=min(settings.in_flight, FILE_IN_FLIGHT),
            queue_windows=waiting,
            describe=settings.describe if with_descriptions else "never",
            clips=ClipSettings(max_s=0.0),
            store="",
            gate="none",
            motion_gate=0.0,
            person_gate=0.0,
            preview_fps=PREVIEW_FPS if address.is_live else 0.0,
        )

    def opener(self, address: Address, opener: OpenCapture) -> OpenCapture:
        """Opens a file where the segment starts."""
        return opener if address.is_live or not self.from_s else partial(opener, start_s=self.from_s)


def _length_s(address: Address) -> float | None:
    """The duration of a file; None if its header does not contain it."""
    with suppress(SourceError):
        return video_info(Path(address.location)).duration_s
    return None


class SegmentObserver(WatchObserver):
    """Records what a segment's watcher reports until the next segment begins; read it under `lock`."""

    def __init__(
        self,
        results: AnalysisResults,
        lock: threading.Lock,
        *,
        shift_s: float,
        with_descriptions: bool,
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
        self._results = results
        self._lock = lock
        self._shift_s = shift_s
        self._with_descriptions = with_descriptions
        self._recent, self._quality = recent, quality
        self._over = False

    def end(self) -> None:
        """Ignores everything reported from now on."""
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
        number = self._results.add(replace(judged, verdict=moved))
        if self._with_descriptions and verdict.outcome is Outcome.ALARM:
            self.wordless[judged.window] = number
        if judged.captured_s is not None and verdict.cause is None:
            self.lag_s = time.time() - judged.captured_s

    def _describe(self, judged: JudgedWindow) -> None:
        number = self.wordless.pop(judged.window, None)
        if number is not None and judged.verdict.text:
            self._results.describe(number, judged.verdict.text)


class RunningSegment:
    """A running watcher and its observer."""

    def __init__(self, watch: Watcher, notes: SegmentObserver) -> None:
        self.watch = watch
        self.notes = notes

    def abandon(self) -> None:
        """Stops it at once and cancels its requests; call it in the watcher's loop."""
        self.watch.stop()
        self.watch.stop()
