"""Writes annotated videos: verdict, probability strip, event bars, and a border during an alarm.

    annotate_video(Path("long.mp4"), judged, events, Path("long-watched.mp4"))

Every frame of a file is drawn, after the watch. Of a live source the sampled frames are drawn as they arrive:
`LiveAnnotatedVideo` delays each until a verdict covers it.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from vigil.errors import SourceError
from vigil.events import Event, TierThresholds
from vigil.frames import RGB
from vigil.report.overlay import Overlay, layout_for
from vigil.report.timeline import SourceTimeline
from vigil.sources.footage import Retouch
from vigil.sources.video_info import full_size_frames, video_info
from vigil.sources.video_writer import VideoWriter
from vigil.verdict import JudgedWindow

log = logging.getLogger(__name__)

HOLD_S = 15.0
LIVE_FPS = 2.0
MAX_PENDING = 120
TIMELINE_S = 300.0

VideoProgress = Callable[[float, float | None], None]
"""Called with the second written so far and the total length, if that is known."""


def annotate_video(
    path: Path,
    judged: Iterable[JudgedWindow],
    events: Iterable[Event],
    out: Path,
    *,
    tiers: TierThresholds | None = None,
    title: str | None = None,
    progress: VideoProgress = lambda second, length: None,
    stop: threading.Event | None = None,
    retouch: Retouch | None = None,
) -> None:
    """Writes the annotated video of a file at its full frame rate, without sound; `retouch` paints over its masks.

    If `stop` is set, or on KeyboardInterrupt (which is raised again), the video ends there and is complete up to there.
    Raises SourceError.
    """
    timeline = SourceTimeline(judged, events)
    info = video_info(path)
    length_s = max(timeline.end_s, info.duration_s or 0.0)
    frames = _retouched(full_size_frames(path), retouch)
    first = next(frames, None)
    if first is None:
        raise SourceError(f"{path} has no readable frame, so there is no annotated video of it")
    height, width = first[0].shape[:2]
    layout = layout_for((width, height))
    overlay = Overlay(
        timeline, layout, tiers=tiers or TierThresholds(), title=path.name if title is None else title, end_s=length_s
    )
    with ExitStack() as late, VideoWriter(out, size_wh=layout.size_wh, fps=info.fps, threads=0) as writer:
        writer.add(overlay.draw(*first), first[1])
        try:
            _write_frames(frames, overlay, writer, progress=lambda at_s: progress(at_s, info.duration_s), stop=stop)
        except KeyboardInterrupt as interrupt:
            late.callback(_pass_on, interrupt)


def _retouched(frames: Iterator[tuple[RGB, float]], retouch: Retouch | None) -> Iterator[tuple[RGB, float]]:
    return frames if retouch is None else ((retouch(image), time_s) for image, time_s in frames)


def _write_frames(
    frames: Iterable[tuple[RGB, float]],
    overlay: Overlay,
    writer: VideoWriter,
    *,
    progress: Callable[[float], None],
    stop: threading.Event | None,
) -> None:
    for picture, time_s in frames:
        writer.add(overlay.draw(picture, time_s), time_s)
        progress(time_s)
        if stop is not None and stop.is_set():
            return


def _pass_on(interrupt: KeyboardInterrupt) -> None:
    raise interrupt


class LiveAnnotatedVideo:
    """The annotated video of a live source, written by the thread that delivers the frames.

    A frame waits until a verdict covers it, for at most `hold_s`, and at most `max_pending` frames wait. Verdicts and
    events may come from another thread and never block. If the video cannot be written, this is logged once and kept in
    `problem`; the watch goes on.
    """

    def __init__(
        self,
        path: Path,
        *,
        tiers: TierThresholds | None = None,
        title: str = "",
        hold_s: float = HOLD_S,
        max_pending: int = MAX_PENDING,
    ) -> None:
        self.path = path
        self.problem = ""
        self._tiers = tiers or TierThresholds()
        self._title = title
        self._hold_s = hold_s
        self._max_pending = max_pending
        self._updates: deque[JudgedWindow | Event] = deque()
        self._timeline = SourceTimeline()
        self._covered_s = float("-inf")
        self._pending: deque[tuple[RGB, float]] = deque()
        self._rendering: _Rendering | None = None
        self._lock = threading.Lock()

    def judged(self, judged: JudgedWindow) -> None:
        """Adds a verdict."""
        self._updates.append(judged)

    def changed(self, event: Event) -> None:
        """Adds or updates an event."""
        self._updates.append(event)

    def frame(self, image: RGB, time_s: float) -> None:
        """Adds a sampled frame, `(H, W, 3) uint8 RGB`, at its second of the source; writes those that are due."""
        with self._lock:
            self._update_timeline()
            self._pending.append((image, time_s))
            self._write(until_s=max(self._covered_s, time_s - self._hold_s))

    def close(self) -> None:
        """Writes the frames that still wait, and ends the file."""
        with self._lock:
            self._update_timeline()
            self._write(until_s=float("inf"))
            if self._rendering is not None:
                self._guarded(self._rendering.end)
            self._rendering = None

    def _update_timeline(self) -> None:
        while self._updates:
            update = self._updates.popleft()
            if isinstance(update, Event):
                self._timeline.note(update)
            else:
                self._timeline.add(update)
                self._covered_s = max(self._covered_s, update.end_s)

    def _write(self, *, until_s: float) -> None:
        while self._pending and (self._pending[0][1] <= until_s or len(self._pending) > self._max_pending):
            image, time_s = self._pending.popleft()
            if not self.problem:
                self._guarded(lambda image=image, time_s=time_s: self._render(image, time_s))  # type: ignore[misc]

    def _render(self, image: RGB, time_s: float) -> None:
        if self._rendering is None:
            layout = layout_for((image.shape[1], image.shape[0]))
            overlay = Overlay(self._timeline, layout, tiers=self._tiers, title=self._title)
            self._rendering = _Rendering(self.path, overlay, start_s=time_s)
        self._rendering.add(image, time_s)
        self._timeline.drop_before(time_s - TIMELINE_S)

    def _guarded(self, write: Callable[[], None]) -> None:
        try:
            write()
        except SourceError as error:
            self.problem = str(error)
            log.error("%s; the annotated video ends here, the watch goes on", error)
            if self._rendering is not None:
                self._rendering.abort(error)
                self._rendering = None


class _Rendering:
    """An annotated video that is being written."""

    def __init__(self, path: Path, overlay: Overlay, *, start_s: float) -> None:
        self._overlay = overlay
        self._start_s = start_s
        self._writer = VideoWriter(path, size_wh=overlay.layout.size_wh, fps=LIVE_FPS).__enter__()

    def add(self, image: RGB, time_s: float) -> None:
        self._writer.add(self._overlay.draw(image, time_s), time_s - self._start_s)

    def end(self) -> None:
        self._writer.__exit__(None, None, None)

    def abort(self, error: SourceError) -> None:
        with suppress(SourceError):
            self._writer.__exit__(SourceError, error, None)
