"""Asks a vision model for a description of each window of a dataset, to follow the label word.

    vigil dataset annotate data --url http://127.0.0.1:8000/v1 --model Qwen3-VL-8B-Instruct

Every description is logged at once (`annotations.jsonl`), so an interrupted run resumes where it stopped. Answers
written by a human are never changed: the JSON is read again right before it is written.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

from vigil.dataset.annotation_log import Annotation, AnnotationLog, read_annotations
from vigil.dataset.answer_wording import worded
from vigil.dataset.describer import NoReplyError, WindowDescriber, answer_text
from vigil.dataset.examples import HUMAN, SPLITS, TrainingExample, read_splits, split_path, write_examples
from vigil.dataset.folder import dataset_digest, read_dataset_manifest
from vigil.dataset.frame_files import read_frame
from vigil.dataset.workers import ProgressCallback, no_progress
from vigil.errors import EndpointError, UsageError
from vigil.files import os_errors_as
from vigil.judge.discovery import find_model, open_openai_client
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import retry_while_busy
from vigil.manifest import read_manifest
from vigil.questions import Question
from vigil.special_tokens import without_special_tokens

log = logging.getLogger(__name__)

MAX_FAILURES_IN_A_ROW = 10

AnnotationKey: TypeAlias = tuple[str, str, int, float, float]


@dataclass(slots=True)
class AnnotateReport:
    """Number of windows by outcome; `failed` windows got no reply, and the next run asks about them again."""

    model: str
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    kept_from_before: int = 0
    human: int = 0
    written: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateSettings:
    """What to describe, and with which model; `redo` also replaces the descriptions of other models."""

    folder: Path
    endpoint: Endpoint
    jobs: int = 4
    limit: int | None = None
    redo: bool = False
    timeout_s: float = 120.0
    retries: int = 3

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(f"--jobs must be at least 1, not {self.jobs}")

    def may_write(self, example: TrainingExample, model: str) -> bool:
        """Whether the answer of this window may be replaced; an answer by a human never is."""
        if example.is_free:
            return True
        return self.redo and example.author == "model" and example.described_by != f"model:{model}"


def annotate_dataset(plan: AnnotateSettings, *, progress: ProgressCallback = no_progress) -> AnnotateReport:
    """Describes every window that has no description yet.

    Raises EndpointError if the endpoint cannot be used; descriptions received before that are in the dataset.
    """
    _, task = read_dataset_manifest(plan.folder)
    report = AnnotateReport(model=plan.endpoint.model)
    try:
        asyncio.run(_run(plan, task, report, progress))
    finally:
        report.written = apply_annotations(plan, task, report.model)
    return report


async def _run(plan: AnnotateSettings, task: Question, report: AnnotateReport, progress: ProgressCallback) -> None:
    endpoint = plan.endpoint
    async with open_openai_client(endpoint, timeout_s=plan.timeout_s, retries=plan.retries) as client:
        report.model = endpoint.model or (await retry_while_busy(partial(find_model, client, endpoint))).name
        todo = _todo(plan, task, report)[: plan.limit]
        fps = read_manifest(plan.folder).contract.sampling.fps
        describer = WindowDescriber(client, endpoint, report.model, task, fps=fps)
        with AnnotationLog(plan.folder) as written:
            job = _Job(plan.folder, describer, task, report, written, progress, total=len(todo))
            await _all(job, iter(todo), jobs=plan.jobs)


async def _all(job: "_Job", waiting: Iterator[TrainingExample], *, jobs: int) -> None:
    """Consumes the iterator with `jobs` workers; the first error of any worker cancels them all."""
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(job.work(waiting))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _todo(plan: AnnotateSettings, task: Question, report: AnnotateReport) -> list[TrainingExample]:
    examples = [example for each in read_splits(plan.folder, task).values() for example in each]
    before = {entry.key: entry for entry in read_annotations(plan.folder) if entry.model == report.model}
    report.human = sum(example.author == HUMAN for example in examples)
    report.kept_from_before = sum(example.described_by == f"model:{report.model}" for example in examples)
    return [
        example
        for example in examples
        if plan.may_write(example, report.model) and not (example.key in before and before[example.key].fits(example))
    ]


class _Job:
    """State shared by the workers, which take windows from one iterator and write one log."""

    def __init__(
        self,
        folder: Path,
        describer: WindowDescriber,
        task: Question,
        report: AnnotateReport,
        written: AnnotationLog,
        progress: ProgressCallback,
        *,
        total: int,
    ) -> None:
        self._folder = folder
        self._describer = describer
        self._task = task
        self._report = report
        self._log = written
        self._progress = progress
        self._total = total
        self._done = 0
        self._failures_in_a_row = 0
        progress(0, total, "")

    async def work(self, waiting: Iterator[TrainingExample]) -> None:
        """Describes one window after another until none is left."""
        for example in waiting:
            try:
                await self._describe(example)
                self._failures_in_a_row = 0
            except NoReplyError as error:
                self._count_failure(example, error)
            self._done += 1
            self._progress(self._done, self._total, example.clip)

    async def _describe(self, example: TrainingExample) -> None:
        jpegs = [read_frame(self._folder, frame) for frame in example.frames]
        description = await self._describer.describe(jpegs, example.label)
        accepted = not description.reason
        self._report.accepted += accepted
        self._report.rejected += not accepted
        if not accepted:
            self._report.reasons[description.reason.partition(":")[0]] += 1
        clip, kind, window, start_s, end_s = example.key
        self._log.append(
            Annotation(
                clip=clip,
                kind=kind,
                window=window,
                start_s=start_s,
                end_s=end_s,
                label=example.label,
                model=self._report.model,
                status="accepted" if accepted else "rejected",
                answer=answer_text(description, example.label, self._task) if accepted else "",
                reason=description.reason,
                asked=description.asked,
                at_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )

    def _count_failure(self, example: TrainingExample, error: NoReplyError) -> None:
        self._report.failed += 1
        self._failures_in_a_row += 1
        log.warning("%s, window %d: no description (%s)", example.clip, example.window, error)
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise EndpointError(
                f"the last {MAX_FAILURES_IN_A_ROW} requests all failed ({error}); what was written so far is kept, "
                "and the same command goes on from there"
            )


def apply_annotations(plan: AnnotateSettings, task: Question, model: str) -> int:
    """Writes this model's accepted descriptions into the JSON where allowed; returns how many answers changed."""
    folder = plan.folder
    accepted = {
        entry.key: entry for entry in read_annotations(folder) if entry.model == model and entry.status == "accepted"
    }
    splits = read_splits(folder, task)
    changed = 0
    for split in SPLITS:
        examples = [_with_annotation(example, accepted, model, plan) for example in splits[split]]
        fresh = sum(new is not old for new, old in zip(examples, splits[split], strict=True))
        if fresh:
            write_examples(split_path(folder, split), examples)
            changed += fresh
    if changed:
        _renew_manifest(folder, task)
    return changed


def _with_annotation(
    example: TrainingExample, accepted: Mapping[AnnotationKey, Annotation], model: str, plan: AnnotateSettings
) -> TrainingExample:
    entry = accepted.get(example.key)
    if entry is None or not entry.fits(example) or not plan.may_write(example, model):
        return example
    return replace(example, answer=without_special_tokens(entry.answer), described_by=f"model:{model}")


def _renew_manifest(folder: Path, task: Question) -> None:
    splits = read_splits(folder, task)
    with os_errors_as(folder):
        manifest = replace(read_manifest(folder), data_digest=dataset_digest(folder, splits))
        worded(manifest, splits).write(folder)
