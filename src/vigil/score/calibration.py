"""Checks which model and which held-out clips may be used for a calibration, and measures what it gains."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vigil.calibration import MIN_CLIPS, calibrate, fit_calibration
from vigil.dataset.folder import dataset_digest_on_disk
from vigil.dataset.used_clips import USED_KEY, UsedClips
from vigil.errors import UsageError
from vigil.events import TierThresholds
from vigil.judge.discovery import ServedModel
from vigil.manifest import Calibration, Manifest, read_manifest
from vigil.score.eval_set import EvalClip, EvalSplit
from vigil.score.metrics import Flags, Floats, expected_calibration_error
from vigil.score.predictions import Prediction
from vigil.score.scorecard import known_predictions

log = logging.getLogger(__name__)

FOLDS = 5

SEEN_BECAUSE: Mapping[str, str] = {
    "train": "the model was trained on them and is surer there than anywhere else",
    "val": "the model was trained on them (they chose its best epoch) and is surer there than elsewhere",
    "test": "they are kept for the score, which a calibration fitted on them would flatter",
}
FEW_SHARE = 0.2
"""Below this share of alarm clips that reach the lowest tier, a watch would hardly open an event."""


def require_same_model(served: ServedModel, model: Manifest, folder: Path, *, served_as: str = "") -> None:
    """Raises UsageError if the served model is not the one in this folder, as far as the server reports it.

    `served_as` is the server's path of the folder, if it differs.
    """
    differences = model.contract.differences(served.alias) if served.alias else []
    if differences:
        raise UsageError(f"{served.name} is not the model in {folder}: {'; '.join(differences)}; serve that folder")
    if not served.root:
        log.warning("the server does not report which folder it serves: it cannot be checked that it is %s", folder)
        return
    if served_as.rstrip("/") == served.root.rstrip("/") if served_as else _is_called(served.root, folder):
        return
    raise UsageError(
        f"{served.name} at the endpoint serves {served.root}, and the calibration would go into {folder}: name the "
        f"folder that is served with --model-dir; or, where it is that folder and the server (a container, another "
        f"machine) knows it by another path, say so: --served-as {served.root}"
    )


def _is_called(root: str, folder: Path) -> bool:
    """Whether the path reported by a server refers to this folder; a relative path may start at any parent of it."""
    path = Path(root)
    if path.is_absolute() or path.exists():
        return path.exists() and path.samefile(folder)
    return folder.resolve().parts[-len(path.parts) :] == path.parts


def require_unseen(model: Manifest, clips: Sequence[EvalClip]) -> None:
    """Raises UsageError if the model has already seen some of the clips, or others of their recordings."""
    used = model.training.get(USED_KEY)
    if not isinstance(used, dict):
        log.warning(
            "this model's manifest does not list the clips it was trained on (an older Vigil wrote it): it cannot be "
            "checked that these are others"
        )
        return
    for split, why in SEEN_BECAUSE.items():
        seen = _seen_clips(UsedClips.from_json(used.get(split)), clips)
        if seen:
            named = ", ".join(seen[:3]) + (", ..." if len(seen) > 3 else "")
            raise UsageError(
                f"{len(seen)} of {len(clips)} clips, or others of their recordings, are the model's own ({named}): "
                f"{why}. Leave them out, or calibrate on the split that is kept for it: vigil calibrate --data DATASET"
            )


def _seen_clips(used: UsedClips, clips: Sequence[EvalClip]) -> list[str]:
    return [clip.name for clip in clips if clip.group in used.recordings or clip.digest() in used.digests]


def count_reaching(
    answers: Sequence[Prediction], calibration: Calibration | None, tiers: TierThresholds
) -> dict[str, int]:
    """The number of answered alarm clips that reach each tier."""
    p_raw, is_alarm = known_predictions(answers)
    shown = [calibrate(float(p), calibration) for p in p_raw[is_alarm]]
    return {tier: sum(p >= from_p for p in shown) for tier, from_p in asdict(tiers).items()}


def require_held_out(model: Manifest, data: Path, split: EvalSplit) -> None:
    """Raises UsageError if these clips were trained on, or are reserved for the score."""
    if split == "test":
        raise UsageError(
            "the test split is for the score alone: a calibration fitted on it would flatter it. "
            "Hold out other clips and name their folder"
        )
    same_data = bool(model.data_digest) and model.data_digest in (
        read_manifest(data).data_digest,
        dataset_digest_on_disk(data),
    )
    if same_data and split != "calibration":
        raise UsageError(
            f"the model was trained on {data}, where it is surer than anywhere else. Hold out other clips "
            "and name their folder, or give the score files of folds with --scores"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """Calibration error before and after; `ece_cross_fitted` is measured on clips that each fit had not seen."""

    calibration: Calibration
    clips: int
    ece_before: float | None
    ece_after: float | None
    ece_cross_fitted: float | None


def check_calibration(answers: Sequence[Prediction], calibration: Calibration) -> CalibrationReport:
    """What a calibration does to the answered clips it was fitted on, and to clips left out of the fit."""
    p_raw, is_alarm = known_predictions(answers)
    crossed = cross_fit(answers)
    return CalibrationReport(
        calibration=calibration,
        clips=len(p_raw),
        ece_before=expected_calibration_error(p_raw, is_alarm),
        ece_after=expected_calibration_error(_applied(p_raw, calibration), is_alarm),
        ece_cross_fitted=None if crossed is None else expected_calibration_error(crossed, is_alarm),
    )


def cross_fit(answers: Sequence[Prediction], *, folds: int = FOLDS) -> Floats | None:
    """Each clip's probability under a calibration fitted on other recordings; None if there are too few."""
    p_raw, is_alarm = known_predictions(answers)
    _, group_of = np.unique([answer.group for answer in answers], return_inverse=True)
    result = p_raw.copy()
    for fold in range(folds):
        held_out: Flags = group_of % folds == fold
        rest = ~held_out
        if rest.sum() < MIN_CLIPS or is_alarm[rest].all() or not is_alarm[rest].any():
            return None
        result[held_out] = _applied(p_raw[held_out], fit_calibration(p_raw[rest].tolist(), is_alarm[rest].tolist()))
    return result


def _applied(p_raw: Floats, calibration: Calibration) -> Floats:
    return np.array([calibrate(float(p), calibration) for p in p_raw], dtype=np.float64)
