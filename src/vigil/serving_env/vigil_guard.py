"""Requires the key on every path of vLLM's server. Runs in vLLM's environment, without Vigil.

vLLM itself requires the key under /v1, /v2, /inference and /cohere only, and `/invocations` answers a whole chat
without one. Here only what a load balancer requests is open: /health, /ping by GET, /version; no web socket is.
"""

import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[..., Awaitable[None]]

OPEN_PATHS = frozenset({"/health", "/ping", "/version"})
REFUSAL = b'{"error":{"message":"the API key is missing or wrong","type":"Unauthorized","param":null,"code":401}}'
REFUSED_BY_POLICY = 1008
DENIAL = "websocket.http.response"
"""The ASGI extension to answer a web socket upgrade by HTTP; without it a refused upgrade is a 403."""


class KeyGuard:
    """ASGI middleware that rejects every request without `Authorization: Bearer $VLLM_API_KEY`.

    If no key is set, everything is rejected: a server that lost its key file must not be open.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        key = os.environ.get("VLLM_API_KEY", "")
        self._expected = _digest(key.encode()) if key else None

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan" or self._may_pass(scope):
            await self.app(scope, receive, send)
        else:
            await _refuse(scope, send)

    def _may_pass(self, scope: Scope) -> bool:
        method = scope.get("method")  # a web socket has no method
        if method == "OPTIONS" or (method == "GET" and scope["path"] in OPEN_PATHS):
            return True
        scheme, _, key = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        # Compare digests, which have one length: the time reveals nothing about the key, not even its length.
        matches = hmac.compare_digest(_digest(key), self._expected or b"")
        return matches and scheme.lower() == b"bearer"


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "http":
        await _answer(send, "http.response")
    elif DENIAL in (scope.get("extensions") or {}):
        await _answer(send, DENIAL)
    else:
        await send({"type": "websocket.close", "code": REFUSED_BY_POLICY, "reason": "the API key is missing or wrong"})


async def _answer(send: Send, kind: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
    await send({"type": f"{kind}.start", "status": 401, "headers": headers})
    await send({"type": f"{kind}.body", "body": REFUSAL})
