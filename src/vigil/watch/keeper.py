"""The keeper: one thread that writes what the watch finds into the store, and loses nothing while the disk is full.

An event is in the store before `event` returns True. When the store cannot be written to, or takes long, events wait
in memory, are counted and shown, and are written as soon as there is room again; the watch, and its alarms, go on.
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
from vigil.events.identifier import new_id
from vigil.events.judged import Judged
from vigil.store import Store
from vigil.store.retention import Retention, prune

log = logging.getLogger(__name__)

RETRY_S = 5.0
FLUSH_S = 1.0
PRUNE_S = 300.0
PATIENCE_S = 2.0
"""How long an alarm waits to be on disk before it goes out: a write takes milliseconds, a lock may take for ever."""

MOST_WAITING = 20_000
"""Verdicts held while the store is away: about three hours of one camera; older ones are counted as lost."""


class Keeper:
    """Writes events at once and verdicts in batches, in a thread of its own."""

    def __init__(self, store: Store) -> None:
        self.trouble = ""
        self.losses = 0
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._sessions: dict[str, str] = {}
        self._beginnings: dict[str, Callable[[], None]] = {}
        self._verdicts: deque[tuple[str, Judged]] = deque()
        self._events: dict[str, tuple[str, Event]] = {}
        self._saving: set[asyncio.Task[bool]] = set()
        self._failed_at_s = 0.0

    @property
    def waiting(self) -> int:
        """Events that are not in the store yet because it cannot be written to."""
        return len(self._events)

    async def event(self, event: Event) -> bool:
        """Writes an event; False when it has to wait in memory, which is known within `PATIENCE_S`."""
        saving = self.event_soon(event)
        if saving is None:
            return False
        done, _ = await asyncio.wait([saving], timeout=PATIENCE_S)
        if not done:
            self._failed(f"it takes longer than {PATIENCE_S:g} s to write to it")
        return bool(done) and saving.result()

    def event_soon(self, event: Event) -> "asyncio.Task[bool] | None":
        """Begins to write an event; None while the store is in trouble, where it waits for `flush_for_ever`."""
        self._events[event.id] = (self._sessions.get(event.source, ""), event)
        if self.trouble:
            return None
        saving = asyncio.create_task(self._run(self._save_events))
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        return saving

    def verdict(self, judged: Judged) -> None:
        """Remembers a verdict for the next batch."""
        self._verdicts.append((self._sessions.get(judged.source, ""), judged))
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
        """Deletes at once, and now and then, what retention says is too old or too much, until cancelled."""
        while True:
            try:
                # Not in the keeper's own thread: no event should wait behind thousands of old files.
                await asyncio.to_thread(prune, self._store, retention)
            except StoreError as error:
                log.warning("old media could not be deleted: %s", error)
            await asyncio.sleep(PRUNE_S)

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
        session = self._sessions[source] = new_id()

        def write() -> None:
            if self._store.claim(source):
                for event in self._store.recover(source):
                    log.warning("%s: closed event %s, which was open when the watcher stopped", source, event.id)
            else:
                log.warning("%s is being watched into this store already; its open events are left alone", source)
            self._store.start_session(
                source=source, session_id=session, epoch_s=epoch_s, model=model, task=task, contract=contract
            )

        # It waits with the rest when the store cannot be written to: what follows belongs to this watch, not the last.
        self._beginnings[session] = write
        await self._run(self._save_beginnings)

    async def end(self, source: str, *, because: str) -> None:
        """Writes that the watch of a source is over."""

        def write() -> None:
            self._save_beginnings()
            self._store.end_session(source, because=because)

        await self._run(write)

    async def _run(self, write: Callable[[], None]) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, write)
        except StoreError as error:
            self._failed(str(error))
            return False
        self._works()
        return True

    def _save_beginnings(self) -> None:
        for session, write in list(self._beginnings.items()):
            write()
            del self._beginnings[session]

    def _save_events(self) -> None:
        self._save_beginnings()
        for session, event in list(self._events.values()):
            self._store.save_event(event, session=session)
            if self._events.get(event.id) == (session, event):
                del self._events[event.id]

    def _save_verdicts(self) -> None:
        self._save_beginnings()
        batch: list[tuple[str, Judged]] = []
        with suppress(IndexError):
            while True:
                batch.append(self._verdicts.popleft())
        sessions = [session for session, _ in batch]
        try:
            self._store.add_verdicts([judged for _, judged in batch], sessions=sessions if all(sessions) else ())
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
