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

from vigil.cli.score_progress import ScoreProgress
from vigil.cli.timeline import score_videos
from vigil.errors import JobError, UsageError
from vigil.file_names import file_name
from vigil.files import check_file, check_folder
from vigil.judge import Endpoint, read_key
from vigil.judge.endpoint import DEFAULT_URL
from vigil.judge.reading import MIN_MASS
from vigil.manifest import calibration_in
from vigil.report.mistakes import write_mistakes
from vigil.report.table import comparison_text, score_table
from vigil.score.combine import Rule
from vigil.score.compare import Comparison, compare
from vigil.score.folds import pool, read_fold
from vigil.score.ground import Ground, find_ground
from vigil.score.items import Split
from vigil.score.run import IN_FLIGHT
from vigil.score.scorecard import Score
from vigil.score.session import Scored, Settings, score_model
from vigil.verdict import CAUSE_MEANINGS, Cause

Paths = Annotated[list[Path] | None, typer.Argument(help="Folders of classes (fight/, normal/) or video files.")]
Data = Annotated[Path | None, typer.Option(help="A built dataset: its stored frames are scored instead.")]
SplitOption = Annotated[Split, typer.Option(help="Which part of --data.")]
Url = Annotated[str, typer.Option(help="The OpenAI-compatible endpoint.", envvar="VIGIL_URL")]
Model = Annotated[str, typer.Option(help="The served model; may be left out where there is only one.")]
KeyFile = Annotated[
    Path | None, typer.Option(help="File with the key (else $VIGIL_API_KEY; .vigil/key on this machine).")
]
CaFile = Annotated[
    Path | None,
    typer.Option(help="Certificates of your own authority, for https (else $SSL_CERT_FILE, or the system's)."),
]
MinMass = Annotated[
    float,
    typer.Option(help="A window is unknown where the verdict words have less of the probability.", min=0, max=1),
]
TaskOption = Annotated[str | None, typer.Option(help="Task name or YAML file (default: the dataset's, or fight).")]
ModelDir = Annotated[
    Path | None, typer.Option(help="The model's folder: its vigil.json gives contract and calibration.")
]
MaxPixels = Annotated[int | None, typer.Option(help="For video files: the cap on a frame's area.", min=4096)]
Against = Annotated[str | None, typer.Option(help="Another model, scored on the same clips and compared.")]
AgainstModelDir = Annotated[
    Path | None, typer.Option(help="That model's folder: its vigil.json gives its calibration.")
]
AgainstUrl = Annotated[str | None, typer.Option(help="Where that model is served, if elsewhere.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")]
Out = Annotated[Path, typer.Option(help="Folder for verdicts, pictures and the page of mistakes.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Do not continue an interrupted score.")]
Combine = Annotated[bool, typer.Option("--combine", help="The paths are score files of folds: pool them.")]
InFlight = Annotated[int, typer.Option(help="Requests under way at once.", min=1)]
DeadlineS = Annotated[float, typer.Option(help="Seconds for one request, its wait at the server included.")]
RuleOption = Annotated[Rule, typer.Option(help="How the windows of a clip are combined (docs/scoring.md).")]
Threshold = Annotated[float, typer.Option(help="Probability from which a clip is called an alarm.", min=0, max=1)]
Limit = Annotated[int | None, typer.Option(help="Only so many clips, drawn by a fixed seed.", min=1)]
Timeline = Annotated[Path | None, typer.Option(help="CSV of onsets: the paths are long videos (docs/timeline.md).")]
WatchConfig = Annotated[str, typer.Option(help="For --timeline: how to watch, a name in configs/watch or a path.")]
Strict = Annotated[bool, typer.Option("--strict", help="A contract that differs is an error.")]


def score(
    paths: Paths = None,
    data: Data = None,
    split: SplitOption = "test",
    url: Url = DEFAULT_URL,
    model: Model = "",
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    task: TaskOption = None,
    model_dir: ModelDir = None,
    max_pixels: MaxPixels = None,
    against: Against = None,
    against_url: AgainstUrl = None,
    against_model_dir: AgainstModelDir = None,
    json_file: Json = None,
    out: Out = Path("outputs/score"),
    fresh: Fresh = False,
    combine: Combine = False,
    in_flight: InFlight = IN_FLIGHT,
    deadline_s: DeadlineS = 300.0,
    rule: RuleOption = "top2",
    threshold: Threshold = 0.5,
    min_mass: MinMass = MIN_MASS,
    limit: Limit = None,
    strict: Strict = False,
    timeline: Timeline = None,
    watch_config: WatchConfig = "default",
) -> None:
    """Scores a served model on labelled clips: accuracy, ROC AUC, calibration, unknowns, speed.

    Example: vigil score --data data --model fight-lora --json score.json
    """
    check_file(json_file, "--json")
    if combine:
        combine_folds(paths or [], json_file=json_file)
        return
    check_folder(out, "--out")
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
        score_videos(paths or [], timeline, asked=asked, api_key=key, config=watch_config, out=out, json_file=json_file)
        return
    endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
    ground = find_ground(
        paths or [], endpoint=endpoint, data=data, split=split, task=task, model_dir=model_dir, max_pixels=max_pixels
    ).drawn(limit)
    if against is None and against_model_dir is not None:
        raise UsageError("--against-model-dir goes with --against MODEL")
    # Each model has a calibration of its own: the first one's would distort the other.
    other_ground = replace(ground, calibration=calibration_in(against_model_dir))
    settings = Settings(
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
    report(scored, ground, out=out, json_file=json_file)
    require_complete([one.score for one in scored])
    require_answers([one.score for one in scored])


def refuse_with_timeline(options: Mapping[str, object]) -> None:
    """Raises UsageError where an option is given that a score of long videos cannot heed."""
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)} cannot go with --timeline, which watches the videos that are named")


def score_one(endpoint: Endpoint, ground: Ground, *, settings: Settings, out: Path) -> Scored:
    """Scores an endpoint's model, with its progress shown; the verdicts go to a journal in `out`."""
    journal = out / f"verdicts-{file_name(endpoint.model or 'model')}.jsonl"
    with ScoreProgress(endpoint.model or "the served model", clips=len(ground.clips), journal=journal) as progress:
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


def report(scored: Sequence[Scored], ground: Ground, *, out: Path, json_file: Path | None) -> None:
    """Prints the table, draws the pictures, and writes the page of mistakes and the JSON file."""
    from vigil.report.pictures import write_pictures  # matplotlib takes long to import

    scores = [one.score for one in scored]
    first, *others = scores
    for other in others:
        comparison = compare((first.model, first.answers), (other.model, other.answers), threshold=first.threshold)
        first = replace(first, notes=first.notes | _against(other.to_json(), comparison))
    typer.echo(score_table(scores))
    if "comparison" in first.notes:
        typer.echo("\n" + comparison_text(Comparison(**first.notes["comparison"])))
    files = write_pictures(out, scores)
    files.append(write_mistakes(out / "mistakes.html", scores[0], ground.clips, scored[0].records))
    if json_file is not None:
        first.write(json_file)
        files.append(json_file)
    typer.echo("\n" + "\n".join(f"wrote {file}" for file in files), err=True)


def _against(other: dict[str, Any], comparison: Comparison) -> dict[str, Any]:
    return {"against": other, "comparison": comparison.to_json()}


def require_complete(scores: Sequence[Score]) -> None:
    """Raises JobError where the endpoint failed some windows: the figures are not those of the model."""
    lost = [f"{score.model}: {what}" for score in scores if (what := lost_windows(score))]
    if lost:
        raise JobError(
            f"{'; '.join(lost)}. The figures above count them as errors: repeat the command (without --fresh), which "
            "asks only for those that are missing"
        )


def lost_windows(score: Score) -> str:
    """How many windows the endpoint failed, and why; empty when it answered about all."""
    causes = score.notes["unanswered"]
    if not causes:
        return ""
    asked = score.figures.n if score.windows is None else score.windows.n
    meant = ", ".join(f"{cause} {count}: {CAUSE_MEANINGS[Cause(cause)]}" for cause, count in causes.items())
    return f"{sum(causes.values())} of {asked} windows had no answer ({meant})"


def require_answers(scores: Sequence[Score]) -> None:
    """Raises JobError when a model answered about no clip at all: its figures say nothing of it."""
    for score in scores:
        if sum(score.figures.unknown.values()) == score.figures.n:
            causes = ", ".join(f"{cause} ({CAUSE_MEANINGS[Cause(cause)]})" for cause in score.figures.unknown)
            raise JobError(f"{score.model} answered about none of {score.figures.n} clips: {causes}")


def combine_folds(files: Sequence[Path], *, json_file: Path | None) -> None:
    """Pools the score files of folds and prints the table of all clips."""
    if len(files) < 2:
        raise UsageError("name the score files of at least two folds: vigil score --combine fold-*.json")
    score = pool([read_fold(file) for file in files])
    typer.echo(score_table([score]))
    for fold in score.notes["folds"]:
        typer.echo(f"  {json.dumps(fold, ensure_ascii=False)}")
    typer.echo(f"mean ROC AUC of the folds: {score.notes['roc_auc_mean_of_folds']}")
    if json_file is not None:
        score.write(json_file)
