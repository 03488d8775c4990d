"""From a change of an event to the store, its media and the observers: durable first, then published, in order."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from vigil.events import EventChange
from vigil.watch.media_recorder import MediaRecorder
from vigil.watch.observers import ObserverGroup
from vigil.watch.pipeline import SourcePipeline
from vigil.watch.store_writer import StoreWriter
from vigil.watch.supervisor import Supervisor

log = logging.getLogger(__name__)


class ChangePublisher:
    """Applies what changes the events of a source, and stores and publishes the changes; `writer` is None without one.

    A change that cannot be stored is published all the same, and the log says so.
    """

    def __init__(
        self, writer: StoreWriter | None, observers: ObserverGroup, recorder: MediaRecorder, supervisor: Supervisor
    ) -> None:
        self._writer = writer
        self._observers = observers
        self._recorder = recorder
        self._supervisor = supervisor

    async def apply(self, source: SourcePipeline, act: Callable[[], Sequence[EventChange]]) -> Sequence[EventChange]:
        """Applies the event rules and records the changes under a lock, so that changes are published in order."""
        async with source.rules_lock:
            changes = source.placed(act())
            for change in changes:
                await self._record(source, change)
        return changes

    def publish_late(self, watched: Callable[[], Collection[str]]) -> None:
        """Publishes changes that an earlier watcher stored but did not publish, for unwatched sources too.

        `watched` are the names and camera ids of the sources that publish their own.
        """
        if self._writer is not None:
            self._writer.on_late = self._observers.on_change
            self._writer.is_behind = lambda: self._observers.is_behind
            self._writer.publish_late_events(excluded=watched)

    async def _record(self, source: SourcePipeline, change: EventChange) -> None:
        """Stores a change, then publishes it, so a published alarm is durable; publishes it even if storing fails."""
        with self._supervisor.survives(source.name, f"storing event {change.event.id}"):
            await self._store(source, change)
            if self._writer is not None:
                change = replace(change, sequence=self._writer.sequence_of(change))
        source.count_change(change)
        with self._supervisor.survives(source.name, f"the media of event {change.event.id}"):
            self._recorder.on_change(source, change)
        self._observers.on_change(change)
        if self._writer is not None and change.kind != "grew":
            self._writer.count_published(change)

    async def _store(self, source: SourcePipeline, change: EventChange) -> None:
        """Stores the event of a change; waits for it to be durable, except for `grew`."""
        if self._writer is not None and change.kind == "grew":
            self._writer.queue_event(change.event)
        elif self._writer is not None and not await self._writer.save_event(change.event, unpublished=change.kind):
            log.error("event %s of %s is announced but not stored", change.event.id, source.name)
