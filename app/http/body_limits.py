"""How large what a request carries may be, decided before anything reads it.

Gradio reads the whole of a request into memory, as JSON then, three times its size, whatever it is. Only where files
are sent may it be large: there it goes to the disk, piece by piece.
"""

import re

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD_ROUTE = re.compile(r"/(?P<language>\w+)/gradio_api/upload/?")
STREAM_ROUTE = re.compile(r"/\w+/gradio_api/stream/\w+/?")
USUAL_BYTES = 512 * 1024
"""What a page sends when something is clicked or asked is about a thousand bytes, and a question's length beside: at
most 300 kB."""

PICTURE_BYTES = 4 * 1024 * 1024
"""A picture of a visitor's webcam: 20 kB at 320x240, so 0.7 MB at the 1920x1440 that Gradio asks a browser for."""

TOO_LARGE = "what was sent is larger than this address takes; nothing of it was kept\n"


class TooLarge(MultiPartException):
    """More has come than may; the answer is 413, whatever the pages make of it.

    Of this kind, as Gradio then removes its part of a file.
    """


class BodyLimits:
    """ASGI middleware behind the gate, before anything that reads: 413 for what is larger than `usual_bytes`.

    It is `upload_bytes` where files are sent, and `picture_bytes` where a webcam's pictures are.

    A size that is announced is judged by that, any other by what has come so far.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        upload_bytes: int,
        usual_bytes: int = USUAL_BYTES,
        picture_bytes: int = PICTURE_BYTES,
    ) -> None:
        self._app = app
        self._upload_bytes = upload_bytes
        self._usual_bytes = usual_bytes
        self._picture_bytes = picture_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most_bytes = self._most_bytes(scope)
        if (announced_bytes(scope) or 0) > most_bytes:
            await PlainTextResponse(TOO_LARGE, status_code=413)(scope, receive, send)
            return
        await _Limited(most_bytes, receive, send).run(self._app, scope)

    def _most_bytes(self, scope: Scope) -> int:
        if is_upload(scope):
            return self._upload_bytes
        if scope["method"] == "POST" and STREAM_ROUTE.fullmatch(scope["path"]):
            return self._picture_bytes
        return self._usual_bytes


class _Limited:
    """One request whose size is not known before all of it has come."""

    def __init__(self, most_bytes: int, receive: Receive, send: Send) -> None:
        self._most_bytes = most_bytes
        self._receive = receive
        self._send = send
        self._came_bytes = 0
        self._is_too_large = False
        self._has_begun = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Lets the pages answer, unless too much comes."""
        try:
            await app(scope, self._take, self._give)
        except Exception:
            if not self._is_too_large:
                raise
        if self._is_too_large and not self._has_begun:
            await PlainTextResponse(TOO_LARGE, status_code=413)(scope, self._receive, self._send)

    async def _take(self) -> Message:
        message = await self._receive()
        self._came_bytes += len(message.get("body", b""))
        if self._came_bytes > self._most_bytes:
            self._is_too_large = True
            raise TooLarge(TOO_LARGE)
        return message

    async def _give(self, message: Message) -> None:
        if self._is_too_large and not self._has_begun:
            return  # what the pages say of a body that broke off
        self._has_begun = True
        await self._send(message)


def is_upload(scope: Scope) -> bool:
    """Whether a request brings files."""
    return scope["method"] == "POST" and UPLOAD_ROUTE.fullmatch(scope["path"]) is not None


def announced_bytes(scope: Scope) -> int | None:
    """The size that a request says it has; None where it says none, and comes in pieces."""
    told = Headers(scope=scope).get("content-length", "")
    return int(told) if told.isascii() and told.isdigit() else None
