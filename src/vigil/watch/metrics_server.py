"""A small HTTP server for metrics that no number of connections and no slow client can wear out.

One thread serves all; a connection asks once, within seconds, in a few kilobytes. When all places are taken, the one
that has waited longest makes room, so that a scrape, which asks at once, is always answered.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.headers import Headers

from prometheus_client import CollectorRegistry, make_wsgi_app

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 128
CONNECTION_S = 5.0
"""A connection's whole time, from its opening to the last byte of its answer."""

HEAD_BYTES = 8192
BACKLOG = 32
"""So many are let in at a time: fewer than there are places, or who has just come would go before it was heard."""

END_OF_HEAD = b"\r\n\r\n"


class MetricsServer:
    """Answers every GET with the metrics of a registry, from `start` to the end of the program or `stop`."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        most_connections: int = MOST_CONNECTIONS,
        connection_s: float = CONNECTION_S,
    ) -> None:
        self._app = make_wsgi_app(registry)
        self._most_connections = most_connections
        self._connection_s = connection_s
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, port: int, *, host: str) -> int:
        """Begins to listen, in a thread of its own; returns the port. Raises OSError when it is taken."""
        listener = socket.create_server((host, port), backlog=BACKLOG)
        # Where a port is chosen, somebody may want to know which it is.
        chosen: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen(listener)), name="metrics", daemon=True)
        self._thread.start()
        return chosen

    def stop(self) -> None:
        """Closes every connection and ends the thread."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    async def _listen(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        async with await asyncio.start_server(self._serve, sock=listener, limit=HEAD_BYTES, backlog=BACKLOG):
            await self._over.wait()
            for writer in self._open:
                writer.transport.abort()
            while self._open:
                await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: it asks, is answered, and ends."""
        self._make_room()
        self._open[writer] = None
        try:
            async with asyncio.timeout(self._connection_s):
                writer.write(await self._answer_to(reader))
                # Who has asked goes behind those who wait without having asked.
                self._open[writer] = self._open.pop(writer, None)
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            log.debug("a connection for metrics ended unanswered: %r", error)
        finally:
            # One that does not take its answer would stay for ever.
            writer.transport.abort()
            self._open.pop(writer, None)

    async def _answer_to(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(END_OF_HEAD)
        except asyncio.LimitOverrunError:
            return _refusal("431 Request Header Fields Too Large")
        return self._answer(head.decode("latin-1"))

    def _make_room(self) -> None:
        while len(self._open) >= self._most_connections:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()

    def _answer(self, head: str) -> bytes:
        first, *lines = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _refusal("400 Bad Request")
        if words[0] not in ("GET", "HEAD"):
            return _refusal("405 Method Not Allowed")
        headers = Headers([(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)])
        path, _, query = words[1].partition("?")
        told: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, fields: list[tuple[str, str]], *_: Any) -> None:
            told.append((status, fields))

        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "HTTP_ACCEPT": headers.get("Accept") or "",
            "HTTP_ACCEPT_ENCODING": headers.get("Accept-Encoding") or "",
        }
        body = b"".join(self._app(environ, start_response))
        (status, fields) = told[0]
        return _message(status, fields, b"" if words[0] == "HEAD" else body, length=len(body))


def _refusal(status: str) -> bytes:
    return _message(status, [], b"", length=0)


def _message(status: str, fields: Iterable[tuple[str, str]], body: bytes, *, length: int) -> bytes:
    head = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields)]
    head += [f"Content-Length: {length}", "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + body
