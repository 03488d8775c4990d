"""Opens any source as a capture: its frames, and when it is connected or lost.

    capture = open_capture(address, sampling, stop=stop)
    for item in capture.read():         # in a thread of its own
        ...                             # Frame, Waiting, Connected or Disconnected

A file ends. A live source does not: when it is lost it yields `Disconnected` and is retried until `stop` is set.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vigil.frames import Frame, FrameSampling
from vigil.sources.address import Address
from vigil.sources.capture import (
    CaptureItem,
    CaptureSettings,
    Clock,
    Connected,
    Disconnected,
    LiveCapture,
    MasksChanged,
    Waiting,
    play_in_realtime,
    wait_until_due,
)
from vigil.sources.footage import FileFootage, Footage
from vigil.sources.live_masks import LiveMasks, MaskedCapture
from vigil.sources.network import NetworkCamera
from vigil.sources.preview import PreviewEncoder
from vigil.sources.video_file import open_video
from vigil.sources.webcam import Webcam
from vigil.windows import window_start_s

__all__ = [
    "Capture",
    "CaptureItem",
    "CaptureSettings",
    "Connected",
    "Disconnected",
    "FileCapture",
    "MasksChanged",
    "Waiting",
    "open_capture",
]


class Capture(Protocol):
    """A source that is being read."""

    @property
    def is_live(self) -> bool:
        """Whether time goes on even if its frames are not read."""

    @property
    def started_utc_s(self) -> float | None:
        """The `time.time()` of second 0; None for a file that is read as fast as possible."""

    @property
    def footage(self) -> Footage:
        """Where clips and snapshots come from."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Problems so far, one sentence each."""

    def read(self) -> Iterator[CaptureItem]:
        """Yields all items, once, in one thread; raises SourceError for a file that cannot be read."""


def open_capture(
    address: Address,
    sampling: FrameSampling,
    *,
    stop: threading.Event,
    realtime: bool = False,
    fast: bool = False,
    settings: CaptureSettings | None = None,
    footage_s: float = 0.0,
    start_s: float = 0.0,
    previewer: PreviewEncoder | None = None,
    masks: LiveMasks | None = None,
) -> Capture:
    """Returns the capture of a source; nothing is opened before `read` is called.

    `fast` reads files and streams with less work and slightly less exactly (see `open_video`). `realtime` plays a file
    at its own speed, as a camera would; `start_s` starts it in the middle, with the window in progress there. The last
    `footage_s` seconds of live sources are buffered for clips, and `previewer` is offered every frame of a live source.
    All of them have `masks` painted over, which may change; without them, those of the address.
    """
    masks = masks or LiveMasks(address.masks or ())
    if previewer is not None:
        previewer.retouch = masks.for_people
    capture = _open_unmasked(
        address,
        sampling,
        stop=stop,
        realtime=realtime,
        fast=fast,
        settings=settings,
        footage_s=footage_s,
        start_s=start_s,
        previewer=previewer,
    )
    return MaskedCapture(capture, masks)


def _open_unmasked(
    address: Address,
    sampling: FrameSampling,
    *,
    stop: threading.Event,
    realtime: bool,
    fast: bool,
    settings: CaptureSettings | None,
    footage_s: float,
    start_s: float,
    previewer: PreviewEncoder | None,
) -> "FileCapture | LiveCapture":
    if address.kind == "file":
        return FileCapture(
            Path(address.location),
            sampling,
            stop=stop,
            realtime=realtime,
            fast=fast,
            start_s=start_s,
            previewer=previewer,
        )
    settings = settings or CaptureSettings()
    if fast:
        settings = replace(settings, skip_unreferenced=True)
    if address.kind == "webcam":
        webcam = Webcam(
            int(address.location), sampling, stop=stop, settings=settings, footage_s=footage_s, previewer=previewer
        )
        return LiveCapture(webcam, stop=stop, settings=settings)
    stream = NetworkCamera(address, sampling, stop=stop, settings=settings, footage_s=footage_s, previewer=previewer)
    return LiveCapture(stream, stop=stop, settings=settings)


class FileCapture:
    """A video file, read as fast as its frames are taken or, with `realtime`, at its own speed by `clock`."""

    def __init__(
        self,
        path: Path,
        sampling: FrameSampling,
        *,
        stop: threading.Event,
        realtime: bool = False,
        fast: bool = False,
        start_s: float = 0.0,
        previewer: PreviewEncoder | None = None,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
    ) -> None:
        self._fast = fast
        self._clock = clock
        self._wall_clock = wall_clock
        # A file that is read as fast as possible does not show its frames in real time.
        self._previewer = previewer if realtime else None
        self._start_s = start_s
        self._from_s = window_start_s(start_s, sampling)
        self.is_live = realtime
        self.started_utc_s = wall_clock() - start_s if realtime else None
        self.footage: Footage = FileFootage(path)
        self.problems: tuple[str, ...] = ()
        self._path = path
        self._sampling = sampling
        self._stop = stop

    def read(self) -> Iterator[CaptureItem]:
        """Yields its frames after one `Connected`; raises SourceError if not a single frame can be decoded."""
        with open_video(self._path, self._sampling, fast=self._fast, start_s=self._from_s) as video:
            frames = video.frames(previewer=self._previewer)
            if self.is_live:
                # Second 0 is now, not when the capture was created: cameras start one after the other.
                self.started_utc_s = self._wall_clock() - self._start_s
                clocks = {"clock": self._clock, "wall_clock": self._wall_clock}
                frames = play_in_realtime(frames, stop=self._stop, epoch_s=self.started_utc_s, **clocks)
                if self._previewer is not None:
                    self._previewer.wait = wait_until_due(stop=self._stop, epoch_s=self.started_utc_s, **clocks)
            yield Connected(video.size_wh, video.source_fps, video.codec, at_s=self._from_s)
            try:
                yield from self._until_stopped(frames)
            finally:
                self.problems = (*video.problems, *video.notes)

    def _until_stopped(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if self._stop.is_set():
                return
            yield frame
