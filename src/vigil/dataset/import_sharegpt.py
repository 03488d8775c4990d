"""Imports clips that are already labelled and described in a sharegpt file, and builds a dataset from them.

    vigil dataset import blog/anomaly-train.json --out data

Clips are windowed as in any build, each answer is kept for all windows of its clip, and the split is by recording.
All rows are read before anything is written; the file, its `dataset_info.json` and the clips are never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from vigil.dataset.answers import has_description, is_template, label_of_answer
from vigil.dataset.build import BuildReport, BuildSettings, Material, build_of, lacking
from vigil.dataset.clips import LabelledClip, slugs_of
from vigil.dataset.examples import HUMAN
from vigil.dataset.labelled_rows import DescribedClip, LabelledRows
from vigil.dataset.ownership import REFUSED_NAME, refuse_foreign_report
from vigil.dataset.sharegpt import RefusedRow, find_layout, read_rows
from vigil.dataset.video_paths import VideoPaths
from vigil.dataset.workers import ProgressCallback, no_progress
from vigil.errors import DatasetError, UsageError
from vigil.file_names import readable_names
from vigil.files import os_errors_as, write_json
from vigil.questions import Question

QuestionFrom: TypeAlias = Literal["own", "task"]
"""own: the question in the file. task: the question of the task, whatever the file asks."""


class RowsRefused(DatasetError):
    """Some rows cannot be used, and nothing was written; `refused` lists them."""

    def __init__(self, message: str, refused: Sequence[RefusedRow]) -> None:
        super().__init__(message)
        self.refused = tuple(refused)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """What to import, and how to build it; `build.clips` is ignored.

    `media_dir` is the folder of relative video names; by default the one in `dataset_info.json`, or the file's folder.
    With `skip_bad`, unusable rows are left out.
    """

    file: Path
    build: BuildSettings
    registry: Path | None = None
    media_dir: Path | None = None
    question: QuestionFrom = "own"
    skip_bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The report of the build, and the rows that were left out."""

    built: BuildReport
    refused: tuple[RefusedRow, ...]


def import_dataset(plan: ImportPlan, *, progress: ProgressCallback = no_progress) -> ImportReport:
    """Imports a sharegpt file.

    Raises RowsRefused if rows cannot be used, UsageError and DatasetError as a build does. The same call resumes an
    interrupted import.
    """
    _refuse_own_folder(plan)
    layout = find_layout(plan.file, plan.registry)
    videos = _video_paths(plan, layout.media_dir)
    rows = LabelledRows(plan.build.task, plan.build.meanings, videos)
    for row in read_rows(plan.file, layout):
        rows.take(row)
    question = _question(rows, plan)
    rows.settle()
    _refuse_rows(rows, plan)
    material = _material(rows, plan, question)
    task = replace(plan.build.task, text=question)
    built = build_of(material, replace(plan.build, clips=videos.roots[0], task=task), progress=progress)
    _write_refused(plan, rows.refused)
    return ImportReport(built=built, refused=tuple(rows.refused))


def _refuse_own_folder(plan: ImportPlan) -> None:
    """Raises UsageError if the dataset would overwrite what is imported."""
    out = plan.build.out.resolve()
    for given in (plan.file, plan.registry):
        if given is not None and given.parent.resolve() == out:
            raise UsageError(f"--out {plan.build.out} holds {given.name}, which stays as it is; name another folder")
    refuse_foreign_report(plan.build.out / REFUSED_NAME)


def _video_paths(plan: ImportPlan, media_dir: str) -> VideoPaths:
    beside = plan.file.parent
    if plan.media_dir is not None and not plan.media_dir.is_dir():
        raise UsageError(f"--media-dir: there is no folder {plan.media_dir}")
    of_registry = (plan.registry.parent if plan.registry else beside) / media_dir
    roots = [plan.media_dir or of_registry, beside]
    return VideoPaths(tuple(dict.fromkeys(roots)), foreign=plan.media_dir is not None)


def _question(rows: LabelledRows, plan: ImportPlan) -> str:
    """The question for every window; rows with another one are refused."""
    own = plan.build.task.text
    if plan.question == "task" or not rows.questions:
        return own
    most = rows.questions.most_common(1)[0][0]
    rows.keep_question(most)
    return own if "".join(most.split()) == "".join(own.split()) else most


def _refuse_rows(rows: LabelledRows, plan: ImportPlan) -> None:
    if not rows.rows:
        raise DatasetError(f"{plan.file} holds no rows")
    refused, used = rows.refused, rows.used()
    if refused and not (plan.skip_bad and used):
        advice = "fix them, or leave them out with --skip-bad" if used else "none are left"
        raise RowsRefused(
            f"{len(refused)} of {rows.rows} rows of {plan.file} cannot be used, the first: {refused[0]}; {advice}. "
            "Nothing was written",
            refused,
        )
    task = plan.build.task
    present = {each.label for each in used}
    if not task.is_learnable(present):
        for label in task.lacks(present):
            word = task.word(label)
            raise DatasetError(
                f"not one row of {plan.file} that can be used answers {word}, and a model cannot learn a difference "
                "from one class only"
            )


def _material(rows: LabelledRows, plan: ImportPlan, question: str) -> Material:
    used = rows.used()
    _refuse_clips_in_out(used, plan)
    places = [rows.videos.name_of(each.path) for each in used]
    readable = readable_names(places)
    names = [readable[place] for place in places]
    slugs = slugs_of({name: each.label for name, each in zip(names, used, strict=True)})
    clips = [
        LabelledClip(path=each.path, name=name, label=each.label, slug=slugs[name])
        for name, each in zip(names, used, strict=True)
    ]
    written = {name: each.row.answer for name, each in zip(names, used, strict=True)}
    answers = {name: answer for name, answer in written.items() if not _is_stock(answer, plan.build.task)}
    notes = _notes(rows, plan, question, stock=len(written) - len(answers))
    notes += lacking(plan.build.task.lacks({each.label for each in used}), plan.build.task)
    return Material(clips=clips, answers=answers, author=f"{HUMAN}:{plan.file.name}", notes=notes)


def _refuse_clips_in_out(used: Sequence[DescribedClip], plan: ImportPlan) -> None:
    out = plan.build.out.resolve()
    inside = next((each.path for each in used if each.path.resolve().is_relative_to(out)), None)
    if inside is not None:
        raise UsageError(f"--out {plan.build.out} holds the clip {inside}, which stays as it is; name another folder")


def _is_stock(answer: str, task: Question) -> bool:
    """Whether an answer is one of the task's template sentences, not written for this clip."""
    label = label_of_answer(answer, task)
    return label is not None and has_description(answer, task) and is_template(answer, task, label)


def _notes(rows: LabelledRows, plan: ImportPlan, question: str, *, stock: int) -> list[str]:
    task, file = plan.build.task, plan.file.name
    notes = {
        f"the question of {file} is kept, and is not that of the task {task.name}: score and watch with --model-dir, "
        "whose manifest holds it (--question task uses the task's instead)": question != task.text,
        f"{rows.systems} rows have a system prompt, which is left out: a served model is asked without one": (
            rows.systems > 0
        ),
        f"{stock} answers are sentences of the task {task.name}, word for word: they count as templates": stock > 0,
        f"{rows.skipped} rows were left out, because --label skips their folder": rows.skipped > 0,
    }
    return [note for note, is_so in notes.items() if is_so]


def _write_refused(plan: ImportPlan, refused: Sequence[RefusedRow]) -> None:
    """Writes which rows were left out, and why; deletes the list of an earlier import if there are none."""
    path = plan.build.out / REFUSED_NAME
    if not refused:
        path.unlink(missing_ok=True)
        return
    rows = [{"row": each.number, "why": each.why} for each in refused]
    report = {"file": plan.file.name, "left_out": len(rows), "rows": rows}
    with os_errors_as(path):
        write_json(path, report)
