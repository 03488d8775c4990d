"""Writes events, verdicts and sessions to the store from a single thread, and buffers them while it is unavailable.

`save_event` returns True once the event is durable. If the store fails or takes longer than `SAVE_TIMEOUT_S`, events
stay in memory, are counted and shown, and are retried every `RETRY_S`; watching and alerting go on. A row that the
database rejects for good is appended to `refused.jsonl` and counted, and does not block other writes.

The writer also records which changes were published, and publishes those that an earlier watcher stored but did not
publish. All buffers belong to the event loop; the writer thread gets copies, one batch at a time.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias, cast

from vigil.errors import RowRefused, StoreError
from vigil.events import ChangeKind, Event, EventChange, new_id
from vigil.observation import Observation
from vigil.store import REFUSED, CameraRecord, Store
from vigil.store.changes import TELLABLE, StoredChange, StoredKind
from vigil.store.retention import RetentionSettings, prune
from vigil.store.times import SteadyClock
from vigil.verdict import JudgedWindow
from vigil.watch.observation_buffer import ObservationBuffer
from vigil.watch.verdict_buffer import VerdictBuffer
from vigil.watch.write_queue import QueuedWrites, StoreWrite, WriteResult, write_all

log = logging.getLogger(__name__)

RETRY_S = 5.0
FLUSH_S = 0.25
PRUNE_S = 300.0
MOST_BEFORE_EVENT = 200
"""The most verdicts that are written before an event is."""

SAVE_TIMEOUT_S = 2.0
"""How long publishing an alarm waits for it to be durable: a write takes milliseconds, a lock may last forever."""

ReadCamera: TypeAlias = Callable[[], CameraRecord]
"""Reads the camera record of a source; may take some milliseconds, so it is called in the writer thread."""

ResumeRules: TypeAlias = Callable[[str], Collection[str]]
"""Takes a camera id and returns the ids of its open events that go on; called in the writer thread."""

UnpublishedKind: TypeAlias = ChangeKind | Literal[""]


@dataclass(frozen=True, slots=True)
class Saving:
    """An event to write, the session it belongs to, and the kind of its change that is about to be published."""

    session: str
    event: Event
    unpublished: UnpublishedKind


def resume_nothing(camera_id: str) -> Collection[str]:
    """No event goes on."""
    return ()


class StoreWriter:
    """Writes events at once and verdicts in batches, in its own thread.

    `on_late` is called in the event loop for each change that an earlier watcher stored but did not publish. While
    `is_behind` returns True (an observer has received changes but not yet written them), the store does not record
    changes as published.
    """

    def __init__(self, store: Store) -> None:
        self.error = ""
        self.on_late: Callable[[EventChange], None] = lambda change: None
        self.is_behind: Callable[[], bool] = lambda: False
        self.store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._sessions: dict[str, str] = {}
        self._claimed: dict[str, str] = {}
        self._session_writes: QueuedWrites[str, StoreWrite] = QueuedWrites()
        self._events: QueuedWrites[str, Saving] = QueuedWrites()
        self._published: QueuedWrites[str, frozenset[int]] = QueuedWrites()
        self.stored: dict[tuple[str, str], StoredChange] = {}
        self._verdicts = VerdictBuffer(store)
        self._observations = ObservationBuffer(store)
        self._published_keys: set[tuple[str, str]] = set()
        self._refused: set[str] = set()
        self._in_doubt: set[str] = set()
        self._lost = 0
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[bool]] = set()
        self._failed_at_s = 0.0

    @property
    def waiting(self) -> int:
        """The number of events in memory that are not in the store yet."""
        return len(self._events)

    @property
    def refused(self) -> int:
        """The number of events, session starts and other rows that the database rejected."""
        return len(self._refused)

    @property
    def lost(self) -> int:
        """The number of events, verdicts and observations that will never be in the store, rejected ones included."""
        return self._lost + self._verdicts.lost + self._observations.lost + self.refused

    async def save_event(self, event: Event, *, unpublished: UnpublishedKind = "") -> bool:
        """Writes an event; returns False if it was rejected or has to wait in memory, within `SAVE_TIMEOUT_S`.

        `unpublished` is the kind of the change to publish next; call `count_published` once it was published.
        """
        saving = self.queue_event(event, unpublished=unpublished)
        if saving is None:
            return False
        done, _ = await asyncio.wait([saving], timeout=SAVE_TIMEOUT_S)
        if not done:
            self._failed(f"it takes longer than {SAVE_TIMEOUT_S:g} s to write to it")
            return False
        return saving.result() and _describe_event(event) not in self._refused

    def queue_event(self, event: Event, *, unpublished: UnpublishedKind = "") -> "asyncio.Task[bool] | None":
        """Starts to write an event; returns None while the store is failing: `flush_periodically` writes it later."""
        # An event's tier may rise twice: that the first rise was published says nothing about the second.
        self._published_keys.discard((event.id, unpublished))
        self._events.put(event.id, Saving(self._sessions.get(event.source, ""), event, unpublished))
        return None if self.error else self._call_in_thread(self._write_events)

    def count_published(self, change: EventChange) -> None:
        """Records that a change was published; one that is not stored yet will be stored as published."""
        key = change.event.id, change.kind
        self._published_keys.add(key)
        if (stored := self.stored.pop(key, None)) is not None:
            waiting = self._published.of(stored.camera_id) or frozenset()
            self._published.put(stored.camera_id, waiting | {stored.sequence})

    def sequence_of(self, change: EventChange) -> int | None:
        """The sequence number of a change that is stored but not published; None if it still waits in memory."""
        stored = self.stored.get((change.event.id, change.kind))
        return None if stored is None else stored.sequence

    def queue_verdict(self, judged: JudgedWindow) -> None:
        """Adds a verdict to the next batch; it is queued again, with the same key, when its description arrives."""
        self._verdicts.put(self._sessions.get(judged.source, ""), judged)

    def queue_observation(self, observation: Observation) -> None:
        """Adds a line of the semantic log to the next batch."""
        self._observations.put(replace(observation, session_id=self._sessions.get(observation.source, "")))

    async def flush_periodically(self) -> None:
        """Writes batches and retries buffered writes until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            if self._is_worth_trying():
                await self.flush()

    async def prune_periodically(self, retention: RetentionSettings) -> None:
        """Deletes what the retention settings no longer keep, at once and every `PRUNE_S`, until cancelled."""
        clock = SteadyClock()
        while True:
            try:
                # Not in the writer thread: events must not wait behind thousands of deletions.
                await asyncio.to_thread(prune, self.store, retention, clock=clock)
            except StoreError as error:
                log.warning("old media could not be deleted: %s", error)
            await asyncio.sleep(PRUNE_S)

    async def flush(self) -> bool:
        """Writes everything that is buffered; returns False if the store cannot be written to."""
        # The caller may be cancelled; a batch that was handed to the thread is always completed.
        return await asyncio.shield(self._call_in_thread(self._write_everything))

    async def close(self) -> None:
        """Writes everything that is buffered, or counts it as lost, and ends the thread."""
        if not await self.flush():
            self._lost += len(self._events) + len(self._verdicts) + len(self._observations)
            log.error("the store could not be written to: %d events and verdicts are lost", self.lost)
        self._thread.shutdown()

    def start_session(
        self,
        source: str,
        *,
        epoch_s: float | None,
        model: str,
        task: str,
        contract: str,
        camera: ReadCamera | None = None,
        resume: ResumeRules = resume_nothing,
    ) -> "asyncio.Task[bool]":
        """Queues the start of a session, after closing events that a killed watcher of the source left open.

        `resume` gets the camera's id in the writer thread, and returns the ids of those events that go on instead.

        Verdicts and events of the source belong to this session from now on; the write need not be awaited. `camera` is
        called in the writer thread and returns the source's camera record; without it the camera of that name is used.
        """
        session = self._sessions[source] = new_id()
        read_camera = camera or partial(CameraRecord, id="", name=source)

        def start() -> None:
            self.store.sessions.start(
                source=source,
                session_id=session,
                epoch_s=epoch_s,
                model=model,
                task=task,
                contract=contract,
                camera=read_camera(),
            )

        recover = partial(self._recover_earlier, source, read_camera, resume)
        self._queue_late_write(f"the recovery of earlier events of {source} before session {session}", recover)
        self._queue_session_write(f"the start of session {session} of {source}", start)
        return self._call_in_thread(self._write_events)

    def end_session(self, source: str, *, because: str) -> "asyncio.Task[bool]":
        """Queues the end of a source's session."""
        session = self._sessions.get(source, "")

        def end() -> None:
            claimed = self._claimed.pop(source, "")
            self.store.sessions.end(source, because=because, session=session, camera_id=claimed)

        self._queue_session_write(f"the end of session {session} of {source}", end)
        return self._call_in_thread(self._write_events)

    def publish_late_events(self, *, excluded: Callable[[], Collection[str]]) -> "asyncio.Task[bool]":
        """Publishes the unpublished changes of all sources that no watcher watches.

        `excluded` returns the camera ids (or names, for sources without one) to leave out, as their changes are
        published when their session starts. It is called in the writer thread.
        """
        self._queue_late_write("late changes of unwatched sources", partial(self._unpublished_of_others, excluded))
        return self._call_in_thread(self._write_events)

    def _unpublished_of_others(self, excluded: Callable[[], Collection[str]]) -> list[StoredChange]:
        unpublished = self.store.changes.unpublished()
        if not unpublished:
            return []
        keys = {change.sequence: change.camera_id or change.event.source for change in unpublished}
        free = {key for key in {*keys.values()} - {*excluded()} if self.store.locks.take(key)}
        for key in free:
            self.store.locks.release(key)
        return [change for change in unpublished if keys[change.sequence] in free]

    def _recover_earlier(self, source: str, read_camera: ReadCamera, resume: ResumeRules) -> list[StoredChange]:
        """Closes events that an earlier watcher left open and that do not go on; returns its unpublished changes."""
        record = read_camera()
        camera_id = record.id or self.store.cameras.id_of(record.identity, source)
        if not self.store.locks.take(camera_id):
            log.warning("%s is being watched into this store already; its open events are left alone", source)
            return []
        self._claimed[source] = camera_id
        for event in self.store.events.recover(source, camera_id=camera_id, kept=resume(camera_id)):
            log.warning("%s: closed event %s, which was open when the watcher stopped", source, event.id)
        return self.store.changes.unpublished(camera_id=camera_id)

    def _queue_late_write(self, what: str, find: Callable[[], list[StoredChange]]) -> None:
        found: list[StoredChange] = []
        publish = partial(self._publish_late, found)
        self._session_writes.put(what, StoreWrite(what=what, act=lambda: found.extend(find()), settled=publish))

    def _publish_late(self, found: Sequence[StoredChange]) -> None:
        for each in found:
            kind = cast("ChangeKind", each.kind)
            change = EventChange(kind, each.event, late=True, sequence=each.sequence)
            is_published = (each.event_id, kind) in self._published_keys
            self.stored[each.event_id, kind] = each
            if not is_published:
                self.on_late(change)
            self.count_published(change)

    def _queue_session_write(self, what: str, act: Callable[[], None]) -> None:
        # Written in this order: events left open by an earlier session are closed before this session's first event is
        # written.
        self._session_writes.put(what, StoreWrite(what=what, act=act))

    def _call_in_thread(self, write: Callable[[], Coroutine[None, None, bool]]) -> "asyncio.Task[bool]":
        task = asyncio.create_task(write())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _is_worth_trying(self) -> bool:
        return not self.error or time.monotonic() - self._failed_at_s >= RETRY_S

    async def _write_events(self) -> bool:
        async with self._writing:
            # Others may have failed while this call waited for the lock.
            return self._is_worth_trying() and await self._run(self._first_writes())

    async def _write_everything(self) -> bool:
        async with self._writing:
            verdicts = [] if self._are_verdicts_first else self._verdicts.writes()
            return await self._run(self._first_writes() + verdicts + self._observations.writes())

    def _first_writes(self) -> list[StoreWrite]:
        # In this order: recording published changes first keeps them from being published late when a session starts,
        # and events left open by an earlier session are closed before this session's first event is written. Verdicts
        # come before the event that they make, so that a watch that is killed between finds them in the log and goes on
        # with that event; many of them, as after a failure of the store, must not hold up an alarm.
        verdicts = self._verdicts.writes() if self._are_verdicts_first else []
        return [*self._published_writes(), *self._pending_session_writes(), *verdicts, *self._event_writes()]

    @property
    def _are_verdicts_first(self) -> bool:
        return len(self._events) > 0 and len(self._verdicts) <= MOST_BEFORE_EVENT

    def _published_writes(self) -> list[StoreWrite]:
        if self.is_behind():
            return []
        published = self._published.states()
        act = partial(self.store.changes.note_published, dict(published))
        return (
            [
                StoreWrite(
                    what="the record of published changes",
                    act=act,
                    settled=partial(self._published.discard_all, published),
                )
            ]
            if published
            else []
        )

    def _pending_session_writes(self) -> list[StoreWrite]:
        return [
            replace(write, settled=partial(self._settle_session, what, write))
            for what, write in self._session_writes.states()
        ]

    def _settle_session(self, what: str, write: StoreWrite) -> None:
        self._session_writes.discard_written(what, write)
        write.settled()

    def _event_writes(self) -> list[StoreWrite]:
        return [self._event_write(saving) for _, saving in self._events.states()]

    def _event_write(self, saving: Saving) -> StoreWrite:
        changes: list[StoredChange] = []
        published = () if self.is_behind() else self._published_kinds_of(saving)
        # A server that breaks off may have stored the event and its changes without saying so.
        save = self._save_in_doubt if saving.event.id in self._in_doubt else self._save
        return StoreWrite(
            what=_describe_event(saving.event),
            act=lambda: changes.extend(save(saving, published)),
            settled=partial(self._settle_event, saving, changes),
            row=saving.event,
        )

    def _published_kinds_of(self, saving: Saving) -> Collection[StoredKind]:
        """The kinds of an event's changes published before it was stored; all kinds if nothing will be published."""
        kinds: list[StoredKind] = [kind for kind in TELLABLE if (saving.event.id, kind) in self._published_keys]
        return kinds if saving.unpublished or kinds else TELLABLE

    def _settle_event(self, saving: Saving, changes: Sequence[StoredChange]) -> None:
        self._events.discard_written(saving.event.id, saving)
        self._in_doubt.discard(saving.event.id)
        for change in changes:
            if change.kind not in TELLABLE:
                continue
            key = change.event_id, change.kind
            self.stored[key] = change
            if key in self._published_keys:
                # It was published while it waited or was being written.
                self.count_published(EventChange(cast("ChangeKind", change.kind), saving.event))

    def _save_in_doubt(self, saving: Saving, published: Collection[StoredKind]) -> list[StoredChange]:
        """Saves an event whose last attempt failed; returns all its changes, as those may be from that attempt."""
        self._save(saving, published)
        return self.store.changes.of_event(saving.event.id)

    def _save(self, saving: Saving, published: Collection[StoredKind]) -> list[StoredChange]:
        try:
            return self.store.events.save(saving.event, session=saving.session, published=published)
        except RowRefused:
            if not saving.session:
                raise
            # Its session may not be in the store, for example because the start of it was rejected.
            return self.store.events.save(saving.event, session=None, published=published)

    async def _run(self, writes: Sequence[StoreWrite]) -> bool:
        """Runs writes in the thread; returns False if the store cannot be written to."""
        if not writes:
            return not self.error
        work = partial(write_all, writes, set_aside=self._set_aside)
        written: WriteResult = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        for write in written.done:
            write.settled()
        for write, error in written.refused:
            self._count_refused(write, error)
        if written.failure is not None:
            self._failed(str(written.failure))
            return False
        self._succeeded()
        return True

    def _set_aside(self, write: StoreWrite, error: Exception) -> None:
        """Appends a rejected row to `refused.jsonl`; runs in the writer thread."""
        self.store.rejected_rows.append(write.row, what=write.what, why=str(error) or type(error).__name__)

    def _count_refused(self, write: StoreWrite, error: Exception) -> None:
        if write.what in self._refused:
            return
        self._refused.add(write.what)
        # Only the 1st, 2nd, 4th, 8th ... rejection is logged: every verdict of a camera may be rejected.
        if self.refused & (self.refused - 1) == 0:
            log.error("%s is refused, and set aside in %s (%d so far): %s", write.what, REFUSED, self.refused, error)

    def _failed(self, why: str) -> None:
        self._failed_at_s = time.monotonic()
        self._in_doubt |= {saving.event.id for _, saving in self._events.states()}
        if not self.error:
            log.error("the store cannot be written to: %s; watching goes on, events wait in memory", why)
        self.error = why

    def _succeeded(self) -> None:
        if self.error:
            log.warning("the store can be written to again")
        self.error = ""


def _describe_event(event: Event) -> str:
    return f"event {event.id} of {event.source}"
