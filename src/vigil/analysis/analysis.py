"""One analysis in its own thread, from start to stop, with any number of switches between the modes.

`Analysis.view` returns a snapshot of its state for a page to show.
"""

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from vigil.analysis.segments import AnalysisResults, RecentPictures, RunningSegment, Segment, SegmentObserver
from vigil.errors import VigilError
from vigil.events import Event
from vigil.judge import Endpoint, Judge
from vigil.judge.contract import resolve_contract
from vigil.questions import TEXT_TOKENS, Question
from vigil.sources.address import Address
from vigil.sources.open_capture import open_capture
from vigil.verdict import Cause, JudgedWindow
from vigil.watch import Watcher, WatchSettings
from vigil.watch.pipeline import OpenCapture
from vigil.watch.state import SourceStatus
from vigil.windows import window_start_s

log = logging.getLogger(__name__)


class AnalysisPhase(StrEnum):
    """The phase of an analysis."""

    ASKING = "asking"
    WATCHING = "watching"
    LOST = "lost"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisView:
    """A snapshot of an analysis; `awaiting_description` are the numbers of windows whose description is pending.

    `position_s` is the newest second read, `now_s` the current second of a source watched live, `lag_s` the delay of
    the newest verdict behind its frame. `away` says why the endpoint is not asked at the moment. `model` is the model
    that answers, `forgotten` the number of oldest windows that were discarded.
    """

    phase: AnalysisPhase
    live: bool
    judged: tuple[JudgedWindow, ...] = ()
    events: tuple[Event, ...] = ()
    awaiting_description: frozenset[int] = frozenset()
    position_s: float = 0.0
    now_s: float | None = None
    lag_s: float | None = None
    dropped: int = 0
    away: str = ""
    detail: str = ""
    picture: bytes | None = None
    notes: tuple[str, ...] = ()
    model: str = ""
    forgotten: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the analysis has ended."""
        return self.phase in {AnalysisPhase.DONE, AnalysisPhase.STOPPED, AnalysisPhase.FAILED}


TEXT_DEADLINE_S = 60.0
"""The deadline of a question without labels; its answer is a text."""

STOPPED = "stopped"
ENDED = "the source ended"


class Analysis:
    """Analyses one source for one question; methods may be called from any thread, and only `wait` blocks.

    Files are judged window by window unless `live`, cameras live unless `live` is False; `from_s` starts a file in the
    middle. `opener` opens the source. For a live source, `recent` holds the newest pictures.
    """

    def __init__(
        self,
        address: Address,
        *,
        question: Question,
        endpoint: Endpoint,
        settings: WatchSettings,
        live: bool | None = None,
        from_s: float = 0.0,
        opener: OpenCapture = open_capture,
    ) -> None:
        self.address = address
        self.question = question
        self.for_verdict = bool(question.labels)
        self.settings = settings
        self.recent = RecentPictures()
        self._endpoint = endpoint
        self._opener = opener
        self._lock = threading.Lock()
        self._results = AnalysisResults(settings.hysteresis, source=address.name, task=question.name)
        self._segment = Segment(address.is_live if live is None else live, from_s)
        self._next: Segment | None = self._segment
        self._running: RunningSegment | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._judge: Judge | None = None
        self._began_s = time.monotonic()
        self._stopped = threading.Event()
        self._phase = AnalysisPhase.ASKING
        self._problem = ""
        self._over = threading.Event()
        self._over.set()

    def start(self) -> None:
        """Starts the analysis in a thread of its own."""
        self._began_s = time.monotonic()
        self._start_thread()

    def _start_thread(self) -> None:
        self._phase, self._problem, self._running = AnalysisPhase.ASKING, "", None
        self._stopped.clear()
        self._over.clear()
        threading.Thread(target=self._run, name=f"analysis of {self.address.name}", daemon=True).start()

    def stop(self) -> None:
        """Stops the analysis: nothing more is read or asked, and requests in flight are cancelled."""
        self._stopped.set()
        self._abandon()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until the analysis has ended; False after `timeout_s`."""
        return self._over.wait(timeout_s)

    def go_live(self, at_s: float) -> None:
        """Continues live, even after the end; a file from second `at_s` (its player's position) at its own pace."""
        self._switch(live=True, from_s=at_s)

    def judge_every(self) -> None:
        """Continues window by window; a file from the first window without a verdict."""
        with self._lock:
            gap_s = self._results.first_gap_s()
            judged = self._results.judged
            next_s = judged[-1].start_s + self._stride_s if judged else 0.0
        self._switch(live=False, from_s=next_s if gap_s is None else gap_s)

    def view(self) -> AnalysisView:
        """The current state."""
        with self._lock:
            running, results = self._running, self._results
            notes = running.notes if running else None
            judged = tuple(results.judged)
            return AnalysisView(
                phase=self._phase_now(notes),
                live=self._segment.live,
                judged=judged,
                events=tuple(results.events.values()),
                awaiting_description=frozenset(notes.wordless.values()) if notes else frozenset(),
                position_s=notes.position_s if notes else 0.0,
                now_s=time.time() - notes.epoch_s if notes and notes.epoch_s and not self._over.is_set() else None,
                lag_s=notes.lag_s if notes else None,
                dropped=sum(each.verdict.cause is Cause.DROPPED for each in judged),
                away=running.watch.breaker.reason if running and not self._over.is_set() else "",
                detail=self._problem or (notes.detail if notes else ""),
                picture=notes.picture if notes else None,
                notes=self._notes(notes),
                model=self._judge.model if self._judge else "",
                forgotten=results.forgotten,
            )

    def _notes(self, notes: SegmentObserver | None) -> tuple[str, ...]:
        differences = self._judge.contract_differences if self._judge else ()
        return (*differences, *(notes.problems if notes else ()))

    def _phase_now(self, notes: SegmentObserver | None) -> AnalysisPhase:
        if (
            self._phase is AnalysisPhase.WATCHING
            and notes is not None
            and notes.stage in {SourceStatus.LOST, SourceStatus.CONNECTING}
        ):
            return AnalysisPhase.LOST
        return self._phase

    @property
    def _stride_s(self) -> float:
        return self._judge.sampling.stride / self._judge.sampling.fps if self._judge else 2.0

    def _switch(self, *, live: bool, from_s: float) -> None:
        with self._lock:
            if live == self._segment.live:
                return
            self._segment = self._next = Segment(live, 0.0 if self.address.is_live else max(0.0, from_s))
            was_over = self._over.is_set()
        if was_over:
            self._start_thread()
        else:
            self._abandon(silently=True)

    def _abandon(self, *, silently: bool = False) -> None:
        with self._lock:
            loop, running = self._loop, self._running
        if running is not None and silently:
            running.notes.end()
        if loop is not None and running is not None:
            # The loop may end at this very moment; then there is nothing to abandon.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(running.abandon)

    def _run(self) -> None:
        phase = AnalysisPhase.FAILED
        try:
            asyncio.run(self._work())
            phase = AnalysisPhase.STOPPED if self._stopped.is_set() else AnalysisPhase.DONE
        except VigilError as error:
            self._problem = str(error)
        except Exception:
            log.exception("the analysis of %s failed; this is a fault in Vigil, please report it", self.address.name)
            self._problem = "the analysis failed; the log of the server says why"
        with self._lock:
            again = phase is AnalysisPhase.DONE and self._next is not None
            if not again:
                self._end(phase)
        if again:
            # The mode was switched at the moment the analysis ended.
            self._start_thread()

    def _end(self, phase: AnalysisPhase) -> None:
        self._results.finish(STOPPED if self._stopped.is_set() else ENDED)
        unreadable = self._running is not None and self._running.notes.stage is SourceStatus.UNREADABLE
        self._phase = AnalysisPhase.FAILED if unreadable else phase
        self._over.set()

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        asking = asyncio.create_task(open_judge(self._endpoint, self.question, self.settings))
        while not (await asyncio.wait([asking], timeout=0.1))[0]:
            if self._stopped.is_set():
                asking.cancel()
                return
        async with await asking as judge:
            self._judge = judge
            while (segment := self._take_segment()) is not None:
                await self._run_segment(segment, judge)

    def _take_segment(self) -> Segment | None:
        with self._lock:
            segment, self._next = self._next, None
            return None if self._stopped.is_set() else segment

    async def _run_segment(self, segment: Segment, judge: Judge) -> None:
        """Runs one segment, to its end or until it is abandoned."""
        segment = segment.on_the_grid(self.address, judge.sampling)
        live_source = self.address.is_live
        shift_s = time.monotonic() - self._began_s if live_source else 0.0
        notes = SegmentObserver(
            self._results,
            self._lock,
            shift_s=shift_s,
            with_descriptions=self.for_verdict,
            recent=self.recent if live_source else None,
            quality=judge.sampling.jpeg_quality,
        )
        watch = Watcher(
            [self.address],
            judge=judge,
            settings=segment.settings(self.address, self.settings, with_descriptions=self.for_verdict),
            observers=[notes],
            opener=segment.opener(self.address, self._opener),
        )
        with self._lock:
            if not live_source:
                self._results.drop_from(window_start_s(segment.from_s, judge.sampling))
            self._running = running = RunningSegment(watch, notes)
            self._phase = AnalysisPhase.WATCHING
            superseded = self._next is not None or self._stopped.is_set()
        if superseded:
            running.abandon()
        await watch.run()
        notes.end()


async def open_judge(endpoint: Endpoint, question: Question, settings: WatchSettings) -> Judge:
    """A judge for one analysis, under the served model's own contract; raises EndpointError and UsageError."""
    resolved = await resolve_contract(
        endpoint, question=question, model_dir=settings.model_dir, max_pixels=settings.max_pixels
    )
    return await Judge.connect(
        endpoint,
        resolved.question,
        resolved.sampling,
        **resolved.for_judge(),
        deadline_s=settings.deadline_s if question.labels else TEXT_DEADLINE_S,
        min_label_probability=settings.min_label_probability,
        max_in_flight=settings.in_flight + settings.describe_in_flight,
        retries=0,
        answer_tokens=settings.describe_tokens if question.labels else TEXT_TOKENS,
        alarm_from=settings.tiers.low,
    )
