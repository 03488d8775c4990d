"""Capture of live sources: items, settings, reconnecting with back-off, and files played in real time.

`LiveCapture` connects to a camera, reads it until the connection is lost, waits, and connects again. Delays grow
exponentially and are randomised, so that cameras do not reconnect all at once.
"""

import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from vigil.errors import SourceError, UsageError
from vigil.frames import Frame
from vigil.sources.footage import Footage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Connected:
    """The source delivers frames: their `(width, height)`, claimed frame rate and codec, and since when."""

    size_wh: tuple[int, int]
    fps: float
    codec: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The source was lost and is retried in `retry_s` seconds. Items after that belong to a new connection."""

    reason: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The source sends data, but no frame can be decoded yet, for `reason`; `Connected` follows."""

    reason: str


@dataclass(frozen=True, slots=True)
class MasksChanged:
    """Frames after this have other masks than those before."""


CaptureItem: TypeAlias = Frame | Connected | Disconnected | Waiting | MasksChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """How live sources are read.

    `open_timeout_s` and `read_timeout_s` are how long a source may be silent before it counts as lost; HLS, which
    arrives in segments of several seconds, has `hls_timeout_s`. Data without a decodable frame counts as lost after
    `picture_timeout_s`, or before the first keyframe after `key_timeout_s`, because cameras with smart codecs send a
    keyframe a minute or fewer. Retry delays start at `retry_min_s` and double up to `retry_max_s`; they are reset
    by a connection that lasted `retry_reset_s`. `skip_unreferenced` skips unreferenced frames and the loop filter: less
    work, but with B-frames a sampled frame may be a frame or two late, and values differ by half a grey level.
    `ca_file` (PEM) holds the certificates that verify https and rtsps cameras; without it they are not verified, which
    is reported as a problem.
    """

    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    hls_timeout_s: float = 20.0
    picture_timeout_s: float = 20.0
    key_timeout_s: float = 300.0
    retry_min_s: float = 0.5
    retry_max_s: float = 15.0
    retry_reset_s: float = 10.0
    ca_file: str = ""
    skip_unreferenced: bool = False

    def __post_init__(self) -> None:
        timeouts = (
            "open_timeout_s",
            "read_timeout_s",
            "hls_timeout_s",
            "picture_timeout_s",
            "key_timeout_s",
            "retry_min_s",
            "retry_max_s",
        )
        problems = [
            f"{name} must be above 0 and at most 3600" for name in timeouts if not 0 < getattr(self, name) <= 3600
        ]
        problems += ["retry_reset_s must not be negative"] * (not self.retry_reset_s >= 0)
        problems += ["retry_max_s must not be below retry_min_s"] * (self.retry_max_s < self.retry_min_s)
        problems += _problems_of_certificates(self.ca_file)
        if problems:
            raise UsageError("; ".join(problems))


def _problems_of_certificates(path: str) -> list[str]:
    try:
        ssl.create_default_context(cafile=path or None)
    except OSError as error:
        return [f"ca_file cannot be read as certificates (PEM): {path}: {error.strerror or error}"]
    return []


SPREAD = 0.25
"""Delays vary by up to this share, so that cameras behind one switch do not all reconnect at once."""


class Backoff:
    """The delays between connection attempts; a connection that delivered frames for `retry_reset_s` resets them."""

    def __init__(self, settings: CaptureSettings, *, dice: random.Random | None = None) -> None:
        self._settings = settings
        self._dice = dice or random.Random()
        self._failures = 0

    def next_s(self, *, pictures_s: float) -> float:
        """Returns the delay in seconds after a connection that delivered frames for `pictures_s` (0 if none)."""
        if pictures_s >= self._settings.retry_reset_s and pictures_s > 0:
            self._failures = 0
        # The maximum delay is reached long before this; more doublings would overflow a float.
        doublings = min(self._failures, 30)
        self._failures += 1
        base_s = min(self._settings.retry_max_s, self._settings.retry_min_s * 2**doublings)
        return float(base_s * (1 - SPREAD * self._dice.random()))


Clock: TypeAlias = Callable[[], float]


def wait_until_due(
    *, stop: threading.Event, epoch_s: float, clock: Clock = time.monotonic, wall_clock: Clock = time.time
) -> Callable[[float], bool]:
    """Returns a function that waits until a second of the file is due, and returns True if `stop` was set meanwhile."""
    started_s = clock() - (wall_clock() - epoch_s)
    return lambda time_s: stop.wait(max(0.0, started_s + time_s - clock()))


def play_in_realtime(
    frames: Iterable[Frame],
    *,
    stop: threading.Event,
    epoch_s: float,
    clock: Clock = time.monotonic,
    wall_clock: Clock = time.time,
) -> Iterator[Frame]:
    """Yields each frame when `frame.time_s` seconds have passed; ends when `stop` is set.

    `captured_s` is when the frame was due (`epoch_s`, the `time.time()` of second 0, plus its time), so that a slow
    reader shows up as lag.
    """
    wait = wait_until_due(stop=stop, epoch_s=epoch_s, clock=clock, wall_clock=wall_clock)
    for frame in frames:
        if wait(frame.time_s):
            return
        yield replace(frame, captured_s=epoch_s + frame.time_s)


STEP_S = 1.0
"""How far the wall clock may diverge from the monotonic clock before it counts as having been set."""


class Camera(Protocol):
    """A live device that can be connected to repeatedly."""

    @property
    def footage(self) -> Footage:
        """Where clips and snapshots come from."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Problems with its frames so far, one sentence each."""

    def session(self, *, started_s: float) -> Iterator[Connected | Frame | Waiting]:
        """Yields the items of one connection: `Connected`, preceded by `Waiting` if that takes long, then frames.

        Frame times are `time.monotonic() - started_s`. Raises SourceError, without a password in it, if the connection
        is lost. Ends if it is stopped, or if it is known that nothing more will come.
        """


class LiveCapture:
    """Captures a camera and reconnects to it; frame times are unaffected by changes of the wall clock."""

    is_live = True

    def __init__(
        self,
        camera: Camera,
        *,
        stop: threading.Event,
        settings: CaptureSettings,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,
    ) -> None:
        self.disconnects = 0
        self._clock = clock
        self._wall_clock = wall_clock
        self._began_s = wall_clock()
        self._started_s = clock()
        self._camera = camera
        self._stop = stop
        self._backoff = Backoff(settings)
        self._pictures_since_s: float | None = None

    @property
    def started_utc_s(self) -> float | None:
        """The `time.time()` of second 0; it changes if the wall clock is set or the machine has slept."""
        began_s = self._wall_clock() - (self._clock() - self._started_s)
        if abs(began_s - self._began_s) > STEP_S:
            self._began_s = began_s
        return self._began_s

    @property
    def footage(self) -> Footage:
        """The last seconds of the camera at full size."""
        return self._camera.footage

    @property
    def problems(self) -> tuple[str, ...]:
        """Problems so far, one sentence each."""
        lost = f"connection lost or not made {self.disconnects} times"
        return (*self._camera.problems, *([lost] if self.disconnects else []))

    def read(self) -> Iterator[CaptureItem]:
        """Yields frames, `Waiting`, `Connected` and `Disconnected` until `stop` is set or a finite stream ends."""
        while not self._stop.is_set():
            reason = yield from self._session()
            if self._stop.is_set() or reason is None:
                return
            lost = self._lost(reason)
            yield lost
            self._stop.wait(lost.retry_s)

    def _session(self) -> Generator[CaptureItem, None, str | None]:
        """Yields the items of one connection; returns why it was lost, or None if nothing more will come."""
        self._pictures_since_s = None
        try:
            for signal in self._camera.session(started_s=self._started_s):
                if self._pictures_since_s is None and isinstance(signal, Frame):
                    self._pictures_since_s = self._clock()
                yield signal
        except SourceError as error:
            return str(error)
        return None

    def _lost(self, reason: str) -> Disconnected:
        self.disconnects += 1
        since_s = self._pictures_since_s
        pictures_s = 0.0 if since_s is None else self._clock() - since_s
        return Disconnected(reason, self._backoff.next_s(pictures_s=pictures_s))
