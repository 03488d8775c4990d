"""The connections that visitors hold: counted as they are accepted, and closed when they owe something for too long.

A connection is in one of three states: its client owes the head of a request, a request runs, or it rests between two.

How many files and sockets this process may hold open, and the share of them that its visitors may take.

The cameras, the store and the endpoint are reached from the same process: what visitors hold must never be all of it.
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

from app.trusted_proxies import TrustedProxies, address_group
from vigil.errors import UsageError

log = logging.getLogger(__name__)


ENOUGH = 65_536
"""A higher limit helps nobody, and some programs that inherit it look at every descriptor up to it."""

MOST_CONNECTIONS = 512
SHARE = 4
"""Visitors' connections take a quarter of the descriptors at the most: each may open a file and a socket more."""

ADDRESS_SHARE = 4
NO_PROXIES = TrustedProxies()
FEWEST_PER_ADDRESS = 12
"""Two browsers with the six connections that each opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections are held, in all and from one address; those of `trusted` proxies count in all only."""

    in_all: int = MOST_CONNECTIONS
    per_address: int = MOST_CONNECTIONS // ADDRESS_SHARE
    trusted: TrustedProxies = NO_PROXIES


def raise_limit() -> int:
    """Raises the limit of open files as far as it goes and helps; returns what holds then."""
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
    """The limits that leave the watch its descriptors, unless fewer are asked for.

    Raises UsageError for limits that are no limits, or that would take more than the share.
    """
    share = max(1, descriptors // SHARE)
    most = min(MOST_CONNECTIONS, share) if in_all is None else in_all
    if not 1 <= most <= share:
        raise UsageError(
            f"--connections {most}: choose 1 to {share}, a quarter of the {descriptors} files and sockets that this "
            "process may hold open (ulimit -n); the cameras need the others"
        )
    each = min(most, max(FEWEST_PER_ADDRESS, most // ADDRESS_SHARE)) if per_address is None else per_address
    if not 1 <= each <= most:
        raise UsageError(f"--connections-per-address {each}: choose 1 to {most}, which is the limit in all")
    return ConnectionLimits(in_all=most, per_address=each, trusted=trusted)


TELL_EVERY_S = 60.0
ENOUGH_FOR_A_HEAD_S = 1.0
ENOUGH_FOR_A_PIECE_S = 5.0
"""Where there is no room, who has owed the head of a request, or has rested, for longer makes way for who comes; so
does who has owed a piece of a body for so long: a line that is slow sends something meanwhile."""

ACKED_BYTES = slice(120, 128)
"""Where Linux tells in TCP_INFO how many bytes the other side has acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long a client may owe: the whole head of a request, more of a body, a byte of an answer read.

    A body has `body_s` between two pieces, and as a whole `body_grace_s` plus a second for each `body_bytes_per_s`.
    """

    head_s: float = 10.0
    body_s: float = 30.0
    body_grace_s: float = 60.0
    body_bytes_per_s: int = 1024
    read_s: float = 60.0
    look_every_s: float = 1.0


@dataclass(eq=False, slots=True)
class Connection:
    """One connection; `close` ends it at once. `owes_head_s` is since when the head of a request is owed, `owes_body_s`
    the next piece of its body, `rests_s` since when it rests between two requests.
    """

    group: str
    close: Callable[[], None]
    owes_head_s: float | None
    clock: Callable[[], float] = time.monotonic
    owes_body_s: float | None = None
    rests_s: float | None = None
    requests: int = 0
    transport: asyncio.Transport | None = None
    unread_s: float | None = None
    taken_bytes: int = field(default=-1)

    def open(self, transport: asyncio.Transport) -> None:
        """From now on it is closed through asyncio's transport."""
        self.transport, self.close = transport, transport.abort

    def begin_request(self) -> None:
        """The head of a request is complete."""
        self.requests += 1
        self.owes_head_s = self.rests_s = None

    def end_request(self) -> None:
        """An answer is complete."""
        self.requests -= 1
        self.owes_body_s = None
        self.rests_s = self.clock()

    def await_body(self) -> None:
        """The pages wait for the next piece of a body."""
        self.owes_body_s = self.clock()

    def receive_body(self) -> None:
        """It has come."""
        self.owes_body_s = None

    def idle_s(self, now_s: float) -> float:
        """For how long it has been the client's turn beyond what that takes; below 0 for one that has to stay."""
        if self.owes_body_s is not None:
            return now_s - self.owes_body_s - ENOUGH_FOR_A_PIECE_S
        if self.requests > 0:
            return -1.0
        since_s = self.owes_head_s if self.owes_head_s is not None else self.rests_s
        return -1.0 if since_s is None else now_s - since_s - ENOUGH_FOR_A_HEAD_S

    def receive(self, now_s: float) -> None:
        """Something came: the beginning of the next head, unless a request runs."""
        if self.requests == 0 and self.owes_head_s is None:
            self.owes_head_s = now_s

    def is_overdue(self, deadlines: Deadlines, now_s: float) -> bool:
        """Whether the client has owed a head, or has read nothing of an answer, for too long."""
        if self.owes_head_s is not None and now_s - self.owes_head_s > deadlines.head_s:
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
    """A number that changes when the other side takes more of an answer."""
    held: socket.socket = transport.get_extra_info("socket")
    try:
        info = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, ACKED_BYTES.stop)
    except (AttributeError, OSError):
        info = b""
    if len(info) < ACKED_BYTES.stop:
        return transport.get_write_buffer_size()
    return int.from_bytes(info[ACKED_BYTES], sys.byteorder)


class Connections:
    """All that are held. Used in the thread of the event loop only, in which it looks for those that are overdue."""

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
        self._held: dict[int, Connection] = {}
        self._by_group: Counter[str] = Counter()
        self._looking: asyncio.TimerHandle | None = None
        self._refused = 0
        self._told_s = float("-inf")

    def __len__(self) -> int:
        return len(self._held)

    def admit(self, address: str, fileno: int, close: Callable[[], None]) -> bool:
        """Counts a connection that was accepted; False when there are enough, and it must be closed at once."""
        group = address_group(address)
        if not self._has_room(address, group):
            return False
        self._held[fileno] = Connection(group, close, owes_head_s=self._clock(), clock=self._clock)
        self._by_group[group] += 1
        self._look_later()
        return True

    def _has_room(self, address: str, group: str) -> bool:
        is_trusted = address in self.limits.trusted
        if not is_trusted and self._by_group[group] >= self.limits.per_address:
            self.refuse(f"{group} holds the {self.limits.per_address} that one address may")
            return False
        if len(self._held) >= self.limits.in_all and not self._make_room():
            self.refuse(f"visitors hold the {self.limits.in_all} that there may be in all")
            return False
        return True

    def _make_room(self) -> bool:
        """Closes the connection whose client has been silent the longest when it was its turn; False where none has."""
        now_s = self._clock()
        idle_s, fileno = max(((each.idle_s(now_s), fileno) for fileno, each in self._held.items()), default=(-1.0, -1))
        if idle_s <= 0:
            return False
        self._held[fileno].close()
        self.release(fileno)
        return True

    def refuse(self, why: str) -> None:
        """Counts one that was closed at once; the log tells of them once a minute."""
        self._refused += 1
        now_s = self._clock()
        if now_s - self._told_s < TELL_EVERY_S:
            return
        log.warning("connections closed as soon as they came: %d; %s", self._refused, why)
        self._told_s, self._refused = now_s, 0

    def release(self, fileno: int) -> None:
        """A connection that was counted is closed."""
        gone = self._held.pop(fileno, None)
        if gone is None:
            return
        self._by_group[gone.group] -= 1
        if self._by_group[gone.group] <= 0:
            del self._by_group[gone.group]

    def of(self, transport: asyncio.Transport) -> Connection | None:
        """What is held through a transport."""
        return self._held.get(transport.get_extra_info("socket").fileno())

    def receive(self, connection: Connection) -> None:
        """Something came from this client."""
        connection.receive(self._clock())

    def close_overdue(self) -> int:
        """Closes every connection whose client owes something for too long; returns how many."""
        now_s = self._clock()
        overdue = [each for each in self._held.values() if each.is_overdue(self.deadlines, now_s)]
        for each in overdue:
            each.close()
        return len(overdue)

    def _look_later(self) -> None:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(self.deadlines.look_every_s, self._look)

    def _look(self) -> None:
        self._looking = None
        self.close_overdue()
        if self._held:
            self._look_later()
