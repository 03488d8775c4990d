"""One source under watch: the thread that reads and cuts it, and what the loop remembers of it.

The motion gate: windows in which nothing moves need not be judged; they are `skipped`, never `normal`.

Motion is the mean absolute difference of neighbouring frames, made grey and 64x64: it ranks pairs of
frames as SSIM does (Spearman 0.98) for a hundredth of the work (INGEST measurements in docs/ingest.md).
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.errors import SourceError
from vigil.events import EventChange
from vigil.frames import RGB, Frame
from vigil.judge import Judge
from vigil.rules.hysteresis import HysteresisRule
from vigil.sources.address import Address
from vigil.sources.open_capture import Capture, Connected, Disconnected, Waiting, open_capture
from vigil.sources.preview import PreviewEncoder
from vigil.verdict import JudgedWindow
from vigil.watch.observers import WatchObserver
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState, SourceStatus
from vigil.watch.window_queue import QueuedWindow, WindowQueue
from vigil.windows import Window, Windower

log = logging.getLogger(__name__)


SIDE_PX = 64


class MotionGate:
    """Tells windows of one source in which no frame differs from the one before by `least` grey levels (of 255)."""

    def __init__(self, least: float) -> None:
        self.least = least
        self._small: dict[float, NDArray[np.uint8]] = {}

    def is_still(self, window: Window) -> bool:
        """Whether nothing moves in a window; never, when the gate is off (`least` is 0)."""
        return self.least > 0 and self.motion(window) < self.least

    def motion(self, window: Window) -> float:
        """The largest mean absolute difference of two neighbouring frames, in grey levels."""
        known = self._small
        self._small = {
            shot.time_s: known[shot.time_s] if shot.time_s in known else _small(shot.image) for shot in window.shots
        }
        frames = [self._small[shot.time_s] for shot in window.shots]
        pairs = pairwise(frames)
        return max((float(cv2.norm(a, b, cv2.NORM_L1)) / SIDE_PX**2 for a, b in pairs), default=0.0)


def _small(image: RGB) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8)


UNKNOWN_BETWEEN = 8
"""Windows held besides those that may open an event: the frames of an onset are kept even with unknowns in between."""

PAUSED = "paused"
FAILED = "the watch of it failed"

OpenCapture = Callable[..., Capture]
"""How a source is opened: called as `vigil.sources.open_capture.open_capture` is."""


class SourcePipeline:
    """Reads a feed in a thread of its own into the lane, and keeps its state, its events and its last windows.

    `under_way` are the windows that were taken from the lane and have no outcome yet. `error` says why the source
    cannot be read, `failure` is what its reader failed of unexpectedly.
    """

    def __init__(
        self,
        feed: Capture,
        state: SourceState,
        *,
        lane: WindowQueue,
        cutter: Windower,
        tracker: HysteresisRule,
        gate: MotionGate,
        stop: threading.Event,
        audience: WatchObserver,
    ) -> None:
        self.capture = feed
        self.state = state
        self.queue = lane
        self.tracker = tracker
        self.stop = stop
        self.recent_windows: deque[Window] = deque(maxlen=tracker.rules.n + UNKNOWN_BETWEEN)
        self.under_way: dict[int, Window] = {}
        self.error: SourceError | None = None
        self.failure: Exception | None = None
        self.end_reason = "the source ended"
        self.rules_lock = asyncio.Lock()
        self._cutter = cutter
        self._gate = gate
        self._audience = audience
        self._loop = asyncio.get_running_loop()

    @property
    def name(self) -> str:
        """The source's shown name."""
        return self.state.name

    @property
    def now_s(self) -> float:
        """On live sources: the present second of the source."""
        return time.time() - (self.capture.started_utc_s or time.time())

    def start(self, *, after_s: float) -> None:
        """Begins to read, `after_s` from now, so that many cameras do not ask in the same moment for ever after."""
        threading.Thread(target=self._read, args=(after_s,), name=f"read {self.name}", daemon=True).start()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody wants no more of it: it was paused or removed, or the watch is being stopped."""
        return self.stop.is_set()

    def stop_reading(self, because: str) -> None:
        """Ends the reading, within the time that a silent connection is waited for."""
        self.end_reason = because
        self.stop.set()
        if because == PAUSED:
            self._set_status(SourceStatus.PAUSED)

    def take(self) -> QueuedWindow | None:
        """The next entry of the lane, which is under way from now on; None when there is none."""
        entry = self.queue.take()
        if entry is not None:
            self.under_way[entry.window.index] = entry.window
        return entry

    def count_result(self, window: Window, judged: JudgedWindow) -> None:
        """Counts what became of a window, the next one in order."""
        self.recent_windows.append(window)
        self.state.count(judged)
        self.under_way.pop(window.index, None)

    def abandon(self) -> list[Window]:
        """Ends it where it is; returns the windows that were cut and will have no outcome of their own."""
        self.stop_reading(FAILED)
        self.queue.close()
        while self.take() is not None:
            pass
        return list(self.under_way.values())

    def count_change(self, change: EventChange) -> None:
        """Remembers which event is open."""
        self.state.events += change.kind == "opened"
        if change.kind == "closed":
            self.state.open_event = ""
        elif change.event.is_open:
            self.state.open_event = change.event.tier

    def _read(self, after_s: float) -> None:
        try:
            if not self.stop.wait(after_s):
                self._read_capture()
        except Exception as error:
            log.exception("%s: the reader failed; this is a fault in Vigil, please report it", self.name)
            self.failure = error
            self.end_reason = self.end_reason if self.is_stopping else FAILED
        finally:
            self.queue.end()

    def _read_capture(self) -> None:
        try:
            self._read_frames()
        except SourceError as error:
            self._fail(error)

    def _read_frames(self) -> None:
        self._set_status(SourceStatus.CONNECTING if self.capture.is_live else SourceStatus.WATCHING)
        for signal in self.capture.read():
            if self.queue.is_closed:
                return
            self.tracker.epoch_s = self.capture.started_utc_s
            if isinstance(signal, Frame):
                self.state.saw(signal.time_s)
                self._audience.on_frame(self.name, signal)
                self._enqueue(self._cutter.push(signal))
            elif isinstance(signal, Disconnected):
                self._enqueue(self._cutter.finish())
                self._set_status(SourceStatus.LOST, f"{signal.reason}; next try in {signal.retry_s:.1f} s")
            elif isinstance(signal, Waiting):
                self._set_status(SourceStatus.CONNECTING, signal.reason)
            else:
                self._connected(signal)
        self._enqueue(self._cutter.finish())
        self.state.problems = tuple(self.capture.problems)
        self._set_status(SourceStatus.ENDED)

    def _connected(self, signal: Connected) -> None:
        self.state.size_wh = signal.size_wh
        self.state.connections += 1
        self._set_status(SourceStatus.WATCHING)

    def _enqueue(self, windows: Iterable[Window]) -> None:
        for window in windows:
            # The gate is the last that looks at raw pictures.
            self.queue.put(window.without_pictures(), still=self._gate.is_still(window))

    def _fail(self, error: SourceError) -> None:
        self._enqueue(self._cutter.finish())
        self.error = error
        self._set_status(SourceStatus.UNREADABLE, str(error))

    def _set_status(self, stage: SourceStatus, detail: str = "") -> None:
        paused = self.end_reason == PAUSED
        self.state.stage = SourceStatus.PAUSED if paused else stage
        self.state.detail = "" if paused else detail
        # A reader that hangs may come back when the watch, and its loop, are over.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._audience.on_state, self.state)


def build_pipeline(
    address: Address,
    state: SourceState,
    *,
    judge: Judge,
    settings: WatchSettings,
    earlier: SourcePipeline | None,
    audience: WatchObserver,
    opener: OpenCapture = open_capture,
) -> SourcePipeline:
    """A source with all it needs to be watched; a camera that was paused keeps the clock of its `earlier` time."""
    stop = threading.Event()
    if earlier is not None and address.is_live:
        feed, stop = earlier.capture, earlier.stop
        stop.clear()
    else:
        feed = opener(
            address,
            judge.sampling,
            stop=stop,
            realtime=settings.realtime,
            fast=settings.fast,
            settings=settings.feed,
            footage_s=settings.clips.memory_s,
            previewer=_previewer(address.name, settings, audience),
        )
    tracker = HysteresisRule(
        settings.events,
        source=address.name,
        task=judge.task.name,
        model=judge.model,
        epoch_s=feed.started_utc_s,
        camera_id=state.camera_id,
    )
    return SourcePipeline(
        feed,
        state,
        lane=WindowQueue(
            size=settings.queue_windows if state.live else settings.in_flight, live=state.live, on_cut=state.count_cut
        ),
        cutter=Windower(judge.sampling),
        tracker=tracker,
        gate=MotionGate(settings.motion_gate),
        stop=stop,
        audience=audience,
    )


def _previewer(source: str, settings: WatchSettings, audience: WatchObserver) -> PreviewEncoder | None:
    if not settings.preview_fps:
        return None
    return PreviewEncoder(
        fps=settings.preview_fps,
        longest_px=settings.preview_px,
        is_wanted=lambda: audience.wants_preview(source),
        show=lambda jpeg, time_s: audience.on_preview(source, jpeg, time_s),
    )
