"""Connections of visitors: counted when accepted, limited in number, and closed when the client is overdue.

A connection is in one of three states: waiting for the head of a request, busy with a request, or idle between two.
The cameras, the store and the endpoint are reached from the same process, so visitors may only use a share of its file
descriptors.
"""

import asyncio
import logging
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from vigil.errors import UsageError

from ..trusted_proxies import TrustedProxies, address_group

log = logging.getLogger(__name__)


ENOUGH = 65_536
"""The limit of open files is raised to this at most: some child processes look at every descriptor up to it."""

MOST_CONNECTIONS = 1024
SHARE = 4
"""Visitors get a quarter of the descriptors at most: each connection may open a file and another socket."""

ADDRESS_SHARE = 4
NO_PROXIES = TrustedProxies()
FEWEST_PER_ADDRESS = 12
"""Two browsers with the six connections that each opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The number of connections in all and per address; addresses in `trusted` (proxies) have no limit of their own."""

    in_all: int = MOST_CONNECTIONS
    per_address: int = MOST_CONNECTIONS // ADDRESS_SHARE
    trusted: TrustedProxies = NO_PROXIES


def raise_limit() -> int:
    """Raises the limit of open files as far as allowed and useful; returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY:
        return ENOUGH
    if soft < wished:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wished, hard))
    return max(soft, wished)


def connection_limits(
    descriptors: int,
    *,
    in_all: int | None = None,
    per_address: int | None = None,
    trusted: TrustedProxies = NO_PROXIES,
) -> ConnectionLimits:
    """Computes limits that leave the watch enough descriptors, or takes smaller ones that were asked for.

    Raises UsageError if a limit is not positive or exceeds the share.
    """
    share = max(1, descriptors // SHARE)
    most = min(MOST_CONNECTIONS, share) if in_all is None else in_all
    if not 1 <= most <= share:
        raise UsageError(
            f"--connections {most}: choose 1 to {share}, a quarter of the {descriptors} files and sockets that this "
            "process may open (ulimit -n); the cameras need the others"
        )
    each = min(most, max(FEWEST_PER_ADDRESS, most // ADDRESS_SHARE)) if per_address is None else per_address
    if not 1 <= each <= most:
        raise UsageError(f"--connections-per-address {each}: choose 1 to {most}, the limit in total")
    return ConnectionLimits(in_all=most, per_address=each, trusted=trusted)


LOG_EVERY_S = 60.0
ENOUGH_FOR_A_HEAD_S = 1.0
ENOUGH_FOR_A_PIECE_S = 5.0
"""At the limit, the connection that has been idle, or without a complete request head, for longest is evicted, if for
longer than its grace period. So is one that has sent nothing of a body for this long: even a slow line sends something
in that time."""

ACKED_BYTES = slice(120, 128)
"""Where Linux's TCP_INFO has the number of bytes that the client has acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a client may take: for the head of a request, for more of a body, to read any of a response.

    A body has `body_s` between two pieces, and `body_grace_s` plus one second per `body_bytes_per_s` in all.
    """

    head_s: float = 10.0
    body_s: float = 30.0
    body_grace_s: float = 60.0
    body_bytes_per_s: int = 1024
    read_s: float = 60.0
    check_every_s: float = 1.0


@dataclass(eq=False, slots=True)
class Connection:
    """One connection; `close` ends it at once.

    Times or None: `head_awaited_since_s` and `body_awaited_since_s`, when the server began to wait for a request head
    or a piece of a body, and `idle_since_s`, when the last response was complete.
    """

    group: str
    close: Callable[[], None]
    head_awaited_since_s: float | None
    clock: Callable[[], float] = time.monotonic
    body_awaited_since_s: float | None = None
    idle_since_s: float | None = None
    requests: int = 0
    transport: asyncio.Transport | None = None
    unread_s: float | None = None
    taken_bytes: int = field(default=-1)

    def open(self, transport: asyncio.Transport) -> None:
        """From now on, `close` aborts asyncio's transport."""
        self.transport, self.close = transport, transport.abort

    def begin_request(self) -> None:
        """The head of a request is complete."""
        self.requests += 1
        self.head_awaited_since_s = self.idle_since_s = None

    def end_request(self) -> None:
        """A response is complete."""
        self.requests -= 1
        self.body_awaited_since_s = None
        self.idle_since_s = self.clock()

    def await_body(self) -> None:
        """The pages start waiting for a piece of a body."""
        self.body_awaited_since_s = self.clock()

    def receive_body(self) -> None:
        """The awaited piece has arrived."""
        self.body_awaited_since_s = None

    def idle_s(self, now_s: float) -> float:
        """Seconds the client has been idle beyond its grace period; negative if the connection must not be evicted."""
        if self.body_awaited_since_s is not None:
            return now_s - self.body_awaited_since_s - ENOUGH_FOR_A_PIECE_S
        if self.requests > 0:
            return -1.0
        since_s = self.head_awaited_since_s if self.head_awaited_since_s is not None else self.idle_since_s
        return -1.0 if since_s is None else now_s - since_s - ENOUGH_FOR_A_HEAD_S

    def receive(self, now_s: float) -> None:
        """Bytes have arrived: the start of the next request head, unless a request is running."""
        if self.requests == 0 and self.head_awaited_since_s is None:
            self.head_awaited_since_s = now_s

    def is_overdue(self, deadlines: Deadlines, now_s: float) -> bool:
        """Whether the client exceeds a deadline, for a request head or for reading a response."""
        if self.head_awaited_since_s is not None and now_s - self.head_awaited_since_s > deadlines.head_s:
            return True
        return self._unread_for_s(now_s) > deadlines.read_s

    def _unread_for_s(self, now_s: float) -> float:
        if self.transport is None or self.transport.get_write_buffer_size() == 0:
            self.unread_s = None
            return 0.0
        taken_bytes = _taken_bytes(self.transport)
        if self.unread_s is None or taken_bytes != self.taken_bytes:
            self.unread_s, self.taken_bytes = now_s, taken_bytes
        return now_s - self.unread_s


def _taken_bytes(transport: asyncio.Transport) -> int:
    """A number that changes when the client takes more of a response."""
    client: socket.socket = transport.get_extra_info("socket")
    try:
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKED_BYTES.stop)
    except (AttributeError, OSError):
        info = b""
    if len(info) < ACKED_BYTES.stop:
        return transport.get_write_buffer_size()
    return int.from_bytes(info[ACKED_BYTES], sys.byteorder)


class Connections:
    """All open connections. Used from the event loop's thread only, where a timer closes overdue ones."""

    def __init__(
        self,
        limits: ConnectionLimits,
        deadlines: Deadlines | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.deadlines = deadlines or Deadlines()
        self._clock = clock
        self._open: dict[int, Connection] = {}
        self._by_group: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._refused = 0
        self._logged_s = float("-inf")

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, address: str, fileno: int, close: Callable[[], None]) -> bool:
        """Counts an accepted connection; returns False if the limit is reached and the caller must close it."""
        group = address_group(address)
        if not self._has_room(address, group):
            return False
        self._open[fileno] = Connection(group, close, head_awaited_since_s=self._clock(), clock=self._clock)
        self._by_group[group] += 1
        self._schedule_check()
        return True

    def _has_room(self, address: str, group: str) -> bool:
        is_trusted = address in self.limits.trusted
        if not is_trusted and self._by_group[group] >= self.limits.per_address:
            self.refuse(f"{group} has reached the limit of {self.limits.per_address} per address")
            return False
        if len(self._open) >= self.limits.in_all and not self._make_room():
            self.refuse(f"the limit of {self.limits.in_all} in total is reached")
            return False
        return True

    def _make_room(self) -> bool:
        """Evicts the connection that has been idle for longest; returns False if there is none."""
        now_s = self._clock()
        idle_s, fileno = max(((each.idle_s(now_s), fileno) for fileno, each in self._open.items()), default=(-1.0, -1))
        if idle_s <= 0:
            return False
        self._open[fileno].close()
        self.release(fileno)
        return True

    def refuse(self, why: str) -> None:
        """Counts a connection that was closed at once; logs the count once a minute."""
        self._refused += 1
        now_s = self._clock()
        if now_s - self._logged_s < LOG_EVERY_S:
            return
        log.warning("connections refused: %d; %s", self._refused, why)
        self._logged_s, self._refused = now_s, 0

    def release(self, fileno: int) -> None:
        """A counted connection is closed."""
        released = self._open.pop(fileno, None)
        if released is None:
            return
        self._by_group[released.group] -= 1
        if self._by_group[released.group] <= 0:
            del self._by_group[released.group]

    def of(self, transport: asyncio.Transport) -> Connection | None:
        """The connection of a transport."""
        return self._open.get(transport.get_extra_info("socket").fileno())

    def receive(self, connection: Connection) -> None:
        """Bytes have arrived from this client."""
        connection.receive(self._clock())

    def close_overdue(self) -> int:
        """Closes every overdue connection; returns their number."""
        now_s = self._clock()
        overdue = [each for each in self._open.values() if each.is_overdue(self.deadlines, now_s)]
        for each in overdue:
            each.close()
        return len(overdue)

    def _schedule_check(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.deadlines.check_every_s, self._check)

    def _check(self) -> None:
        self._timer = None
        self.close_overdue()
        if self._open:
            self._schedule_check()
