"""RTSP, MJPEG, HLS and other video over the network, one connection at a time.

Everything here is bounded by timeouts: a server that is away, silent, frozen or babbling ends a session. What
FFmpeg may open is bounded too, since a playlist comes from a stranger: network protocols and formats that hold
their own pictures, never a file of this machine.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import av

from vigil.errors import SourceError
from vigil.frames import Frame, Sampling
from vigil.hosts import parse_address
from vigil.sources import confined
from vigil.sources import container as containers
from vigil.sources.address import Address, redact
from vigil.sources.footage import Footage
from vigil.sources.preview import Previewer
from vigil.sources.reading import Health, Reading
from vigil.sources.ring import PacketRing
from vigil.sources.signals import Connected, FeedSettings, Waiting

FORMATS = f"rtsp rtp sdp hls aac ac3 eac3 mp3 webvtt {containers.FORMATS}".replace(" ", ",")
RTSP_PROTOCOLS = "rtsp,rtp,srtp,tcp,tls"
HTTP_PROTOCOLS = "http,https,httpproxy,tcp,tls,crypto"
BY_ARRIVAL = frozenset({"mpjpeg", "mjpeg"})
"""These carry no times of their own; FFmpeg makes some up, 25 a second."""

HINTS = {
    av.error.HTTPUnauthorizedError: "; check user and password",
    av.error.InvalidDataError: "; it sends no video that can be read",
}

PROBE_S = 2.0
MICROSECONDS = containers.MICROSECONDS


class StreamCamera:
    """A camera behind an address; `session` is one connection to it."""

    def __init__(
        self,
        address: Address,
        sampling: Sampling,
        *,
        stop: threading.Event,
        settings: FeedSettings,
        footage_s: float = 0.0,
        previewer: Previewer | None = None,
    ) -> None:
        self.name = address.name
        # Built anew from what was checked: FFmpeg would read some addresses otherwise.
        self._address = parse_address(address.location)
        self._location = self._address.location
        self._confined = address.confined
        self._sampling = sampling
        self._stop = stop
        self._settings = settings
        self._ring = PacketRing(footage_s, name=address.name)
        self._keeps = footage_s > 0
        self._previewer = previewer
        self._health = Health()
        self._is_hls = self._address.path.lower().endswith(".m3u8")

    @property
    def footage(self) -> Footage:
        """The last seconds of the stream, as it was sent."""
        return self._ring

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with the stream so far, a sentence each."""
        return self._health.problems

    def session(self, *, started_s: float) -> Iterator[Connected | Frame | Waiting]:
        """One connection: `Connected` at its first picture, then sampled frames; raises SourceError at its end."""
        with ExitStack() as stack, closing(self._open(stack)) as container:
            stream = containers.pick_stream(container, self.name)
            leave_out_others(container, stream)
            reading = Reading(
                container,
                stream,
                sampling=self._sampling,
                stop=self._stop,
                started_s=started_s,
                picture_timeout_s=self._settings.picture_timeout_s,
                key_timeout_s=self._settings.key_timeout_s,
                skip_unreferenced=self._settings.skip_unreferenced,
                by_arrival=container.format.name in BY_ARRIVAL,
                paced=self._comes_in_pieces(container),
                health=self._health,
                ring=self._ring if self._keeps else None,
                previewer=self._previewer,
            )
            yield from self._until_lost(reading)

    def _until_lost(self, reading: Reading) -> Iterator[Connected | Frame | Waiting]:
        try:
            yield from reading.signals()
        except IndexError as error:
            raise SourceError("the stream broke off") from error
        except containers.UNREADABLE as error:
            raise SourceError(self._why(error, waited_s=reading.silent_s, limit_s=self._read_timeout_s)) from None
        if not self._stop.is_set():
            raise SourceError("the stream ended")

    @property
    def _read_timeout_s(self) -> float:
        return self._settings.hls_timeout_s if self._is_hls else self._settings.read_timeout_s

    def _comes_in_pieces(self, container: Any) -> bool:
        finite = not self._is_rtsp and bool(container.duration and container.duration > 0)
        return finite or container.format.name == "hls"

    def _open(self, stack: ExitStack) -> Any:
        container = self._try_open(stack)
        if container.format.name == "hls" and not self._is_hls:
            # Its pictures come in pieces of seconds, so it needs more patience than it was opened with.
            container.close()
            self._is_hls = True
            container = self._try_open(stack)
        return container

    def _try_open(self, stack: ExitStack) -> Any:
        limit_s, began_s = self._settings.open_timeout_s, time.monotonic()
        # At its first timeout an RTSP connection still hands out what it had gathered, so it waits twice.
        read_s = self._read_timeout_s / (2 if self._is_rtsp else 1)
        try:
            return av.open(
                self._location,
                container_options=dict(self._options()),
                timeout=(limit_s, read_s),
                **self._ways(stack),
                **containers.FIRST_LOOK,
                **containers.LENIENT,
            )
        except containers.UNREADABLE as error:
            waited_s = time.monotonic() - began_s
            # FFmpeg's own error holds the address with its password: it must not travel along as a cause.
            raise SourceError(self._why(error, waited_s=waited_s, limit_s=limit_s)) from None

    def _ways(self, stack: ExitStack) -> dict[str, Any]:
        """How FFmpeg gets at what it reads: by itself, or of a confined camera through us."""
        if not self._confined or self._is_rtsp:
            return {}
        http = confined.ConfinedHttp(
            self._address, open_s=self._settings.open_timeout_s, patience_s=self._read_timeout_s
        )
        return {"io_open": stack.enter_context(closing(http)).open}

    @property
    def _is_rtsp(self) -> bool:
        return self._address.scheme.startswith("rtsp")

    def _options(self) -> Mapping[str, str]:
        probe_s = min(PROBE_S, self._settings.open_timeout_s / 2)
        common = {"format_whitelist": FORMATS, "analyzeduration": str(round(probe_s * MICROSECONDS))}
        if not self._is_rtsp:
            patience_us = str(round(self._read_timeout_s * MICROSECONDS))
            # A live playlist starts at its last piece: what is older is of no use to an alarm.
            return (
                common
                | (confined.OPTIONS if self._confined else {})
                | {
                    "protocol_whitelist": HTTP_PROTOCOLS,
                    "rw_timeout": patience_us,
                    "live_start_index": "-1",
                }
            )
        return common | {
            "protocol_whitelist": RTSP_PROTOCOLS,
            "rtsp_transport": "tcp",
            "allowed_media_types": "video",
        }

    def _why(self, error: BaseException, *, waited_s: float, limit_s: float) -> str:
        """Why there are no pictures, in words that hold no password."""
        # A server that is silent from the start may show as nothing worse than invalid data.
        if waited_s >= 0.9 * limit_s or isinstance(error, TimeoutError | av.error.ExitError):
            return f"no pictures for {limit_s:g} s"
        hints = (hint for kind, hint in HINTS.items() if isinstance(error, kind))
        return redact(containers.reason(error)) + next(hints, "")


def leave_out_others(container: Any, stream: Any) -> None:
    """Keeps FFmpeg from handing out other streams; of a playlist in several sizes it then fetches only one."""
    for other in container.streams:
        if other.index != stream.index and hasattr(other, "discard"):
            other.discard = type(other.discard).all
