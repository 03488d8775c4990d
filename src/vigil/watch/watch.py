"""The watch: from a frame to an alarm, to be read from top to bottom.

    frames -> windows -> lane -> judge -> verdict -> event -> store -> announcement

Each source is read and cut in a thread of its own (`vigil.watch.source`); all else happens in one
event loop. Files wait for the judge and lose nothing; live sources never wait, and lose their oldest
windows first. Every window that was cut ends as judged, unknown, dropped or skipped, also when its
source is paused or removed meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.judge import Judge
from vigil.judge.breaker import Breaker
from vigil.manifest import Contract
from vigil.sources.address import Address
from vigil.sources.feed import open_feed
from vigil.store import Store
from vigil.verdict import Cause, Verdict
from vigil.watch.audience import Audience
from vigil.watch.evidence import Evidence
from vigil.watch.keeper import Keeper
from vigil.watch.lane import Entry
from vigil.watch.observer import Observer
from vigil.watch.post import Post, Posts
from vigil.watch.settings import WatchSettings
from vigil.watch.source import Opener, WatchedSource, watched_source
from vigil.watch.state import SourceState, Stage, Summary
from vigil.watch.words import Words, answer_of
from vigil.windows import Window

log = logging.getLogger(__name__)

GRACE_S = 5.0
"""How long a stopped watch waits for the answers that are under way."""

Asked: TypeAlias = "asyncio.Queue[tuple[Window, asyncio.Task[Verdict]] | None]"
Settled: TypeAlias = "asyncio.Queue[tuple[Judged, asyncio.Task[Verdict] | None] | None]"


class Watch:
    """Watches sources until files end, or until `stop`; live sources never end by themselves.

    `judge` is asked through a breaker of the watch's own; `store` may be None, then nothing is kept. An observer must
    not block. With `keep_running` it goes on without any source until `stop`. For one event loop: `add`, `remove`,
    `pause` and `resume` belong there too.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        judge: Judge,
        settings: WatchSettings,
        store: Store | None = None,
        observers: Sequence[Observer] = (),
        keep_running: bool = False,
        opener: Opener = open_feed,
    ) -> None:
        self.settings = settings
        self.judge = judge
        self.breaker = Breaker(judge)
        self.audience = Audience(observers)
        self.keeper = None if store is None else Keeper(store)
        self._posts = Posts(realtime=settings.realtime)
        self._tasks: asyncio.TaskGroup | None = None
        self._stopped = asyncio.Event()
        self._keep_running = keep_running
        self._opener = opener
        self._room = asyncio.Semaphore(settings.in_flight)
        self._files = asyncio.Semaphore(settings.files_at_once)
        self._words = Words(self.breaker, settings)
        self._evidence = Evidence(store, settings)
        self._answers: set[asyncio.Task[Verdict]] = set()
        for number, address in enumerate(addresses):
            self._posts.add(address, starts_after_s=self._stagger_s(number / len(addresses)))

    @property
    def states(self) -> dict[str, SourceState]:
        """What is known of each source, by its name."""
        return self._posts.states

    @property
    def addresses(self) -> dict[str, Address]:
        """What is being watched, by its name."""
        return {post.address.name: post.address for post in self._posts}

    @property
    def media_losses(self) -> int:
        """Pictures and clips of events that could not be kept so far."""
        return self._evidence.losses

    async def run(self) -> Summary:
        """Watches all sources to their end; returns what became of every window."""
        chores = [asyncio.create_task(chore) for chore in self._chores()]
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for post in self._posts:
                    tasks.create_task(self._man(post))
                if self._keep_running:
                    tasks.create_task(self._until_stopped())
        finally:
            self._posts.close()
            for chore in chores:
                chore.cancel()
            await self._evidence.close()
            if self.keeper is not None:
                await self.keeper.close()
            self.audience.close()
        states = (*self._posts.removed, *self.states.values())
        return Summary(
            states,
            store_losses=0 if self.keeper is None else self.keeper.losses,
            media_losses=self.media_losses,
        )

    def stop(self) -> None:
        """Ends the watch in order: reading stops, what is under way is finished or marked, all is written.

        A second call ends it at once: what is under way is marked, clips that are being cut are left.
        """
        if self._stopped.is_set():
            self._evidence.give_up()
            self._abort()
            return
        self._stopped.set()
        self._posts.close()
        asyncio.get_running_loop().call_later(GRACE_S, self._abort)

    def add(self, address: Address) -> None:
        """Watches one more source; raises UsageError when its name is taken or the watch is being stopped."""
        post = self._posts.add(address)
        if self._tasks is not None:
            self._tasks.create_task(self._man(post))

    def remove(self, name: str) -> None:
        """Watches a source no more: what was cut is settled, its event closed, its connection let go of."""
        self._posts.remove(name)

    def pause(self, name: str) -> None:
        """Lets go of a camera until `resume`; raises UsageError for a file that is read as fast as it goes."""
        self._posts.pause(name)

    def resume(self, name: str) -> None:
        """Goes on with a camera that was paused; a file that plays as a camera begins anew."""
        self._posts.resume(name)

    async def _man(self, post: Post) -> None:
        """Watches a source until it ends or is given up, with as many pauses as are asked for."""
        room: AbstractAsyncContextManager[object] = nullcontext() if post.state.live else self._files
        async with post.turn, room:
            while await post.is_wanted():
                await self._watch(post)
                if not post.end():
                    return

    async def _watch(self, post: Post) -> None:
        source = post.source = watched_source(
            post.address,
            post.state,
            judge=self.judge,
            settings=self.settings,
            earlier=post.earlier,
            audience=self.audience,
            opener=self._opener,
        )
        if self.keeper is not None:
            # Not waited for: a store that another program holds must keep no camera from being read.
            self.keeper.begin(
                source.name,
                epoch_s=source.feed.epoch_s,
                model=self.judge.model,
                task=self.judge.task.name,
                contract=Contract.of(self.judge.task, self.judge.sampling).alias,
            )
        post.begin(source)
        asked: Asked = asyncio.Queue(4 * self.settings.in_flight)
        settled: Settled = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ask_all(source, asked))
            tasks.create_task(self._settle_all(source, asked, settled))
            tasks.create_task(self._tell_all(source, settled))
        if self.keeper is not None:
            self.keeper.end(source.name, because=source.state.detail or str(source.state.stage))

    async def _ask_all(self, source: WatchedSource, asked: Asked) -> None:
        """Takes windows from the lane as the judge has room for them, and asks about them side by side."""
        own_room = asyncio.Semaphore(self.settings.live_in_flight if source.state.live else self.settings.in_flight)
        while await source.lane.ready():
            await own_room.acquire()
            await self._room.acquire()
            entry = source.lane.take()
            if entry is None:
                own_room.release()
                self._room.release()
                continue
            answer = asyncio.create_task(self._verdict(source, entry))
            self._answers.add(answer)
            answer.add_done_callback(partial(self._make_room, own_room))
            await asked.put((entry.window, answer))
        await asked.put(None)

    def _make_room(self, own_room: asyncio.Semaphore, answer: asyncio.Task[Verdict]) -> None:
        self._answers.discard(answer)
        own_room.release()
        self._room.release()

    async def _verdict(self, source: WatchedSource, entry: Entry) -> Verdict:
        if entry.dropped:
            return Verdict.unknown(Cause.DROPPED)
        if entry.still:
            return Verdict.unknown(Cause.SKIPPED)
        if source.is_left:
            return Verdict.unknown(Cause.CANCELLED)
        patience_s = 0.0 if source.state.live else self.settings.patience_s
        return await self.breaker.verdict(entry.window.jpegs, wait_s=patience_s)

    async def _settle_all(self, source: WatchedSource, asked: Asked, settled: Settled) -> None:
        """Takes the verdicts in the order of the windows, and makes events of them."""
        while (next_asked := await asked.get()) is not None:
            window, answer = next_asked
            judged = await self._outcome(source, window, answer)
            source.settle(window, judged)
            self.audience.judged(judged)
            changes = await self._change(source, partial(source.tracker.push, judged))
            await settled.put((judged, await self._words.begin(window, judged, changes, source.state)))
        await self._change(source, partial(source.tracker.finish, source.ends_because))
        await settled.put(None)

    async def _outcome(self, source: WatchedSource, window: Window, answer: "asyncio.Task[Verdict]") -> Judged:
        # Not `await answer`: the end of the watch cancels answers, some before they have begun, and never this task.
        await asyncio.wait([answer])
        verdict = Verdict.unknown(Cause.CANCELLED) if answer.cancelled() else answer.result()
        return Judged(
            source=source.name,
            window=window.index,
            verdict=replace(verdict, start_s=window.start_s, end_s=window.end_s),
            captured_s=window.captured_s,
        )

    async def _tell_all(self, source: WatchedSource, settled: Settled) -> None:
        """Adds the words to the verdicts as they come, still in order, and hands them on."""
        while (next_settled := await settled.get()) is not None:
            judged, words = next_settled
            said = await answer_of(words)
            if said is not None:
                source.state.tokens += said.tokens
                judged = replace(judged, verdict=_with_words(judged.verdict, said))
            if said is not None and said.text:
                await self._change(source, partial(source.tracker.describe, judged.window, said.text))
            if self.keeper is not None:
                self.keeper.verdict(judged)
            self.audience.told(judged)
        if source.error is not None:
            self._tell_unreadable(source)

    async def _change(self, source: WatchedSource, act: Callable[[], Sequence[Change]]) -> Sequence[Change]:
        """Has the tracker act, and tells of what changed before it acts again: a later state never comes first."""
        async with source.changing:
            changes = act()
            for change in changes:
                await self._announce(source, change)
        return changes

    async def _announce(self, source: WatchedSource, change: Change) -> None:
        """Stores a change, then tells of it: an alarm that was heard is an alarm that is on disk."""
        if self.keeper is not None and change.kind == "grew":
            self.keeper.event_soon(change.event)
        elif self.keeper is not None and not await self.keeper.event(change.event):
            log.error("event %s of %s is announced but not stored yet", change.event.id, source.name)
        source.note(change)
        self._evidence.collect(source, change)
        self.audience.changed(change)

    def _tell_unreadable(self, source: WatchedSource) -> None:
        verdict = Verdict.unknown(Cause.UNREADABLE, detail=str(source.error))
        judged = Judged(source=source.name, window=source.state.cut, verdict=verdict)
        source.state.cut += 1
        source.state.count(judged)
        self.audience.judged(judged)
        if self.keeper is not None:
            self.keeper.verdict(judged)
        self.audience.told(judged)

    def _chores(self) -> list[Coroutine[None, None, None]]:
        chores = [self._tick_for_ever()]
        if self.keeper is not None:
            chores += [self.keeper.flush_for_ever(), self.keeper.prune_for_ever(self.settings.retention)]
        return chores

    async def _tick_for_ever(self) -> None:
        """Lets events of live sources end although no window comes, as when the camera is away."""
        while True:
            await asyncio.sleep(1.0)
            for source in self._posts.sources:
                if source.state.live and source.state.stage is Stage.LOST:
                    await self._change(source, partial(source.tracker.tick, source.now_s))

    async def _until_stopped(self) -> None:
        await self._stopped.wait()

    def _stagger_s(self, share: float) -> float:
        """Spreads the cameras over one stride, so that their windows do not all fall due in the same moment."""
        return share * self.judge.sampling.stride / self.judge.sampling.fps

    def _abort(self) -> None:
        """Waits for nobody any more: not for answers, nor for readers that hang in a camera."""
        self._words.give_up()
        for source in self._posts.sources:
            source.lane.close()
        for answer in self._answers:
            answer.cancel()


def _with_words(verdict: Verdict, said: Verdict) -> Verdict:
    return replace(verdict, text=said.text or verdict.text, tokens=verdict.tokens + said.tokens)
