"""The bell of the site: every page hears of an alarm, whatever tab it shows, also of those while it was away.

A page asks `alarms/LANGUAGE?seen=WORD` (`scripts/notify.js`) and is answered as soon as there is an alarm that it has
not heard of, or after a while. Meanwhile it costs one sleeping task: no thread, no picture, nothing of the room. Asked
for `text/event-stream`, the same address sends the alarms as server-sent events, each with the number of its change.

Alarms are read from the store's log of changes (docs/events.md), so those of other processes ring here too. What could
not be stored, and where there is no store everything, comes from the watch of this process and is kept in memory.
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

from app.web.alarm_log import AlarmLog
from vigil.events import Event, EventChange
from vigil.store import Store, StoredChange
from vigil.watch import WatchObserver

log = logging.getLogger(__name__)

POLL_S = 1.0
"""How often the log is looked at for alarms of other processes, once for all pages."""

KEPT = 8
"""Alarms in memory that are told at once to a page which could not ask for a while."""

LATE_S = 60.0
"""An alarm that a page hears so long after it was stored is told as a late one."""


@dataclass(frozen=True, slots=True)
class StreamedAlarm:
    """An event that was raised; `key` is `SCOPE.NUMBER`, and a page has heard of all up to a number of each scope.

    It is `late` when an earlier watch was killed before it told of it, or the page was away. `sequence` is its number
    in the log of changes, None where it is not in there.
    """

    number: int
    event: Event
    late: bool
    key: str = ""
    sequence: int | None = None


class AlarmStream(WatchObserver):
    """Counts the alarms of a watch and wakes the pages that wait for one; `changed` may be called from any thread.

    What a page has seen is a word of pairs, `SCOPE.NUMBER` for the log of the store (the same at every start) and for
    what this start keeps in memory.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._start = secrets.token_hex(4)
        self._log = AlarmLog(store)
        self._alarms: deque[StreamedAlarm] = deque(maxlen=KEPT)
        self._number = 0
        self._newest = self._log.newest()
        self._looked_s = time.monotonic()
        self._unstored: set[tuple[str, str]] = set()
        self._late: set[int] = set()
        self._lock = threading.Lock()
        self._waiting: set[Callable[[], object]] = set()

    @property
    def now(self) -> str:
        """What a page has seen that was told everything; another word after every alarm and every start."""
        return self._word(self._log.beginning())

    @property
    def waiting(self) -> int:
        """How many pages wait for an alarm."""
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
        # Once it can be stored it is in the log too; who heard it from here is not to hear it again.
        self._unstored.add((change.event.id, change.kind))
        self._alarms.append(StreamedAlarm(self._number, change.event, change.late, key=f"{self._start}.{self._number}"))

    def since(self, seen: str) -> tuple[str, list[StreamedAlarm]]:
        """What has been seen after this, and the alarms that a page has not heard of; none for one that just opened.

        A page that was open before this start of the pages is told of every alarm since, one that has read the log
        before of all that came after. Reads the store: not for the loop.
        """
        if not seen:
            return self.now, []
        heard = _pairs(seen)
        upto, stored = self._log.after(heard.get(self._log.scope))
        with self._lock:
            self._newest = max(self._newest, upto)
            kept = [alarm for alarm in self._alarms if alarm.number > heard.get(self._start, 0)]
            told = [self._alarm(each) for each in stored if (each.event_id, each.kind) not in self._unstored]
            return self._word(upto), [*told, *kept]

    def seen_of(self, sequence: str) -> str:
        """The word of a page that has read the log up to a number; of one that just opened where it is none."""
        if not self._log.scope or not sequence.isdecimal() or len(sequence) > len(str(2**63)):
            return self.now
        return self._word(int(sequence))

    async def wait(self, seen: str, *, hold_s: float) -> None:
        """Returns when there is more than what was seen, at the latest after `hold_s`."""
        woken, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        with self._lock:
            if self._has_news(seen):
                return
            self._waiting.add(wake)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(hold_s):
                    await self._until_news(seen, woken)
        finally:
            with self._lock:
                self._waiting.discard(wake)

    async def _until_news(self, seen: str, woken: asyncio.Event) -> None:
        while not woken.is_set() and not self._has_news(seen):
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S if self._log.scope else None):
                    await woken.wait()
            await self._look()

    async def _look(self) -> None:
        """Looks for alarms of other processes, once for all pages that wait."""
        now_s = time.monotonic()
        if not self._log.scope or now_s - self._looked_s < POLL_S / 2:
            return
        self._looked_s = now_s
        newest = await asyncio.to_thread(self._log.newest)
        with self._lock:
            self._newest = max(self._newest, newest)

    def _has_news(self, seen: str) -> bool:
        heard = _pairs(seen)
        if self._log.scope and heard.get(self._log.scope, -1) < self._newest:
            return True
        return heard.get(self._start, -1) < self._number

    def _word(self, upto: int) -> str:
        stored = f"{self._log.scope}.{upto}." if self._log.scope else ""
        return f"{stored}{self._start}.{self._number}"

    def _alarm(self, change: StoredChange) -> StreamedAlarm:
        age_s = time.time() - datetime.fromisoformat(change.written_utc).timestamp()
        late = change.sequence in self._late or age_s > LATE_S
        key = f"{self._log.scope}.{change.sequence}"
        return StreamedAlarm(change.sequence, change.event, late, key=key, sequence=change.sequence)


def _pairs(seen: str) -> Mapping[str, int]:
    """The numbers that a page has heard up to, by scope; what is no such word is nothing."""
    parts = seen.split(".")
    pairs = zip(parts[::2], parts[1::2], strict=False)
    return {scope: int(number) for scope, number in pairs if number.isdecimal() and len(number) <= len(str(2**63))}
