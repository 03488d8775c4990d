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

from vigil.cli.hints import runnable
from vigil.cli.options import ENDPOINT, CaFileOption, KeyFileOption, ModelOption, TaskOption, UrlOption
from vigil.cli.score import lost_windows, score_one
from vigil.errors import JobError
from vigil.events import TierThresholds
from vigil.judge import Endpoint, read_key
from vigil.judge.contract import served_model
from vigil.judge.endpoint import DEFAULT_URL
from vigil.manifest import Calibration, read_manifest
from vigil.report.tables import format_number
from vigil.score.calibration import (
    FEW_SHARE,
    CalibrationReport,
    check_calibration,
    count_reaching,
    fit_answers,
    require_held_out,
    require_same_model,
    require_unseen,
)
from vigil.score.eval_set import EvalSplit, load_eval_set
from vigil.score.folds import read_fold
from vigil.score.predictions import Prediction
from vigil.score.run import ScoreSettings

CLIPS = "Clips"

ClipsArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", help="Class folders (fight/, normal/) or video files the model has not seen."),
]
ModelFolderOption = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Folder of the model; the calibration is written to its vigil.json.")
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", rich_help_panel=CLIPS, help="Built dataset whose stored frames are used instead of videos."
    ),
]
SplitOption = Annotated[
    EvalSplit, typer.Option(rich_help_panel=CLIPS, help="Split of --data to use; the test split is refused.")
]
ScoresOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=CLIPS,
        help="JSON file of a fold's score, used instead of clips; no server is needed. Repeat for each fold.",
    ),
]
ServedAsOption = Annotated[
    str,
    typer.Option(
        metavar="PATH",
        rich_help_panel=ENDPOINT,
        help="Path of --model-dir as the server sees it, if it differs (in a container). Default: --model-dir.",
    ),
]

NEEDED = "the calibration is kept there: name a folder that `vigil train` or `vigil export` wrote"


def calibrate(
    model_dir: ModelFolderOption,
    paths: ClipsArgument = None,
    data: DataOption = None,
    split: SplitOption = "calibration",
    scores: ScoresOption = None,
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    task: TaskOption = None,
    served_as: ServedAsOption = "",
) -> None:
    """Fit temperature and bias on clips a model has not seen, so that its probabilities match observed frequencies.

    Refuses a served model that is not the one in --model-dir, and clips of recordings that the model was trained on
    or is scored on.

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
    calibration = fit_answers(known)
    typer.echo(describe_calibration(check_calibration(known, calibration)))
    print_reach(known, calibration)
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
    require_unseen(manifest, found.clips)
    uncalibrated = replace(found, calibration=None)
    with tempfile.TemporaryDirectory(prefix="vigil-calibrate-") as folder:
        scored = score_one(endpoint, uncalibrated, settings=ScoreSettings(fresh=True), out=Path(folder))
    if lost := lost_windows(scored.score):
        raise JobError(f"{scored.score.model}: {lost}; repeat the command when the server answers")
    return list(scored.score.answers)


def describe_calibration(found: CalibrationReport) -> str:
    """Temperature, bias and the remaining calibration error, as lines of text."""
    lines = [
        f"temperature {found.calibration.temperature:g}, bias {found.calibration.bias:+g}, "
        f"fitted on {found.clips} held-out clips",
        f"calibration error before {format_number(found.ece_before)}, after {format_number(found.ece_after)}, "
        f"after on recordings left out of the fit {format_number(found.ece_cross_fitted)}",
    ]
    if found.label_ece_before is not None:
        lines.append(
            f"of the most probable class before {format_number(found.label_ece_before)}, "
            f"after {format_number(found.label_ece_after)}, "
            f"after on recordings left out of the fit {format_number(found.label_ece_cross_fitted)}"
        )
    return "\n".join(lines)


def print_reach(answers: Sequence[Prediction], calibration: Calibration) -> None:
    """Prints how many alarm clips reach each tier of the watch, and warns if hardly any does."""
    tiers, alarms = TierThresholds(), sum(answer.is_alarm for answer in answers)
    before, after = count_reaching(answers, None, tiers), count_reaching(answers, calibration, tiers)
    reached = ", ".join(f"{count} {tier} ({getattr(tiers, tier)})" for tier, count in after.items())
    reached = reached.replace(" ", " reach ", 1)
    typer.echo(f"of {alarms} alarm clips {reached}; uncalibrated {', '.join(map(str, before.values()))}")
    if after["low"] < FEW_SHARE * alarms:
        warning = (
            f"warning: hardly any alarm clip still reaches the lowest tier ({tiers.low}), so a watch with this "
            "calibration would open hardly any event: the model separates these clips poorly (vigil score shows how "
            "poorly), or they are not what it was trained for. Lower the tiers (of the rules in configs/watch), or "
            "take `calibration` out of vigil.json"
        )
        typer.echo(runnable(warning), err=True)
