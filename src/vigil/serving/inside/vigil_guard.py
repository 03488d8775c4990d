"""The key, for every path of vLLM's server. Runs in vLLM's environment, without Vigil.

vLLM itself asks for the key under /v1, /v2, /inference and /cohere only, and `/invocations` answers a whole chat
without one. Here only what a load balancer asks is open: /health, /ping by GET, /version.
"""

import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[..., Awaitable[None]]

OPEN_PATHS = frozenset({"/health", "/ping", "/version"})
REFUSAL = b'{"error":{"message":"the API key is missing or wrong","type":"Unauthorized","param":null,"code":401}}'


class KeyGuard:
    """ASGI middleware that refuses every request without `Authorization: Bearer $VLLM_API_KEY`."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.expected = f"Bearer {os.environ.get('VLLM_API_KEY', '')}".encode()

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] == "http" and not self._may_pass(scope):
            await _refuse(send)
            return
        await self.app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        if scope["method"] == "OPTIONS" or (scope["method"] == "GET" and scope["path"] in OPEN_PATHS):
            return True
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, self.expected)


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSAL})
