"""HTTP for a camera that is asked where it was allowed, and nowhere else: one that a visitor named, or a checked one.

FFmpeg follows redirects and whatever a playlist names, and cannot be told a host to stay at. So of such a camera it
gets everything (pictures, playlists and their pieces) through `ConfinedHttp`, which dials one host and port only.
"""

import logging
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote

import httpx2

from vigil.errors import SourceError, redact
from vigil.hosts import HostPort, NetworkAddress, parse_address
from vigil.sources.address import PORTS

OPTIONS = {"http_persistent": "0", "http_multiple": "0"}
"""FFmpeg must not look for connections of its own beneath what it is handed."""

UNAUTHORIZED = 401


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact(record.getMessage()), ()
    return True


# It logs every address that it asks, with what that hides.
logging.getLogger("httpx2").addFilter(_without_secrets)


class ConfinedBody:
    """What one address answers, read piece by piece as FFmpeg asks for it."""

    def __init__(self, response: httpx2.Response, *, name: str, patience_s: float) -> None:
        self.name = name
        self.kind = str(response.headers.get("Content-Type", "")).lower()
        length = str(response.headers.get("Content-Length", ""))
        self.told_bytes = int(length) if length.isascii() and length.isdecimal() else 0
        self._response = response
        self._patience_s = patience_s
        self._pieces: Iterator[bytes] = response.iter_raw()
        self._left = b""

    def read(self, most_bytes: int) -> bytes:
        """The next bytes, empty at the end; raises SourceError when none come in time."""
        if not self._left:
            self._left = self._next()
        piece, self._left = self._left[:most_bytes], self._left[most_bytes:]
        return piece

    def begins_with(self, start: bytes) -> bool:
        """Whether the first piece of what has not been read yet begins so."""
        self._left = self._left or self._next()
        return self._left.startswith(start)

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except httpx2.TimeoutException as error:
            raise SourceError(f"no pictures for {self._patience_s:g} s") from error
        except httpx2.HTTPError as error:
            raise SourceError("the stream broke off") from error

    def close(self) -> None:
        """Lets go of the connection."""
        self._response.close()


class ConfinedHttp:
    """Opens addresses for FFmpeg (`io_open` of `av.open`), those of one camera's host and port only.

    `open_s` bounds connecting, `patience_s` each wait for bytes. Certificates are checked by those in `ca_file` (PEM);
    without it those are taken that cameras make for themselves.
    """

    def __init__(self, camera: NetworkAddress, *, open_s: float, patience_s: float, ca_file: str = "") -> None:
        self._camera = camera
        self._patience_s = patience_s
        self._ahead: dict[str, ConfinedBody] = {}
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(patience_s, connect=open_s),
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else False,
            trust_env=False,
            follow_redirects=False,
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Vigil"},
        )

    def ask(self, url: str) -> ConfinedBody:
        """What an address answers, for a look at it before `open` hands it to FFmpeg; raises as that does."""
        self._ahead[url] = self.open(url, 0, {})
        return self._ahead[url]

    def open(self, url: str, flags: int, options: Mapping[str, str]) -> ConfinedBody:
        """The body behind an address; raises SourceError for another host, port or scheme, and for a redirect."""
        if url in self._ahead:
            return self._ahead.pop(url)
        asked = self._inside(url)
        try:
            response = self._fetch(asked)
        except httpx2.TimeoutException as error:
            raise SourceError(f"no pictures for {self._patience_s:g} s") from error
        except httpx2.HTTPError as error:
            raise SourceError(f"it cannot be reached: {error}") from error
        if not response.is_success:
            response.close()
            raise SourceError(_refusal(response))
        return ConfinedBody(response, name=asked.path, patience_s=self._patience_s)

    def close(self) -> None:
        """Lets go of every connection."""
        self._client.close()

    def _inside(self, url: str) -> NetworkAddress:
        try:
            asked = parse_address(url)
        except ValueError as error:
            raise SourceError(f"it leads to an address that {error}") from error
        if asked.scheme != self._camera.scheme or _place(asked) != _place(self._camera):
            raise SourceError(
                f"it leads elsewhere, to {asked.scheme}://{_place(asked)}; a camera that a visitor names, or whose "
                "certificate is checked, is asked at its own place only"
            )
        return asked

    def _fetch(self, asked: NetworkAddress) -> httpx2.Response:
        url = replace(asked, userinfo="").location
        name, _, password = (unquote(part) for part in self._camera.userinfo.partition(":"))
        if not self._camera.userinfo:
            return self._send(url, auth=None)
        response = self._send(url, auth=httpx2.DigestAuth(name, password))
        if response.status_code != UNAUTHORIZED:
            return response
        response.close()
        return self._send(url, auth=httpx2.BasicAuth(name, password))

    def _send(self, url: str, *, auth: httpx2.Auth | None) -> httpx2.Response:
        return self._client.send(self._client.build_request("GET", url), stream=True, auth=auth)


def _place(address: NetworkAddress) -> HostPort:
    return HostPort(address.host, address.port or PORTS.get(address.scheme, 0))


def _refusal(response: httpx2.Response) -> str:
    if response.is_redirect:
        return (
            "it leads elsewhere (a redirect): not followed for a visitor's camera or one whose certificate is checked"
        )
    if response.status_code == UNAUTHORIZED:
        return "it asks for a login; check user and password"
    return f"it answered {response.status_code} {response.reason_phrase}".rstrip()
