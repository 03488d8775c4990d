"""The watcher: the whole path from a frame to an alarm, to be read top to bottom.

    frames -> windows -> queue -> judge -> verdict -> rules -> store -> observers

Each source has a reader thread (`vigil.watch.pipeline`); everything else runs in one event loop. Files apply
back-pressure, so none of their windows is lost. Live sources never block: when the queue is full, the oldest window is
dropped. Every window ends in exactly one state (judged, unknown, dropped or skipped), even if its source is paused or
removed in the meantime.

A source is identified by its camera id (`vigil.watch.camera_ids`). When an event opens, rises or closes, the change is
stored, with a number in the change log, before observers receive it; if the store is unavailable, it is published first
and stored later. Changes that an earlier watcher stored but did not publish are published late, at the start. An
unexpected failure in one source or task does not stop the others (`vigil.watch.supervisor`).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from vigil.judge import Judge
from vigil.judge.circuit_breaker import CircuitBreaker
from vigil.observation import Observation
from vigil.rules.site_count import SiteTallies
from vigil.sources.address import Address
from vigil.sources.live_masks import LiveMasks
from vigil.sources.open_capture import open_capture
from vigil.store import Store
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict, WindowAnswers
from vigil.watch.camera_ids import CameraIds
from vigil.watch.camera_lookup import look_up_camera
from vigil.watch.change_publisher import ChangePublisher
from vigil.watch.descriptions import AlarmDescriber, await_description, with_text
from vigil.watch.gate import build_gate
from vigil.watch.live_rules import LiveRules, WatchRules
from vigil.watch.media_recorder import MediaRecorder
from vigil.watch.observers import ObserverGroup, WatchObserver
from vigil.watch.pipeline import FAILED, OpenCapture, SourcePipeline, build_pipeline
from vigil.watch.request_places import RequestPlace, RequestPlaces
from vigil.watch.semantic_log import SemanticLog
from vigil.watch.session_start import record_start
from vigil.watch.settings import WatchSettings
from vigil.watch.source_set import ManagedSource, SourceSet
from vigil.watch.state import SourceState, SourceStatus, WatchSummary
from vigil.watch.store_writer import StoreWriter
from vigil.watch.supervisor import Supervisor
from vigil.watch.task_calibrations import TaskCalibrations
from vigil.watch.view_keeper import ViewKeeper
from vigil.watch.window_asker import WindowAsker
from vigil.watch.window_queue import QueuedWindow
from vigil.windows import Window

log = logging.getLogger(__name__)

GRACE_S = 5.0
"""How long `stop` waits for pending answers before it cancels them."""

PendingAnswers: TypeAlias = "asyncio.Queue[tuple[Window, asyncio.Task[WindowAnswers]] | None]"
PendingResults: TypeAlias = "asyncio.Queue[tuple[JudgedWindow, asyncio.Task[Verdict] | None] | None]"


class Watcher:
    """Watches sources until all files have ended or `stop` is called; live sources do not end by themselves.

    `judge` is called through a circuit breaker that belongs to this watcher. With `store=None` nothing is stored.
    Observers must not block. With `keep_running` the watcher keeps running without sources until `stop`. It is not
    thread-safe: its methods belong to the event loop of `run`. Raises EnvironmentMissing if its gate lacks its weights.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        judge: Judge,
        settings: WatchSettings,
        store: Store | None = None,
        observers: Sequence[WatchObserver] = (),
        keep_running: bool = False,
        opener: OpenCapture = open_capture,
        supervisor: Supervisor | None = None,
    ) -> None:
        rules = WatchRules.of(settings.rules, own=judge.question)
        self.settings = settings = replace(settings, rules=rules.rules)
        # Each source builds its own; weights that are missing are told here, before any source begins.
        build_gate(motion_threshold=settings.motion_threshold, person_threshold=settings.person_threshold)
        self.supervisor = supervisor or Supervisor()
        self.judge = judge
        self.breaker = CircuitBreaker(judge)
        self.observers = ObserverGroup(observers)
        self.writer = None if store is None else StoreWriter(store)
        self._sources = SourceSet(realtime=settings.realtime, rules=rules, memory_s=settings.clips.memory_s)
        self._views = None if store is None else ViewKeeper(store, self._sources)
        self._cameras = CameraIds(store)
        self._tasks: asyncio.TaskGroup | None = None
        self._stopped = asyncio.Event()
        self._keep_running = keep_running
        self._opener = opener
        self._request_slots = asyncio.Semaphore(settings.in_flight)
        self.calibrations = TaskCalibrations(store, model=judge.model)
        self._asker = WindowAsker(self.breaker, own=judge.question, calibrations=self.calibrations)
        self._files = asyncio.Semaphore(settings.files_at_once)
        self._describer = AlarmDescriber(self.breaker, settings)
        self._recorder = MediaRecorder(store, settings)
        self._changes = ChangePublisher(self.writer, self.observers, self._recorder, self.supervisor)
        self._semantic_log = SemanticLog(
            self.breaker, settings.observe, sampling=judge.sampling, on_observation=self._record_observation
        )
        self._tallies = SiteTallies(rules.rules)
        self._answers: set[asyncio.Task[WindowAnswers]] = set()
        # Spread over one stride, so that the sources' windows do not all fall due at the same moment.
        stride_s = judge.sampling.stride / judge.sampling.fps
        for number, address in enumerate(addresses):
            self._sources.add(address, starts_after_s=stride_s * number / len(addresses))

    @property
    def states(self) -> dict[str, SourceState]:
        """The state of each source, by name."""
        return self._sources.states

    @property
    def addresses(self) -> dict[str, Address]:
        """The address of each watched source, by name."""
        return {managed.address.name: managed.address for managed in self._sources}

    @property
    def media_losses(self) -> int:
        """The number of event snapshots and clips that could not be stored so far."""
        return self._recorder.lost

    async def run(self) -> WatchSummary:
        """Watches all sources until they end; returns the counts of every source and of all losses."""
        async with AsyncExitStack() as stack:
            stack.callback(self.observers.on_close)
            stack.push_async_callback(self._close_all)
            self._changes.publish_late(partial(self._keys_of, [*self.addresses.values()]))
            for name, task in self._background_tasks().items():
                stack.callback(asyncio.create_task(self.supervisor.keep(name, task)).cancel)
            stack.push_async_callback(self._semantic_log.close)
            stack.callback(self._sources.close)
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for managed in self._sources:
                    tasks.create_task(self._run_source(managed))
                if self._keep_running:
                    tasks.create_task(self._stopped.wait())
        states = (*self._sources.removed, *self.states.values())
        return WatchSummary(
            states,
            store_losses=0 if self.writer is None else self.writer.lost,
            media_losses=self.media_losses,
            failures=self.supervisor.failures.total(),
        )

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` has been called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Stops in order: reading ends, pending windows are finished or marked unknown, and everything is stored.

        After `GRACE_S` pending answers are cancelled. A second call cancels them at once and abandons clips being cut.
        """
        if self._stopped.is_set():
            self._recorder.cancel()
            self._cancel_all()
            return
        self._stopped.set()
        self._sources.close()
        asyncio.get_running_loop().call_later(GRACE_S, self._cancel_all)

    def add(self, address: Address) -> None:
        """Adds a source; raises UsageError if its name is taken or the watcher is stopping."""
        managed = self._sources.add(address)
        if self._tasks is not None:
            self._tasks.create_task(self._run_source(managed))

    def remove(self, name: str) -> None:
        """Removes a source: its pending windows get an outcome; its open event and its connection are closed."""
        self._sources.remove(name)

    def pause(self, name: str) -> None:
        """Disconnects a live source until `resume`; raises UsageError if it has ended, is unknown or is not live."""
        self._sources.pause(name)

    def resume(self, name: str) -> None:
        """Reconnects a paused source; a file played in real time starts again from the beginning."""
        self._sources.resume(name)

    def masks_of(self, name: str) -> LiveMasks:
        """The masks of a source, to be read or replaced; raises UsageError if there is none of this name."""
        return self._sources.named(name).masks

    def rules_of(self, name: str) -> LiveRules:
        """The rules of a source, as `masks_of`."""
        return self._sources.named(name).rules

    async def _run_source(self, managed: ManagedSource) -> None:
        """Runs a source until it ends, is removed or abandoned; it may be paused and may fail any number of times."""
        slot: AbstractAsyncContextManager[object] = nullcontext() if managed.state.live else self._files
        async with managed.name_lock, slot:
            await self.supervisor.keep(
                managed.address.name,
                partial(self._watch_until_done, managed),
                should_retry=partial(self._note_failure, managed),
                stopped=managed.is_removed,
            )

    async def _watch_until_done(self, managed: ManagedSource) -> None:
        """Looks up the camera id, then watches the source, again after each pause, until it ends or is removed."""
        await look_up_camera(managed, self._cameras, self.observers.on_state)
        await self.calibrations.update(self._sources.sentence_questions())
        while await managed.wait_until_unpaused():
            await self._watch_once(managed)
            if not managed.finished():
                return

    def _note_failure(self, managed: ManagedSource, error: Exception, retry_s: float) -> bool:
        """Records a source's failure in its state; returns True if the source is to be started again."""
        again = managed.fail(retry_s=retry_s)
        if managed.has_ended:
            managed.state.stage, managed.state.detail = (
                SourceStatus.UNREADABLE,
                f"{managed.address.name} failed; the log says why",
            )
            self._publish_unreadable(managed.state, managed.state.detail)
        self.observers.on_state(managed.state)
        return again

    async def _watch_once(self, managed: ManagedSource) -> None:
        """Watches a source from its start until it ends, is paused, is removed or fails."""
        source = managed.source = build_pipeline(
            managed.address,
            managed.state,
            judge=self.judge,
            settings=self.settings,
            previous=managed.previous,
            observers=self.observers,
            masks=managed.masks,
            views=managed.views,
            live_rules=managed.rules,
            opener=self._opener,
            tallies=self._tallies.of_site(self.settings.alerts.site_of(managed.state.camera_id, managed.address.name)),
            guard_rule=lambda rule: self.supervisor.survives(managed.address.name, f"the rule {rule}"),
        )
        try:
            resuming = None if self.writer is None else record_start(self.writer, source, managed, self.judge)
            managed.started(source)
            if resuming is not None and (resumed := await resuming) is not None:
                source.go_on_with(resumed)
            await self._follow(source)
        except Exception:
            await self._finish_session(source)
            raise
        await self._finish_session(source)
        if source.failure is not None:
            raise source.failure

    async def _follow(self, source: SourcePipeline) -> None:
        """Runs the three stages after the reader thread: ask the judge, apply the rules, publish the results."""
        pending: PendingAnswers = asyncio.Queue(4 * self.settings.in_flight)
        results: PendingResults = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            ticking = tasks.create_task(self._tick_periodically(source))
            tasks.create_task(self._ask_windows(source, pending))
            tasks.create_task(self._apply_rules(source, pending, results))
            publishing = tasks.create_task(self._publish_results(source, results))
            publishing.add_done_callback(lambda _: ticking.cancel())

    async def _finish_session(self, source: SourcePipeline) -> None:
        """Gives pending windows an outcome and closes the open event after a failure, then ends the session."""
        if not source.queue.is_over or source.under_way:
            for window in source.abandon():
                judged = source.judged(window, WindowAnswers.unknown(Cause.FAULT))
                source.count_result(window, judged)
                self._log(judged)
                self.observers.on_result(judged)
            with self.supervisor.survives(source.name, "closing the open event"):
                await self._changes.apply(source, partial(source.rules.finish, FAILED))
        if self.writer is not None:
            because = source.state.detail or str(source.state.stage)
            self.writer.end_session(source.name, because=because)

    async def _ask_windows(self, source: SourcePipeline, pending: PendingAnswers) -> None:
        """Takes windows from the queue as request slots become free, and sends them to the judge concurrently."""
        own = self.settings.live_in_flight if source.state.live else self.settings.in_flight
        places = RequestPlaces(self._request_slots, own=own)
        while await source.queue.wait():
            place = await places.take()
            entry = source.take()
            if entry is None:
                place.give_back()
                continue
            answers = asyncio.create_task(self._ask(source, entry, place, places))
            self._answers.add(answers)
            answers.add_done_callback(partial(self._answered, place))
            await pending.put((entry.window, answers))
        await pending.put(None)

    def _answered(self, place: RequestPlace, answers: asyncio.Task[WindowAnswers]) -> None:
        """Gives back the place of a window whose answers have arrived, unless it was given back before."""
        self._answers.discard(answers)
        place.give_back()

    async def _ask(
        self, source: SourcePipeline, entry: QueuedWindow, place: RequestPlace, places: RequestPlaces
    ) -> WindowAnswers:
        """The answers about a window; dropped, skipped and cancelled windows are not sent to the judge."""
        if entry.is_dropped:
            return WindowAnswers.unknown(Cause.DROPPED, entry.health)
        if entry.is_skipped:
            return WindowAnswers.unknown(Cause.SKIPPED, entry.health)
        if source.is_stopping:
            return WindowAnswers.unknown(Cause.CANCELLED, entry.health)
        wait_s = 0.0 if source.state.live else self.settings.file_wait_s
        own = self._semantic_log.remembering(source, entry.window, self.judge.question)
        with self._semantic_log.making_way(is_live=source.state.live):
            found = await self._asker.ask(
                entry.window, own, source.live_rules, source.state, place=place, places=places, wait_s=wait_s
            )
        return replace(found, answers={**found.answers, **entry.health})

    async def _apply_rules(self, source: SourcePipeline, pending: PendingAnswers, results: PendingResults) -> None:
        """Takes verdicts in window order and applies the event rules to them."""
        while (next_pending := await pending.get()) is not None:
            window, asking = next_pending
            judged = source.judged(window, await self._await_answers(source, asking))
            with self.supervisor.survives(source.name, f"applying the rules to window {window.index}"):
                await results.put((judged, await self._apply_rule(source, window, judged)))
        await self._semantic_log.finish(source)
        with self.supervisor.survives(source.name, "closing the open event"):
            await self._changes.apply(source, partial(source.rules.finish, source.end_reason))
        await results.put(None)

    async def _apply_rule(
        self, source: SourcePipeline, window: Window, judged: JudgedWindow
    ) -> "asyncio.Task[Verdict] | None":
        source.count_result(window, judged)
        # Queued for the verdict log before the description arrives: that may take minutes, and the process may be
        # killed first.
        self._log(judged)
        self.observers.on_verdict(judged)
        changes = await self._changes.apply(source, partial(source.push, judged))
        await self._semantic_log.offer(source, window, judged)
        return await self._describer.start(window, judged, changes, source.state)

    async def _await_answers(self, source: SourcePipeline, asking: "asyncio.Task[WindowAnswers]") -> WindowAnswers:
        # Not `await asking`: when the watcher stops, answers are cancelled, some before they have started; this task
        # must not be.
        await asyncio.wait([asking])
        if asking.cancelled():
            return WindowAnswers.unknown(Cause.CANCELLED)
        if (error := asking.exception()) is None:
            return asking.result()
        self.supervisor.note(source.name, "judging a window", error)
        return WindowAnswers.unknown(Cause.FAULT)

    async def _publish_results(self, source: SourcePipeline, results: PendingResults) -> None:
        """Waits for each verdict's description, in window order, and publishes the result."""
        while (next_result := await results.get()) is not None:
            judged, description = next_result
            with self.supervisor.survives(source.name, f"the description of window {judged.window}"):
                judged = await self._with_description(source, judged, await await_description(description))
            self.observers.on_result(judged)
        if source.error is not None:
            self._publish_unreadable(source.state, str(source.error))

    async def _with_description(
        self, source: SourcePipeline, judged: JudgedWindow, answer: Verdict | None
    ) -> JudgedWindow:
        if answer is None:
            return judged
        source.state.tokens += answer.tokens
        if answer.text:
            await self._changes.apply(source, partial(source.rules.describe, judged.window, answer.text))
        judged = replace(judged, verdict=with_text(judged.verdict, answer))
        self._log(judged)
        return judged

    async def _record_observation(
        self, source: SourcePipeline, window: Window, observation: Observation, answer: Answer
    ) -> None:
        """Stores and publishes a line of the semantic log, and applies the rules that are about it."""
        source.state.observations += 1
        source.state.observation, source.state.observed_s = observation.text, observation.end_s
        if self.writer is not None:
            self.writer.queue_observation(observation)
        self.observers.on_observation(observation)
        verdict = Verdict(outcome=Outcome.UNKNOWN, cause=Cause.WORDS_ONLY, text=observation.text)
        judged = source.judged(window, WindowAnswers(verdict, {answer.question or observation.question: answer}))
        with self.supervisor.survives(source.name, f"applying the rules to the observation of window {window.index}"):
            await self._changes.apply(source, partial(source.observe, judged))

    def _log(self, judged: JudgedWindow) -> None:
        if self.writer is not None:
            self.writer.queue_verdict(judged)

    def _keys_of(self, addresses: Sequence[Address]) -> set[str]:
        """The names and camera ids of sources; called in the writer thread."""
        return {key for each in addresses for key in (each.name, self._cameras.of(each))}

    def _publish_unreadable(self, state: SourceState, detail: str) -> None:
        verdict = Verdict.unknown(Cause.UNREADABLE, detail=detail)
        judged = JudgedWindow(source=state.name, camera_id=state.camera_id, window=state.cut, verdict=verdict)
        state.cut += 1
        state.count(judged)
        self._log(judged)
        self.observers.on_verdict(judged)
        self.observers.on_result(judged)

    async def _close_all(self) -> None:
        """Finishes media, then closes the store; a failure of either does not prevent the watcher from ending."""
        with self.supervisor.survives("the end", "finishing snapshots and clips"):
            await self._recorder.close()
        if self._views is not None:
            with self.supervisor.survives("the end", "keeping the usual views"):
                await self._views.close()
        if self.writer is not None:
            with self.supervisor.survives("the end", "closing the store"):
                await self.writer.close()

    def _background_tasks(self) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
        if self.writer is None or self._views is None:
            return {}
        return {
            "keeping the usual views": self._views.follow,
            "calibrating questions on marks": partial(self.calibrations.follow, self._sources.sentence_questions),
            "writing into the store": self.writer.flush_periodically,
            "deleting old media": partial(self.writer.prune_periodically, self.settings.retention),
        }

    async def _tick_periodically(self, source: SourcePipeline) -> None:
        """Closes the event of a lost live source when it is due, although no windows arrive."""
        while True:
            await asyncio.sleep(1.0)
            if source.state.live and source.state.stage is SourceStatus.LOST:
                with self.supervisor.survives(source.name, "closing an event that is lost from sight"):
                    await self._changes.apply(source, partial(source.tick, source.now_s))

    def _cancel_all(self) -> None:
        """Cancels answers and descriptions and closes all queues, even if a reader thread still hangs."""
        self._describer.cancel()
        self._semantic_log.cancel_all()
        for source in self._sources.sources:
            source.queue.close()
        for answer in self._answers:
            answer.cancel()
