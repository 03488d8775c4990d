"""`vigil score`: how good a served model is on labelled clips.

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

from vigil.cli.progress import ScoreProgressBar
from vigil.cli.score_timeline import score_timeline_videos
from vigil.errors import JobError, UsageError
from vigil.file_names import file_name
from vigil.files import require_writable_file, require_writable_folder
from vigil.judge import Endpoint, read_key
from vigil.judge.endpoint import DEFAULT_URL
from vigil.judge.verdict_reader import MIN_MASS
from vigil.manifest import calibration_in
from vigil.report.mistakes import write_mistakes
from vigil.report.tables import comparison_text, score_table
from vigil.score.eval_set import EvalSet, EvalSplit, load_eval_set
from vigil.score.folds import pool_folds, read_fold
from vigil.score.predictions import CombineRule
from vigil.score.run import IN_FLIGHT, ScoreResult, ScoreSettings, score_model
from vigil.score.scorecard import ModelComparison, Score, compare_scores
from vigil.verdict import CAUSE_MEANINGS, Cause

ClipPaths = Annotated[list[Path] | None, typer.Argument(help="Class folders (fight/, normal/) or video files.")]
DataFolder = Annotated[Path | None, typer.Option(help="A built dataset, whose stored frames are scored instead.")]
EvalSplitOption = Annotated[EvalSplit, typer.Option(help="The split of --data to score.")]
UrlOption = Annotated[str, typer.Option(help="The OpenAI-compatible endpoint.", envvar="VIGIL_URL")]
ModelOption = Annotated[str, typer.Option(help="The served model; may be omitted if there is only one.")]
KeyFileOption = Annotated[
    Path | None, typer.Option(help="File with the key (else $VIGIL_API_KEY; .vigil/key on this machine).")
]
CaFile = Annotated[
    Path | None,
    typer.Option(help="Certificates of your own authority, for https (else $SSL_CERT_FILE, or the system's)."),
]
MinMass = Annotated[
    float,
    typer.Option(help="A window is unknown if the labels have less total probability.", min=0, max=1),
]
TaskOption = Annotated[str | None, typer.Option(help="Task name or YAML file (default: the dataset's, or fight).")]
ModelDirOption = Annotated[
    Path | None, typer.Option(help="The model's folder, for the contract and calibration in its vigil.json.")
]
MaxPixelsOption = Annotated[int | None, typer.Option(help="For video files: the maximum area of a frame.", min=4096)]
Against = Annotated[str | None, typer.Option(help="Another model to score on the same clips and compare.")]
AgainstModelDir = Annotated[
    Path | None, typer.Option(help="The other model's folder, for the calibration in its vigil.json.")
]
AgainstUrl = Annotated[str | None, typer.Option(help="The other model's endpoint, if it differs.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")]
Out = Annotated[Path, typer.Option(help="Folder for verdicts, pictures and the page of mistakes.")]
FreshRun = Annotated[bool, typer.Option("--fresh", help="Start over; do not resume an interrupted score.")]
CombineFolds = Annotated[bool, typer.Option("--combine", help="Pool the given score files of folds.")]
InFlight = Annotated[int, typer.Option(help="Requests in flight at once.", min=1)]
DeadlineS = Annotated[float, typer.Option(help="Timeout of one request in seconds, including its wait at the server.")]
CombineRuleOption = Annotated[
    CombineRule, typer.Option(help="How the windows of a clip are combined (docs/scoring.md).")
]
Threshold = Annotated[float, typer.Option(help="Probability from which a clip is an alarm.", min=0, max=1)]
LimitOption = Annotated[int | None, typer.Option(help="Maximum number of clips, drawn with a fixed seed.", min=1)]
TimelineCsv = Annotated[
    Path | None, typer.Option(help="CSV of onsets; the paths are then long videos (docs/timeline.md).")
]
WatchConfig = Annotated[str, typer.Option(help="For --timeline: watch settings, a name in configs/watch or a path.")]
Strict = Annotated[bool, typer.Option("--strict", help="Treat a different contract as an error.")]


def score(
    paths: ClipPaths = None,
    data: DataFolder = None,
    split: EvalSplitOption = "test",
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFile = None,
    task: TaskOption = None,
    model_dir: ModelDirOption = None,
    max_pixels: MaxPixelsOption = None,
    against: Against = None,
    against_url: AgainstUrl = None,
    against_model_dir: AgainstModelDir = None,
    json_file: JsonFile = None,
    out: Out = Path("outputs/score"),
    fresh: FreshRun = False,
    combine: CombineFolds = False,
    in_flight: InFlight = IN_FLIGHT,
    deadline_s: DeadlineS = 300.0,
    rule: CombineRuleOption = "top2",
    threshold: Threshold = 0.5,
    min_mass: MinMass = MIN_MASS,
    limit: LimitOption = None,
    strict: Strict = False,
    timeline: TimelineCsv = None,
    watch_config: WatchConfig = "default",
) -> None:
    """Score a served model on labelled clips: accuracy, ROC AUC, calibration, unknowns, speed.

    Example: vigil score --data data --model fight-lora --json score.json
    """
    require_writable_file(json_file, "--json")
    if combine:
        combine_folds(paths or [], json_file=json_file)
        return
    require_writable_folder(out, "--out")
    if timeline is not None:
        refuse_with_timeline(
            {"--data": data, "--against": against, "--against-model-dir": against_model_dir, "--limit": limit}
        )
        asked: dict[str, Any] = {
            "url": url,
            "model": model,
            "task": task,
            "model_dir": model_dir,
            "max_pixels": max_pixels,
        }
        asked |= {"ca_file": ca_file, "min_mass": None if min_mass == MIN_MASS else min_mass}
        asked["in_flight"] = None if in_flight == IN_FLIGHT else in_flight
        key = read_key(key_file, url=url)
        score_timeline_videos(
            paths or [], timeline, asked=asked, api_key=key, config=watch_config, out=out, json_file=json_file
        )
        return
    endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
    ground = load_eval_set(
        paths or [], endpoint=endpoint, data=data, split=split, task=task, model_dir=model_dir, max_pixels=max_pixels
    ).drawn(limit)
    if against is None and against_model_dir is not None:
        raise UsageError("--against-model-dir goes with --against MODEL")
    # Each model has a calibration of its own: the first one's would distort the other.
    other_ground = replace(ground, calibration=calibration_in(against_model_dir))
    settings = ScoreSettings(
        in_flight=in_flight,
        deadline_s=deadline_s,
        rule=rule,
        threshold=threshold,
        min_mass=min_mass,
        fresh=fresh,
        strict=strict,
    )
    scored = [score_one(endpoint, ground, settings=settings, out=out)]
    if against is not None:
        other_url = against_url or url
        key = read_key(key_file, url=other_url)
        other = Endpoint(url=other_url, model=against, api_key=key, ca_file=ca_file)
        scored.append(score_one(other, other_ground, settings=settings, out=out))
    report_score(scored, ground, out=out, json_file=json_file)
    require_complete([one.score for one in scored])
    require_answers([one.score for one in scored])


def refuse_with_timeline(options: Mapping[str, object]) -> None:
    """Raises UsageError if an option is given that a score of long videos cannot use."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)} cannot go with --timeline, which watches the videos that are named")


def score_one(endpoint: Endpoint, ground: EvalSet, *, settings: ScoreSettings, out: Path) -> ScoreResult:
    """Scores an endpoint's model and shows progress; the verdicts go to a journal in `out`."""
    journal = out / f"verdicts-{file_name(endpoint.model or 'model')}.jsonl"
    with ScoreProgressBar(endpoint.model or "the served model", clips=len(ground.clips), journal=journal) as progress:
        return asyncio.run(
            score_model(
                endpoint,
                ground.task,
                ground.sampling,
                ground.clips,
                journal=journal,
                settings=settings,
                calibration=ground.calibration,
                observer=progress,
            )
        )


def report_score(scored: Sequence[ScoreResult], ground: EvalSet, *, out: Path, json_file: Path | None) -> None:
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
    files.append(write_mistakes(out / "mistakes.html", scores[0], ground.clips, scored[0].records))
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
    asked = score.figures.n if score.windows is None else score.windows.n
    meant = ", ".join(f"{cause} {count}: {CAUSE_MEANINGS[Cause(cause)]}" for cause, count in causes.items())
    return f"{sum(causes.values())} of {asked} windows had no answer ({meant})"


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
