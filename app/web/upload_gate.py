"""Admission control for uploads: space is booked before the first byte is read.

It runs after `app.access.AccessMiddleware`, which identifies the visitor. Refusals are in the page's language and
contain no input, since Gradio shows them unescaped.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.body_limits import UPLOAD_ROUTE, announced_bytes, is_upload
from ..language import Language, choose_language, translator
from ..trusted_proxies import address_group
from .upload_quota import MB, Booking, OverQuota, Reason, UploadLimits, UploadQuota

MOST_FILES = 4
"""Files per request; each is an open file while the request lasts."""

ANSWER_BYTES = 64 * 1024
STATUS: dict[Reason, int] = {"visitor": 413, "all": 507, "disk": 507, "busy": 429}


class UploadGate:
    """ASGI middleware: only uploads within the quota reach Gradio."""

    def __init__(self, app: ASGIApp, *, quota: UploadQuota) -> None:
        self._app = app
        self._quota = quota
        # One measurement of the disk at a time, so that it stays valid until space is booked.
        self._measuring = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_upload(scope):
            await self._app(scope, receive, send)
            return
        try:
            booking = await self._book(scope)
        except OverQuota as refused:
            await _refusal(scope, refused.reason, self._quota.limits)(scope, receive, send)
            return
        await self._take(booking, scope, receive, send)

    async def _book(self, scope: Scope) -> Booking:
        """Books space; raises OverQuota. An upload without `Content-Length` books the largest allowed size."""
        visitor, declared_bytes = visitor_of(scope), announced_bytes(scope)
        size_bytes = self._quota.limits.file_bytes if declared_bytes is None else declared_bytes
        self._quota.check_running(visitor)
        async with self._measuring:
            measured = await asyncio.to_thread(self._quota.measure)
            return self._quota.book(visitor, size_bytes, measured)

    async def _take(self, booking: Booking, scope: Scope, receive: Receive, send: Send) -> None:
        upload = _Upload(booking, _delimiter(scope), receive, send)
        # A compressed response could not be parsed here.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        is_broken = True
        try:
            await self._app({**scope, "headers": plain}, upload.receive, upload.send)
            is_broken = False
        finally:
            self._quota.keep(booking, upload.files(), is_broken=is_broken)
        if upload.is_too_much:
            message = translator(_language(scope))("site.too_many_files", most=MOST_FILES)
            await PlainTextResponse(message, status_code=413)(scope, receive, send)


class _Upload:
    """A running upload: counts its bytes, and finds the files that Gradio made of it."""

    def __init__(self, booking: Booking, delimiter: bytes, receive: Receive, send: Send) -> None:
        self.is_too_much = False
        self._booking = booking
        self._delimiter = delimiter
        self._receive = receive
        self._send = send
        self._end = b""
        self._parts = 0
        self._answer = b""

    async def receive(self) -> Message:
        """The next piece. A disconnect is raised as an error for which Gradio removes its partial file."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise MultiPartException("the visitor left")
        body = message.get("body", b"")
        self._booking.came_bytes += len(body)
        self._count(body)
        # The last delimiter ends the last part.
        self.is_too_much = self._parts > MOST_FILES + 1 or self._booking.came_bytes > self._booking.bytes
        if self.is_too_much:
            raise MultiPartException("too much for one upload")
        return message

    def _count(self, body: bytes) -> None:
        data = self._end + body
        self._parts += data.count(self._delimiter)
        self._end = data[-(len(self._delimiter) - 1) :]

    async def send(self, message: Message) -> None:
        """A piece of Gradio's response, which lists the files; a refusal for size is replaced by ours."""
        if self.is_too_much:
            return
        if len(self._answer) < ANSWER_BYTES:
            self._answer += message.get("body", b"")
        await self._send(message)

    def files(self) -> list[Path]:
        """The files that Gradio stored; empty if it stored none."""
        try:
            names: Any = json.loads(self._answer)
        except ValueError:
            return []
        return [Path(each) for each in names if isinstance(each, str)] if isinstance(names, list) else []


def visitor_of(scope: Scope) -> str:
    """Whose quota a request counts against: the visitor that the access check found, else the address."""
    client = scope.get("client")
    return str(scope.get("vigil_visitor") or address_group(str(client[0]) if client else ""))


def _delimiter(scope: Scope) -> bytes:
    """The delimiter before every file of a multipart request, and at its end."""
    _, options = parse_options_header(Headers(scope=scope).get("content-type", ""))
    return b"--" + options.get(b"boundary", b"\r\n")


def _language(scope: Scope) -> Language:
    found = UPLOAD_ROUTE.fullmatch(scope["path"])
    return choose_language(found["language"] if found else None, "")


def _refusal(scope: Scope, reason: Reason, limits: UploadLimits) -> PlainTextResponse:
    message = translator(_language(scope))(f"site.no_room_{reason}", limit=limits.visitor_bytes // MB)
    return PlainTextResponse(message, status_code=STATUS[reason])
