"""A webcam by its number, through OpenCV: frames as they come, sampled by the clock on the wall.

OpenCV blocks for ten seconds on a camera that hangs, and longer on some drivers. So a thread of its own
waits for the driver, and the session waits for that thread only as long as it likes.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from vigil.errors import SourceError
from vigil.frames import RGB, Frame, Sampling, resize
from vigil.sources.clock import Sampler
from vigil.sources.footage import Footage
from vigil.sources.preview import Previewer
from vigil.sources.ring import PictureRing
from vigil.sources.signals import Connected, FeedSettings

FOOTAGE_FPS = 10.0
"""Every picture that is kept for clips is compressed; more of them would cost more than all else."""

LOOK_S = 0.1

Opener = Callable[[int], Any]
"""How a camera is opened: gives an object with the methods of `cv2.VideoCapture`."""


class Webcam:
    """A webcam; `session` is one time of having it open."""

    def __init__(
        self,
        number: int,
        sampling: Sampling,
        *,
        stop: threading.Event,
        settings: FeedSettings,
        footage_s: float = 0.0,
        previewer: Previewer | None = None,
        opener: Opener = cv2.VideoCapture,
    ) -> None:
        self.number = number
        self.problems: tuple[str, ...] = ()
        self._sampling = sampling
        self._stop = stop
        self._settings = settings
        self._opener = opener
        self._ring = PictureRing(footage_s, name=f"webcam {number}")
        self._keeps = footage_s > 0
        self._previewer = previewer
        self._grabber: Grabber | None = None

    @property
    def footage(self) -> Footage:
        """The last seconds of the webcam."""
        return self._ring

    def session(self, *, started_s: float) -> Iterator[Connected | Frame]:
        """`Connected` at the first picture, then sampled frames; raises SourceError when there are no more."""
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
                if self._keeps and (for_model or for_footage):
                    self._ring.add(picture.image, time_s)
                if for_model:
                    yield self._frame(picture, time_s)
                if for_people and self._previewer is not None:
                    self._previewer.show_image(picture.image, time_s)
        finally:
            grabber.end()

    def _new_grabber(self) -> "Grabber":
        """A thread for the driver, if the last one is out of it: each attempt would leave one more in it."""
        if self._grabber is not None and not self._grabber.wait_gone(LOOK_S):
            raise SourceError(f"webcam {self.number} is still held by its driver; unplug it and plug it in again")
        footage = Sampler(FOOTAGE_FPS) if self._keeps else None
        return Grabber(self.number, self._opener, wanted=(Sampler(self._sampling.fps), footage, self._previewer))

    def _pictures(self, grabber: "Grabber") -> Iterator["Picture"]:
        last_s, limit_s = time.monotonic(), self._settings.open_timeout_s
        while not self._stop.is_set():
            picture = grabber.take(wait_s=LOOK_S)
            if picture is not None:
                last_s, limit_s = picture.at_s, self._settings.read_timeout_s
                yield picture
            elif time.monotonic() - last_s > limit_s:
                raise SourceError(f"webcam {self.number} has given no picture for {limit_s:g} s")

    def _frame(self, picture: "Picture", time_s: float) -> Frame:
        height, width = picture.image.shape[:2]
        sized = resize(picture.image, self._sampling.fit(width, height))
        return Frame(sized, time_s, picture.captured_s)


class Chooses(Protocol):
    """Chooses among pictures by their times: a sampler, or a previewer."""

    def take(self, time_s: float) -> bool:
        """Whether the picture at `time_s` is wanted."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a webcam: when it came (`time.monotonic()`, `time.time()`), and who wants it of those who choose."""

    image: RGB
    at_s: float
    captured_s: float
    wanted_by: tuple[bool, ...]


class Grabber:
    """The thread that waits for the driver; it hands over the newest picture that is wanted."""

    def __init__(self, number: int, opener: Opener, *, wanted: Sequence["Chooses | None"]) -> None:
        self.fps = 0.0
        self._number = number
        self._opener = opener
        self._wanted = wanted
        self._news = threading.Condition()
        self._picture: Picture | None = None
        self._failure: str | None = None
        self._ended = threading.Event()
        # A daemon, as a driver that hangs for ever must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=f"webcam {number}", daemon=True)
        self._thread.start()

    def take(self, *, wait_s: float) -> Picture | None:
        """The newest picture, once; None when none came in time. Raises SourceError when there will be none."""
        with self._news:
            self._news.wait_for(lambda: self._picture is not None or self._failure is not None, wait_s)
            picture, self._picture = self._picture, None
        if picture is None and self._failure is not None:
            raise SourceError(self._failure)
        return picture

    def end(self) -> None:
        """Lets go of the camera as soon as the driver allows it."""
        self._ended.set()

    def wait_gone(self, wait_s: float) -> bool:
        """Whether the driver has let go within this time."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failure = f"webcam {self._number} failed"
        try:
            failure = self._grab_all()
        except cv2.error as error:
            failure = f"webcam {self._number} failed: {error.err or error}"
        finally:
            with self._news:
                self._failure = failure
                self._news.notify()

    def _grab_all(self) -> str:
        """Grabs until there is no more; returns why."""
        camera = open_camera(self._number, self._opener)
        if camera is None:
            return (
                f"webcam {self._number} cannot be opened; is it plugged in, allowed for this user (group video) "
                "and not used by another program?"
            )
        try:
            self.fps = float(camera.get(cv2.CAP_PROP_FPS))
            began_s = time.monotonic()
            while not self._ended.is_set() and camera.grab():
                self._look(camera, began_s)
        finally:
            camera.release()
        return f"webcam {self._number} gives no more pictures; is it still plugged in?"

    def _look(self, camera: Any, began_s: float) -> None:
        """Fetches the picture that was grabbed, if anybody wants it."""
        at_s, captured_s = time.monotonic(), time.time()
        wanted_by = tuple(chooser is not None and chooser.take(at_s - began_s) for chooser in self._wanted)
        if not any(wanted_by):
            return
        ok, bgr = camera.retrieve()
        if not ok:
            return
        with self._news:
            if self._picture is not None and self._picture.wanted_by[0] and not wanted_by[0]:
                # What waits is for the model; one for people only must not take its place.
                return
            image = np.ascontiguousarray(bgr[:, :, ::-1])
            self._picture = Picture(image, at_s, captured_s, wanted_by)
            self._news.notify()


def open_camera(number: int, opener: Opener) -> Any | None:
    """The open camera, or None."""
    # OpenCV would write to the screen, once for each of its drivers, at every attempt.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    camera = opener(number)
    if not camera.isOpened():
        camera.release()
        return None
    # The newest picture matters: what waits in the driver's queue is already late.
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return camera
