"""The keeper: one thread that writes what the watch finds into the store, and loses nothing while the disk is full.

An event is in the store before `event` returns True. When the store cannot be written to, events wait in
memory, are counted and shown, and are written as soon as there is room again; the watch goes on.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from vigil.errors import StoreError
from vigil.events.event import Event
from vigil.events.judged import Judged
from vigil.store import Store
from vigil.store.retention import Retention, prune

log = logging.getLogger(__name__)

RETRY_S = 5.0
FLUSH_S = 1.0
PRUNE_S = 300.0
MOST_WAITING = 20_000
"""Verdicts held while the store is away: about three hours of one camera; older ones are counted as lost."""


class Keeper:
    """Writes events at once and verdicts in batches, in a thread of its own."""

    def __init__(self, store: Store) -> None:
        self.trouble = ""
        self.losses = 0
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._verdicts: deque[Judged] = deque()
        self._events: dict[str, Event] = {}
        self._failed_at_s = 0.0

    @property
    def waiting(self) -> int:
        """Events that are not in the store yet because it cannot be written to."""
        return len(self._events)

    async def event(self, event: Event) -> bool:
        """Writes an event; False when it has to wait in memory."""
        self._events[event.id] = event
        return await self._run(self._save_events)

    def verdict(self, judged: Judged) -> None:
        """Remembers a verdict for the next batch."""
        self._verdicts.append(judged)
        while len(self._verdicts) > MOST_WAITING:
            self._verdicts.popleft()
            self.losses += 1

    async def flush_for_ever(self) -> None:
        """Writes the batches, and what had to wait, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            if not self.trouble or time.monotonic() - self._failed_at_s >= RETRY_S:
                await self.flush()

    async def prune_for_ever(self, retention: Retention) -> None:
        """Deletes now and then what retention says is too old or too much, until cancelled."""
        while True:
            await asyncio.sleep(PRUNE_S)
            try:
                # Not in the keeper's own thread: no event should wait behind thousands of old files.
                await asyncio.to_thread(prune, self._store, retention)
            except StoreError as error:
                log.warning("old media could not be deleted: %s", error)

    async def flush(self) -> bool:
        """Writes everything that waits; False when the store cannot be written to."""
        return await self._run(self._save_events) and await self._run(self._save_verdicts)

    async def close(self) -> None:
        """Writes what waits, or counts it as lost."""
        if not await self.flush():
            self.losses += len(self._events) + len(self._verdicts)
            log.error("the store could not be written to: %d events and verdicts are lost", self.losses)
        self._thread.shutdown()

    async def begin(self, source: str, *, epoch_s: float | None, model: str, task: str, contract: str) -> None:
        """Writes that a watch of a source begins, and closes what an earlier one that was killed left open."""

        def write() -> None:
            for event in self._store.recover(source):
                log.warning("%s: closed event %s, which was open when the watcher stopped", source, event.id)
            self._store.start_session(source=source, epoch_s=epoch_s, model=model, task=task, contract=contract)

        await self._run(write)

    async def end(self, source: str, *, because: str) -> None:
        """Writes that the watch of a source is over."""
        await self._run(lambda: self._store.end_session(source, because=because))

    async def _run(self, write: Callable[[], None]) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, write)
        except StoreError as error:
            self._failed(str(error))
            return False
        self._works()
        return True

    def _save_events(self) -> None:
        for event in list(self._events.values()):
            self._store.save_event(event)
            if self._events.get(event.id) is event:
                del self._events[event.id]

    def _save_verdicts(self) -> None:
        batch: list[Judged] = []
        with suppress(IndexError):
            while True:
                batch.append(self._verdicts.popleft())
        try:
            self._store.add_verdicts(batch)
        except StoreError:
            self._verdicts.extendleft(reversed(batch))
            raise

    def _failed(self, why: str) -> None:
        self._failed_at_s = time.monotonic()
        if not self.trouble:
            log.error("the store cannot be written to: %s; watching goes on, events wait in memory", why)
        self.trouble = why

    def _works(self) -> None:
        if self.trouble:
            log.warning("the store can be written to again")
        self.trouble = ""
