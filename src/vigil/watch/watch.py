"""The watch: from a frame to an alarm, to be read from top to bottom.

    frames -> windows -> lane -> judge -> verdict -> event -> store -> announcement

Each source is read and cut in a thread of its own (`vigil.watch.source`); all else happens in one
event loop. Files wait for the judge and lose nothing; live sources never wait, and lose their oldest
windows first. Every window that was cut ends as judged, unknown, dropped or skipped.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.frames import Frame
from vigil.judge import Judge
from vigil.judge.breaker import Breaker
from vigil.manifest import Contract
from vigil.sources.address import Address
from vigil.store import Store
from vigil.verdict import Cause, Verdict
from vigil.watch.evidence import Evidence
from vigil.watch.keeper import Keeper
from vigil.watch.lane import Entry
from vigil.watch.observer import Observer
from vigil.watch.settings import WatchSettings
from vigil.watch.source import WatchedSource, watched_source
from vigil.watch.state import SourceState, Stage, Summary
from vigil.watch.words import Words
from vigil.windows import Window

log = logging.getLogger(__name__)

GRACE_S = 5.0
"""How long a stopped watch waits for the answers that are under way."""

Asked: TypeAlias = "asyncio.Queue[tuple[Window, asyncio.Task[Judged]] | None]"
Settled: TypeAlias = "asyncio.Queue[tuple[Judged, asyncio.Task[str | None] | None] | None]"


class Watch:
    """Watches sources until files end, or until `stop`; live sources never end by themselves.

    `judge` is asked through a breaker of the watch's own; `store` may be None, then nothing is kept. An observer must
    not block. For one event loop.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        judge: Judge,
        settings: WatchSettings,
        store: Store | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.settings = settings
        self.judge = judge
        self.breaker = Breaker(judge)
        self.states: dict[str, SourceState] = {}
        self.keeper = None if store is None else Keeper(store)
        self._addresses = tuple(addresses)
        self._observers = tuple(observers)
        self._room = asyncio.Semaphore(settings.in_flight)
        self._files = asyncio.Semaphore(settings.files_at_once)
        self._sources: list[WatchedSource] = []
        self._words = Words(self.breaker, settings)
        self._evidence = Evidence(store, settings)
        self._answers: set[asyncio.Task[Judged]] = set()
        self._stopping = False
        self._aborted = False

    async def run(self) -> Summary:
        """Watches all sources to their end; returns what became of every window."""
        chores = [asyncio.create_task(chore) for chore in self._chores()]
        try:
            async with asyncio.TaskGroup() as tasks:
                for number, address in enumerate(self._addresses):
                    tasks.create_task(self._watch_in_turn(address, starts_after_s=self._stagger_s(number)))
        finally:
            self._stop_reading()
            for chore in chores:
                chore.cancel()
            await self._evidence.close()
            if self.keeper is not None:
                await self.keeper.close()
            for observer in self._observers:
                observer.close()
        return Summary(tuple(self.states.values()), store_losses=0 if self.keeper is None else self.keeper.losses)

    def stop(self) -> None:
        """Ends the watch in order: reading stops, what is under way is finished or marked, all is written."""
        if self._stopping:
            self._abort()
            return
        self._stopping = True
        self._stop_reading()
        asyncio.get_running_loop().call_later(GRACE_S, self._abort)

    async def _watch_in_turn(self, address: Address, *, starts_after_s: float) -> None:
        live = address.is_live or self.settings.realtime
        state = self.states[address.name] = SourceState(name=address.name, live=live)
        if live:
            await self._watch(address, state, starts_after_s=starts_after_s)
            return
        async with self._files:
            await self._watch(address, state, starts_after_s=0.0)

    async def _watch(self, address: Address, state: SourceState, *, starts_after_s: float) -> None:
        if self._stopping:
            return
        source = watched_source(
            address,
            state,
            judge=self.judge,
            settings=self.settings,
            tell=self._state_changed,
            seen=self._frame_seen,
        )
        self._sources.append(source)
        if self.keeper is not None:
            await self.keeper.begin(
                source.name,
                epoch_s=source.feed.epoch_s,
                model=self.judge.model,
                task=self.judge.task.name,
                contract=Contract.of(self.judge.task, self.judge.sampling).alias,
            )
        source.start(after_s=starts_after_s)
        asked: Asked = asyncio.Queue(4 * self.settings.in_flight)
        settled: Settled = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ask_all(source, asked))
            tasks.create_task(self._settle_all(source, asked, settled))
            tasks.create_task(self._tell_all(source, settled))
        if self.keeper is not None:
            await self.keeper.end(source.name, because=source.state.detail or str(source.state.stage))
        self._sources.remove(source)

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
            answer = asyncio.create_task(self._answer(source, entry))
            self._answers.add(answer)
            answer.add_done_callback(partial(self._make_room, own_room))
            await asked.put((entry.window, answer))
        await asked.put(None)

    def _make_room(self, own_room: asyncio.Semaphore, answer: asyncio.Task[Judged]) -> None:
        self._answers.discard(answer)
        own_room.release()
        self._room.release()

    async def _answer(self, source: WatchedSource, entry: Entry) -> Judged:
        try:
            verdict = await self._verdict(source, entry)
        except asyncio.CancelledError:
            if not self._aborted:
                raise
            verdict = Verdict.unknown(Cause.CANCELLED)
        window = entry.window
        return Judged(
            source=source.name,
            window=window.index,
            verdict=replace(verdict, start_s=window.start_s, end_s=window.end_s),
            captured_s=window.captured_s,
        )

    async def _verdict(self, source: WatchedSource, entry: Entry) -> Verdict:
        if entry.dropped:
            return Verdict.unknown(Cause.DROPPED)
        if entry.still:
            return Verdict.unknown(Cause.SKIPPED)
        if self._stopping:
            return Verdict.unknown(Cause.CANCELLED)
        patience_s = 0.0 if source.state.live else self.settings.patience_s
        return await self.breaker.verdict(entry.window.jpegs, wait_s=patience_s)

    async def _settle_all(self, source: WatchedSource, asked: Asked, settled: Settled) -> None:
        """Takes the verdicts in the order of the windows, and makes events of them."""
        while (next_asked := await asked.get()) is not None:
            window, answer = next_asked
            judged = await answer
            source.settle(window, judged)
            for observer in self._observers:
                observer.judged(judged)
            changes = source.tracker.push(judged)
            await self._announce(source, changes)
            await settled.put((judged, await self._words.begin(window, judged, changes, source.state)))
        await self._announce(source, source.tracker.finish("stopped" if self._stopping else "the source ended"))
        await settled.put(None)

    async def _tell_all(self, source: WatchedSource, settled: Settled) -> None:
        """Adds the words to the verdicts as they come, still in order, and hands them on."""
        while (next_settled := await settled.get()) is not None:
            judged, words = next_settled
            text = await _text_of(words)
            if text:
                judged = replace(judged, verdict=replace(judged.verdict, text=text))
                await self._announce(source, source.tracker.describe(judged.window, text))
            if self.keeper is not None:
                self.keeper.verdict(judged)
            for observer in self._observers:
                observer.told(judged)
        if source.error is not None:
            self._tell_unreadable(source)

    async def _announce(self, source: WatchedSource, changes: Sequence[Change]) -> None:
        """Stores each change, then tells of it: an alarm that was heard is an alarm that is on disk."""
        for change in changes:
            if self.keeper is not None and not await self.keeper.event(change.event):
                log.error("event %s of %s is announced but not stored yet", change.event.id, source.name)
            source.note(change)
            self._evidence.collect(source, change)
            for observer in self._observers:
                observer.changed(change)

    def _tell_unreadable(self, source: WatchedSource) -> None:
        verdict = Verdict.unknown(Cause.UNREADABLE, detail=str(source.error))
        judged = Judged(source=source.name, window=source.state.cut, verdict=verdict)
        source.state.cut += 1
        source.state.count(judged)
        if self.keeper is not None:
            self.keeper.verdict(judged)
        for observer in self._observers:
            observer.told(judged)

    def _chores(self) -> list[Coroutine[None, None, None]]:
        chores = [self._tick_for_ever()]
        if self.keeper is not None:
            chores += [self.keeper.flush_for_ever(), self.keeper.prune_for_ever(self.settings.retention)]
        return chores

    async def _tick_for_ever(self) -> None:
        """Lets events of live sources end although no window comes, as when the camera is away."""
        while True:
            await asyncio.sleep(1.0)
            for source in list(self._sources):
                if source.state.live and source.state.stage is Stage.LOST:
                    await self._announce(source, source.tracker.tick(source.now_s))

    def _stagger_s(self, number: int) -> float:
        """Spreads the cameras over one stride, so that their windows do not all fall due in the same moment."""
        sampling = self.judge.sampling
        return (number / len(self._addresses)) * sampling.stride / sampling.fps

    def _state_changed(self, state: SourceState) -> None:
        for observer in self._observers:
            observer.state(state)

    def _frame_seen(self, source: str, frame: Frame) -> None:
        for observer in self._observers:
            observer.seen(source, frame)

    def _stop_reading(self) -> None:
        for source in self._sources:
            source.stop.set()

    def _abort(self) -> None:
        self._aborted = True
        self._words.give_up()
        for answer in self._answers:
            answer.cancel()


async def _text_of(words: "asyncio.Task[str | None] | None") -> str | None:
    if words is None:
        return None
    # Words are given up when the watch is being stopped; the verdict stands without them.
    await asyncio.wait([words])
    return None if words.cancelled() else words.result()
