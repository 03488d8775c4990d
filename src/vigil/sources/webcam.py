"""Webcams: a local one by its number, through OpenCV, and a visitor's own, whose frames the browser sends.

Frames are sampled by arrival time. OpenCV blocks for ten seconds on a camera that hangs, and longer with some drivers.
Therefore a separate thread waits for the driver, and the session waits for that thread with a timeout.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from vigil.errors import SourceError
from vigil.frames import RGB, Frame, FrameSampling, resize
from vigil.sources.address import Address
from vigil.sources.capture import CaptureSettings, Connected, LiveCapture
from vigil.sources.footage import Footage
from vigil.sources.preview import PreviewEncoder
from vigil.sources.ring_buffer import JpegRingBuffer
from vigil.sources.timestamps import FrameSampler

FOOTAGE_FPS = 10.0
"""Frame rate kept for clips. Every kept frame is compressed, which at a higher rate would dominate the cost."""

POLL_S = 0.1

OpenDevice = Callable[[int], Any]
"""Opens a camera by its number; returns an object with the methods of `cv2.VideoCapture`."""


class Webcam:
    """A local webcam; `session` opens it once."""

    def __init__(
        self,
        number: int,
        sampling: FrameSampling,
        *,
        stop: threading.Event,
        settings: CaptureSettings,
        footage_s: float = 0.0,
        previewer: PreviewEncoder | None = None,
        opener: OpenDevice = cv2.VideoCapture,
    ) -> None:
        self.number = number
        self.problems: tuple[str, ...] = ()
        self._sampling = sampling
        self._stop = stop
        self._settings = settings
        self._opener = opener
        self._ring = JpegRingBuffer(footage_s, name=f"webcam {number}")
        self._keeps_footage = footage_s > 0
        self._previewer = previewer
        self._grabber: WebcamThread | None = None

    @property
    def footage(self) -> Footage:
        """The last seconds of the webcam."""
        return self._ring

    def session(self, *, started_s: float) -> Iterator[Connected | Frame]:
        """Yields `Connected` at the first frame, then sampled frames; raises SourceError when the camera fails."""
        grabber = self._grabber = self._new_grabber()
        connected = False
        try:
            for picture in self._pictures(grabber):
                time_s = picture.at_s - started_s
                if not connected:
                    connected = True
                    height, width = picture.image.shape[:2]
                    yield Connected((width, height), grabber.fps, "", time_s)
                for_model, for_footage, for_people = picture.wanted_by
                if self._keeps_footage and (for_model or for_footage):
                    self._ring.add(picture.image, time_s)
                if for_model:
                    yield self._frame(picture, time_s)
                if for_people and self._previewer is not None:
                    self._previewer.show_image(picture.image, time_s)
        finally:
            grabber.end()

    def _new_grabber(self) -> "WebcamThread":
        """Starts a driver thread if the last one has ended: otherwise each attempt would leave one more blocked."""
        if self._grabber is not None and not self._grabber.wait_ended(POLL_S):
            raise SourceError(f"webcam {self.number} is still held by its driver; unplug it and plug it in again")
        footage = FrameSampler(FOOTAGE_FPS) if self._keeps_footage else None
        return WebcamThread(
            self.number, self._opener, wanted=(FrameSampler(self._sampling.fps), footage, self._previewer)
        )

    def _pictures(self, grabber: "WebcamThread") -> Iterator["GrabbedFrame"]:
        last_s, limit_s = time.monotonic(), self._settings.open_timeout_s
        while not self._stop.is_set():
            picture = grabber.take(wait_s=POLL_S)
            if picture is not None:
                last_s, limit_s = picture.at_s, self._settings.read_timeout_s
                yield picture
            elif time.monotonic() - last_s > limit_s:
                raise SourceError(f"webcam {self.number} has given no picture for {limit_s:g} s")

    def _frame(self, picture: "GrabbedFrame", time_s: float) -> Frame:
        height, width = picture.image.shape[:2]
        sized = resize(picture.image, self._sampling.fit(width, height))
        return Frame(sized, time_s, picture.captured_s)


class FrameSelector(Protocol):
    """Selects frames by their times: a sampler or a previewer."""

    def accept(self, time_s: float) -> bool:
        """Returns whether the frame at `time_s` is wanted."""


@dataclass(frozen=True, slots=True)
class GrabbedFrame:
    """A webcam frame; `at_s` is `time.monotonic()`, `captured_s` `time.time()`; `wanted_by` has a flag per selector."""

    image: RGB
    at_s: float
    captured_s: float
    wanted_by: tuple[bool, ...]


class WebcamThread:
    """The thread that waits for the driver and keeps the newest wanted frame."""

    def __init__(self, number: int, opener: OpenDevice, *, wanted: Sequence["FrameSelector | None"]) -> None:
        self.fps = 0.0
        self._number = number
        self._opener = opener
        self._wanted = wanted
        self._changed = threading.Condition()
        self._picture: GrabbedFrame | None = None
        self._failure: str | None = None
        self._ended = threading.Event()
        # A daemon thread, because a driver that hangs forever must not keep the program from exiting.
        self._thread = threading.Thread(target=self._run, name=f"webcam {number}", daemon=True)
        self._thread.start()

    def take(self, *, wait_s: float) -> GrabbedFrame | None:
        """Returns the newest frame, once, or None after `wait_s`; raises SourceError if the camera has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._picture is not None or self._failure is not None, wait_s)
            picture, self._picture = self._picture, None
        if picture is None and self._failure is not None:
            raise SourceError(self._failure)
        return picture

    def end(self) -> None:
        """Asks the thread to release the camera; returns at once."""
        self._ended.set()

    def wait_ended(self, wait_s: float) -> bool:
        """Waits up to `wait_s` for the thread to end; returns whether it has."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failure = f"webcam {self._number} failed"
        try:
            failure = self._grab_all()
        except cv2.error as error:
            failure = f"webcam {self._number} failed: {error.err or error}"
        finally:
            with self._changed:
                self._failure = failure
                self._changed.notify()

    def _grab_all(self) -> str:
        """Grabs frames until `end` is called or the camera fails; returns why it ended."""
        camera = open_device(self._number, self._opener)
        if camera is None:
            return (
                f"webcam {self._number} cannot be opened; is it plugged in, allowed for this user (group video) "
                "and not used by another program?"
            )
        try:
            self.fps = float(camera.get(cv2.CAP_PROP_FPS))
            began_s = time.monotonic()
            while not self._ended.is_set() and camera.grab():
                self._decode_if_wanted(camera, began_s)
        finally:
            camera.release()
        return f"webcam {self._number} gives no more pictures; is it still plugged in?"

    def _decode_if_wanted(self, camera: Any, began_s: float) -> None:
        """Decodes the grabbed frame if any selector wants it."""
        at_s, captured_s = time.monotonic(), time.time()
        wanted_by = tuple(selector is not None and selector.accept(at_s - began_s) for selector in self._wanted)
        if not any(wanted_by):
            return
        ok, bgr = camera.retrieve()
        if not ok:
            return
        with self._changed:
            if self._picture is not None and self._picture.wanted_by[0] and not wanted_by[0]:
                # A frame for the model is waiting; one for previews or clips must not replace it.
                return
            image = np.ascontiguousarray(bgr[:, :, ::-1])
            self._picture = GrabbedFrame(image, at_s, captured_s, wanted_by)
            self._changed.notify()


def open_device(number: int, opener: OpenDevice) -> Any | None:
    """Returns the opened camera, or None if it cannot be opened."""
    # OpenCV would print a message per driver at every attempt.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    camera = opener(number)
    if not camera.isOpened():
        camera.release()
        return None
    # Only the newest frame matters: those in the driver's queue are already late.
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return camera


MAX_PENDING = 8
BROWSER_POLL_S = 0.1


class BrowserWebcam:
    """Receives frames from any thread; pass `open` to `Watcher`, which reads them like those of a camera."""

    def __init__(self, *, name: str = "webcam", silent_s: float = 15.0) -> None:
        self.name = name
        self.silent_s = silent_s
        self._changed = threading.Condition()
        self._waiting: deque[tuple[RGB, float]] = deque(maxlen=MAX_PENDING)

    def push(self, image: RGB) -> None:
        """Adds a frame, `(H, W, 3) uint8 RGB`, captured now; the oldest is dropped if the queue is full."""
        with self._changed:
            self._waiting.append((image, time.time()))
            self._changed.notify()

    def open(
        self, _: Address, sampling: FrameSampling, *, stop: threading.Event, settings: CaptureSettings, **__: object
    ) -> LiveCapture:
        """Returns a capture of the frames from now on; same signature as `vigil.sources.open_capture.open_capture`."""
        return LiveCapture(PushedCamera(self, sampling, stop=stop), stop=stop, settings=settings)

    def take(self, *, stop: threading.Event) -> Iterator[tuple[RGB, float]]:
        """Yields frames and their `time.time()` until `stop`; raises SourceError after `silent_s` without a frame."""
        last_s = time.monotonic()
        while not stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting), BROWSER_POLL_S)
                picture = self._waiting.popleft() if self._waiting else None
            if picture is not None:
                last_s = time.monotonic()
                yield picture
            elif time.monotonic() - last_s > self.silent_s:
                raise SourceError(f"{self.name} has sent no picture for {self.silent_s:g} s")


class PushedCamera:
    """The camera of a `BrowserWebcam`: sampled by arrival time, without footage for clips."""

    def __init__(self, pictures: BrowserWebcam, sampling: FrameSampling, *, stop: threading.Event) -> None:
        self.problems: tuple[str, ...] = ()
        self.footage: Footage = JpegRingBuffer(0.0, name=pictures.name)
        self._pictures = pictures
        self._sampling = sampling
        self._stop = stop

    def session(self, *, started_s: float) -> Iterator[Connected | Frame]:
        """Yields `Connected` at the first frame, then sampled frames; raises SourceError if no more arrive."""
        sampler = FrameSampler(self._sampling.fps)
        connected = False
        for image, captured_s in self._pictures.take(stop=self._stop):
            time_s = time.monotonic() - started_s - (time.time() - captured_s)
            height, width = image.shape[:2]
            if not connected:
                connected = True
                yield Connected((width, height), 0.0, "", time_s)
            if sampler.accept(time_s):
                sized = resize(image, self._sampling.fit(width, height))
                yield Frame(sized, time_s, captured_s)
