"""`vigil calibrate`: fits the temperature and bias that make a model's probabilities match observed frequencies.

vigil calibrate HELD_OUT_CLIPS --model-dir models/fight --url http://127.0.0.1:8000/v1
vigil calibrate --scores fold-0.json --scores fold-1.json --model-dir models/fight
"""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from vigil.calibration import fit_calibration
from vigil.cli.hints import runnable
from vigil.cli.score import (
    CaFile,
    ClipPaths,
    DataFolder,
    KeyFileOption,
    ModelOption,
    TaskOption,
    UrlOption,
    lost_windows,
    score_one,
)
from vigil.errors import JobError
from vigil.events import TierThresholds
from vigil.judge import Endpoint, read_key
from vigil.judge.contract import served_model
from vigil.judge.endpoint import DEFAULT_URL
from vigil.manifest import Calibration, read_manifest
from vigil.score.calibration import (
    FEW_SHARE,
    CalibrationReport,
    check_calibration,
    reaching,
    require_held_out,
    require_same_model,
    require_unmet,
)
from vigil.score.eval_set import EvalSplit, load_eval_set
from vigil.score.folds import read_fold
from vigil.score.predictions import Prediction
from vigil.score.run import ScoreSettings

ModelDir = Annotated[Path, typer.Option(help="The model's folder; the calibration is written to its vigil.json.")]
SplitOption = Annotated[EvalSplit, typer.Option(help="The split of --data to use; never the test split.")]
Scores = Annotated[
    list[Path] | None, typer.Option(help="Score files of folds instead of clips: their answers are out of fold.")
]
ServedAs = Annotated[str, typer.Option(help="The server's path of --model-dir, if it differs (a container).")]

NEEDED = "the calibration is kept there: name a folder that `vigil train` or `vigil export` wrote"


def calibrate(
    model_dir: ModelDir,
    paths: ClipPaths = None,
    data: DataFolder = None,
    split: SplitOption = "calibration",
    scores: Scores = None,
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFile = None,
    task: TaskOption = None,
    served_as: ServedAs = "",
) -> None:
    """Fit temperature and bias on clips the model has not seen, and store them in its vigil.json.

    Refuses a served model that is not the folder's, and clips (or others of their recordings) that the model was
    trained on or is scored on.

    Example: vigil calibrate --data data --model-dir models/fight
    """
    manifest = read_manifest(model_dir, advice=NEEDED)
    if scores:
        answers = [answer for file in scores for answer in read_fold(file).uncalibrated_answers()]
    else:
        endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
        served = asyncio.run(served_model(endpoint))
        require_same_model(served, manifest, model_dir, served_as=served_as)
        answers = ask_held_out(paths or [], endpoint=endpoint, model_dir=model_dir, data=data, split=split, task=task)
    known = [answer for answer in answers if answer.p_alarm is not None]
    calibration = fit_calibration([answer.p_alarm or 0.0 for answer in known], [answer.is_alarm for answer in known])
    typer.echo(describe_calibration(check_calibration(known, calibration)))
    tell_reach(known, calibration)
    path = replace(manifest, calibration=calibration).write(model_dir)
    typer.echo(f"wrote {path}", err=True)


def ask_held_out(
    paths: Sequence[Path],
    *,
    endpoint: Endpoint,
    model_dir: Path,
    data: Path | None,
    split: EvalSplit,
    task: str | None,
) -> list[Prediction]:
    """The served model's uncalibrated probabilities of clips that it may be calibrated on."""
    manifest = read_manifest(model_dir)
    if data is not None:
        require_held_out(manifest, data, split)
    found = load_eval_set(paths, endpoint=endpoint, data=data, split=split, task=task, model_dir=model_dir)
    require_unmet(manifest, found.clips)
    ground = replace(found, calibration=None)
    with tempfile.TemporaryDirectory(prefix="vigil-calibrate-") as folder:
        scored = score_one(endpoint, ground, settings=ScoreSettings(fresh=True), out=Path(folder))
    if lost := lost_windows(scored.score):
        raise JobError(f"{scored.score.model}: {lost}; repeat the command when the server answers")
    return list(scored.score.answers)


def describe_calibration(found: CalibrationReport) -> str:
    """Temperature, bias and the remaining calibration error, as lines of text."""
    crossed = "-" if found.ece_cross_fitted is None else f"{found.ece_cross_fitted:.3f}"
    return "\n".join(
        (
            f"temperature {found.calibration.temperature:g}, bias {found.calibration.bias:+g}, "
            f"fitted on {found.clips} held-out clips",
            f"calibration error before {found.ece_before:.3f}, after {found.ece_after:.3f}, "
            f"after on recordings left out of the fit {crossed}",
        )
    )


def tell_reach(answers: Sequence[Prediction], calibration: Calibration) -> None:
    """Prints how many alarm clips reach each tier of the watch, and warns if hardly any does."""
    tiers, alarms = TierThresholds(), sum(answer.is_alarm for answer in answers)
    before, after = reaching(answers, None, tiers), reaching(answers, calibration, tiers)
    reached = ", ".join(f"{count} {tier} ({getattr(tiers, tier)})" for tier, count in after.items())
    reached = reached.replace(" ", " reach ", 1)
    typer.echo(f"of {alarms} alarm clips {reached}; uncalibrated {', '.join(map(str, before.values()))}")
    if after["low"] < FEW_SHARE * alarms:
        warning = (
            f"warning: hardly any alarm clip still reaches the lowest tier ({tiers.low}), so a watch with this "
            "calibration would open hardly an event: the model tells these clips apart too badly (vigil score says how "
            "badly), or they are not what it was trained for. Lower the tiers (of the rules in configs/watch), or take "
            "`calibration` out of vigil.json"
        )
        typer.echo(runnable(warning), err=True)
