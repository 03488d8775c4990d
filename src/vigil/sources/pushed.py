"""A camera whose pictures somebody else brings: a visitor's own webcam, sent by the browser."""

import threading
import time
from collections import deque
from collections.abc import Iterator

from vigil.errors import SourceError
from vigil.frames import RGB, Frame, Sampling, resize
from vigil.sources.address import Address
from vigil.sources.clock import Sampler
from vigil.sources.footage import Footage
from vigil.sources.live import LiveFeed
from vigil.sources.ring import PictureRing
from vigil.sources.signals import Connected, FeedSettings

MOST_WAITING = 8
LOOK_S = 0.1


class PushedPictures:
    """Takes pictures from any thread; `open` is an opener for `Watch`, which reads them as those of a camera."""

    def __init__(self, *, name: str = "webcam", silent_s: float = 15.0) -> None:
        self.name = name
        self.silent_s = silent_s
        self._news = threading.Condition()
        self._waiting: deque[tuple[RGB, float]] = deque(maxlen=MOST_WAITING)

    def push(self, image: RGB) -> None:
        """Takes a picture, `(H, W, 3) uint8 RGB`, as taken now; the oldest gives way when nobody reads."""
        with self._news:
            self._waiting.append((image, time.time()))
            self._news.notify()

    def open(
        self, _: Address, sampling: Sampling, *, stop: threading.Event, settings: FeedSettings, **__: object
    ) -> LiveFeed:
        """The feed of the pictures that come from now on; called as `vigil.sources.feed.open_feed` is."""
        return LiveFeed(PushedCamera(self, sampling, stop=stop), stop=stop, settings=settings)

    def take(self, *, stop: threading.Event) -> Iterator[tuple[RGB, float]]:
        """Pictures with their `time.time()`, until `stop`; raises SourceError after `silent_s` without one."""
        last_s = time.monotonic()
        while not stop.is_set():
            with self._news:
                self._news.wait_for(lambda: bool(self._waiting), LOOK_S)
                picture = self._waiting.popleft() if self._waiting else None
            if picture is not None:
                last_s = time.monotonic()
                yield picture
            elif time.monotonic() - last_s > self.silent_s:
                raise SourceError(f"{self.name} has sent no picture for {self.silent_s:g} s")


class PushedCamera:
    """The camera behind pushed pictures: sampled by the clock on the wall, nothing held for clips."""

    def __init__(self, pictures: PushedPictures, sampling: Sampling, *, stop: threading.Event) -> None:
        self.problems: tuple[str, ...] = ()
        self.footage: Footage = PictureRing(0.0, name=pictures.name)
        self._pictures = pictures
        self._sampling = sampling
        self._stop = stop

    def session(self, *, started_s: float) -> Iterator[Connected | Frame]:
        """`Connected` at the first picture, then sampled frames; raises SourceError when no more come."""
        sampler = Sampler(self._sampling.fps)
        connected = False
        for image, captured_s in self._pictures.take(stop=self._stop):
            time_s = time.monotonic() - started_s - (time.time() - captured_s)
            height, width = image.shape[:2]
            if not connected:
                connected = True
                yield Connected((width, height), 0.0, "", time_s)
            if sampler.take(time_s):
                sized = resize(image, self._sampling.fit(width, height))
                yield Frame(sized, time_s, captured_s)
