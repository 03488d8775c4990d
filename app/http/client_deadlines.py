"""Deadlines for clients, enforced between the socket, uvicorn and the pages.

uvicorn only closes connections that stay idle after a response. It would hold forever a connection whose request head
never ends, whose body stalls, or whose client never reads the response.
"""

import asyncio
from functools import partial
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .connections import Connection, Connections, Deadlines

STATE = "vigil_connection"
"""The key under which a request finds its `Connection` in the ASGI state."""


def timed_protocol(connections: Connections) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's option `http`."""
    return cast("type[asyncio.Protocol]", partial(TimedProtocol, connections))


class TimedProtocol(asyncio.Protocol):
    """uvicorn's protocol, which also records what the client does in its `Connection`."""

    def __init__(self, connections: Connections, *, app_state: dict[str, Any], **more: Any) -> None:
        self._connections = connections
        self._connection: Connection | None = None
        self._make = partial(H11Protocol, **more)
        self._app_state = app_state
        self._inner: asyncio.Protocol = asyncio.Protocol()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: the connection is open."""
        opened = cast("asyncio.Transport", transport)
        self._connection = self._connections.of(opened)
        if self._connection is None:
            opened.abort()
            return
        self._connection.open(opened)
        self._inner = self._make(app_state={**self._app_state, STATE: self._connection})
        self._inner.connection_made(opened)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: bytes have arrived."""
        if self._connection is not None:
            self._connections.receive(self._connection)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Called by asyncio: the client has closed its side."""
        self._inner.eof_received()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: the connection is closed."""
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Called by asyncio: the write buffer is full."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Called by asyncio: the write buffer has drained."""
        self._inner.resume_writing()


class TimedRequests:
    """ASGI middleware: marks the connection as busy while a request runs, and times its body."""

    def __init__(self, app: ASGIApp, *, deadlines: Deadlines) -> None:
        self._app = app
        self._deadlines = deadlines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection | None = scope.get("state", {}).get(STATE)
        if scope["type"] != "http" or connection is None:
            await self._app(scope, receive, send)
            return
        timed = _TimedRequest(connection, self._deadlines, receive, send)
        try:
            await self._app(scope, timed.receive, timed.send)
        finally:
            timed.end()


class _TimedRequest:
    """One request; only the time spent waiting for its body counts."""

    def __init__(self, connection: Connection, deadlines: Deadlines, receive: Receive, send: Send) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self._receive = receive
        self._send = send
        self._has_all = False
        self._is_over = False
        self._waited_s = 0.0
        self._received_bytes = 0
        connection.begin_request()

    async def receive(self) -> Message:
        """Returns the next piece of the body; closes the connection if it is overdue."""
        if self._has_all:
            return await self._receive()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self._connection.await_body()
        try:
            async with asyncio.timeout(self._timeout_s()):
                message = await self._receive()
        except TimeoutError:
            self._connection.close()
            return {"type": "http.disconnect"}
        self._connection.receive_body()
        self._waited_s += loop.time() - began_s
        self._received_bytes += len(message.get("body", b""))
        self._has_all = not message.get("more_body", False)
        return message

    def _timeout_s(self) -> float:
        limits = self._deadlines
        in_all_s = limits.body_grace_s + self._received_bytes / limits.body_bytes_per_s
        return max(0.0, min(limits.body_s, in_all_s - self._waited_s))

    async def send(self, message: Message) -> None:
        """Sends a piece of the response."""
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last:
            self.end()
        await self._send(message)

    def end(self) -> None:
        """Marks the request as answered or abandoned."""
        if not self._is_over:
            self._is_over = True
            self._connection.end_request()
