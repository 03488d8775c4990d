"""Runs a whole score: connects the judge, asks about every window of every clip, and computes the figures.

    scored = await score_model(endpoint, task, sampling, clips, journal=Path("verdicts.jsonl"))
    print(score_table([scored.score]))

Workers with one request each keep the server busy; threads read and window the clips ahead of them into a bounded
queue. Each verdict is written to the journal as it arrives, so an interrupted score can be resumed.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from vigil.errors import EndpointError, SourceError
from vigil.frames import FrameSampling
from vigil.judge import Endpoint, Judge, MediaForm
from vigil.judge.circuit_breaker import ENDPOINT_CAUSES, SupportsAsk
from vigil.judge.verdict_reader import MIN_LABEL_PROBABILITY
from vigil.manifest import Calibration, Contract
from vigil.questions import Question
from vigil.score.classes import class_score
from vigil.score.eval_set import EvalClip, EvalWindow
from vigil.score.journal import Journal, JournalEntry, measure_throughput
from vigil.score.metrics import expected_calibration_error
from vigil.score.predictions import CombineRule, per_clip, per_window
from vigil.score.scorecard import THRESHOLD, Score, figures, known_predictions
from vigil.verdict import Cause, Outcome, Verdict

IN_FLIGHT = 48
"""Half as many again as vLLM works on at once (`--max-num-seqs 32`), so that one is waiting for each free slot."""

READERS = 2
READ_AHEAD_CLIPS = 8
WaitingWindows: TypeAlias = "asyncio.Queue[tuple[EvalWindow, str] | None]"
"""Windows that are read and not yet asked, each with its digest; None ends a worker."""


class ScoreObserver(Protocol):
    """Follows a run."""

    def clip_read(self, name: str, windows: int) -> None:
        """A clip was read and has this many windows."""
        ...

    def answered(self, record: JournalEntry) -> None:
        """A window got its verdict, now or in the run that this one resumes."""
        ...


class NullScoreObserver:
    """Ignores everything."""

    def clip_read(self, name: str, windows: int) -> None:
        pass

    def answered(self, record: JournalEntry) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class ScoreRun:
    """One pass over the clips, and the state its workers share."""

    judge: SupportsAsk
    journal: Journal
    observer: ScoreObserver = field(default_factory=NullScoreObserver)
    in_flight: int = IN_FLIGHT
    records: list[JournalEntry] = field(default_factory=list)
    _consecutive_faults: int = 0

    async def ask_all(self, clips: Sequence[EvalClip]) -> list[JournalEntry]:
        """The entries of all windows, in the order of clips and windows.

        Raises EndpointError if the server is gone for good; the answers so far are in the journal. A run in which the
        endpoint failed some windows stays open there, so that the next one asks only those.
        """
        queue: WaitingWindows = asyncio.Queue(maxsize=2 * self.in_flight)
        tasks = [asyncio.create_task(self._feed(clips, queue))]
        tasks += [asyncio.create_task(self._work(queue)) for _ in range(self.in_flight)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not count_unanswered(self.records):
            self.journal.close_run()
        place = {clip.name: number for number, clip in enumerate(clips)}
        return sorted(self.records, key=lambda record: (place[record.clip], record.window))

    async def _feed(self, clips: Sequence[EvalClip], queue: WaitingWindows) -> None:
        async for clip, samples in read_ahead(clips):
            if isinstance(samples, SourceError):
                self._keep(_unreadable(clip, samples))
                continue
            self.observer.clip_read(clip.name, len(samples))
            for sample in samples:
                await self._put_unless_completed(sample, queue)
        for _ in range(self.in_flight):
            await queue.put(None)

    async def _put_unless_completed(self, sample: EvalWindow, queue: WaitingWindows) -> None:
        digest = sample.digest
        completed = self.journal.completed.get(digest)
        if completed is None:
            await queue.put((sample, digest))
            return
        self.records.append(completed)
        self.observer.answered(completed)

    async def _work(self, queue: WaitingWindows) -> None:
        while (waiting := await queue.get()) is not None:
            sample, digest = waiting
            asked_s = time.time()
            verdict = await self.judge.verdict(sample.jpegs, start_s=sample.start_s, end_s=sample.end_s)
            self._keep(
                JournalEntry.of(
                    verdict,
                    digest=digest,
                    clip=sample.clip,
                    window=sample.window,
                    asked_s=asked_s,
                    answered_s=time.time(),
                )
            )
            self._stop_if_unreachable(verdict)

    def _keep(self, record: JournalEntry) -> None:
        self.journal.add(record)
        self.records.append(record)
        self.observer.answered(record)

    def _stop_if_unreachable(self, verdict: Verdict) -> None:
        self._consecutive_faults = self._consecutive_faults + 1 if verdict.cause in ENDPOINT_CAUSES else 0
        if self._consecutive_faults < 2 * self.in_flight:
            return
        kept = sum(record.outcome is not Outcome.UNKNOWN for record in self.records)
        raise EndpointError(
            f"the server stopped answering ({verdict.cause}: {verdict.detail or 'no detail'}); {kept} verdicts "
            "are kept: start it again and repeat the command to go on from there"
        )


def count_unanswered(records: Sequence[JournalEntry]) -> dict[str, int]:
    """How many windows have no answer because of the endpoint, by cause."""
    return dict(Counter(str(record.cause) for record in records if record.cause in ENDPOINT_CAUSES).most_common())


def _unreadable(clip: EvalClip, error: SourceError) -> JournalEntry:
    verdict = Verdict.unknown(Cause.UNREADABLE, start_s=0.0, end_s=0.0, detail=str(error))
    return JournalEntry.of(verdict, digest=f"unreadable:{clip.name}", clip=clip.name, window=0)


async def read_ahead(
    clips: Sequence[EvalClip], *, readers: int = READERS, ahead: int = READ_AHEAD_CLIPS
) -> AsyncIterator[tuple[EvalClip, list[EvalWindow] | SourceError]]:
    """The clips with their windows, in order, read by threads at most `ahead` clips in advance."""
    loop = asyncio.get_running_loop()
    pool = ThreadPoolExecutor(readers, thread_name_prefix="score-reader")
    under_way: deque[tuple[EvalClip, asyncio.Future[list[EvalWindow] | SourceError]]] = deque()
    try:
        for clip in clips:
            under_way.append((clip, loop.run_in_executor(pool, _load, clip)))
            if len(under_way) >= ahead:
                oldest, samples = under_way.popleft()
                yield oldest, await samples
        for oldest, samples in under_way:
            yield oldest, await samples
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _load(clip: EvalClip) -> list[EvalWindow] | SourceError:
    try:
        return clip.windows() or SourceError(f"{clip.name} holds no picture")
    except SourceError as error:
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """How to score; `deadline_s` bounds a request including its wait at the server.

    A window whose labels have a total probability below `min_label_probability` is unknown.
    """

    in_flight: int = IN_FLIGHT
    deadline_s: float = 300.0
    rule: CombineRule = "top2"
    threshold: float = THRESHOLD
    min_label_probability: float = MIN_LABEL_PROBABILITY
    fresh: bool = False
    strict: bool = False
    media: MediaForm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreResult:
    """A score and the verdicts behind it."""

    score: Score
    records: tuple[JournalEntry, ...]


async def score_model(
    endpoint: Endpoint,
    task: Question,
    sampling: FrameSampling,
    clips: Sequence[EvalClip],
    *,
    journal: Path,
    settings: ScoreSettings | None = None,
    calibration: Calibration | None = None,
    observer: ScoreObserver | None = None,
) -> ScoreResult:
    """Scores one served model; raises EndpointError if the server cannot be used."""
    settings = settings or ScoreSettings()
    async with await Judge.connect(
        endpoint,
        task,
        sampling,
        strict=settings.strict,
        pinned=True,
        min_label_probability=settings.min_label_probability,
        media=settings.media,
        deadline_s=settings.deadline_s,
        calibration=calibration,
        max_in_flight=settings.in_flight,
    ) as judge:
        header = _header(endpoint, judge, Contract.of(task, sampling))
        with Journal(journal, header=header, fresh=settings.fresh) as opened:
            run = ScoreRun(
                judge=judge, journal=opened, in_flight=settings.in_flight, observer=observer or NullScoreObserver()
            )
            records = await run.ask_all(clips)
        notes = {
            "media": judge.media,
            "contract_differences": list(judge.contract_differences),
            "min_mass": settings.min_label_probability,
        }
    score = score_entries(
        judge.model, clips, records, settings=settings, task=task, calibration=calibration, notes=notes
    )
    return ScoreResult(score=score, records=tuple(records))


def _header(endpoint: Endpoint, judge: Judge, contract: Contract) -> dict[str, str]:
    calibration = judge.calibration
    return {
        "url": endpoint.url,
        "model": judge.model,
        "contract": contract.alias,
        "media": judge.media,
        "min_mass": f"{judge.min_label_probability:g}",
        "calibration": "" if calibration is None else f"{calibration.temperature}:{calibration.bias}",
    }


def score_entries(
    model: str,
    clips: Sequence[EvalClip],
    records: Sequence[JournalEntry],
    *,
    settings: ScoreSettings,
    task: Question | None = None,
    calibration: Calibration | None = None,
    notes: dict[str, Any] | None = None,
) -> Score:
    """The score of the given verdicts; that of a `task` with other labels than alarm and normal has classes."""
    answers = per_clip(clips, records, rule=settings.rule)
    beside: dict[str, Any] = dict(notes or {})
    beside["unanswered"] = count_unanswered(records)
    beside["calibration"] = None if calibration is None else asdict(calibration)
    if calibration is not None:
        raw = per_clip(clips, [record.uncalibrated() for record in records], rule=settings.rule)
        beside["ece_uncalibrated"] = expected_calibration_error(*known_predictions(raw))
    return Score(
        model=model,
        figures=figures(answers, threshold=settings.threshold),
        windows=figures(per_window(clips, records), threshold=settings.threshold),
        pace=measure_throughput(records),
        answers=tuple(answers),
        threshold=settings.threshold,
        rule=settings.rule,
        notes=beside,
        classes=None if task is None or task.has_two_labels else class_score(answers, list(task.words())),
    )
