"""Reads the timeline of a film: every window, or those of its key frames, is asked about and the answers are merged.

Windows are asked concurrently and in the order of the film. Each answer is written to a journal as it arrives, so that
an interrupted run is resumed (`ActionJournal`). A server that is away for a while is waited for.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from vigil.actions.action_journal import ActionJournal
from vigil.actions.action_question import ActionLanguage, action_question
from vigil.actions.action_timeline import ActionTimeline, merge_actions, read_window, seen_seconds
from vigil.actions.key_frames import choose_key_frames, windows_with_key_frames
from vigil.errors import SourceError, UsageError
from vigil.frames import Frame, FrameSampling
from vigil.judge import Endpoint, Judge
from vigil.judge.circuit_breaker import CircuitBreaker
from vigil.judge.contract import resolve_contract
from vigil.questions import Question
from vigil.sources.video_file import read_frames
from vigil.sources.video_info import video_info
from vigil.verdict import Answer
from vigil.windows import Window, iter_windows

LookedAt: TypeAlias = Literal["all", "interval", "change", "flow"]
"""How a film is looked at: all its windows, or those of its key frames."""

OnTimelineProgress: TypeAlias = Callable[[float, float], None]
"""Called with the second of the film that is reached, and its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineSettings:
    """How a film is looked at, and asked about.

    `key_frames` and `most` choose the windows; `text` replaces the words of the question in `language`. A window
    waits `wait_s` for a server that is away. Raises UsageError for inconsistent values.
    """

    key_frames: LookedAt = "all"
    most: int = 48
    language: ActionLanguage = "zh"
    text: str = ""
    model_dir: Path | None = None
    max_pixels: int | None = None
    in_flight: int = 4
    deadline_s: float = 60.0
    wait_s: float = 120.0

    def __post_init__(self) -> None:
        if self.in_flight < 1 or self.deadline_s <= 0 or self.wait_s < 0:
            raise UsageError("in_flight must be at least 1, deadline_s above 0 and wait_s not negative")


async def read_timeline(
    film: Path,
    endpoint: Endpoint,
    settings: TimelineSettings,
    *,
    journal: Path | None = None,
    fresh: bool = False,
    on_progress: OnTimelineProgress = lambda at_s, length_s: None,
) -> ActionTimeline:
    """The timeline of a film. With a `journal` an interrupted run goes on from there, unless `fresh`.

    Raises SourceError if the film cannot be read, EndpointError if the model cannot be asked, JobError if the journal
    cannot be written.
    """
    contract = await resolve_contract(endpoint, model_dir=settings.model_dir, max_pixels=settings.max_pixels)
    sampling = contract.sampling
    question = action_question(sampling, language=settings.language, text=settings.text)
    async with await _open_judge(endpoint, question, settings, sampling=sampling) as judge:
        length_s = video_info(film).duration_s or 0.0
        header = {"film": str(film.resolve()), "bytes": str(film.stat().st_size), "model": judge.model}
        header |= {"question": question.text, "sampling": str(sampling)}
        with ActionJournal(journal, header=header, fresh=fresh) as answered:
            asking = FilmReader(judge, question, answered, settings, lambda at_s: on_progress(at_s, length_s))
            answers = await asking.read(chosen_windows(film, sampling, settings))
            answered.close_run()
    return _timeline(film, judge.model, question, settings, answers, length_s=length_s, sampling=sampling)


async def _open_judge(
    endpoint: Endpoint, question: Question, settings: TimelineSettings, *, sampling: FrameSampling
) -> Judge:
    return await Judge.connect(
        endpoint,
        question,
        sampling,
        deadline_s=settings.deadline_s,
        max_in_flight=settings.in_flight,
        retries=0,
        answer_tokens=question.answer_tokens,
    )


def chosen_windows(film: Path, sampling: FrameSampling, settings: TimelineSettings) -> Iterator[Window]:
    """The windows of a film to ask about, without their pictures; raises SourceError if it cannot be read."""
    windows = iter_windows(_frames(film, sampling), sampling)
    if settings.key_frames != "all":
        stride_s = sampling.stride / sampling.fps
        # The film is read twice, as the pictures of a long one do not fit into memory.
        key_frames = choose_key_frames(
            _frames(film, sampling), by=settings.key_frames, most=settings.most, gap_s=stride_s
        )
        windows = windows_with_key_frames(windows, key_frames)
    for window in windows:
        yield window.without_pictures()


def _frames(film: Path, sampling: FrameSampling) -> Iterator[Frame]:
    return read_frames(film, sampling, fast=True)


class FilmReader:
    """Asks about the windows of one film, `in_flight` at a time."""

    def __init__(
        self,
        judge: Judge,
        question: Question,
        journal: ActionJournal,
        settings: TimelineSettings,
        on_progress: Callable[[float], None],
    ) -> None:
        self._breaker = CircuitBreaker(judge)
        self._question = question
        self._journal = journal
        self._settings = settings
        self._on_progress = on_progress
        self._free = asyncio.Semaphore(settings.in_flight)

    async def read(self, windows: Iterator[Window]) -> list[Answer]:
        """The answers about the windows, in their order."""
        answers: list[asyncio.Task[Answer]] = []
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._free.acquire()
                # Decoding takes long, and answers must be read meanwhile.
                window = await asyncio.to_thread(next, windows, None)
                if window is None:
                    break
                answers.append(tasks.create_task(self._answer(window)))
        return [answer.result() for answer in answers]

    async def _answer(self, window: Window) -> Answer:
        try:
            answer = self._journal.answered(window)
            if answer is None:
                answer = await self._breaker.ask(window, self._question, wait_s=self._settings.wait_s)
                self._journal.add(window, answer)
            self._on_progress(window.end_s)
            return answer
        finally:
            self._free.release()


def _timeline(
    film: Path,
    model: str,
    question: Question,
    settings: TimelineSettings,
    answers: list[Answer],
    *,
    length_s: float,
    sampling: FrameSampling,
) -> ActionTimeline:
    if not answers:
        raise SourceError(f"{film} has no window to ask about")
    assert question.schema is not None
    read = [read_window(answer, question.schema) for answer in answers]
    return ActionTimeline(
        film=film.name,
        model=model,
        question=question.text,
        key_frames=settings.key_frames,
        length_s=max(length_s, max(window.end_s for window in read)),
        seen_s=seen_seconds(read),
        windows=len(read),
        tokens=sum(answer.tokens for answer in answers),
        actions=merge_actions(read, join_s=sampling.stride / sampling.fps),
        words=tuple(window.words for window in read if window.words is not None),
        unknown=tuple(window.unknown for window in read if window.unknown is not None),
    )
