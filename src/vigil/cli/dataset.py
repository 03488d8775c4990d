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

from vigil.cli.dataset_import import import_file
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
from vigil.cli.dataset_report import meaning_of, print_note, show_build
from vigil.cli.help_panels import PanelCommand, command_group
from vigil.cli.main import wide_console
from vigil.cli.options import ENDPOINT, CaFileOption, KeyFileOption, ModelOption
from vigil.cli.progress import progress_bar
from vigil.counted import counted
from vigil.dataset.annotate import AnnotateSettings, annotate_dataset
from vigil.dataset.answer_wording import authors_text
from vigil.dataset.answers import AnswerPolicy
from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.check import CUTOFF_LEN, CheckReport, SplitSummary, check_dataset
from vigil.dataset.examples import split_name
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.preview import refuse_foreign_page, write_preview
from vigil.dataset.splits import SplitSettings
from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.judge.endpoint import DEFAULT_URL, KEY_VARIABLE, Endpoint, read_key
from vigil.questions import load_question

app = command_group(
    "Build, import, check, preview and annotate a dataset.", example="vigil dataset build clips --out data"
)

DatasetFolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the dataset.")]
ClipsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="CLIPS",
        help="Folder with one subfolder of clips per class, such as fight/ and normal/; train/ and test/ folders may "
        "be above them.",
    ),
]
AnswersOption = Annotated[
    AnswerPolicy,
    typer.Option(
        rich_help_panel=ANSWERS,
        help="Description after the verdict word. auto: only for clips that a person or a model described; words: for "
        "the other clips a sentence of the task; verdict: never.",
    ),
]
SourcesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        rich_help_panel=SPLITS,
        help="CSV file with the columns clip,label,source. Clips of one source stay in one split. Default: "
        "CLIPS/sources.csv; without that file recordings are guessed.",
    ),
]
AlsoOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        rich_help_panel=SPLITS,
        help="Folder of more clips, for training only. Clips of recordings in the test or calibration split are "
        "left out.",
    ),
]
FoldsOption = Annotated[
    int | None,
    typer.Option(metavar="K", rich_help_panel=SPLITS, help="Number of folds for cross-validation by recording."),
]
FoldOption = Annotated[
    int | None,
    typer.Option(metavar="I", rich_help_panel=SPLITS, help="Fold used as the test split, from 0 to K-1."),
]
ResplitOption = Annotated[
    bool,
    typer.Option(rich_help_panel=SPLITS, help="Ignore train/ and test/ folders and split by recording instead."),
]


@app.command(cls=PanelCommand)
def build(
    clips: ClipsArgument,
    out: DatasetOut = Path("data"),
    task: DatasetTask = "fight",
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
    answers: AnswersOption = "auto",
    sources: SourcesOption = None,
    also: AlsoOption = None,
    test_share: TestShareOption = 0.3,
    calibration_share: CalibrationShareOption = None,
    val_share: ValShareOption = None,
    seed: SeedOption = 0,
    folds: FoldsOption = None,
    fold: FoldOption = None,
    resplit: ResplitOption = False,
) -> None:
    """Build a LLaMA-Factory dataset from folders of labelled clips.

    Cuts the clips into windows and splits them by recording. A repeated build resumes an interrupted one; descriptions
    written by people or models are kept.

    Example: vigil dataset build clips --out data --task fight --max-pixels 131072
    """
    chosen = chosen_family(family, base)
    question = load_question(task)
    sampling = FrameSampling(
        fps=fps, frames=frames, overlap=overlap, max_pixels=max_pixels, jpeg_quality=jpeg_quality, **chosen.grid
    )
    plan = BuildSettings(
        clips=clips,
        out=out,
        task=question,
        answers=answers,
        extract=ExtractSettings(sampling=sampling, short=short, reader=reader),
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
        meanings=dict(meaning_of(word, question) for word in label or ()),
        limit=limit,
        jobs=jobs or len(os.sched_getaffinity(0)),
        strict=strict,
    )
    with progress_bar("extracting windows") as on_progress:
        report = build_dataset(plan, progress=on_progress)
    show_build(report)


app.command("import", cls=PanelCommand)(import_file)


@app.command(cls=PanelCommand)
def check(
    folder: DatasetFolderArgument = Path("data"),
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the base model. Its tokenizer counts tokens exactly and shows whether the first tokens of "
            "the two answers differ. Default: an upper bound of the tokens, no such check.",
        ),
    ] = None,
    cutoff_len: Annotated[
        int, typer.Option(metavar="TOKENS", help="LLaMA-Factory's cutoff_len; longer examples are an error.")
    ] = CUTOFF_LEN,
    show: Annotated[int, typer.Option(metavar="N", help="Number of examples listed per finding.")] = 5,
) -> None:
    """Check a dataset for faults that would spoil training or scoring.

    Exits with 1 if there are errors; warnings are for a person to judge.

    Example: vigil dataset check data --tokenizer models/Qwen3-VL-2B-Instruct
    """
    with progress_bar("checking", resumes=False) as on_progress:
        report = check_dataset(folder, tokenizer=tokenizer, cutoff_len=cutoff_len, progress=on_progress)
    _show_check(report, show=show)
    if report.errors:
        raise typer.Exit(code=1)


def _show_check(report: CheckReport, *, show: int) -> None:
    out = wide_console()
    table = Table("", *map(split_name, report.splits), box=None)
    has_classes = any(facts.classes for facts in report.splits.values())
    for name, fact in FACTS.items():
        if has_classes or name != "classes":
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
    "classes": lambda facts: _counts(facts.classes),
    "clips": lambda facts: str(facts.clips),
    "groups": lambda facts: str(facts.groups),
    "frames a window": lambda facts: _counts(facts.frames),
    "picture sizes": lambda facts: _counts({f"{w}x{h}": count for (w, h), count in facts.sizes_wh.items()}),
    "words from": lambda facts: authors_text(facts.words),
    "longest, tokens": lambda facts: str(facts.tokens),
}


@app.command(cls=PanelCommand)
def preview(
    folder: DatasetFolderArgument = Path("data"),
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML file to write. Default: FOLDER/preview.html.")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", help="Maximum number of windows, evenly spaced over the dataset; 0 shows all.")
    ] = 300,
) -> None:
    """Write contact sheets of a dataset's windows to one self-contained HTML page.

    Example: vigil dataset preview data --limit 0
    """
    if out is None:
        refuse_foreign_page(folder / "preview.html")
    with progress_bar("drawing contact sheets", resumes=False) as on_progress:
        path = write_preview(folder, out or folder / "preview.html", limit=limit or None, progress=on_progress)
    typer.echo(str(path))


AnnotatorUrl = Annotated[
    str,
    typer.Option(metavar="URL", rich_help_panel=ENDPOINT, help="OpenAI-compatible endpoint of the describing model."),
]
KeyVariableOption = Annotated[
    str, typer.Option(metavar="NAME", rich_help_panel=ENDPOINT, help="Environment variable that holds the API key.")
]


@app.command(cls=PanelCommand)
def annotate(
    folder: DatasetFolderArgument = Path("data"),
    url: AnnotatorUrl = DEFAULT_URL,
    model: ModelOption = "",
    key_env: KeyVariableOption = KEY_VARIABLE,
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    jobs: Annotated[int, typer.Option(metavar="N", help="Number of concurrent requests.")] = 4,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Maximum number of windows to describe in this run. Default: all.")
    ] = None,
    redo: Annotated[bool, typer.Option(help="Also replace descriptions written by other models.")] = False,
) -> None:
    """Let a vision model describe each window of a dataset.

    The description follows the verdict word in the answer. One that contradicts the label is rejected, and those
    written by people are never changed. A repeated run resumes an interrupted one.

    Example: vigil dataset annotate data --url http://127.0.0.1:8000/v1 --model Qwen3-VL-8B-Instruct
    """
    key = read_key(key_file, url=url) if key_file or key_env == KEY_VARIABLE else os.environ.get(key_env, "")
    if key_env != KEY_VARIABLE and not key:
        raise UsageError(f"--key-env: the environment variable {key_env} is empty or not set")
    endpoint = Endpoint(url=url, model=model, api_key=key, ca_file=ca_file)
    with progress_bar("describing windows") as on_progress:
        plan = AnnotateSettings(folder=folder, endpoint=endpoint, jobs=jobs, limit=limit, redo=redo)
        report = annotate_dataset(plan, progress=on_progress)
    for reason, count in report.reasons.most_common():
        print_note(f"rejected: {counted(count, 'description')}, because {reason}; the answer stays as it was")
    typer.echo(
        f"{folder}: {counted(report.written, 'answer')} written by {report.model} "
        f"({report.kept_from_before} were there before); "
        f"{report.rejected} rejected, {report.failed} without reply, {report.human} by people left alone"
    )
    if report.failed:
        raise typer.Exit(code=1)
