"""An HTTP client for FFmpeg that is confined to one camera's host and port.

FFmpeg follows redirects and every address in a playlist, and cannot be restricted to a host. So a camera named by a
visitor, or one whose certificate is verified, is read through `ConfinedHttp`: frames, playlists and segments.
"""

import logging
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote

import httpx2

from vigil.errors import SourceError, redact
from vigil.hosts import HostPort, NetworkAddress, bracketed, parse_address
from vigil.sources.address import PORTS
from vigil.sources.dialling import Resolver, checked_address, system_resolver

OPTIONS = {"http_persistent": "0", "http_multiple": "0"}
"""Keeps FFmpeg from opening connections of its own."""

UNAUTHORIZED = 401


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact(record.getMessage()), ()
    return True


# httpx2 logs every address that it requests, including passwords.
logging.getLogger("httpx2").addFilter(_without_secrets)


class ConfinedBody:
    """The body of a response, read in chunks as FFmpeg requests them."""

    def __init__(self, response: httpx2.Response, *, name: str, read_timeout_s: float) -> None:
        self.name = name
        self.kind = str(response.headers.get("Content-Type", "")).lower()
        length = str(response.headers.get("Content-Length", ""))
        self.declared_bytes = int(length) if length.isascii() and length.isdecimal() else 0
        self._response = response
        self._read_timeout_s = read_timeout_s
        self._pieces: Iterator[bytes] = response.iter_raw()
        self._left = b""

    def read(self, max_bytes: int) -> bytes:
        """Returns up to `max_bytes` bytes, empty at the end; raises SourceError if it times out or breaks off."""
        if not self._left:
            self._left = self._next()
        piece, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return piece

    def begins_with(self, start: bytes) -> bool:
        """Returns whether the unread data begins with `start`."""
        self._left = self._left or self._next()
        return self._left.startswith(start)

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except httpx2.TimeoutException as error:
            raise SourceError(f"no pictures for {self._read_timeout_s:g} s") from error
        except httpx2.HTTPError as error:
            raise SourceError("the stream broke off") from error

    def close(self) -> None:
        """Closes the connection."""
        self._response.close()


class ConfinedHttp:
    """Opens addresses for FFmpeg (`io_open` of `av.open`), but only on one camera's host and port.

    `open_s` limits connecting, `read_timeout_s` each wait for data. Certificates are verified with those in `ca_file`
    (PEM); without it they are not verified, because cameras usually sign their own. The name of the host is looked up
    once, with `resolve`, and only the address that was checked is dialled.
    """

    def __init__(
        self,
        camera: NetworkAddress,
        *,
        open_s: float,
        read_timeout_s: float,
        ca_file: str = "",
        resolve: Resolver = system_resolver,
    ) -> None:
        self._camera = camera
        self._resolve = resolve
        self._dialled = ""
        self._read_timeout_s = read_timeout_s
        self._prefetched: dict[str, ConfinedBody] = {}
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(read_timeout_s, connect=open_s),
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else False,
            trust_env=False,
            follow_redirects=False,
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Vigil"},
        )

    def prefetch(self, url: str) -> ConfinedBody:
        """Opens an address for inspection before `open` passes it to FFmpeg; raises as `open` does."""
        self._prefetched[url] = self.open(url, 0, {})
        return self._prefetched[url]

    def open(self, url: str, flags: int, options: Mapping[str, str]) -> ConfinedBody:
        """Returns the body of an address; raises SourceError for another host, port or scheme, and for a redirect."""
        if url in self._prefetched:
            return self._prefetched.pop(url)
        address = self._checked_address(url)
        try:
            response = self._fetch(address)
        except httpx2.TimeoutException as error:
            raise SourceError(f"no pictures for {self._read_timeout_s:g} s") from error
        except httpx2.HTTPError as error:
            raise SourceError(f"it cannot be reached: {error}") from error
        if not response.is_success:
            response.close()
            raise SourceError(_refusal(response))
        return ConfinedBody(response, name=address.path, read_timeout_s=self._read_timeout_s)

    def close(self) -> None:
        """Closes all connections."""
        self._client.close()

    def _checked_address(self, url: str) -> NetworkAddress:
        try:
            address = parse_address(url)
        except ValueError as error:
            raise SourceError(f"it leads to an address that {error}") from error
        if address.scheme != self._camera.scheme or _host_port(address) != _host_port(self._camera):
            raise SourceError(
                f"it leads elsewhere, to {address.scheme}://{_host_port(address)}; a camera that a visitor names, or "
                "whose certificate is checked, is only read from its own host and port"
            )
        return address

    def _fetch(self, address: NetworkAddress) -> httpx2.Response:
        url = replace(address, userinfo="", host=self._dialled_address()).location
        name, _, password = (unquote(part) for part in self._camera.userinfo.partition(":"))
        if not self._camera.userinfo:
            return self._send(url, auth=None)
        response = self._send(url, auth=httpx2.DigestAuth(name, password))
        if response.status_code != UNAUTHORIZED:
            return response
        response.close()
        return self._send(url, auth=httpx2.BasicAuth(name, password))

    def _send(self, url: str, *, auth: httpx2.Auth | None) -> httpx2.Response:
        host = self._camera.host
        port = f":{self._camera.port}" if self._camera.port else ""
        request = self._client.build_request(
            "GET", url, headers={"Host": f"{bracketed(host)}{port}"}, extensions={"sni_hostname": host}
        )
        return self._client.send(request, stream=True, auth=auth)

    def _dialled_address(self) -> str:
        if not self._dialled:
            place = _host_port(self._camera)
            self._dialled = checked_address(place.host, place.port, resolve=self._resolve)
        return self._dialled


def _host_port(address: NetworkAddress) -> HostPort:
    return HostPort(address.host, address.port or PORTS.get(address.scheme, 0))


def _refusal(response: httpx2.Response) -> str:
    if response.is_redirect:
        return (
            "it leads elsewhere (a redirect): not followed for a visitor's camera or one whose certificate is checked"
        )
    if response.status_code == UNAUTHORIZED:
        return "it asks for a login; check user and password"
    return f"it answered {response.status_code} {response.reason_phrase}".rstrip()
