"""RTSP, MJPEG, HLS and other video over the network, one connection at a time.

Everything here is bounded by timeouts: a server that is away, silent, frozen or babbling ends a session. How it is
opened, and what FFmpeg may open, is the `Dialer`'s.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

from vigil.errors import SourceError
from vigil.frames import Frame, FrameSampling
from vigil.sources import container as containers
from vigil.sources.address import Address
from vigil.sources.dialer import PLAYLIST, StreamOpener
from vigil.sources.footage import Footage
from vigil.sources.preview import PreviewEncoder
from vigil.sources.reading import StreamHealth, StreamReader
from vigil.sources.ring import PacketRingBuffer
from vigil.sources.signals import CaptureSettings, Connected, Waiting

BY_ARRIVAL = frozenset({"mpjpeg", "mjpeg"})
"""These carry no times of their own; FFmpeg makes some up, 25 a second."""


class NetworkCamera:
    """A camera behind an address; `session` is one connection to it."""

    def __init__(
        self,
        address: Address,
        sampling: FrameSampling,
        *,
        stop: threading.Event,
        settings: CaptureSettings,
        footage_s: float = 0.0,
        previewer: PreviewEncoder | None = None,
    ) -> None:
        self.name = address.name
        self._dialer = StreamOpener(address, settings=settings)
        self._sampling = sampling
        self._stop = stop
        self._settings = settings
        self._ring = PacketRingBuffer(footage_s, name=address.name)
        self._keeps = footage_s > 0
        self._previewer = previewer
        self._health = StreamHealth()
        self._was_live = False

    @property
    def footage(self) -> Footage:
        """The last seconds of the stream, as it was sent."""
        return self._ring

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with the stream so far, a sentence each."""
        return (*self._dialer.problems, *self._health.problems)

    def session(self, *, started_s: float) -> Iterator[Connected | Frame | Waiting]:
        """One connection: `Connected` at its first picture, then sampled frames.

        Raises SourceError when there are no more, but for a film on a server, which is over then.
        """
        with ExitStack() as stack, closing(self._dialer.open(stack)) as container:
            finite = self._dialer.is_finite(container)
            self._check_is_new(finite)
            stream = containers.pick_stream(container, self.name)
            discard_other_streams(container, stream)
            reading = StreamReader(
                container,
                stream,
                sampling=self._sampling,
                stop=self._stop,
                started_s=started_s,
                picture_timeout_s=self._settings.picture_timeout_s,
                key_timeout_s=self._settings.key_timeout_s,
                skip_unreferenced=self._settings.skip_unreferenced,
                by_arrival=container.format.name in BY_ARRIVAL,
                paced=finite or container.format.name == PLAYLIST,
                health=self._health,
                ring=self._ring if self._keeps else None,
                previewer=self._previewer,
            )
            yield from self._until_lost(container, reading, finite=finite)

    def _check_is_new(self, finite: bool) -> None:
        """Raises SourceError where a live playlist was finished: read again, it would begin with what was seen."""
        if finite and self._was_live:
            raise SourceError("its playlist is finished, and what it holds was seen")
        self._was_live = self._was_live or not finite

    def _until_lost(
        self, container: Any, reading: StreamReader, *, finite: bool
    ) -> Iterator[Connected | Frame | Waiting]:
        try:
            yield from reading.signals()
        except IndexError as error:
            # PyAV stumbles at the very end over streams that turned up late.
            if not finite:
                raise SourceError("the stream broke off") from error
        except containers.UNREADABLE as error:
            self._dialer.broke_off(container, error)
            limit_s = self._dialer.read_timeout_s
            raise SourceError(self._dialer.why(error, waited_s=reading.silent_s, limit_s=limit_s)) from None
        if not self._stop.is_set() and not finite:
            raise SourceError("the stream ended")


def discard_other_streams(container: Any, stream: Any) -> None:
    """Keeps FFmpeg from handing out other streams; of a playlist in several sizes it then fetches only one."""
    for other in container.streams:
        if other.index != stream.index and hasattr(other, "discard"):
            other.discard = type(other.discard).all
