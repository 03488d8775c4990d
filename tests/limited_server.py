"""The server of the pages at a real port, in a thread, with limits and deadlines that a test chooses."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from app.http.connections import ConnectionLimits, Connections, Deadlines
from app.http.listener import listen
from app.server import BACKLOG, server
from starlette.types import ASGIApp

from waiting import HANG_S, SkippingLoop, until

LONG = Deadlines(head_s=50.0, body_s=50.0, body_grace_s=100.0, body_bytes_per_s=10, read_s=50.0, check_every_s=0.05)
"""No client of a test is so slow; a test that lets one be moves the server's clock."""

START_LINE = b"GET / HTTP/1.1\r\nHost: a\r\n"


@dataclass(frozen=True)
class Limited:
    """A server that runs: its port, and what it holds."""

    port: int
    connections: Connections
    loop: SkippingLoop

    def dial(self, *, source: str = "127.0.0.1") -> socket.socket:
        """A connection from an address of this machine."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=HANG_S, source_address=(source, 0))

    def wait_until_held(self, number: int) -> None:
        """Waits until it holds so many connections."""
        until(lambda: len(self.connections) == number)

    def skip_until_held(self, number: int, *, step_s: float) -> None:
        """Lets time pass in steps until it holds so many connections."""
        give_up = 100
        while len(self.connections) != number:
            assert (give_up := give_up - 1), f"{len(self.connections)} are held, not {number}"
            self.loop.skip(step_s)


@contextmanager
def limited(
    app: ASGIApp, limits: ConnectionLimits | None = None, deadlines: Deadlines = LONG, **options: Any
) -> Iterator[Limited]:
    """Serves an application while the block lasts; `options` are uvicorn's."""
    loop = SkippingLoop()
    connections = Connections(limits or ConnectionLimits(), deadlines, clock=loop.time)
    (listener,) = listen("127.0.0.1", 0, connections, backlog=BACKLOG)
    running = server(app, connections=connections, lifespan="off", timeout_graceful_shutdown=1, **options)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(running.serve(sockets=[listener]))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Limited(listener.getsockname()[1], connections, loop)
    finally:
        running.should_exit = True
        thread.join(HANG_S)
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
