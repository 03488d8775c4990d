"""The sources of a watcher, by name, and the life cycle of each: running, paused, removed.

A source can be paused and resumed any number of times; a paused camera keeps its clock.
"""

import asyncio
from collections.abc import Iterator

from vigil.errors import UsageError
from vigil.questions import Question
from vigil.sources.address import Address
from vigil.sources.live_masks import LiveMasks
from vigil.watch.live_rules import LiveRules, WatchRules
from vigil.watch.live_views import LiveViews
from vigil.watch.pipeline import PAUSED, SourcePipeline
from vigil.watch.state import SourceState, SourceStatus

FILE_PATIENCE_S = 8.0
"""A file that cannot be opened is abandoned once the next delay would be longer than this."""


class ManagedSource:
    """One source of the watcher, which can be paused, resumed and removed. Used in the event loop only.

    `source` is its pipeline while it is being read, `previous` the pipeline before it was paused. `masks` are painted
    over in its pictures, `views` are those that it usually has, `rules` make events of its verdicts. `name_lock` is
    shared with a removed source of the same name whose windows may still be in progress. `is_removed` is set once it is
    removed.
    """

    def __init__(
        self,
        address: Address,
        *,
        live: bool,
        name_lock: asyncio.Lock,
        starts_after_s: float,
        rules: LiveRules,
        memory_s: float = 0.0,
    ) -> None:
        self.address = address
        self.rules = rules
        self.masks = LiveMasks(address.masks or (), memory_s=memory_s)
        self.views = LiveViews()
        self.state = SourceState(name=address.name, live=live)
        self.name_lock = name_lock
        self.starts_after_s = starts_after_s if live else 0.0
        self.source: SourcePipeline | None = None
        self.previous: SourcePipeline | None = None
        self.has_ended = False
        self.is_removed = asyncio.Event()
        self._unpaused = asyncio.Event()
        self._unpaused.set()

    def pause(self) -> None:
        """Stops reading for now; windows in progress are completed and open events are closed."""
        if not self._unpaused.is_set():
            return
        self._unpaused.clear()
        if self.source is None:
            self.state.stage = SourceStatus.PAUSED
        else:
            self.source.stop_reading(PAUSED)

    def resume(self) -> None:
        """Starts reading again as soon as the windows in progress are completed."""
        self._unpaused.set()

    def remove(self, because: str) -> None:
        """Stops reading for good."""
        self.is_removed.set()
        self._unpaused.set()
        if self.source is not None:
            self.source.stop_reading(because)

    async def wait_until_unpaused(self) -> bool:
        """Waits while the source is paused; returns False if it was removed."""
        while not self._unpaused.is_set():
            await self._unpaused.wait()
        return not self.is_removed.is_set()

    def started(self, source: SourcePipeline) -> None:
        """Starts the reader; only the first start is delayed by `starts_after_s`."""
        source.start(after_s=self.starts_after_s)
        self.starts_after_s = 0.0

    def fail(self, *, retry_s: float) -> bool:
        """Records an unexpected failure; returns True if the source is to be retried.

        Cameras are always retried. A file whose reading had begun is not, because its windows would be judged twice.
        """
        self.previous = self.source = None
        self.state.open_event = ""
        if self.is_removed.is_set():
            self.state.stage, self.state.detail = SourceStatus.ENDED, ""
            return False
        self.has_ended = not self.state.live and (self.state.cut > 0 or retry_s > FILE_PATIENCE_S)
        if self.has_ended:
            return False
        paused = not self._unpaused.is_set()
        self.state.stage = SourceStatus.PAUSED if paused else SourceStatus.LOST
        self.state.detail = "" if paused else f"the watch of it failed; next try in {retry_s:.1f} s"
        return True

    def finished(self) -> bool:
        """Records that reading ended; returns True if the source was only paused."""
        self.previous, self.source = self.source, None
        self.has_ended = self.previous is None or self.previous.end_reason != PAUSED
        return not self.has_ended


class SourceSet:
    """All sources of a watcher by name; `states` holds those of current sources, `removed` those of removed ones.

    `rules` are those of the watch. `memory_s` is how long the pictures of a live source are buffered for clips.
    """

    def __init__(self, *, realtime: bool, rules: WatchRules, memory_s: float = 0.0) -> None:
        self._rules = rules
        self._memory_s = memory_s
        self.states: dict[str, SourceState] = {}
        self.removed: list[SourceState] = []
        self._realtime = realtime
        self._by_name: dict[str, ManagedSource] = {}
        self._name_locks: dict[str, asyncio.Lock] = {}
        self._closed = False

    def __iter__(self) -> Iterator[ManagedSource]:
        return iter(list(self._by_name.values()))

    @property
    def sources(self) -> list[SourcePipeline]:
        """The pipelines that are running now."""
        return [managed.source for managed in self._by_name.values() if managed.source is not None]

    def add(self, address: Address, *, starts_after_s: float = 0.0) -> ManagedSource:
        """Adds a source; raises UsageError if its name is taken or the watcher is being stopped."""
        if self._closed:
            raise UsageError(f"the watch has ended; start another one for {address.name}")
        if address.name in self._by_name:
            raise UsageError(f"{address.name} is being watched already")
        name_lock = self._name_locks.setdefault(address.name, asyncio.Lock())
        live = address.is_live or self._realtime
        managed = ManagedSource(
            address,
            live=live,
            name_lock=name_lock,
            starts_after_s=starts_after_s,
            rules=LiveRules(address.name, self._rules),
            memory_s=self._memory_s,
        )
        self._by_name[address.name] = managed
        self.states[address.name] = managed.state
        return managed

    def remove(self, name: str) -> None:
        """Removes a source; raises UsageError if there is none of this name."""
        self.named(name).remove("removed")
        del self._by_name[name]
        self.removed.append(self.states.pop(name))

    def pause(self, name: str) -> None:
        """Pauses a source; raises UsageError if it is not live, has ended or does not exist."""
        managed = self.named(name)
        if not managed.state.live:
            raise UsageError(f"{name} is a file and cannot be paused; only live sources can")
        if managed.has_ended:
            raise UsageError(f"{name} has ended ({managed.state.stage}); remove it and add it again to watch it again")
        managed.pause()

    def resume(self, name: str) -> None:
        """Resumes a paused source; raises UsageError if there is none of this name."""
        self.named(name).resume()

    def close(self) -> None:
        """Removes all sources, because the watcher is being stopped."""
        self._closed = True
        for managed in self._by_name.values():
            managed.remove("stopped")

    def sentence_questions(self) -> dict[str, Question]:
        """The questions made of sentences that the sources are asked now, by their names."""
        tasks = [task for managed in self for task in managed.rules.tasks if task.task.ask]
        return {task.question.name: task.question for task in tasks}

    def named(self, name: str) -> ManagedSource:
        """The source with this name; raises UsageError if there is none."""
        if name not in self._by_name:
            raise UsageError(f"there is no source {name!r} to watch; there are {', '.join(self._by_name) or 'none'}")
        return self._by_name[name]
