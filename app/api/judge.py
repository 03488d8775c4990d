"""`POST /judge`: a clip, a list of frames or one picture, judged now: verdict, probability of each label, words.

A stranger's file is first looked into, and pictures are decoded, in the limited process of
`vigil.sources.image_worker`; nothing of what is sent is kept.
"""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, UploadFile

from vigil.errors import SourceError, UsageError
from vigil.frames import Frame, FrameSampling
from vigil.judge import Judge
from vigil.judge.contract import resolve_contract
from vigil.questions import Question
from vigil.sources.image_worker import worker
from vigil.sources.video_file import open_video
from vigil.verdict import Answer, Outcome, Verdict
from vigil.watch import WatchSettings
from vigil.windows import Window, iter_windows

from ..problems import UnsupportedError
from ..web.uploads import Upload, inspect_upload
from .auth import JudgeCaller, write_down
from .context import ApiContext
from .request_queue import RequestQueue
from .schemas import JudgedOut, Judgement, problems

MOST_FILES = 32
MOST_WINDOWS = 30
"""The windows of a clip that are judged; `is_complete` says whether it has more."""

MOST_FRAMES = 2000
PIECE_BYTES = 1 << 20

Kind = Literal["clip", "frames", "picture"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, cut into windows."""

    kind: Kind
    windows: tuple[Window, ...]
    is_complete: bool


def judge_router(context: ApiContext) -> APIRouter:
    """The route that judges what is sent."""
    router = APIRouter(tags=["judge"])
    queue = RequestQueue(told="too much is being judged already; send it again in a few seconds")

    @router.post("/judge", response_model=Judgement, responses=problems(400, 413, 415, 502, 503))
    async def judge(
        caller: JudgeCaller,
        file: Annotated[
            list[UploadFile],
            File(description="One video, one picture, or several pictures: the frames of a clip, in order."),
        ],
        question: Annotated[
            str, Form(max_length=100, description="Name of a question (GET /questions). Default: the model's own.")
        ] = "",
        words: Annotated[bool, Form(description="Also describe the most alarming window.")] = False,
    ) -> Judgement:
        """Judges a clip, frames or a picture now. Nothing of it is kept."""
        if len(file) > MOST_FILES:
            raise UsageError(f"{len(file)} files were sent; {MOST_FILES} are the most")
        asked = _question(context, question)
        write_down("judge", caller, files=str(len(file)), question=question)
        async with queue.place():
            folder = await asyncio.to_thread(context.site.uploads.visitor_folder)
            try:
                return await _judge(context, await _saved(file, folder), asked, words=words)
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, True)

    return router


def _question(context: ApiContext, name: str) -> Question | None:
    if not name:
        return None
    found = next((each for each in context.site.questions if each.name == name), None)
    if found is None:
        raise UsageError(f"there is no question {name!r}; GET /api/v1/questions lists those there are")
    return found


async def _saved(files: Sequence[UploadFile], folder: Path) -> list[Path]:
    """The files under names of ours; what their senders call them is never used."""
    paths = []
    for number, file in enumerate(files):
        path = folder / f"{number}.bin"
        with path.open("wb") as out:
            while piece := await file.read(PIECE_BYTES):
                await asyncio.to_thread(out.write, piece)
        paths.append(path)
    return paths


async def _judge(context: ApiContext, paths: list[Path], asked: Question | None, *, words: bool) -> Judgement:
    settings, endpoint = context.site.settings, context.site.endpoint
    inspected = await asyncio.to_thread(_inspected, paths)
    resolved = await resolve_contract(
        endpoint,
        question=asked or _own_question(settings, context),
        model_dir=settings.model_dir,
        max_pixels=settings.max_pixels,
    )
    sent = await asyncio.to_thread(_cut, inspected, resolved.sampling)
    async with await Judge.connect(
        endpoint,
        resolved.question,
        resolved.sampling,
        deadline_s=settings.deadline_s,
        min_label_probability=settings.min_label_probability,
        **resolved.for_judge(),
    ) as judge:
        answers = [await judge.ask(window) for window in sent.windows]
        told = [_told(answer, judge) for answer in answers]
        worst = max(range(len(told)), key=lambda number: _rank(told[number]))
        if words and resolved.question.labels:
            told[worst] = await _described(judge, sent.windows[worst], told[worst])
        return Judgement(
            model=judge.model,
            question=resolved.question.name,
            kind=sent.kind,
            is_complete=sent.is_complete,
            verdict=told[worst],
            windows=told,
        )


def _own_question(settings: WatchSettings, context: ApiContext) -> Question | None:
    """The question that the watch is set to; None if it is the model's own."""
    return next((each for each in context.site.questions if each.name == settings.task), None)


def _inspected(paths: Sequence[Path]) -> list[Upload]:
    found = []
    for number, path in enumerate(paths, start=1):
        try:
            found.append(inspect_upload(path))
        except SourceError as error:
            raise UnsupportedError(f"file {number}: {str(error).replace(path.name, 'it')}") from error
    if any(upload.kind == "camera" for upload in found):
        raise UnsupportedError("send a video or pictures; text is neither")
    if len(found) > 1 and any(upload.kind != "picture" for upload in found):
        raise UsageError("send one video, or several pictures; not a video beside other files")
    return found


def _cut(uploads: Sequence[Upload], sampling: FrameSampling) -> Sent:
    """The windows of what was sent; raises SourceError."""
    if uploads[0].kind == "video":
        return _cut_clip(uploads[0].path, sampling)
    frames = [Frame(_picture(upload.path, sampling), i / sampling.fps) for i, upload in enumerate(uploads)]
    if len({frame.image.shape for frame in frames}) > 1:
        raise SourceError("the frames of a clip have one size; these have several")
    kind: Kind = "picture" if len(frames) == 1 else "frames"
    return Sent(kind, tuple(iter_windows(frames, sampling))[:MOST_WINDOWS], True)


def _picture(path: Path, sampling: FrameSampling):  # type: ignore[no-untyped-def]
    return worker().read_image(path, max_pixels=sampling.max_pixels, pixel_multiple=sampling.pixel_multiple)


def _cut_clip(path: Path, sampling: FrameSampling) -> Sent:
    try:
        with open_video(path, sampling) as video:
            frames = islice(video.frames(), MOST_FRAMES)
            found = tuple(islice(iter_windows(frames, sampling), MOST_WINDOWS + 1))
    except SourceError as error:
        raise SourceError(str(error).replace(str(path), "the clip")) from error
    if not found:
        raise SourceError("the clip holds no picture that can be decoded")
    return Sent("clip", tuple(each.without_pictures() for each in found[:MOST_WINDOWS]), len(found) <= MOST_WINDOWS)


def _told(answer: Answer, judge: Judge) -> JudgedOut:
    verdict = answer.verdict(judge.question, alarm_from=judge.alarm_from)
    return JudgedOut(
        start_s=verdict.start_s,
        end_s=verdict.end_s,
        outcome=verdict.outcome,
        cause=verdict.cause,
        label=answer.label,
        p_alarm=verdict.p_alarm,
        probabilities=dict(answer.probabilities),
        text=answer.text,
        detail=verdict.detail,
        latency_ms=verdict.latency_ms,
    )


def _rank(told: JudgedOut) -> tuple[bool, bool, float]:
    """Alarms first, then what is known, by probability."""
    return told.outcome is Outcome.ALARM, told.outcome is not Outcome.UNKNOWN, told.p_alarm or 0.0


async def _described(judge: Judge, window: Window, told: JudgedOut) -> JudgedOut:
    verdict: Verdict = await judge.describe(
        window.jpegs, start_s=window.start_s, end_s=window.end_s, describe_normal=True
    )
    return told.model_copy(update={"text": verdict.text})
