"""Watching a source that never ends: connect, read, lose, wait, connect again.

What a feed tells besides its frames, and the settings that live feeds share.

When to ask a lost source again: soon at first, then ever more rarely, never all at the same moment.

A video file at its own pace, as if it were a camera: what `--realtime` means.
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
    """The source gives pictures: their `(width, height)`, the rate it claims, the codec, and since when."""

    size_wh: tuple[int, int]
    fps: float
    codec: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The source gives no more pictures; it is asked again in `retry_s` seconds. What comes then is a new run."""

    reason: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """The source sends data, but no picture can be shown yet, for a reason; what comes next is `Connected`."""

    reason: str


CaptureItem: TypeAlias = Frame | Connected | Disconnected | Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureSettings:
    """How live sources are read.

    `open_timeout_s` and `read_timeout_s` bound how long a source may be silent before it counts as lost; HLS, whose
    pictures come in pieces of several seconds, gets `hls_timeout_s`. Data without a picture that can be decoded counts
    as lost after `picture_timeout_s`; but one that has sent no key picture yet is waited for during `key_timeout_s`,
    since cameras with smart codecs send one a minute or less. Retries start `first_retry_s` apart and double up to
    `longest_retry_s`; a connection that lasted `steady_s` starts them anew. `skip_unreferenced` leaves out pictures
    that no other depends on and the smoothing of block edges: less work, at the price of a kept picture that is a frame
    or two late where a stream has B-frames, and of half a grey level. `ca_file` (PEM) holds the certificates by which
    those of https and rtsps cameras are checked; without it they are not, and the cameras say so.
    """

    open_timeout_s: float = 5.0
    read_timeout_s: float = 5.0
    hls_timeout_s: float = 20.0
    picture_timeout_s: float = 20.0
    key_timeout_s: float = 300.0
    first_retry_s: float = 0.5
    longest_retry_s: float = 15.0
    steady_s: float = 10.0
    ca_file: str = ""
    skip_unreferenced: bool = False

    def __post_init__(self) -> None:
        timeouts = (
            "open_timeout_s",
            "read_timeout_s",
            "hls_timeout_s",
            "picture_timeout_s",
            "key_timeout_s",
            "first_retry_s",
            "longest_retry_s",
        )
        problems = [
            f"{name} must be above 0 and at most 3600" for name in timeouts if not 0 < getattr(self, name) <= 3600
        ]
        problems += ["steady_s must not be negative"] * (not self.steady_s >= 0)
        problems += ["longest_retry_s must not be below first_retry_s"] * (self.longest_retry_s < self.first_retry_s)
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
"""Waits differ by up to this share, so that cameras behind one switch do not all come back at once."""


class Backoff:
    """The waits between the attempts at one source; `steady_s` of pictures start them anew."""

    def __init__(self, settings: CaptureSettings, *, dice: random.Random | None = None) -> None:
        self._settings = settings
        self._dice = dice or random.Random()
        self._failures = 0

    def next_s(self, *, pictures_s: float) -> float:
        """Seconds to wait after a connection that gave pictures for `pictures_s`; 0 for one that gave none."""
        if pictures_s >= self._settings.steady_s and pictures_s > 0:
            self._failures = 0
        # Beyond this the cap is reached anyway, and a float would overflow in the end.
        doublings = min(self._failures, 30)
        self._failures += 1
        base_s = min(self._settings.longest_retry_s, self._settings.first_retry_s * 2**doublings)
        return float(base_s * (1 - SPREAD * self._dice.random()))


Clock: TypeAlias = Callable[[], float]


def wait_until_due(
    *, stop: threading.Event, epoch_s: float, clock: Clock = time.monotonic, wall_clock: Clock = time.time
) -> Callable[[float], bool]:
    """What waits until a second of the file has come; True when `stop` was set meanwhile."""
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
    """The frames, each when `frame.time_s` seconds have passed; ends when `stop` is set.

    `captured_s` is the second at which the frame was due (`epoch_s`, the `time.time()` of second 0, plus its time), so
    that a reader which cannot keep up shows as lag.
    """
    wait = wait_until_due(stop=stop, epoch_s=epoch_s, clock=clock, wall_clock=wall_clock)
    for frame in frames:
        if wait(frame.time_s):
            return
        yield replace(frame, captured_s=epoch_s + frame.time_s)


STEP_S = 1.0
"""How far the wall clock may part from the watch's own before it counts as set anew."""


class Camera(Protocol):
    """Something live that can be connected to again and again."""

    @property
    def footage(self) -> Footage:
        """Where clips and snapshots come from."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with its pictures so far."""

    def session(self, *, started_s: float) -> Iterator[Connected | Frame | Waiting]:
        """One connection: `Connected` (`Waiting` before it, where that takes long), then frames.

        Their time is `time.monotonic() - started_s`.
        Raises SourceError, without a password in it, when there are no more; ends when it is told to stop, and where it
        is known that nothing more will ever come.
        """


class LiveCapture:
    """The feed of a camera; its clock goes on evenly, whatever becomes of the clock on the wall."""

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
        """The `time.time()` of second 0; another one after the wall clock was set, or the machine has slept."""
        began_s = self._wall_clock() - (self._clock() - self._started_s)
        if abs(began_s - self._began_s) > STEP_S:
            self._began_s = began_s
        return self._began_s

    @property
    def footage(self) -> Footage:
        """The last seconds of the camera, at full size."""
        return self._camera.footage

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong so far, a sentence each."""
        lost = f"connection lost or not made {self.disconnects} times"
        return (*self._camera.problems, *([lost] if self.disconnects else []))

    def read(self) -> Iterator[CaptureItem]:
        """Frames, `Waiting`, `Connected` and `Disconnected` in turn, until `stop` is set or a film is over."""
        while not self._stop.is_set():
            reason = yield from self._session()
            if self._stop.is_set() or reason is None:
                return
            lost = self._lost(reason)
            yield lost
            self._stop.wait(lost.retry_s)

    def _session(self) -> Generator[CaptureItem, None, str | None]:
        """One connection to its end; returns why it ended, None where nothing more will come."""
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
