"""`vigil dataset import`: builds a dataset from clips already described by people, in a ShareGPT-format file."""

import os
from pathlib import Path
from typing import Annotated

import typer

from vigil.cli.dataset_family import BaseModel, FamilyName, chosen_family
from vigil.cli.dataset_report import meaning_of, show_build
from vigil.cli.progress import progress_bar
from vigil.dataset.answers import AnswerPolicy
from vigil.dataset.build import BuildSettings
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.frame_files import ShortClipPolicy
from vigil.dataset.import_sharegpt import ImportPlan, QuestionChoice, RowsRefused, import_dataset
from vigil.dataset.ownership import REFUSED_NAME
from vigil.dataset.sharegpt import RefusedRow
from vigil.dataset.splits import SplitSettings
from vigil.frames import FrameSampling
from vigil.questions import load_question
from vigil.sources.video_file import ReaderName

MOST_SHOWN = 10


def import_file(
    file: Annotated[Path, typer.Argument(help="A sharegpt file: a JSON list or JSON lines, a video file a row.")],
    out: Annotated[Path, typer.Option(help="Where the dataset goes; not the file's own folder.")] = Path("data"),
    task: Annotated[str, typer.Option(help="A task of configs/tasks, or a YAML file.")] = "fight",
    media_dir: Annotated[
        Path | None, typer.Option(help="Where video names begin. Default: as dataset_info.json says, or beside FILE.")
    ] = None,
    dataset_info: Annotated[
        Path | None, typer.Option(help="Says what FILE's columns are called. Default: dataset_info.json beside FILE.")
    ] = None,
    question: Annotated[
        QuestionChoice, typer.Option(help="own: the question that FILE asks; task: the task's, whatever FILE asks.")
    ] = "own",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help=f"Leave out rows that cannot be used; OUT/{REFUSED_NAME} lists them.")
    ] = False,
    max_pixels: Annotated[
        int, typer.Option(help="Largest area of a frame; sides are multiples of what the family reads.")
    ] = FrameSampling().max_pixels,
    family: FamilyName = None,
    base: BaseModel = None,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = FrameSampling().fps,
    frames: Annotated[int, typer.Option(help="Frames in a window; even.")] = FrameSampling().frames,
    overlap: Annotated[
        float, typer.Option(help="Share of a window that the next one repeats.")
    ] = FrameSampling().overlap,
    jpeg_quality: Annotated[int, typer.Option(help="1 to 100.")] = FrameSampling().jpeg_quality,
    short: Annotated[
        ShortClipPolicy, typer.Option(help="Clips shorter than a window: as-is, crop, stretch or both.")
    ] = "as-is",
    sources: Annotated[Path | None, typer.Option(help="CSV clip,label,source. Default: MEDIA_DIR/sources.csv.")] = None,
    answers: Annotated[
        AnswerPolicy,
        typer.Option(help="auto: the words of FILE; words: stock ones where it has none; verdict: no words."),
    ] = "auto",
    test_share: Annotated[float, typer.Option(help="Share of the clips that is kept for the score.")] = 0.3,
    calibration_share: Annotated[
        float | None,
        typer.Option(
            help="Share of the rest for vigil calibrate; 0: none. Default: 0.1, or 24 clips, where clips are enough."
        ),
    ] = None,
    val_share: Annotated[
        float | None,
        typer.Option(
            help="Share of the rest that chooses the best epoch; 0: none. Default: 0.15, where clips are enough."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another split.")] = 0,
    label: Annotated[
        list[str] | None, typer.Option(help="What a folder means: NAME=alarm, =normal or =skip. Again for more.")
    ] = None,
    reader: Annotated[ReaderName, typer.Option(help="The decoder: pyav or decord.")] = "pyav",
    jobs: Annotated[int, typer.Option(help="Processes; 0 is one a core.")] = 0,
    limit: Annotated[int | None, typer.Option(help="At most so many clips, both labels alike.")] = None,
    strict: Annotated[bool, typer.Option(help="An unreadable clip stops the import.")] = False,
) -> None:
    """Makes a dataset of clips that people have described, in a sharegpt file of their own.

    Every answer must begin with a verdict word; its words are kept for all windows of its clip. FILE and the clips
    stay as they are. Run again it goes on where it stopped.

    Example: vigil dataset import blog/anomaly-train.json --out data --task fight
    """  # fmt: skip
    chosen = chosen_family(family, base)
    sampling = FrameSampling(
        fps=fps, frames=frames, overlap=overlap, max_pixels=max_pixels, jpeg_quality=jpeg_quality, **chosen.grid
    )
    plan = BuildSettings(
        clips=file.parent,
        out=out,
        task=load_question(task),
        recipe=ExtractSettings(sampling=sampling, short=short, reader=reader),
        family=chosen,
        answers=answers,
        split=SplitSettings(test_share=test_share, calibration_share=calibration_share, val_share=val_share, seed=seed),
        sources=sources,
        meanings=dict(meaning_of(word) for word in label or ()),
        limit=limit,
        jobs=jobs or len(os.sched_getaffinity(0)),
        strict=strict,
    )
    asked = ImportPlan(
        file=file, build=plan, registry=dataset_info, media_dir=media_dir, question=question, skip_bad=skip_bad
    )
    try:
        with progress_bar("cutting clips") as told:
            report = import_dataset(asked, progress=told)
    except RowsRefused as error:
        _show_refused(error.refused)
        raise
    _show_refused(report.refused)
    if report.refused:
        typer.echo(f"{len(report.refused)} rows were left out; all of them: {out / REFUSED_NAME}", err=True)
    show_build(report.built)


def _show_refused(refused: tuple[RefusedRow, ...]) -> None:
    for each in refused[:MOST_SHOWN]:
        typer.echo(f"refused: {each}", err=True)
    if len(refused) > MOST_SHOWN:
        typer.echo(f"refused: {len(refused) - MOST_SHOWN} more", err=True)
