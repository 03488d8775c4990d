"""The server of the pages at a real port, in a thread, with limits and deadlines that a test chooses."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from app.web.connections import Connections, Deadlines
from app.web.descriptors import ConnectionLimits
from app.web.listener import listen
from app.web.serve import BACKLOG, server
from starlette.types import ASGIApp

from pace import PACE

SHORT = Deadlines(head_s=0.3, body_s=0.3, body_grace_s=0.6, body_bytes_per_s=10_000, read_s=0.5, look_every_s=0.05)
WAIT_S = 20.0 * PACE
START_LINE = b"GET / HTTP/1.1\r\nHost: a\r\n"


@dataclass(frozen=True)
class Limited:
    """A server that runs: its port, and what it holds."""

    port: int
    connections: Connections

    def dial(self, *, source: str = "127.0.0.1") -> socket.socket:
        """A connection from an address of this machine."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S, source_address=(source, 0))

    def wait_until_held(self, number: int) -> None:
        """Waits until it holds so many connections."""
        until_s = time.monotonic() + WAIT_S
        while len(self.connections) != number:
            assert time.monotonic() < until_s, f"{len(self.connections)} are held, not {number}"
            time.sleep(0.01)


@contextmanager
def limited(
    app: ASGIApp, limits: ConnectionLimits | None = None, deadlines: Deadlines = SHORT, **options: Any
) -> Iterator[Limited]:
    """Serves an application while the block lasts; `options` are uvicorn's."""
    connections = Connections(limits or ConnectionLimits(), deadlines)
    (listener,) = listen("127.0.0.1", 0, connections, backlog=BACKLOG)
    running = server(app, connections=connections, lifespan="off", timeout_graceful_shutdown=1, **options)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Limited(listener.getsockname()[1], connections)
    finally:
        running.should_exit = True
        thread.join(WAIT_S)
        assert not thread.is_alive()


@contextmanager
def dialled(site: Limited, number: int, *, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many connections that say nothing."""
    with ExitStack() as stack:
        yield [stack.enter_context(site.dial(source=source)) for _ in range(number)]


def is_closed(client: socket.socket) -> bool:
    """Waits for what comes; True where that is the end."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def answer(client: socket.socket) -> bytes:
    """All that comes until the end."""
    told = b""
    try:
        while piece := client.recv(65536):
            told += piece
    except ConnectionError:
        pass
    return told


def get(client: socket.socket, path: str = "/") -> bytes:
    """Asks, and gives the whole answer."""
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    return answer(client)
