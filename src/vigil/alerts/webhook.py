"""Webhooks: JSON by POST, signed as Standard Webhooks (www.standardwebhooks.com) says.

An address that is not public is refused unless the settings allow it. What is checked is what is dialled: a name is
resolved once, and connections go to the checked addresses only. Redirects are not followed.
"""

import base64
import hashlib
import hmac
import json
import secrets
import socket
import ssl
import time
from asyncio import get_running_loop, to_thread
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from vigil.alerts.message import AlertMessage
from vigil.alerts.settings import WebhookSettings, check_webhook_url, read_secret
from vigil.errors import DeliveryError, UsageError
from vigil.hosts import is_public, parse_address

SECRET_PREFIX = "whsec_"
MOST_RETRY_AFTER_S = 3600.0
IDLE_S = 30.0
"""How long a connection is kept for the next alert."""


class AddressRefused(OSError):
    """A host leads to an address that may not be dialled."""


class CheckedResolver(AbstractResolver):
    """Resolves names to addresses that may be dialled; raises AddressRefused if there are others among them."""

    def __init__(self, allow: Sequence[str]) -> None:
        self._allow = tuple(ip_network(word) for word in allow)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host, each checked."""
        found = await get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        return [self._checked(host, kind, str(where[0]), port) for kind, _, _, _, where in found]

    def check(self, address: str) -> None:
        """Raises AddressRefused if an address may not be dialled."""
        found = ip_address(address)
        if not is_public(address) and not any(found in network for network in self._allow):
            raise AddressRefused(
                f"it leads to {address}, which is no public address; if that is meant, write allow: [{address}]"
            )

    async def close(self) -> None:
        """Nothing is open."""

    def _checked(self, host: str, family: int, address: str, port: int) -> ResolveResult:
        self.check(address)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)


class WebhookSink:
    """Posts messages to one address."""

    def __init__(self, settings: WebhookSettings) -> None:
        url = read_secret(settings.url)
        check_webhook_url(url)
        self._address = parse_address(url)
        self._settings = settings
        self._key = _key(read_secret(settings.secret)) if settings.secret else b""
        self._resolver = CheckedResolver(settings.allow)
        self._tls = _context(settings.ca_file)
        self._client: aiohttp.ClientSession | None = None

    async def send(self, message: AlertMessage) -> None:
        """Posts a message; any answer but 2xx is a failure. Raises DeliveryError."""
        body, kind = await to_thread(self._body, message)
        await self._post(body, self._headers(message.key, body, kind))

    async def send_text(self, subject: str, text: str, *, key: str = "") -> None:
        """Posts a text that is no alert, such as a report, as JSON with its `kind`, `title` and `text`."""
        told = {"id": key, "kind": "report", "title": subject, "text": text}
        body = json.dumps(told, ensure_ascii=False).encode()
        await self._post(body, self._headers(key, body, "application/json"))

    async def _post(self, body: bytes, headers: dict[str, str]) -> None:
        try:
            self._check_literal()
            async with self._session().post(
                self._address.location,
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as answer:
                _require_success(answer)
        except AddressRefused as error:
            raise DeliveryError(str(error), is_unreachable=True) from error
        except aiohttp.ClientError as error:
            raise DeliveryError(_explain(error), is_unreachable=True) from error
        except OSError as error:
            raise DeliveryError(f"the connection failed: {error.strerror or error}", is_unreachable=True) from error

    async def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver, ssl=self._tls, use_dns_cache=False, keepalive_timeout=IDLE_S
            )
            self._client = aiohttp.ClientSession(
                connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._client

    def _check_literal(self) -> None:
        """An IP address in the URL is dialled without being resolved."""
        try:
            ip_address(self._address.host)
        except ValueError:
            return
        self._resolver.check(self._address.host)

    def _headers(self, key: str, body: bytes, kind: str) -> dict[str, str]:
        sent_s = str(int(time.time()))
        headers = {
            "Content-Type": kind,
            "User-Agent": "Vigil",
            "Idempotency-Key": key,
            "webhook-id": key,
            "webhook-timestamp": sent_s,
        }
        return headers | ({"webhook-signature": sign(self._key, key, sent_s, body)} if self._key else {})

    def _body(self, message: AlertMessage) -> tuple[bytes, str]:
        """The body and its content type."""
        payload = message.payload(language=self._settings.language, links=self._settings.media == "links")
        data = json.dumps(payload, ensure_ascii=False).encode()
        if self._settings.media != "parts":
            return data, "application/json"
        files = [("snapshot", "image/jpeg", message.snapshot), ("clip", "video/mp4", message.clip)]
        return multipart(data, [(name, kind, path) for name, kind, path in files if path is not None])


def sign(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a body: `v1,` and the base64 of its HMAC-SHA256 with id and timestamp."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def multipart(data: bytes, files: Sequence[tuple[str, str, Path]]) -> tuple[bytes, str]:
    """A form with the part `event` (JSON) and a part per file, and its content type; missing files are left out."""
    boundary = secrets.token_hex(16)
    parts = [_part(boundary, "event", "application/json", data)]
    for name, kind, path in files:
        try:
            parts.append(_part(boundary, name, kind, path.read_bytes(), file=path.name))
        except OSError:
            # Retention may have deleted it.
            continue
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _part(boundary: str, name: str, kind: str, data: bytes, *, file: str = "") -> bytes:
    named = f'; filename="{file}"' if file else ""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + data + b"\r\n"


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError as error:
        raise UsageError("a webhook's secret that begins with whsec_ continues in base64; make it anew") from error


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise UsageError(f"the certificates in {ca_file} cannot be used: {error}") from error
    return context


def _require_success(answer: aiohttp.ClientResponse) -> None:
    if 200 <= answer.status < 300:
        return
    if 300 <= answer.status < 400:
        raise DeliveryError(f"it answers {answer.status}, a redirect, which is not followed; write the final address")
    said = f"it answers {answer.status} {answer.reason or ''}".rstrip()
    raise DeliveryError(said, retry_after_s=_retry_after_s(answer.headers.get("Retry-After", "")))


def _retry_after_s(text: str) -> float | None:
    """Seconds that a receiver asks to wait, an hour at most."""
    if text.isascii() and text.isdecimal():
        return min(float(text), MOST_RETRY_AFTER_S) or None
    try:
        wait_s = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError):
        return None
    return min(wait_s, MOST_RETRY_AFTER_S) if wait_s > 0 else None


def _explain(error: aiohttp.ClientError) -> str:
    """What happened, without the address, which may hold a token."""
    cause = error.__cause__
    while isinstance(cause, BaseException):
        if isinstance(cause, AddressRefused):
            return str(cause)
        cause = cause.__cause__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    return f"the connection failed ({type(error).__name__})"
