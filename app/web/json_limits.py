"""How much structure a JSON body may have: each `[],` of three bytes becomes an object of seventy in memory.

Gradio keeps what is asked of it as long as it waits in its queue, a hundred events for each language. What stands in
strings costs what it weighs, so only the rest is counted. `app.http.body_limits`, before this, bounds the whole.
"""

import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.body_limits import is_upload

JSON_ROUTE = re.compile(r"/\w+/gradio_api/.+")
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?"?', re.DOTALL)
"""To its end, or that of the text where it never ends: nothing is tried twice, whatever a visitor writes."""

MOST_BYTES = 16 * 1024
"""Of brackets, commas, numbers and quotes: what a page sends for any click takes some hundreds."""

REFUSAL = "what was sent has more parts than this address takes\n"


def structure_bytes(body: bytes) -> int:
    """What a JSON text in UTF-8 holds beside what stands in its strings."""
    return len(STRING.sub(b'""', body))


class JsonLimits:
    """ASGI middleware: 413 for a JSON body with too many parts, or in an encoding whose strings cannot be told."""

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
    """What was read, once more; after it whatever still comes, which is the end of the connection."""

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
    """The body; None where the visitor left before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
