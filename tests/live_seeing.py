"""Following a live feed in a thread of its own, as the watcher does, with what it told and when."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2

from vigil.frames import Frame, FrameSampling
from vigil.sources.address import find_sources
from vigil.sources.open_capture import Capture, CaptureItem, CaptureSettings, Disconnected, open_capture
from waiting import HANG_S

UNHURRIED = CaptureSettings(
    open_timeout_s=HANG_S, read_timeout_s=HANG_S, hls_timeout_s=HANG_S, retry_min_s=0.05, retry_max_s=0.1
)
"""Where no loss belongs to the test: a busy machine opens late."""


@dataclass
class Seen:
    """What a feed has told so far, each with the `time.monotonic()` at which it came."""

    feed: Capture
    stop: threading.Event
    told: list[tuple[float, CaptureItem]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    ended_s: float | None = None

    def follow(self) -> None:
        """Takes signals until there are no more."""
        for signal in self.feed.read():
            with self.news:
                self.told.append((time.monotonic(), signal))
                self.news.notify_all()
        with self.news:
            self.ended_s = time.monotonic()
            self.news.notify_all()

    def wait(self, kind: type, *, number: int = 1, within_s: float = HANG_S) -> float:
        """When the signal number `number` of a kind came; waits for it."""
        self._until(lambda: len(self.of(kind)) >= number or self.ended_s is not None, within_s)
        times = self.of(kind)
        assert len(times) >= number, f"{len(times)} of {number} {kind.__name__} within {within_s} s: {self.others}"
        return times[number - 1]

    def wait_after(self, kind: type, after_s: float, *, within_s: float = HANG_S) -> float:
        """Seconds from `after_s` (`time.monotonic()`) to the next signal of a kind."""
        self._until(lambda: any(at > after_s for at in self.of(kind)), within_s)
        later = [at for at in self.of(kind) if at > after_s]
        assert later, f"no {kind.__name__} within {within_s} s: {self.others}"
        return later[0] - after_s

    def wait_for_reason(self, reason: str, *, within_s: float = HANG_S) -> None:
        """Waits until the source was lost for a reason, be it after others."""
        self._until(lambda: reason in self.reasons, within_s)
        assert reason in self.reasons, f"{reason!r} is not among {self.reasons} within {within_s} s"

    def until_ended(self, *, within_s: float = HANG_S) -> None:
        """Waits until the feed has ended."""
        self._until(lambda: self.ended_s is not None, within_s)

    def _until(self, there: Callable[[], bool], within_s: float) -> None:
        with self.news:
            self.news.wait_for(there, within_s)

    def of(self, kind: type) -> list[float]:
        """When signals of a kind came."""
        return [at for at, signal in self.told if isinstance(signal, kind)]

    @property
    def frames(self) -> list[Frame]:
        return [signal for _, signal in self.told if isinstance(signal, Frame)]

    @property
    def others(self) -> list[CaptureItem]:
        return [signal for _, signal in self.told if not isinstance(signal, Frame)]

    @property
    def reasons(self) -> list[str]:
        return [signal.reason for signal in self.others if isinstance(signal, Disconnected)]


@contextmanager
def following(
    location: str,
    *,
    settings: CaptureSettings,
    sampling: FrameSampling | None = None,
    footage_s: float = 0.0,
    confined: bool = False,
) -> Iterator[Seen]:
    """Follows a source until the end of the `with`; fails when it does not stop after it was told to."""
    stop = threading.Event()
    address = replace(find_sources([location])[0], confined=confined)
    feed = open_capture(address, sampling or FrameSampling(), stop=stop, settings=settings, footage_s=footage_s)
    seen = Seen(feed, stop)
    thread = threading.Thread(target=seen.follow, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(HANG_S)
        assert not thread.is_alive(), "the feed does not stop"


class Plugged:
    """OpenCV reading a file as if it were a camera: 50 pictures a second, and unplugged at its end."""

    def __init__(self, path: Path, *, hangs_after: int | None = None) -> None:
        self._capture = cv2.VideoCapture(str(path))
        self._left = hangs_after
        self.hangs = threading.Event()
        self.released = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)

    def grab(self) -> bool:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.hangs.set()
                self.released.wait()
        time.sleep(0.02)
        return bool(self._capture.grab())
