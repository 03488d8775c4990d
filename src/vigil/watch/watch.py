"""The watch: from a frame to an alarm, to be read from top to bottom.

    frames -> windows -> lane -> judge -> verdict -> event -> store -> announcement

Each source is read and cut in a thread of its own (`vigil.watch.source`); all else happens in one
event loop. Files wait for the judge and lose nothing; live sources never wait, and lose their oldest
windows first. Every window that was cut ends as judged, unknown, dropped or skipped, also when its
source is paused or removed meanwhile. What fails unexpectedly ends nothing else (`vigil.watch.supervisor`).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
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
from vigil.watch.camera_ids import CameraIds, record_of
from vigil.watch.evidence import Evidence
from vigil.watch.keeper import Keeper
from vigil.watch.lane import Entry
from vigil.watch.observer import Observer
from vigil.watch.post import Post, Posts
from vigil.watch.settings import WatchSettings
from vigil.watch.source import FAILED, Opener, WatchedSource, watched_source
from vigil.watch.state import SourceState, Stage, Summary
from vigil.watch.supervisor import Supervisor
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
        supervisor: Supervisor | None = None,
    ) -> None:
        self.settings = settings
        self.supervisor = supervisor or Supervisor()
        self.judge = judge
        self.breaker = Breaker(judge)
        self.audience = Audience(observers)
        self.keeper = None if store is None else Keeper(store)
        self._posts = Posts(realtime=settings.realtime)
        self._cameras = CameraIds(store)
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
        async with AsyncExitStack() as ending:
            ending.callback(self.audience.close)
            ending.push_async_callback(self._put_away)
            self._look_for_untold()
            for name, chore in self._chores().items():
                ending.callback(asyncio.create_task(self.supervisor.keep(name, chore)).cancel)
            ending.callback(self._posts.close)
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for post in self._posts:
                    tasks.create_task(self._man(post))
                if self._keep_running:
                    tasks.create_task(self._until_stopped())
        states = (*self._posts.removed, *self.states.values())
        return Summary(
            states,
            store_losses=0 if self.keeper is None else self.keeper.losses,
            media_losses=self.media_losses,
            failures=self.supervisor.failures.total(),
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
        """Watches a source until it ends or is given up, with as many pauses, and failures, as there may be."""
        room: AbstractAsyncContextManager[object] = nullcontext() if post.state.live else self._files
        async with post.turn, room:
            await self.supervisor.keep(
                post.address.name,
                partial(self._serve, post),
                is_tried_again=partial(self._is_tried_again, post),
                left=post.left,
            )

    async def _serve(self, post: Post) -> None:
        post.state.camera_id = await asyncio.to_thread(self._cameras.of, post.address)
        while await post.is_wanted():
            await self._watch(post)
            if not post.end():
                return

    def _is_tried_again(self, post: Post, error: Exception, retry_s: float) -> bool:
        again = post.fail(retry_s=retry_s)
        if post.is_over:
            post.state.stage, post.state.detail = Stage.UNREADABLE, f"{post.address.name} failed; the log says why"
            self._tell_unreadable(post.state, post.state.detail)
        self.audience.state(post.state)
        return again

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
        try:
            self._note_beginning(source, post.address)
            post.begin(source)
            await self._follow(source)
        except Exception:
            await self._account(source)
            raise
        await self._account(source)
        if source.failure is not None:
            raise source.failure

    def _note_beginning(self, source: WatchedSource, address: Address) -> None:
        if self.keeper is None:
            return
        # Not waited for: a store that another program holds must keep no camera from being read.
        self.keeper.begin(
            source.name,
            epoch_s=source.feed.epoch_s,
            model=self.judge.model,
            task=self.judge.task.name,
            contract=Contract.of(self.judge.task, self.judge.sampling).alias,
            camera=partial(record_of, address, source.state.camera_id),
        )

    async def _follow(self, source: WatchedSource) -> None:
        asked: Asked = asyncio.Queue(4 * self.settings.in_flight)
        settled: Settled = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            ticking = tasks.create_task(self._tick_for_ever(source))
            tasks.create_task(self._ask_all(source, asked))
            tasks.create_task(self._settle_all(source, asked, settled))
            telling = tasks.create_task(self._tell_all(source, settled))
            telling.add_done_callback(lambda _: ticking.cancel())

    async def _account(self, source: WatchedSource) -> None:
        """Settles what a failure left, so that every window has an outcome and no event stays open."""
        if not source.lane.is_over or source.under_way:
            for window in source.abandon():
                judged = _judged(source, window, Verdict.unknown(Cause.FAULT))
                source.settle(window, judged)
                self._log(judged)
                self.audience.told(judged)
            with self.supervisor.survives(source.name, "closing what was open"):
                await self._change(source, partial(source.tracker.finish, FAILED))
        if self.keeper is not None:
            because = source.state.detail or str(source.state.stage)
            self.keeper.end(source.name, because=because)

    async def _ask_all(self, source: WatchedSource, asked: Asked) -> None:
        """Takes windows from the lane as the judge has room for them, and asks about them side by side."""
        own_room = asyncio.Semaphore(self.settings.live_in_flight if source.state.live else self.settings.in_flight)
        while await source.lane.ready():
            await own_room.acquire()
            await self._room.acquire()
            entry = source.take()
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
            judged = _judged(source, window, await self._outcome(source, answer))
            with self.supervisor.survives(source.name, f"settling window {window.index}"):
                await settled.put((judged, await self._settle(source, window, judged)))
        with self.supervisor.survives(source.name, "closing what is open"):
            await self._change(source, partial(source.tracker.finish, source.ends_because))
        await settled.put(None)

    async def _settle(self, source: WatchedSource, window: Window, judged: Judged) -> "asyncio.Task[Verdict] | None":
        source.settle(window, judged)
        # In the log before its words are there: they may take minutes, and the watch may be killed before.
        self._log(judged)
        self.audience.judged(judged)
        changes = await self._change(source, partial(source.tracker.push, judged))
        return await self._words.begin(window, judged, changes, source.state)

    async def _outcome(self, source: WatchedSource, answer: "asyncio.Task[Verdict]") -> Verdict:
        # Not `await answer`: the end of the watch cancels answers, some before they have begun, and never this task.
        await asyncio.wait([answer])
        if answer.cancelled():
            return Verdict.unknown(Cause.CANCELLED)
        if (error := answer.exception()) is None:
            return answer.result()
        self.supervisor.note(source.name, "judging a window", error)
        return Verdict.unknown(Cause.FAULT)

    async def _tell_all(self, source: WatchedSource, settled: Settled) -> None:
        """Adds the words to the verdicts as they come, still in order, and hands them on."""
        while (next_settled := await settled.get()) is not None:
            judged, words = next_settled
            with self.supervisor.survives(source.name, f"the words of window {judged.window}"):
                judged = await self._with_words(source, judged, await answer_of(words))
            self.audience.told(judged)
        if source.error is not None:
            self._tell_unreadable(source.state, str(source.error))

    async def _with_words(self, source: WatchedSource, judged: Judged, said: Verdict | None) -> Judged:
        if said is None:
            return judged
        source.state.tokens += said.tokens
        if said.text:
            await self._change(source, partial(source.tracker.describe, judged.window, said.text))
        judged = replace(judged, verdict=_worded(judged.verdict, said))
        self._log(judged)
        return judged

    def _log(self, judged: Judged) -> None:
        if self.keeper is not None:
            self.keeper.verdict(judged)

    async def _change(self, source: WatchedSource, act: Callable[[], Sequence[Change]]) -> Sequence[Change]:
        """Has the tracker act, and tells of what changed before it acts again: a later state never comes first."""
        async with source.changing:
            changes = act()
            for change in changes:
                await self._announce(source, change)
        return changes

    async def _announce(self, source: WatchedSource, change: Change) -> None:
        """Stores a change, then tells of it: an alarm that was heard is an alarm that is on disk."""
        with self.supervisor.survives(source.name, f"keeping event {change.event.id}"):
            await self._keep(source, change)
            if self.keeper is not None:
                change = replace(change, sequence=self.keeper.sequence_of(change))
        source.note(change)
        with self.supervisor.survives(source.name, f"pictures of event {change.event.id}"):
            self._evidence.collect(source, change)
        self._tell(change)

    async def _keep(self, source: WatchedSource, change: Change) -> None:
        if self.keeper is not None and change.kind == "grew":
            self.keeper.event_soon(change.event)
        elif self.keeper is not None and not await self.keeper.event(change.event, untold=change.kind):
            log.error("event %s of %s is announced but not stored", change.event.id, source.name)

    def _tell(self, change: Change) -> None:
        self.audience.changed(change)
        if self.keeper is not None and change.kind != "grew":
            self.keeper.told(change)

    def _look_for_untold(self) -> None:
        """Has told what an earlier watch stored and was killed before telling, also of sources that nobody watches."""
        if self.keeper is not None:
            self.keeper.on_late = self.audience.changed
            self.keeper.is_behind = lambda: self.audience.is_behind
            addresses = list(self.addresses.values())
            self.keeper.look_for_untold(
                besides=lambda: {key for each in addresses for key in (each.name, self._cameras.of(each))}
            )

    def _tell_unreadable(self, state: SourceState, detail: str) -> None:
        verdict = Verdict.unknown(Cause.UNREADABLE, detail=detail)
        judged = Judged(source=state.name, camera_id=state.camera_id, window=state.cut, verdict=verdict)
        state.cut += 1
        state.count(judged)
        self._log(judged)
        self.audience.judged(judged)
        self.audience.told(judged)

    async def _put_away(self) -> None:
        """Finishes the pictures, then the store; neither keeps the other, nor the watch, from ending."""
        with self.supervisor.survives("the end", "finishing pictures"):
            await self._evidence.close()
        if self.keeper is not None:
            with self.supervisor.survives("the end", "closing the store"):
                await self.keeper.close()

    def _chores(self) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
        keeper = self.keeper
        if keeper is None:
            return {}
        return {
            "writing into the store": keeper.flush_for_ever,
            "deleting what is old": partial(keeper.prune_for_ever, self.settings.retention),
        }

    async def _tick_for_ever(self, source: WatchedSource) -> None:
        """Lets the event of a live source end although no window comes, as when the camera is away."""
        while True:
            await asyncio.sleep(1.0)
            if source.state.live and source.state.stage is Stage.LOST:
                with self.supervisor.survives(source.name, "closing what is lost from sight"):
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


def _judged(source: WatchedSource, window: Window, verdict: Verdict) -> Judged:
    return Judged(
        source=source.name,
        camera_id=source.state.camera_id,
        window=window.index,
        verdict=replace(verdict, start_s=window.start_s, end_s=window.end_s),
        captured_s=window.captured_s,
        rest=window.rest,
    )


def _worded(verdict: Verdict, said: Verdict) -> Verdict:
    return replace(verdict, text=said.text or verdict.text, tokens=verdict.tokens + said.tokens)
