"""Limits the structure of JSON bodies: `[],` takes three bytes in a request, but seventy in memory.

Gradio keeps the inputs of queued events, up to a hundred per language. Strings take about their own size, so only what
is outside strings is counted; `app.http.body_limits` bounds the total before.
"""

import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.body_limits import is_upload

JSON_ROUTE = re.compile(r"/\w+/gradio_api/.+")
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?"?', re.DOTALL)
"""A string to its closing quote or the end of the text; possessive, so that no input causes backtracking."""

MOST_BYTES = 16 * 1024
"""Brackets, commas, numbers and quotes; any click on the pages sends a few hundred bytes of these."""

REFUSAL = "what was sent has more parts than this address takes\n"


def structure_bytes(body: bytes) -> int:
    """The number of bytes of a UTF-8 JSON text that are outside strings."""
    return len(STRING.sub(b'""', body))


class JsonLimits:
    """ASGI middleware: 413 for a JSON body with too much structure, or in UTF-16 or UTF-32."""

    def __init__(self, app: ASGIApp, *, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _brings_json(scope):
            await self._app(scope, receive, send)
            return
        body = await _whole(receive)
        if body is None:
            return
        if b"\0" in body or structure_bytes(body) > self._most_bytes:
            await PlainTextResponse(REFUSAL, status_code=413)(scope, receive, send)
            return
        await self._app(scope, _Again(body, receive), send)


class _Again:
    """Replays the body that was read, then passes on what follows, which is the disconnect."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _brings_json(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST" or is_upload(scope):
        return False
    return JSON_ROUTE.fullmatch(scope["path"]) is not None


async def _whole(receive: Receive) -> bytes | None:
    """The body; None if the client disconnects before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
