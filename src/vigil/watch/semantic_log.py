"""The semantic log: short observations of cameras, in the time that verdicts leave over.

    log = SemanticLog(breaker, settings, on_observation=record)
    with log.making_way(is_live=True):      # around the request for a verdict
        answer = await breaker.ask(window)
    await log.offer(pipeline, window, judged)

Observations never stand in the way of a verdict. Of each camera one at most is under way. None is begun while the
endpoint is away, while verdicts are slow, or shortly after a window was dropped. If a verdict takes noticeably longer
than usual while observations are under way, they are cancelled, and none is begun for a while: twice as long each time.
What is not begun is not queued but left out, and counted.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vigil.answer_schema import plain_fields, storable_text
from vigil.events import new_id
from vigil.frames import FrameSampling
from vigil.judge.circuit_breaker import CircuitBreaker
from vigil.models import family_reading
from vigil.models.tokens import window_tokens
from vigil.observation import Observation
from vigil.questions import Question
from vigil.scene import scene_line
from vigil.store.times import format_utc
from vigil.verdict import Answer, Cause, JudgedWindow
from vigil.watch.observation_memory import ObservationMemory
from vigil.watch.observation_pace import ObservationPace, TokenBudget
from vigil.watch.observe_settings import ObserveSettings
from vigil.watch.pipeline import SourcePipeline
from vigil.windows import Window

log = logging.getLogger(__name__)

OBSERVABLE = frozenset({None, Cause.SKIPPED})
"""Causes of windows that are observed: those with a verdict, and still ones."""

SLOW_SHARE = 0.5
"""Verdicts that take longer than this share of a stride leave no time for observations."""

YIELD_AT_LEAST_S, YIELD_FACTOR = 0.25, 1.5
"""A verdict that takes longer than both (the factor of the usual latency) makes observations give way."""

LATENCY_WEIGHT = 0.2
"""How much the newest verdict counts in the usual latency."""

PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
LONGEST_TEXT = 2000

OnObservation = Callable[[SourcePipeline, Window, Observation, Answer], Awaitable[None]]
"""Called with each observation, its window and the answer that it was made of."""


def _most_tokens(sampling: FrameSampling, question: Question) -> int:
    """The most tokens that an observation costs: the window, the question and the longest answer."""
    return window_tokens(family_reading(sampling), sampling, question.text) + question.answer_tokens


class SemanticLog:
    """Observes the cameras of one watcher; for one event loop."""

    def __init__(
        self,
        judge: CircuitBreaker,
        settings: ObserveSettings,
        *,
        sampling: FrameSampling,
        on_observation: OnObservation,
    ) -> None:
        self.settings = settings
        self._judge = judge
        self._question = settings.scene_question()
        self._stride_s = sampling.stride / sampling.fps
        self._on_observation = on_observation
        self._budget = TokenBudget(settings, expected=_most_tokens(sampling, settings.scene_question()))
        self._paces: dict[str, ObservationPace] = {}
        self._memories: dict[str, ObservationMemory] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._usual_s: float | None = None
        self._pause_s = PAUSE_S
        self._paused_until_s = 0.0
        self._has_warned = False
        self._is_closed = False

    @contextmanager
    def making_way(self, *, is_live: bool) -> Iterator[None]:
        """Makes observations give way if the request in this block takes noticeably longer than usual.

        The verdict of a file may take its time.
        """
        if not (self.settings.is_on and is_live):
            yield
            return
        loop, began_s = asyncio.get_running_loop(), time.monotonic()
        alone = not self._under_way
        limit = loop.call_later(self._yield_s, self._give_way)
        try:
            yield
        finally:
            limit.cancel()
            if alone:
                self._note_latency(time.monotonic() - began_s)

    def remembering(self, source: SourcePipeline, window: Window, question: Question) -> Question:
        """The question about a window, with what was observed before it if the settings want a memory."""
        memory = self._memories.get(source.name)
        if memory is None:
            return question
        is_changed = self._paces[source.name].change(window) >= self.settings.change_from
        return memory.remembering(question, window, is_changed=is_changed)

    async def offer(self, source: SourcePipeline, window: Window, judged: JudgedWindow) -> None:
        """Begins to observe a window if it is due and nothing is in the way; files wait for their turn."""
        if not self.settings.is_on or self._is_closed:
            return
        if judged.verdict.cause is Cause.DROPPED:
            self._pause()
        pace = self._paces.setdefault(source.name, ObservationPace(self.settings))
        if judged.verdict.cause not in OBSERVABLE or not pace.is_due(window):
            return
        while not source.state.live and self._is_full(source):
            await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)
        if not self._may_begin(source, window):
            source.state.observations_skipped += 1
            return
        pace.note(window)
        task = self._under_way[source.name] = asyncio.create_task(self._observe(source, window))
        task.add_done_callback(lambda _: self._under_way.pop(source.name, None))

    async def close(self) -> None:
        """Cancels what is under way and begins nothing more."""
        self._is_closed = True
        self._cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def cancel_all(self) -> None:
        """Cancels what is under way and begins nothing more, because the watcher is being stopped."""
        self._is_closed = True
        self._cancel()

    async def finish(self, source: SourcePipeline) -> None:
        """Waits for the observation of a source that has ended, or cancels that of one that is stopped."""
        self._paces.pop(source.name, None)
        self._memories.pop(source.name, None)
        self._budget.forget(source.name)
        task = self._under_way.get(source.name)
        if task is None:
            return
        if source.is_stopping:
            task.cancel()
        await asyncio.wait([task])

    def _note_latency(self, latency_s: float) -> None:
        """Counts a verdict that no observation was beside."""
        usual_s = latency_s if self._usual_s is None else self._usual_s
        self._usual_s = usual_s + LATENCY_WEIGHT * (latency_s - usual_s)

    @property
    def _yield_s(self) -> float:
        return max(YIELD_AT_LEAST_S, YIELD_FACTOR * (self._usual_s or 0.0))

    def _may_begin(self, source: SourcePipeline, window: Window) -> bool:
        is_slow = source.state.live and (self._usual_s or 0.0) > SLOW_SHARE * self._stride_s
        is_paused = source.state.live and time.monotonic() < self._paused_until_s
        is_away = self._judge.state != "closed"
        if is_slow or is_paused or is_away or self._is_full(source):
            return False
        return self._budget.has_room(source.name, at_s=window.end_s, is_live=source.state.live)

    def _is_full(self, source: SourcePipeline) -> bool:
        return source.name in self._under_way or len(self._under_way) >= self.settings.in_flight

    def _give_way(self) -> None:
        if self._under_way:
            self._cancel()
            self._pause()

    def _pause(self) -> None:
        """Begins no observation for a while; what happens within a pause makes it no longer."""
        now_s = time.monotonic()
        if now_s < self._paused_until_s:
            return
        self._paused_until_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _cancel(self) -> None:
        for task in self._under_way.values():
            task.cancel()

    async def _observe(self, source: SourcePipeline, window: Window) -> None:
        try:
            await self._ask(source, window)
        except asyncio.CancelledError:
            self._spend(source, window, 0)
            source.state.observations_skipped += 1
            raise
        except Exception:
            source.state.observations_skipped += 1
            log.exception("%s: an observation failed; this is a fault in Vigil, please report it", source.name)

    async def _ask(self, source: SourcePipeline, window: Window) -> None:
        answer = await self._judge.ask(window, self._question)
        self._spend(source, window, answer.tokens)
        if answer.cause is not Cause.WORDS_ONLY or not answer.text:
            source.state.observations_skipped += 1
            return
        self._pause_s = PAUSE_S
        observation = self._observation(source, window, answer)
        if self.settings.memory:
            self._memories.setdefault(source.name, ObservationMemory(self.settings.memory)).note(observation)
        await self._on_observation(source, window, observation, answer)

    def _spend(self, source: SourcePipeline, window: Window, tokens: int) -> None:
        self._budget.spend(source.name, tokens, at_s=window.end_s, is_live=source.state.live)
        source.state.tokens += tokens

    def _observation(self, source: SourcePipeline, window: Window, answer: Answer) -> Observation:
        text, fields = self._read(source, storable_text(answer.text or ""))
        epoch_s = source.capture.started_utc_s
        return Observation(
            id=new_id(),
            camera_id=source.state.camera_id,
            source=source.name,
            session_id="",
            start_s=window.start_s,
            end_s=window.end_s,
            happened_utc=format_utc(time.time() if epoch_s is None else epoch_s + window.start_s),
            text=text[:LONGEST_TEXT],
            fields=fields,
            question=self._question.name,
            model=source.model,
            tokens=answer.tokens,
            place=source.state.place,
        )

    def _read(self, source: SourcePipeline, text: str) -> tuple[str, dict[str, Any] | None]:
        """The line of an answer and its fields; what is not of the form is kept as words, counted and told once."""
        if self._question.schema is None:
            return text, None
        reading = self._question.schema.read(text)
        if reading.fields is not None:
            fields = plain_fields(reading.fields)
            return scene_line(fields, language=self.settings.language), fields
        source.state.observations_as_words += 1
        if not self._has_warned:
            log.warning(
                "%s: an observation is not of the form that was asked for (%s); such answers are kept as words and "
                "counted. A server started by vigil serve forbids white space in JSON (docs/observations.md)",
                source.name,
                reading.problem,
            )
        self._has_warned = True
        return text, None
