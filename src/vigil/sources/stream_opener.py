"""Opens a camera's address with FFmpeg: allowed protocols and formats, timeouts, and error messages.

A playlist is untrusted input, so FFmpeg is restricted to network protocols and self-contained formats, and never opens
local files. Its errors contain the address with its password, so only their reason is passed on.
"""

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import Any

import av

from vigil.errors import SourceError, redact
from vigil.hosts import parse_address
from vigil.sources import confined_http, confined_rtsp
from vigil.sources import container as containers
from vigil.sources.address import Address
from vigil.sources.capture import CaptureSettings
from vigil.sources.dialling import Resolver, system_resolver

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
"""FFmpeg's format names. FFmpeg recognises a playlist by its name and type, and requires each JPEG of a multipart
response to have the right type. What it refuses is tried as a playlist, then as JPEGs with anything between them.
"""
FIRST_LINE = b"#EXTM3U"

ANY_NAME = {"extension_picky": "0"}
"""Segments are recognised by content: servers call them .jpg, .php or nothing. Their protocol is still checked."""
BARE_OPTIONS = {"analyzeduration": "1", "fpsprobesize": "0", "probesize": "32"}
"""The first JPEG is enough to identify the stream."""
UNCHECKED = "its certificate is not checked; name trusted ones with ca_file in the feed settings"
UNTRUSTED = "; its certificate may not be one that ca_file trusts"
REFUSALS = (av.error.InvalidDataError, av.error.ArgumentError)


log = logging.getLogger(__name__)


class _Refused(SourceError):
    """FFmpeg got a response but could not read it."""


class StreamOpener:
    """Opens one address repeatedly, starting with the format that worked last."""

    def __init__(self, address: Address, *, settings: CaptureSettings, resolve: Resolver = system_resolver) -> None:
        # Rebuilt from the checked parts, because FFmpeg would parse some addresses differently.
        self._address = parse_address(address.location)
        self._location = self._address.location
        self._confined = address.confined
        self._resolve = resolve
        self._name = address.name
        self._settings = settings
        self._is_hls = self._address.path.lower().endswith(".m3u8")
        self._format = USUAL
        self._declared_bytes = 0
        self._warned = False

    @property
    def is_rtsp(self) -> bool:
        """Whether the camera is read over RTSP."""
        return self._address.scheme.startswith("rtsp")

    @property
    def problems(self) -> tuple[str, ...]:
        """Problems with how the camera is connected, one sentence each."""
        return (UNCHECKED,) if self._is_tls and not self._settings.ca_file else ()

    @property
    def _is_tls(self) -> bool:
        return self._address.scheme in ("https", "rtsps")

    @property
    def _reads_confined(self) -> bool:
        """Whether FFmpeg reads through `ConfinedHttp`; alone it verifies certificates of playlists, not of segments."""
        checked = self._is_tls and bool(self._settings.ca_file)
        return not self.is_rtsp and (self._confined or checked)

    @property
    def read_timeout_s(self) -> float:
        """How long an open stream may be silent, in seconds."""
        return self._settings.hls_timeout_s if self._is_hls else self._settings.read_timeout_s

    def open(self, stack: ExitStack) -> Any:
        """Returns the open `av` container; `stack` closes what it reads from. Raises SourceError."""
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
        """Returns whether the container has a length, as video files and finished playlists have but cameras do not."""
        if self.is_rtsp or container.format.name in (MIXED, BARE):
            return False
        if container.duration and container.duration > 0:
            return True
        return container.format.name != PLAYLIST and max(container.size or 0, self._declared_bytes) > 0

    def broke_off(self, container: Any, error: BaseException) -> None:
        """Uses the error that ended a stream to choose the format for the next attempt."""
        if container.format.name == MIXED and isinstance(error, REFUSALS):
            self._format = BARE

    def why(self, error: BaseException, *, waited_s: float, limit_s: float) -> str:
        """Returns why there are no frames, without passwords."""
        # A server that is silent from the start may surface as invalid data.
        if waited_s >= 0.9 * limit_s or isinstance(error, TimeoutError | av.error.ExitError):
            return f"no pictures for {limit_s:g} s"
        hints = (hint for kind, hint in HINTS.items() if isinstance(error, kind))
        refused = self._address.scheme == "rtsps" and self._settings.ca_file and isinstance(error, OSError)
        return redact(containers.ffmpeg_message(error)) + next(hints, UNTRUSTED if refused else "")

    def _open(self, format: str, stack: ExitStack) -> Any:
        limit_s, began_s = self._settings.open_timeout_s, time.monotonic()
        relay = stack.enter_context(closing(self._relay())) if self.is_rtsp and self._confined else None
        input_options = self._input_options(format, stack)
        location = self._location if relay is None else relay.location
        try:
            container = self._av_open(location, self._options(format), input_options)
        except containers.UNREADABLE as error:
            reason = relay.problem if relay is not None else ""
            reason = reason or self.why(error, waited_s=time.monotonic() - began_s, limit_s=limit_s)
            # FFmpeg's error contains the address with its password, so it must not become the cause.
            raise (_Refused if isinstance(error, REFUSALS) else SourceError)(reason) from None
        if container.format.name in (MIXED, BARE) and not _has_frame_size(container):
            container.close()
            raise _Refused(f"not one JPEG can be found in it{HINTS[av.error.InvalidDataError]}")
        if container.format.name == PLAYLIST and not self._is_hls:
            # Its segments are seconds long, so it needs a longer timeout than it was opened with.
            container.close()
            self._is_hls = True
            return self._open(format, stack)
        return container

    def _relay(self) -> confined_rtsp.RtspRelay:
        return confined_rtsp.RtspRelay(
            self._address,
            open_s=self._settings.open_timeout_s,
            ca_file=self._settings.ca_file,
            resolve=self._resolve,
        )

    def _av_open(self, location: str, options: Mapping[str, str], input_options: Mapping[str, Any]) -> Any:
        # At the first timeout an RTSP connection still returns buffered data, so it waits twice.
        read_s = self.read_timeout_s / (2 if self.is_rtsp else 1)
        return av.open(
            location,
            container_options=dict(options),
            timeout=(self._settings.open_timeout_s, read_s),
            **input_options,
            **containers.FIRST_LOOK,
            **containers.LENIENT,
        )

    def _input_options(self, format: str, stack: ExitStack) -> dict[str, Any]:
        """Returns how FFmpeg reads its data: by itself, or for a confined camera through `ConfinedHttp`."""
        if not self._reads_confined:
            return {"format": format or None}
        http = confined_http.ConfinedHttp(
            self._address,
            open_s=self._settings.open_timeout_s,
            read_timeout_s=self.read_timeout_s,
            ca_file=self._settings.ca_file,
            resolve=self._resolve,
        )
        stack.enter_context(closing(http))
        body = http.prefetch(self._location)
        self._declared_bytes = body.declared_bytes
        return {"io_open": http.open, "format": format or _detected_format(body)}

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
        # Start a live playlist at its last segment: older ones are of no use for alarms.
        return (
            common
            | (confined_http.OPTIONS if self._reads_confined else {})
            | {
                "protocol_whitelist": HTTP_PROTOCOLS,
                "rw_timeout": str(round(self.read_timeout_s * MICROSECONDS)),
                "live_start_index": "-1",
            }
            | ANY_NAME
            | (BARE_OPTIONS if format == BARE else {})
        )


def _detected_format(body: confined_http.ConfinedBody) -> str | None:
    """Returns the format of a response whose type FFmpeg cannot see, or None if FFmpeg can detect it."""
    if body.kind.startswith("multipart/"):
        return MIXED
    return PLAYLIST if body.begins_with(FIRST_LINE) else None


def _has_frame_size(container: Any) -> bool:
    """Returns whether a frame was found in what was read so far."""
    return any(stream.codec_context.width for stream in container.streams.video)
