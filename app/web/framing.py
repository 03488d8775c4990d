"""Refuses requests with ambiguous length, which a proxy in front may have read differently (request smuggling).

What one side takes for a body, the other takes for the next request, perhaps of another visitor on that connection.
"""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REFUSAL = "a request has a Content-Length or a Transfer-Encoding, not both\n"
BOTH = frozenset({b"content-length", b"transfer-encoding"})


class OneLength:
    """ASGI middleware in front of everything: 400 for a request with both headers, and its connection is closed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and {name for name, _ in scope["headers"]} >= BOTH:
            refusal = PlainTextResponse(REFUSAL, status_code=400, headers={"Connection": "close"})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
