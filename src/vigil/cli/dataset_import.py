"""`vigil dataset import`: builds a dataset from clips already described by people, in a ShareGPT-format file."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vigil.cli.dataset_options import (
    ANSWERS,
    DEFAULT,
    SPLITS,
    BaseOption,
    CalibrationShareOption,
    DatasetMaxPixels,
    DatasetOut,
    DatasetTask,
    FamilyOption,
    FpsOption,
    FramesOption,
    JobsOption,
    JpegQualityOption,
    LabelOption,
    LimitOption,
    OverlapOption,
    ReaderOption,
    SeedOption,
    ShortOption,
    StrictOption,
    TestShareOption,
    ValShareOption,
    chosen_family,
)
from vigil.cli.dataset_report import meaning_of, show_build
from vigil.cli.progress import progress_bar
from vigil.dataset.answers import AnswerPolicy
from vigil.dataset.build import BuildSettings
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.import_sharegpt import ImportPlan, QuestionFrom, RowsRefused, import_dataset
from vigil.dataset.ownership import REFUSED_NAME
from vigil.dataset.sharegpt import RefusedRow
from vigil.dataset.splits import SplitSettings
from vigil.frames import FrameSampling
from vigil.questions import load_question

MOST_SHOWN = 10

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="ShareGPT file: a JSON list or JSON lines, with one video, one question and one answer per row.",
    ),
]
MediaDirOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder that the video paths in FILE are relative to. Default: the one in dataset_info.json, else FILE's "
        "own.",
    ),
]
DatasetInfoOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="LLaMA-Factory registry with the column names of FILE. Default: dataset_info.json beside FILE.",
    ),
]
SkipBadOption = Annotated[
    bool,
    typer.Option(
        "--skip-bad",
        help=f"Leave out unusable rows and list them in OUT/{REFUSED_NAME}. Default: write nothing if there are any.",
    ),
]
QuestionOption = Annotated[
    QuestionFrom,
    typer.Option(rich_help_panel=ANSWERS, help="Question to train on. own: the one in FILE; task: the task's."),
]
ImportAnswersOption = Annotated[
    AnswerPolicy,
    typer.Option(
        rich_help_panel=ANSWERS,
        help="Description after the verdict word. auto: the one in FILE; words: where FILE has none, a sentence of the "
        "task; verdict: never.",
    ),
]
ImportSourcesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        rich_help_panel=SPLITS,
        help="CSV file with the columns clip,label,source. Clips of one source stay in one split. Default: "
        "sources.csv in --media-dir; without that file recordings are guessed.",
    ),
]


def import_file(
    file: FileArgument,
    out: DatasetOut = Path("data"),
    task: DatasetTask = "fight",
    media_dir: MediaDirOption = None,
    dataset_info: DatasetInfoOption = None,
    skip_bad: SkipBadOption = False,
    family: FamilyOption = None,
    base: BaseOption = None,
    jobs: JobsOption = 0,
    limit: LimitOption = None,
    strict: StrictOption = False,
    max_pixels: DatasetMaxPixels = DEFAULT.max_pixels,
    fps: FpsOption = DEFAULT.fps,
    frames: FramesOption = DEFAULT.frames,
    overlap: OverlapOption = DEFAULT.overlap,
    jpeg_quality: JpegQualityOption = DEFAULT.jpeg_quality,
    short: ShortOption = "as-is",
    reader: ReaderOption = "pyav",
    label: LabelOption = None,
    question: QuestionOption = "own",
    answers: ImportAnswersOption = "auto",
    sources: ImportSourcesOption = None,
    test_share: TestShareOption = 0.3,
    calibration_share: CalibrationShareOption = None,
    val_share: ValShareOption = None,
    seed: SeedOption = 0,
) -> None:
    """Build a dataset from clips that people have described, in an existing ShareGPT file.

    Each answer must begin with a verdict word; its description is kept for all windows of its clip. FILE and the clips
    are not changed. A repeated import resumes an interrupted one.

    Example: vigil dataset import blog/anomaly-train.json --out data --task fight
    """
    chosen = chosen_family(family, base)
    task_question = load_question(task)
    sampling = FrameSampling(
        fps=fps, frames=frames, overlap=overlap, max_pixels=max_pixels, jpeg_quality=jpeg_quality, **chosen.grid
    )
    plan = BuildSettings(
        clips=file.parent,
        out=out,
        task=task_question,
        extract=ExtractSettings(sampling=sampling, short=short, reader=reader),
        family=chosen,
        answers=answers,
        split=SplitSettings(test_share=test_share, calibration_share=calibration_share, val_share=val_share, seed=seed),
        sources=sources,
        meanings=dict(meaning_of(word, task_question) for word in label or ()),
        limit=limit,
        jobs=jobs or len(os.sched_getaffinity(0)),
        strict=strict,
    )
    _run(
        ImportPlan(
            file=file, build=plan, registry=dataset_info, media_dir=media_dir, question=question, skip_bad=skip_bad
        )
    )


def _run(plan: ImportPlan) -> None:
    try:
        with progress_bar("extracting windows") as on_progress:
            report = import_dataset(plan, progress=on_progress)
    except RowsRefused as error:
        _show_refused(error.refused)
        raise
    _show_refused(report.refused)
    if report.refused:
        listed = plan.build.out / REFUSED_NAME
        typer.echo(f"{len(report.refused)} rows were left out; all of them: {listed}", err=True)
    show_build(report.built)


def _show_refused(refused: tuple[RefusedRow, ...]) -> None:
    for each in refused[:MOST_SHOWN]:
        typer.echo(f"refused: {each}", err=True)
    if len(refused) > MOST_SHOWN:
        typer.echo(f"refused: {len(refused) - MOST_SHOWN} more", err=True)
