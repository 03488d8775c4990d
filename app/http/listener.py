"""A listening socket that closes connections over the limit at once, before anything is allocated for them.

asyncio accepts without a limit, and logs the same error thousands of times a second when descriptors run out.
"""

import contextlib
import errno
import os
import socket
from typing import Any

from vigil.errors import UsageError

from .connections import Connections

REFUSED_AT_ONCE = 64
"""The number of connections that one `accept` closes before it returns to the event loop."""

OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class CountedSocket(socket.socket):
    """The socket of one visitor, counted while it is open."""

    def __init__(self, accepted: socket.socket, connections: Connections) -> None:
        self._connections = connections
        self._number = accepted.fileno()
        super().__init__(fileno=accepted.detach())

    def close(self) -> None:
        """Closes the socket and releases its count."""
        self._connections.release(self._number)
        super().close()

    def hang_up(self) -> None:
        """Shuts down both directions, so that a pending read sees the end."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


class Listener(socket.socket):
    """A listening socket whose `accept` returns only connections within the limits of `connections`.

    It reserves one descriptor, so that it can accept and close a connection when none is left.
    """

    def __init__(self, connections: Connections, *, family: int = socket.AF_INET) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._connections = connections
        self._reserve: int | None = _open_reserve()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection within the limits; raises BlockingIOError if there is none."""
        for _ in range(REFUSED_AT_ONCE):
            accepted, address = self._next()
            counted = CountedSocket(accepted, self._connections)
            if self._connections.admit(str(address[0]), counted.fileno(), counted.hang_up):
                return counted, address
            counted.close()
        raise BlockingIOError(errno.EAGAIN, "others have their turn")

    def close(self) -> None:
        """Stops listening."""
        self._give_up_reserve()
        super().close()

    def _next(self) -> tuple[socket.socket, Any]:
        self._reserve = _open_reserve() if self._reserve is None else self._reserve
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS or self._reserve is None:
                raise
        self._close_one()
        raise BlockingIOError(errno.EAGAIN, "no descriptor is left")

    def _close_one(self) -> None:
        """Accepts and closes the next connection by freeing the reserve: left pending, it would be reported forever."""
        self._give_up_reserve()
        with contextlib.suppress(OSError):
            super().accept()[0].close()
            self._connections.refuse("this process has no file descriptors left (ulimit -n)")
        self._reserve = _open_reserve()

    def _give_up_reserve(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None


def _open_reserve() -> int | None:
    with contextlib.suppress(OSError):
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return None


def listen(host: str, port: int, connections: Connections, *, backlog: int) -> list[Listener]:
    """Opens a listener for every address of a host name; raises UsageError if that fails."""
    listeners: list[Listener] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            listeners.append(_bound(Listener(connections, family=family), address, backlog=backlog))
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise UsageError(
            f"cannot listen on {host}:{port} ({error.strerror or error}); choose another address with --host and --port"
        ) from error
    return listeners


def _bound(listener: Listener, address: Any, *, backlog: int) -> Listener:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
