"""Opening a camera's address with FFmpeg: what it may use, how long it may take, and how its refusals are put.

A playlist comes from a stranger, so FFmpeg is held to network protocols and to formats that hold their own pictures,
never a file of this machine. Its errors hold the address with its password: only their reason leaves here.
"""

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Any

import av

from vigil.errors import SourceError, redact
from vigil.hosts import parse_address
from vigil.sources import confined_http
from vigil.sources import container as containers
from vigil.sources.address import Address
from vigil.sources.capture import CaptureSettings

FORMATS = f"rtsp rtp sdp hls aac ac3 eac3 mp3 webvtt {containers.FORMATS}".replace(" ", ",")
RTSP_PROTOCOLS = "rtsp,rtp,srtp,tcp,tls"
HTTP_PROTOCOLS = "http,https,httpproxy,tcp,tls,crypto"

HINTS = {
    av.error.HTTPUnauthorizedError: "; check user and password",
    av.error.InvalidDataError: "; it sends no video that can be read",
}

PROBE_S = 2.0
MICROSECONDS = containers.MICROSECONDS

USUAL, PLAYLIST, MIXED, BARE = "", "hls", "mpjpeg", "mjpeg"
"""FFmpeg's formats. It tells a playlist by the name and type that it goes by, and wants each JPEG of a multipart answer
to have the right type; what it refuses is tried as a playlist, and as JPEGs whatever stands between them."""
FIRST_LINE = b"#EXTM3U"

ANY_NAME = {"extension_picky": "0"}
"""A piece of a playlist is told by what it holds: servers call it .jpg, .php or nothing. Its protocol is looked at."""
BARE_OPTIONS = {"analyzeduration": "1", "fpsprobesize": "0", "probesize": "32"}
"""The first JPEG says all that there is to know."""
UNCHECKED = "its certificate is not checked; name those that count with ca_file in the feed's settings"
UNTRUSTED = "; its certificate may be none that ca_file vouches for"
REFUSALS = (av.error.InvalidDataError, av.error.ArgumentError)


log = logging.getLogger(__name__)


class _Refused(SourceError):
    """FFmpeg was answered, and could make nothing of it."""


class StreamOpener:
    """Opens one address again and again, and remembers what kind of stream answered there."""

    def __init__(self, address: Address, *, settings: CaptureSettings) -> None:
        # Built anew from what was checked: FFmpeg would read some addresses otherwise.
        self._address = parse_address(address.location)
        self._location = self._address.location
        self._confined = address.confined
        self._name = address.name
        self._settings = settings
        self._is_hls = self._address.path.lower().endswith(".m3u8")
        self._format = USUAL
        self._told_bytes = 0
        self._warned = False

    @property
    def is_rtsp(self) -> bool:
        """Whether the camera is asked by RTSP."""
        return self._address.scheme.startswith("rtsp")

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with how the camera is asked."""
        return (UNCHECKED,) if self._is_tls and not self._settings.ca_file else ()

    @property
    def _is_tls(self) -> bool:
        return self._address.scheme in ("https", "rtsps")

    @property
    def _is_ours(self) -> bool:
        """Whether FFmpeg gets all through us: of a playlist it would check the certificate, of its pieces not."""
        checked = self._is_tls and bool(self._settings.ca_file)
        return not self.is_rtsp and (self._confined or checked)

    @property
    def read_timeout_s(self) -> float:
        """How long an open stream may be silent."""
        return self._settings.hls_timeout_s if self._is_hls else self._settings.read_timeout_s

    def open(self, stack: ExitStack) -> Any:
        """The open `av` container; `stack` closes what it reads from. Raises SourceError."""
        if self.problems and not self._warned:
            self._warned = True
            log.warning("%s: %s", self._name, UNCHECKED)
        tried, self._format = self._format, USUAL
        formats = (tried,) if tried or self.is_rtsp else (USUAL, PLAYLIST, BARE)
        refused: list[SourceError] = []
        for name in formats:
            try:
                container = self._open(name, stack)
            except _Refused as error:
                refused.append(error)
                continue
            self._format = name
            return container
        raise refused[0]

    def is_finite(self, container: Any) -> bool:
        """Whether what was opened is a film, or a finished playlist, and no camera: it has a length."""
        if self.is_rtsp or container.format.name in (MIXED, BARE):
            return False
        if container.duration and container.duration > 0:
            return True
        return container.format.name != PLAYLIST and max(container.size or 0, self._told_bytes) > 0

    def broke_off(self, container: Any, error: BaseException) -> None:
        """Learns from the error that ended a stream how it has to be opened next time."""
        if container.format.name == MIXED and isinstance(error, REFUSALS):
            self._format = BARE

    def why(self, error: BaseException, *, waited_s: float, limit_s: float) -> str:
        """Why there are no pictures, in words that hold no password."""
        # A server that is silent from the start may show as nothing worse than invalid data.
        if waited_s >= 0.9 * limit_s or isinstance(error, TimeoutError | av.error.ExitError):
            return f"no pictures for {limit_s:g} s"
        hints = (hint for kind, hint in HINTS.items() if isinstance(error, kind))
        refused = self._address.scheme == "rtsps" and self._settings.ca_file and isinstance(error, OSError)
        return redact(containers.ffmpeg_message(error)) + next(hints, UNTRUSTED if refused else "")

    def _open(self, format: str, stack: ExitStack) -> Any:
        limit_s, began_s = self._settings.open_timeout_s, time.monotonic()
        ways = self._ways(format, stack)
        try:
            container = self._av_open(self._options(format), ways)
        except containers.UNREADABLE as error:
            told = self.why(error, waited_s=time.monotonic() - began_s, limit_s=limit_s)
            # FFmpeg's own error holds the address with its password: it must not travel along as a cause.
            raise (_Refused if isinstance(error, REFUSALS) else SourceError)(told) from None
        if container.format.name in (MIXED, BARE) and not _knows_size(container):
            container.close()
            raise _Refused(f"not one JPEG can be found in it{HINTS[av.error.InvalidDataError]}")
        if container.format.name == PLAYLIST and not self._is_hls:
            # Its pictures come in pieces of seconds, so it needs more patience than it was opened with.
            container.close()
            self._is_hls = True
            return self._open(format, stack)
        return container

    def _av_open(self, options: Mapping[str, str], ways: Mapping[str, Any]) -> Any:
        # At its first timeout an RTSP connection still hands out what it had gathered, so it waits twice.
        read_s = self.read_timeout_s / (2 if self.is_rtsp else 1)
        return av.open(
            self._location,
            container_options=dict(options),
            timeout=(self._settings.open_timeout_s, read_s),
            **ways,
            **containers.FIRST_LOOK,
            **containers.LENIENT,
        )

    def _ways(self, format: str, stack: ExitStack) -> dict[str, Any]:
        """How FFmpeg gets at what it reads: by itself, or of a confined camera through us."""
        if not self._is_ours:
            return {"format": format or None}
        http = confined_http.ConfinedHttp(
            self._address,
            open_s=self._settings.open_timeout_s,
            patience_s=self.read_timeout_s,
            ca_file=self._settings.ca_file,
        )
        stack.enter_context(closing(http))
        body = http.ask(self._location)
        self._told_bytes = body.told_bytes
        return {"io_open": http.open, "format": format or _told_format(body)}

    def _options(self, format: str) -> dict[str, str]:
        probe_s = min(PROBE_S, self._settings.open_timeout_s / 2)
        common = {"format_whitelist": FORMATS, "analyzeduration": str(round(probe_s * MICROSECONDS))}
        if self.is_rtsp:
            return common | {
                "protocol_whitelist": RTSP_PROTOCOLS,
                "rtsp_transport": "tcp",
                "allowed_media_types": "video",
                **({"tls_verify": "1", "ca_file": self._settings.ca_file} if self._settings.ca_file else {}),
            }
        # A live playlist starts at its last piece: what is older is of no use to an alarm.
        return (
            common
            | (confined_http.OPTIONS if self._is_ours else {})
            | {
                "protocol_whitelist": HTTP_PROTOCOLS,
                "rw_timeout": str(round(self.read_timeout_s * MICROSECONDS)),
                "live_start_index": "-1",
            }
            | ANY_NAME
            | (BARE_OPTIONS if format == BARE else {})
        )


def _told_format(body: confined_http.ConfinedBody) -> str | None:
    """The format of an answer whose type FFmpeg cannot see, where that matters."""
    if body.kind.startswith("multipart/"):
        return MIXED
    return PLAYLIST if body.begins_with(FIRST_LINE) else None


def _knows_size(container: Any) -> bool:
    """Whether a picture was among what was read so far."""
    return any(stream.codec_context.width for stream in container.streams.video)
