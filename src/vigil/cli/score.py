"""`vigil score`: measures how good a served model is on labelled clips or long videos.

vigil score --data data --model fight-lora --json score.json
vigil score clips/ --url http://127.0.0.1:8000/v1 --model base --against fight-lora
vigil score --combine fold-*.json
vigil score --timeline long.csv long.mp4
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from vigil.cli.options import (
    OUTPUT,
    CaFileOption,
    JsonOption,
    KeyFileOption,
    MaxPixelsOption,
    ModelDirOption,
    ModelOption,
    TaskOption,
    UrlOption,
)
from vigil.cli.progress import ScoreProgressBar
from vigil.cli.score_timeline import score_timeline_videos
from vigil.errors import JobError, UsageError
from vigil.file_names import file_name
from vigil.files import require_writable_file, require_writable_folder
from vigil.judge import Endpoint, read_key
from vigil.judge.endpoint import DEFAULT_URL
from vigil.judge.verdict_reader import MIN_LABEL_PROBABILITY
from vigil.manifest import calibration_in
from vigil.report.mistakes import write_mistakes
from vigil.report.tables import comparison_text, score_table
from vigil.score.eval_set import EvalSet, EvalSplit, load_eval_set
from vigil.score.folds import pool_folds, read_fold
from vigil.score.predictions import CombineRule
from vigil.score.run import IN_FLIGHT, ScoreResult, ScoreSettings, score_model
from vigil.score.scorecard import ModelComparison, Score, compare_scores
from vigil.verdict import CAUSE_MEANINGS, Cause

CLIPS = "What to score"
COMPARISON = "Comparison with another model"
FIGURES = "Requests and figures"

ClipsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Class folders (fight/, normal/) or video files. With --timeline: long videos; with "
        "--combine: JSON files.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", rich_help_panel=CLIPS, help="Built dataset whose stored frames are scored instead of videos."
    ),
]
SplitOption = Annotated[EvalSplit, typer.Option(rich_help_panel=CLIPS, help="Split of --data to score.")]
LimitOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        rich_help_panel=CLIPS,
        help="Maximum number of clips, drawn with a fixed seed. Default: all.",
    ),
]
TimelineOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        rich_help_panel=CLIPS,
        help="Score long videos instead of clips, against this file of onsets and ends (docs/timeline.md).",
    ),
]
WatchConfigOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", rich_help_panel=CLIPS, help="With --timeline: watch settings in configs/watch, by name or path."
    ),
]
CombineOption = Annotated[
    bool,
    typer.Option("--combine", rich_help_panel=CLIPS, help="Pool the JSON files of folds into one score; ask nothing."),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", rich_help_panel=COMPARISON, help="Another model to score on the same clips and compare."
    ),
]
AgainstUrlOption = Annotated[
    str | None,
    typer.Option(metavar="URL", rich_help_panel=COMPARISON, help="Endpoint of the other model. Default: --url."),
]
AgainstModelDirOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        rich_help_panel=COMPARISON,
        help="Folder of the other model, for the calibration in its vigil.json. Default: uncalibrated.",
    ),
]
InFlightOption = Annotated[
    int, typer.Option(metavar="N", min=1, rich_help_panel=FIGURES, help="Number of concurrent requests.")
]
DeadlineOption = Annotated[
    float,
    typer.Option(
        metavar="S",
        rich_help_panel=FIGURES,
        help="Timeout of a request in seconds, including its wait at the server; then the window is unknown.",
    ),
]
RuleOption = Annotated[
    CombineRule,
    typer.Option(
        rich_help_panel=FIGURES,
        help="How the windows of a clip give its probability: mean of the top two, maximum, or mean (docs/scoring.md).",
    ),
]
ThresholdOption = Annotated[
    float,
    typer.Option(
        metavar="P", min=0, max=1, rich_help_panel=FIGURES, help="Probability from which a clip counts as an alarm."
    ),
]
MinMassOption = Annotated[
    float,
    typer.Option(
        metavar="P",
        min=0,
        max=1,
        rich_help_panel=FIGURES,
        help="Minimum total probability of the verdict words; below it a window is unknown.",
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        rich_help_panel=FIGURES,
        help="Fail if the server declares another task or frame sampling. Default: warn.",
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER", rich_help_panel=OUTPUT, help="Folder for verdicts, plots and the page of wrong answers."
    ),
]
FreshOption = Annotated[
    bool,
    typer.Option(
        "--fresh", rich_help_panel=OUTPUT, help="Ask about everything again. Default: resume an interrupted run."
    ),
]


def score(
    paths: ClipsArgument = None,
    data: DataOption = None,
    split: SplitOption = "test",
    limit: LimitOption = None,
    timeline: TimelineOption = None,
    watch_config: WatchConfigOption = "default",
    combine: CombineOption = False,
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    model_dir: ModelDirOption = None,
    task: TaskOption = None,
    max_pixels: MaxPixelsOption = None,
    against: AgainstOption = None,
    against_url: AgainstUrlOption = None,
    against_model_dir: AgainstModelDirOption = None,
    in_flight: InFlightOption = IN_FLIGHT,
    deadline_s: DeadlineOption = 300.0,
    rule: RuleOption = "top2",
    threshold: ThresholdOption = 0.5,
    min_label_probability: MinMassOption = MIN_LABEL_PROBABILITY,
    strict: StrictOption = False,
    out: OutOption = Path("outputs/score"),
    json_file: JsonOption = None,
    fresh: FreshOption = False,
) -> None:
    """Score a served model on labelled clips or long videos: accuracy, ROC AUC, calibration, unknowns, speed.

    Example: vigil score --data data --model fight-lora --json score.json
    """
    require_writable_file(json_file, "--json")
    if combine:
        combine_folds(paths or [], json_file=json_file)
        return
    require_writable_folder(out, "--out")
    endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
    contract: dict[str, Any] = {"task": task, "model_dir": model_dir, "max_pixels": max_pixels}
    if timeline is not None:
        refuse_with_timeline(
            {"--data": data, "--against": against, "--against-model-dir": against_model_dir, "--limit": limit}
        )
        # Other defaults than a watch has: only what was asked for replaces its settings.
        overrides: dict[str, Any] = {
            "min_label_probability": _unless(min_label_probability, MIN_LABEL_PROBABILITY),
            "in_flight": _unless(in_flight, IN_FLIGHT),
        }
        overrides |= contract
        score_timeline_videos(
            paths or [], timeline, endpoint, overrides=overrides, config=watch_config, out=out, json_file=json_file
        )
        return
    settings = ScoreSettings(
        in_flight=in_flight,
        deadline_s=deadline_s,
        rule=rule,
        threshold=threshold,
        min_label_probability=min_label_probability,
        fresh=fresh,
        strict=strict,
    )
    eval_set = load_eval_set(paths or [], endpoint=endpoint, data=data, split=split, **contract).drawn(limit)
    other = _other_endpoint(endpoint, against, url=against_url, key_file=key_file, model_dir=against_model_dir)
    scored = [score_one(endpoint, eval_set, settings=settings, out=out)]
    if other is not None:
        # Each model has a calibration of its own: the first one's would distort the other.
        calibrated = replace(eval_set, calibration=calibration_in(against_model_dir))
        scored.append(score_one(other, calibrated, settings=settings, out=out))
    report_score(scored, eval_set, out=out, json_file=json_file)
    require_complete([one.score for one in scored])
    require_answers([one.score for one in scored])


def _unless(value: float, default: float) -> float | None:
    return None if value == default else value


def _other_endpoint(
    first: Endpoint, model: str | None, *, url: str | None, key_file: Path | None, model_dir: Path | None
) -> Endpoint | None:
    """The endpoint of the model to compare with, if one was named."""
    if model is None:
        if model_dir is not None:
            raise UsageError("--against-model-dir goes with --against MODEL")
        return None
    url = url or first.url
    return Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=first.ca_file)


def refuse_with_timeline(options: Mapping[str, object]) -> None:
    """Raises UsageError if an option is given that a score of long videos cannot use."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)} cannot go with --timeline, which watches the videos that are named")


def score_one(endpoint: Endpoint, eval_set: EvalSet, *, settings: ScoreSettings, out: Path) -> ScoreResult:
    """Scores an endpoint's model and shows progress; the verdicts go to a journal in `out`."""
    journal = out / f"verdicts-{file_name(endpoint.model or 'model')}.jsonl"
    with ScoreProgressBar(endpoint.model or "the served model", clips=len(eval_set.clips), journal=journal) as progress:
        return asyncio.run(
            score_model(
                endpoint,
                eval_set.task,
                eval_set.sampling,
                eval_set.clips,
                journal=journal,
                settings=settings,
                calibration=eval_set.calibration,
                observer=progress,
            )
        )


def report_score(scored: Sequence[ScoreResult], eval_set: EvalSet, *, out: Path, json_file: Path | None) -> None:
    """Prints the table, draws the pictures, and writes the page of mistakes and the JSON file."""
    from vigil.report.plots import write_plots

    scores = [one.score for one in scored]
    first, *others = scores
    for other in others:
        comparison = compare_scores(
            (first.model, first.answers), (other.model, other.answers), threshold=first.threshold
        )
        first = replace(first, notes=first.notes | _against(other.to_json(), comparison))
    typer.echo(score_table(scores))
    if "comparison" in first.notes:
        typer.echo("\n" + comparison_text(ModelComparison(**first.notes["comparison"])))
    files = write_plots(out, scores)
    files.append(write_mistakes(out / "mistakes.html", scores[0], eval_set.clips, scored[0].records))
    if json_file is not None:
        first.write(json_file)
        files.append(json_file)
    typer.echo("\n" + "\n".join(f"wrote {file}" for file in files), err=True)


def _against(other: dict[str, Any], comparison: ModelComparison) -> dict[str, Any]:
    return {"against": other, "comparison": comparison.to_json()}


def require_complete(scores: Sequence[Score]) -> None:
    """Raises JobError if the endpoint failed some windows: the figures are then not the model's."""
    lost = [f"{score.model}: {what}" for score in scores if (what := lost_windows(score))]
    if lost:
        raise JobError(
            f"{'; '.join(lost)}. The figures above count them as errors: repeat the command (without --fresh), which "
            "asks only for those that are missing"
        )


def lost_windows(score: Score) -> str:
    """How many windows the endpoint failed, and why; empty if all were answered."""
    causes = score.notes["unanswered"]
    if not causes:
        return ""
    num_windows = score.figures.n if score.windows is None else score.windows.n
    meant = ", ".join(f"{cause} {count}: {CAUSE_MEANINGS[Cause(cause)]}" for cause, count in causes.items())
    return f"{sum(causes.values())} of {num_windows} windows had no answer ({meant})"


def require_answers(scores: Sequence[Score]) -> None:
    """Raises JobError if a model answered about no clip at all: its figures are then meaningless."""
    for score in scores:
        if sum(score.figures.unknown.values()) == score.figures.n:
            causes = ", ".join(f"{cause} ({CAUSE_MEANINGS[Cause(cause)]})" for cause in score.figures.unknown)
            raise JobError(f"{score.model} answered about none of {score.figures.n} clips: {causes}")


def combine_folds(files: Sequence[Path], *, json_file: Path | None) -> None:
    """Pools the score files of folds and prints the table of all clips."""
    if len(files) < 2:
        raise UsageError("name the score files of at least two folds: vigil score --combine fold-*.json")
    score = pool_folds([read_fold(file) for file in files])
    typer.echo(score_table([score]))
    for fold in score.notes["folds"]:
        typer.echo(f"  {json.dumps(fold, ensure_ascii=False)}")
    typer.echo(f"mean ROC AUC of the folds: {score.notes['roc_auc_mean_of_folds']}")
    if json_file is not None:
        score.write(json_file)
