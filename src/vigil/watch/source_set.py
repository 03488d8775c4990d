"""The posts of a watch: each source's place in it, where it may be paused and taken up again any number of times."""

import asyncio
from collections.abc import Iterator

from vigil.errors import UsageError
from vigil.sources.address import Address
from vigil.watch.pipeline import PAUSED, SourcePipeline
from vigil.watch.state import SourceState, SourceStatus

FILE_PATIENCE_S = 8.0
"""A file that cannot be begun is given up where the next wait would be longer."""


class ManagedSource:
    """Knows whether its source is wanted now. For the loop alone.

    `source` is there while it is being watched, `earlier` is what it was before it was paused; `turn` is shared with
    a source of the same name that was removed and may still have windows under way. `left` is set once it was given up.
    """

    def __init__(self, address: Address, *, live: bool, turn: asyncio.Lock, starts_after_s: float) -> None:
        self.address = address
        self.state = SourceState(name=address.name, live=live)
        self.name_lock = turn
        self.starts_after_s = starts_after_s if live else 0.0
        self.source: SourcePipeline | None = None
        self.previous: SourcePipeline | None = None
        self.has_ended = False
        self.is_removed = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    def pause(self) -> None:
        """Ends the watching for now; what was cut is settled, what is open is closed."""
        if not self._open.is_set():
            return
        self._open.clear()
        if self.source is None:
            self.state.stage = SourceStatus.PAUSED
        else:
            self.source.stop_reading(PAUSED)

    def resume(self) -> None:
        """Begins again, as soon as what was under way is settled."""
        self._open.set()

    def remove(self, because: str) -> None:
        """Ends the watching for good."""
        self.is_removed.set()
        self._open.set()
        if self.source is not None:
            self.source.stop_reading(because)

    async def wait_until_wanted(self) -> bool:
        """Waits while it is paused; False when it was given up."""
        while not self._open.is_set():
            await self._open.wait()
        return not self.is_removed.is_set()

    def started(self, source: SourcePipeline) -> None:
        """Starts to read; only the first time does it wait for its turn among the cameras."""
        source.start(after_s=self.starts_after_s)
        self.starts_after_s = 0.0

    def fail(self, *, retry_s: float) -> bool:
        """Notes that the watching failed unexpectedly; True when it is to be tried again.

        A camera always is. A file that was begun is not: every window of it would be judged a second time.
        """
        self.previous = self.source = None
        self.state.open_event = ""
        if self.is_removed.is_set():
            self.state.stage, self.state.detail = SourceStatus.ENDED, ""
            return False
        self.has_ended = not self.state.live and (self.state.cut > 0 or retry_s > FILE_PATIENCE_S)
        if self.has_ended:
            return False
        paused = not self._open.is_set()
        self.state.stage = SourceStatus.PAUSED if paused else SourceStatus.LOST
        self.state.detail = "" if paused else f"the watch of it failed; next try in {retry_s:.1f} s"
        return True

    def finished(self) -> bool:
        """Notes that it is watched no more; True when it was only paused."""
        self.previous, self.source = self.source, None
        self.has_ended = self.previous is None or self.previous.end_reason != PAUSED
        return not self.has_ended


class SourceSet:
    """All posts of a watch by the names of their sources; `states` are those of today, `removed` of those gone."""

    def __init__(self, *, realtime: bool) -> None:
        self.states: dict[str, SourceState] = {}
        self.removed: list[SourceState] = []
        self._realtime = realtime
        self._posts: dict[str, ManagedSource] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._closed = False

    def __iter__(self) -> Iterator[ManagedSource]:
        return iter(list(self._posts.values()))

    @property
    def sources(self) -> list[SourcePipeline]:
        """What is being watched now."""
        return [post.source for post in self._posts.values() if post.source is not None]

    def add(self, address: Address, *, starts_after_s: float = 0.0) -> ManagedSource:
        """One more; raises UsageError when its name is taken or the watch is being stopped."""
        if self._closed:
            raise UsageError(f"the watch is over; start another one for {address.name}")
        if address.name in self._posts:
            raise UsageError(f"{address.name} is being watched already")
        turn = self._turns.setdefault(address.name, asyncio.Lock())
        live = address.is_live or self._realtime
        post = self._posts[address.name] = ManagedSource(address, live=live, turn=turn, starts_after_s=starts_after_s)
        self.states[address.name] = post.state
        return post

    def remove(self, name: str) -> None:
        """Gives a post up; raises UsageError when there is none of this name."""
        self._named(name).remove("removed")
        del self._posts[name]
        self.removed.append(self.states.pop(name))

    def pause(self, name: str) -> None:
        """Pauses a post; raises UsageError for what cannot be paused."""
        post = self._named(name)
        if not post.state.live:
            raise UsageError(f"{name} is a file and waits for nobody; only what is watched live can be paused")
        if post.has_ended:
            raise UsageError(f"{name} is over ({post.state.stage}); remove it, and add it again to watch it again")
        post.pause()

    def resume(self, name: str) -> None:
        """Goes on with a post that was paused."""
        self._named(name).resume()

    def close(self) -> None:
        """Gives up all of them: the watch is being stopped."""
        self._closed = True
        for post in self._posts.values():
            post.remove("stopped")

    def _named(self, name: str) -> ManagedSource:
        if name not in self._posts:
            raise UsageError(f"there is no source {name!r} to watch; there are {', '.join(self._posts) or 'none'}")
        return self._posts[name]
