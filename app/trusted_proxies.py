"""Forwarding headers: believed from proxies that the operator has named, and removed from every request.

Anyone can write `X-Forwarded-For`. From a trusted proxy it replaces the client's address, for the limits on sign-ins
and connections, and `X-Forwarded-Host` replaces `Host`, which some proxies change and the same-site check needs. The
headers are then removed, so that nothing later interprets them differently (Gradio would build URLs from them).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from vigil.errors import UsageError

FORWARDING_HEADERS = frozenset(
    {b"cdn-loop", b"forwarded", b"via", b"x-host", b"x-rewrite-url", b"x-scheme", b"x-url-scheme"}
)
FORWARDING_PREFIXES = (
    *(b"cf-", b"fastly-", b"fly-", b"tailscale-", b"x-amzn-", b"x-arr-", b"x-azure-", b"x-envoy-"),
    *(b"x-forwarded", b"x-original-", b"x-proxyuser-", b"x-real-", b"x-remote-"),
)
FORWARDING_ENDING = b"client-ip"
"""Headers that proxies and tunnels add, written with - or _; browsers send none of them."""

PROXY_VERSION = "1.0"
"""nginx uses this HTTP version upstream by default, with its own Host and possibly no forwarding header."""

FORWARDED_HOST = b"x-forwarded-host"
HOST = re.compile(rb"[A-Za-z0-9._~:\[\]-]{1,255}")
IPV6_SITE_BITS = 64
"""Limits count the /64 of an IPv6 address: its owner has all 2^64 addresses."""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The addresses and networks of proxies whose forwarding headers are trusted."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, values: Sequence[str]) -> "TrustedProxies":
        """Parses the values of `--trusted-proxy`; raises UsageError."""
        try:
            return cls(tuple(ip_network(value.strip()) for value in values))
        except ValueError as error:
            raise UsageError(f"--trusted-proxy: {error}; give an address such as 10.0.0.2, or 10.0.0.0/24") from error

    def __contains__(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self.networks)


class ForwardedHeaders:
    """ASGI middleware that applies and removes forwarding headers; it runs before everything else.

    Sets `scope["vigil_forwarded"]` if the request came through any proxy, trusted or not.
    """

    def __init__(self, app: ASGIApp, *, trusted: TrustedProxies) -> None:
        self._app = app
        self._trusted = trusted
        self._trusting = ProxyHeadersMiddleware(self._pass_on, [str(network) for network in trusted.networks])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        is_forwarded = any(_is_forwarding(name) for name, _ in scope["headers"])
        marked = {**scope, "vigil_forwarded": is_forwarded or scope.get("http_version") == PROXY_VERSION}
        if _peer(scope) not in self._trusted:
            await self._pass_on(marked, receive, send)
            return
        marked["headers"] = _with_host(scope["headers"])
        await self._trusting(marked, receive, send)  # type: ignore[arg-type]

    async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
        """Passes the request on without forwarding headers."""
        kept = [(name, value) for name, value in scope["headers"] if not _is_forwarding(name)]
        await self._app({**scope, "headers": kept}, receive, send)


def _with_host(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers with `Host` replaced by the first `X-Forwarded-Host`, if there is a valid one."""
    parsed = next((value.partition(b",")[0].strip() for name, value in headers if name == FORWARDED_HOST), b"")
    if HOST.fullmatch(parsed) is None:
        return list(headers)
    return [(b"host", parsed), *((name, value) for name, value in headers if name != b"host")]


def _is_forwarding(name: bytes) -> bool:
    name = name.replace(b"_", b"-")
    return name in FORWARDING_HEADERS or name.startswith(FORWARDING_PREFIXES) or name.endswith(FORWARDING_ENDING)


def _peer(scope: Scope) -> str:
    """The address at the other end of the connection."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@lru_cache(maxsize=4096)
def address_group(address: str) -> str:
    """What limits count as one address: an IPv4 address, the /64 of an IPv6 address, any other text as it is."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed), IPV6_SITE_BITS), strict=False))
    return address if parsed is None else str(parsed)


@lru_cache(maxsize=4096)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    """An address without its zone, with IPv4-mapped IPv6 as IPv4; None if it is not an address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
