"""Limits on the size of request bodies, enforced before anything reads them.

Gradio reads a whole request into memory and parses it as JSON, which takes three times its size. Only uploads may be
large: they are written to disk in pieces.
"""

import re

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..problems import problem

UPLOAD_ROUTE = re.compile(r"/(?P<language>\w+)/gradio_api/upload/?")
STREAM_ROUTE = re.compile(r"/\w+/gradio_api/stream/\w+/?")
USUAL_BYTES = 512 * 1024
"""A click or a question sends about a thousand bytes plus the question's text: 300 kB at most."""

PICTURE_BYTES = 4 * 1024 * 1024
"""A picture of a visitor's webcam: 20 kB at 320x240, so 0.7 MB at the 1920x1440 that Gradio asks a browser for."""

API_PREFIX = "/api/v1/"
JUDGE_ROUTE = f"{API_PREFIX}judge"
TOO_LARGE = "what was sent is larger than this address takes; nothing of it was kept\n"


class TooLarge(MultiPartException):
    """More was sent than is allowed; the response is 413 even if the pages answered something else.

    A `MultiPartException`, because Gradio then removes its partial file.
    """


class BodyLimits:
    """ASGI middleware: responds with 413 if a body exceeds `usual_bytes`, before the pages read it.

    The limit is `upload_bytes` for uploads, `picture_bytes` for webcam pictures and `judge_bytes` for what the service
    is to judge. `Content-Length` is checked first;
    without it, the bytes received are counted.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        upload_bytes: int,
        usual_bytes: int = USUAL_BYTES,
        picture_bytes: int = PICTURE_BYTES,
        judge_bytes: int = 0,
    ) -> None:
        self._app = app
        self._upload_bytes = upload_bytes
        self._usual_bytes = usual_bytes
        self._picture_bytes = picture_bytes
        self._judge_bytes = judge_bytes or usual_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most_bytes = self._most_bytes(scope)
        if (announced_bytes(scope) or 0) > most_bytes:
            await _too_large(scope)(scope, receive, send)
            return
        await _Limited(most_bytes, receive, send).run(self._app, scope)

    def _most_bytes(self, scope: Scope) -> int:
        if is_upload(scope):
            return self._upload_bytes
        if scope["method"] == "POST" and scope["path"] == JUDGE_ROUTE:
            return self._judge_bytes
        if scope["method"] == "POST" and STREAM_ROUTE.fullmatch(scope["path"]):
            return self._picture_bytes
        return self._usual_bytes


class _Limited:
    """One request, whose bytes are counted as they arrive."""

    def __init__(self, most_bytes: int, receive: Receive, send: Send) -> None:
        self._most_bytes = most_bytes
        self._receive = receive
        self._send = send
        self._came_bytes = 0
        self._is_too_large = False
        self._has_begun = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Runs the app, and responds with 413 if too much arrives."""
        try:
            await app(scope, self._take, self._give)
        except Exception:
            if not self._is_too_large:
                raise
        if self._is_too_large and not self._has_begun:
            await _too_large(scope)(scope, self._receive, self._send)

    async def _take(self) -> Message:
        message = await self._receive()
        self._came_bytes += len(message.get("body", b""))
        if self._came_bytes > self._most_bytes:
            self._is_too_large = True
            raise TooLarge(TOO_LARGE)
        return message

    async def _give(self, message: Message) -> None:
        if self._is_too_large and not self._has_begun:
            return  # the app's response to a truncated body
        self._has_begun = True
        await self._send(message)


def _too_large(scope: Scope) -> Response:
    if str(scope["path"]).startswith(API_PREFIX):
        return problem(413, TOO_LARGE, kind="too-large")
    return PlainTextResponse(TOO_LARGE, status_code=413)


def is_upload(scope: Scope) -> bool:
    """Whether a request is an upload."""
    return scope["method"] == "POST" and UPLOAD_ROUTE.fullmatch(scope["path"]) is not None


def announced_bytes(scope: Scope) -> int | None:
    """The `Content-Length` of a request; None if it has none."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None
