"""A listening socket that closes at once what is above the limits, before anything is spent on it.

asyncio accepts without a limit, and at the limit of open files writes the same error thousands of times a second.
"""

import contextlib
import errno
import os
import socket
from typing import Any

from app.http.connections import Connections
from vigil.errors import UsageError

REFUSED_AT_ONCE = 64
"""So many are closed in one go, then others have their turn."""

OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class CountedSocket(socket.socket):
    """The socket of one visitor, counted as long as it is open."""

    def __init__(self, accepted: socket.socket, connections: Connections) -> None:
        self._connections = connections
        self._number = accepted.fileno()
        super().__init__(fileno=accepted.detach())

    def close(self) -> None:
        """Closes it; it counts no longer."""
        self._connections.release(self._number)
        super().close()

    def hang_up(self) -> None:
        """Ends it both ways, so that whoever reads it learns of its end."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


class Listener(socket.socket):
    """A listening socket whose `accept` returns only connections that `connections` has room for.

    It holds one descriptor in reserve, to accept and close a connection with when there is none left.
    """

    def __init__(self, connections: Connections, *, family: int = socket.AF_INET) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._connections = connections
        self._reserve: int | None = _open_reserve()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that there is room for; BlockingIOError when none waits."""
        for _ in range(REFUSED_AT_ONCE):
            accepted, address = self._next()
            counted = CountedSocket(accepted, self._connections)
            if self._connections.admit(str(address[0]), counted.fileno(), counted.hang_up):
                return counted, address
            counted.close()
        raise BlockingIOError(errno.EAGAIN, "others have their turn")

    def close(self) -> None:
        """Listens no longer."""
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
        """Frees the reserve to accept the next connection, and closes that: unaccepted it would be told of forever."""
        self._give_up_reserve()
        with contextlib.suppress(OSError):
            super().accept()[0].close()
            self._connections.refuse("this process holds all the files and sockets that it may (ulimit -n)")
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
    """A listener for every address that the host's name has; raises UsageError where that is not possible."""
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
