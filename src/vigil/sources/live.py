"""Watching a source that never ends: connect, read, lose, wait, connect again."""

import logging
import threading
import time
from collections.abc import Generator, Iterator
from typing import Protocol

from vigil.errors import SourceError
from vigil.frames import Frame
from vigil.sources.footage import Footage
from vigil.sources.realtime import Clock
from vigil.sources.reconnect import Backoff
from vigil.sources.signals import CaptureItem, CaptureSettings, Connected, Disconnected, Waiting

log = logging.getLogger(__name__)

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
