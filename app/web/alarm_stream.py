"""Delivers alarms to every open page, whichever tab it shows, including alarms raised while it was disconnected.

A page requests `alarms/LANGUAGE?seen=CURSOR` (`scripts/notify.js`). The response comes as soon as there is an alarm
after the cursor, or when the request times out; a waiting request costs one sleeping task and no thread. With
`Accept: text/event-stream` the same route sends server-sent events, each with the sequence number of its change.

Alarms are read from the store's change log (docs/events.md), so alarms of other processes are delivered too. Alarms
that could not be stored (without a store, all of them) come from this process's watcher and are kept in memory.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from vigil.events import Event, EventChange
from vigil.store import Store, StoredChange
from vigil.watch import WatchObserver

from .alarm_log import AlarmLog

log = logging.getLogger(__name__)

POLL_S = 1.0
"""How often the change log is polled for alarms of other processes, once for all pages."""

KEPT = 8
"""The most alarms kept in memory for pages that reconnect."""

LATE_S = 60.0
"""An alarm delivered this long after it was stored is marked `late`."""


@dataclass(frozen=True, slots=True)
class StreamedAlarm:
    """An event that was opened or raised, as it is sent to pages. `key` is `SCOPE.NUMBER` and identifies the alarm.

    `late` is True if an earlier watcher was killed before it announced the event, or the page was disconnected.
    `sequence` is the number in the change log, or None if the alarm is not in it.
    """

    number: int
    event: Event
    late: bool
    key: str = ""
    sequence: int | None = None


class AlarmStream(WatchObserver):
    """Numbers the alarms of a watcher and wakes the requests that wait for one; `on_change` is thread-safe.

    A page's position is a cursor of `SCOPE.NUMBER` pairs: one for the store's change log, whose scope is stable across
    restarts, and one for the alarms that this process keeps in memory.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._start = secrets.token_hex(4)
        self._log = AlarmLog(store)
        self._alarms: deque[StreamedAlarm] = deque(maxlen=KEPT)
        self._number = 0
        self._newest = self._log.newest()
        self._polled_s = time.monotonic()
        self._unstored: set[tuple[str, str]] = set()
        self._late: set[int] = set()
        self._lock = threading.Lock()
        self._waiting: set[Callable[[], object]] = set()

    @property
    def now(self) -> str:
        """The cursor of a page that has received every alarm; it changes with every alarm and every restart."""
        return self._cursor(self._log.beginning())

    @property
    def waiting(self) -> int:
        """The number of requests that wait for an alarm."""
        return len(self._waiting)

    def on_change(self, change: EventChange) -> None:
        if change.kind not in {"opened", "raised"}:
            return
        with self._lock:
            if change.sequence is None or not self._log.scope:
                self._keep(change)
            else:
                self._newest = max(self._newest, change.sequence)
                self._late |= {change.sequence} if change.late else set()
            waiting = list(self._waiting)
        for wake in waiting:
            wake()

    def _keep(self, change: EventChange) -> None:
        self._number += 1
        # It may be stored later and then appears in the log too; no page must get it twice.
        self._unstored.add((change.event.id, change.kind))
        self._alarms.append(StreamedAlarm(self._number, change.event, change.late, key=f"{self._start}.{self._number}"))

    def since(self, cursor: str) -> tuple[str, list[StreamedAlarm]]:
        """Returns the new cursor and the alarms after a cursor; no alarms if `cursor` is empty (a new page).

        A cursor from before a restart yields every alarm since the restart; with a position in the change log, every
        alarm after that position. Reads the store, so call it in a thread, not in the event loop.
        """
        if not cursor:
            return self.now, []
        positions = _parse_cursor(cursor)
        upto, stored = self._log.after(positions.get(self._log.scope))
        with self._lock:
            self._newest = max(self._newest, upto)
            kept = [alarm for alarm in self._alarms if alarm.number > positions.get(self._start, 0)]
            logged = [self._alarm(each) for each in stored if (each.event_id, each.kind) not in self._unstored]
            return self._cursor(upto), [*logged, *kept]

    def cursor_at(self, sequence: str) -> str:
        """Returns the cursor of a page that has read the log up to `sequence`; that of a new page if it is invalid."""
        if not self._log.scope or not sequence.isdecimal() or len(sequence) > len(str(2**63)):
            return self.now
        return self._cursor(int(sequence))

    async def wait(self, cursor: str, *, hold_s: float) -> None:
        """Waits until there is an alarm after the cursor, for at most `hold_s` seconds."""
        woken, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        with self._lock:
            if self._has_alarm(cursor):
                return
            self._waiting.add(wake)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(hold_s):
                    await self._wait_for_alarm(cursor, woken)
        finally:
            with self._lock:
                self._waiting.discard(wake)

    async def _wait_for_alarm(self, cursor: str, woken: asyncio.Event) -> None:
        while not woken.is_set() and not self._has_alarm(cursor):
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S if self._log.scope else None):
                    await woken.wait()
            await self._poll()

    async def _poll(self) -> None:
        """Polls the change log for alarms of other processes, once for all waiting requests."""
        now_s = time.monotonic()
        if not self._log.scope or now_s - self._polled_s < POLL_S / 2:
            return
        self._polled_s = now_s
        newest = await asyncio.to_thread(self._log.newest)
        with self._lock:
            self._newest = max(self._newest, newest)

    def _has_alarm(self, cursor: str) -> bool:
        positions = _parse_cursor(cursor)
        if self._log.scope and positions.get(self._log.scope, -1) < self._newest:
            return True
        return positions.get(self._start, -1) < self._number

    def _cursor(self, upto: int) -> str:
        stored = f"{self._log.scope}.{upto}." if self._log.scope else ""
        return f"{stored}{self._start}.{self._number}"

    def _alarm(self, change: StoredChange) -> StreamedAlarm:
        age_s = time.time() - datetime.fromisoformat(change.written_utc).timestamp()
        late = change.sequence in self._late or age_s > LATE_S
        key = f"{self._log.scope}.{change.sequence}"
        return StreamedAlarm(change.sequence, change.event, late, key=key, sequence=change.sequence)


def _parse_cursor(cursor: str) -> Mapping[str, int]:
    """Parses a cursor into the last received number by scope; malformed pairs are ignored."""
    parts = cursor.split(".")
    pairs = zip(parts[::2], parts[1::2], strict=False)
    return {scope: int(number) for scope, number in pairs if number.isdecimal() and len(number) <= len(str(2**63))}
