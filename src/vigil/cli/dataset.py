"""`vigil dataset`: builds, checks, previews and annotates datasets for LLaMA-Factory.

vigil dataset build clips --out data --task fight
vigil dataset check data && vigil dataset preview data
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from vigil.cli.dataset_family import BaseModel, FamilyName, chosen_family
from vigil.cli.dataset_import import import_file
from vigil.cli.dataset_report import meaning_of, show_build, tell
from vigil.cli.main import wide_console
from vigil.cli.progress import progress_bar
from vigil.counted import counted
from vigil.dataset.annotate import AnnotateSettings, annotate_dataset
from vigil.dataset.answer_wording import authors_text
from vigil.dataset.answers import AnswerPolicy
from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.check import CUTOFF_LEN, CheckReport, SplitSummary, check_dataset
from vigil.dataset.examples import split_name
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.frame_files import ShortClipPolicy
from vigil.dataset.preview import refuse_foreign_page, write_preview
from vigil.dataset.splits import SplitSettings
from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.judge.endpoint import DEFAULT_URL, KEY_VARIABLE, Endpoint, read_key
from vigil.questions import load_question
from vigil.sources.video_file import ReaderName

app = typer.Typer(
    help="Build, import, check, look at and describe a dataset for LLaMA-Factory.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

DatasetFolderArgument = Annotated[Path, typer.Argument(help="The dataset's folder.")]


@app.command()
def build(
    clips: Annotated[
        Path, typer.Argument(help="A folder with a folder of clips per class; train/ and test/ may be above.")
    ],
    out: Annotated[Path, typer.Option(help="Where the dataset goes.")] = Path("data"),
    task: Annotated[str, typer.Option(help="A task of configs/tasks, or a YAML file.")] = "fight",
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
    sources: Annotated[Path | None, typer.Option(help="CSV clip,label,source. Default: CLIPS/sources.csv.")] = None,
    also: Annotated[
        Path | None,
        typer.Option(help="More clips, for training only; left out where they show recordings of the test."),
    ] = None,
    answers: Annotated[
        AnswerPolicy,
        typer.Option(help="auto: words where a human or model wrote some; words: else stock ones; verdict: no words."),
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
    folds: Annotated[int | None, typer.Option(help="Grouped k-fold: how many folds.")] = None,
    fold: Annotated[int | None, typer.Option(help="Grouped k-fold: which fold is the test, from 0.")] = None,
    resplit: Annotated[bool, typer.Option(help="Ignore train/ and test/ folders and split by recording.")] = False,
    label: Annotated[
        list[str] | None, typer.Option(help="What a folder means: NAME=alarm, =normal or =skip. Again for more.")
    ] = None,
    reader: Annotated[ReaderName, typer.Option(help="The decoder: pyav or decord.")] = "pyav",
    jobs: Annotated[int, typer.Option(help="Processes; 0 is one a core.")] = 0,
    limit: Annotated[int | None, typer.Option(help="At most so many clips, both labels alike.")] = None,
    strict: Annotated[bool, typer.Option(help="An unreadable clip stops the build.")] = False,
) -> None:
    """Makes a dataset for LLaMA-Factory of folders of clips.

    Cuts clips into windows and splits them by recording. Run again it goes on where it stopped, and keeps what
    people have written.

    Example: vigil dataset build clips --out data --task fight --max-pixels 131072
    """  # fmt: skip
    chosen = chosen_family(family, base)
    sampling = FrameSampling(
        fps=fps, frames=frames, overlap=overlap, max_pixels=max_pixels, jpeg_quality=jpeg_quality, **chosen.grid
    )
    plan = BuildSettings(
        clips=clips,
        out=out,
        task=load_question(task),
        answers=answers,
        recipe=ExtractSettings(sampling=sampling, short=short, reader=reader),
        family=chosen,
        split=SplitSettings(
            test_share=test_share,
            calibration_share=calibration_share,
            val_share=val_share,
            seed=seed,
            folds=folds,
            fold=fold,
            resplit=resplit,
        ),
        sources=sources,
        also=also,
        meanings=dict(meaning_of(word) for word in label or ()),
        limit=limit,
        jobs=jobs or len(os.sched_getaffinity(0)),
        strict=strict,
    )
    with progress_bar("cutting clips") as told:
        report = build_dataset(plan, progress=told)
    show_build(report)


app.command("import")(import_file)


@app.command()
def check(
    folder: DatasetFolderArgument = Path("data"),
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the base model: counts its tokens exactly, and looks whether they tell the labels apart."
        ),
    ] = None,
    cutoff_len: Annotated[int, typer.Option(help="LLaMA-Factory's cutoff_len.")] = CUTOFF_LEN,
    show: Annotated[int, typer.Option(help="How many places of each finding are listed.")] = 5,
) -> None:
    """Finds what would train or score wrongly. Exits 1 when there is such a thing.

    Example: vigil dataset check data --tokenizer models/Qwen3-VL-2B-Instruct
    """
    with progress_bar("checking", resumes=False) as told:
        report = check_dataset(folder, tokenizer=tokenizer, cutoff_len=cutoff_len, progress=told)
    _show_check(report, show=show)
    if report.errors:
        raise typer.Exit(code=1)


def _show_check(report: CheckReport, *, show: int) -> None:
    out = wide_console()
    table = Table("", *map(split_name, report.splits), box=None)
    for name, fact in FACTS.items():
        table.add_row(name, *(fact(facts) for facts in report.splits.values()))
    out.print(table)
    if not report.exact_tokens:
        out.print(f"tokens are an upper bound; cutoff_len is {report.cutoff_len}; --tokenizer counts exactly")
    for finding in report.findings:
        out.print(
            f"{finding.level}: {finding.what}", style="red" if finding.level == "error" else "yellow", markup=False
        )
        for place in finding.where[:show]:
            out.print(f"    {place}", markup=False, soft_wrap=True)
        if len(finding.where) > show:
            out.print(f"    ... and {len(finding.where) + finding.more - show} more")
    warnings = len(report.findings) - len(report.errors)
    out.print(f"{counted(len(report.errors), 'error')}, {counted(warnings, 'warning')}")


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{key} x {count}" for key, count in sorted(counts.items()))


FACTS: Mapping[str, Callable[[SplitSummary], str]] = {
    "windows": lambda facts: str(facts.examples),
    "alarm / normal": lambda facts: f"{facts.alarm} / {facts.normal}",
    "clips": lambda facts: str(facts.clips),
    "groups": lambda facts: str(facts.groups),
    "frames a window": lambda facts: _counts(facts.frames),
    "picture sizes": lambda facts: _counts({f"{w}x{h}": count for (w, h), count in facts.sizes_wh.items()}),
    "words from": lambda facts: authors_text(facts.words),
    "longest, tokens": lambda facts: str(facts.tokens),
}


@app.command()
def preview(
    folder: DatasetFolderArgument = Path("data"),
    out: Annotated[Path | None, typer.Option(help="The page. Default: FOLDER/preview.html.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many windows, evenly chosen; 0 is all.")] = 300,
) -> None:
    """Writes one HTML page of contact sheets that needs no other file.

    Example: vigil dataset preview data --limit 0
    """
    if out is None:
        refuse_foreign_page(folder / "preview.html")
    with progress_bar("drawing sheets", resumes=False) as told:
        path = write_preview(folder, out or folder / "preview.html", limit=limit or None, progress=told)
    typer.echo(str(path))


@app.command()
def annotate(
    folder: DatasetFolderArgument = Path("data"),
    url: Annotated[str, typer.Option(help="An OpenAI-compatible vision endpoint.")] = DEFAULT_URL,
    model: Annotated[str, typer.Option(help="The model; may be left out when only one is served.")] = "",
    key_env: Annotated[str, typer.Option(help="Environment variable that holds the key.")] = KEY_VARIABLE,
    key_file: Annotated[Path | None, typer.Option(help="File that holds the key.")] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(help="Certificates of your own authority, for https (else $SSL_CERT_FILE, or the system's)."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Requests in flight.")] = 4,
    limit: Annotated[int | None, typer.Option(help="Ask about at most so many windows.")] = None,
    redo: Annotated[bool, typer.Option(help="Also replace what another model wrote.")] = False,
) -> None:
    """Lets a vision model write what each clip shows.

    The words after the verdict word, held to the label; people's texts are kept. Run again it goes on where it stopped.

    Example: vigil dataset annotate data --url http://127.0.0.1:8000/v1 --model Qwen3-VL-8B-Instruct
    """
    key = read_key(key_file, url=url) if key_file or key_env == KEY_VARIABLE else os.environ.get(key_env, "")
    if key_env != KEY_VARIABLE and not key:
        raise UsageError(f"--key-env: the environment variable {key_env} is empty or not set")
    endpoint = Endpoint(url=url, model=model, api_key=key, ca_file=ca_file)
    with progress_bar("describing windows") as told:
        plan = AnnotateSettings(folder=folder, endpoint=endpoint, jobs=jobs, limit=limit, redo=redo)
        report = annotate_dataset(plan, progress=told)
    for reason, count in report.reasons.most_common():
        tell(f"rejected: {counted(count, 'description')}, because {reason}; the answer stays as it was")
    typer.echo(
        f"{folder}: {counted(report.written, 'answer')} written by {report.model} "
        f"({report.kept_from_before} were there before); "
        f"{report.rejected} rejected, {report.failed} without reply, {report.human} by people left alone"
    )
    if report.failed:
        raise typer.Exit(code=1)
