"""Calibrating on clips that were held out: which clips may be used, and what it gains."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vigil.calibration import MIN_CLIPS, calibrate, fit
from vigil.dataset.digest import digest_on_disk
from vigil.errors import UsageError
from vigil.manifest import Calibration, Manifest, read_manifest
from vigil.score.combine import Answer
from vigil.score.intervals import Flags, Floats
from vigil.score.items import Split
from vigil.score.metrics import expected_calibration_error
from vigil.score.scorecard import answered

FOLDS = 5


def require_held_out(model: Manifest, data: Path, split: Split) -> None:
    """Raises UsageError when these clips were trained on, or are kept for the score."""
    if split == "test":
        raise UsageError(
            "the test split is for the score alone: a calibration fitted on it would flatter it. "
            "Hold out other clips and name their folder"
        )
    same_data = bool(model.data_digest) and model.data_digest in (read_manifest(data).data_digest, digest_on_disk(data))
    if same_data and split != "calibration":
        raise UsageError(
            f"the model was trained on {data}, where it is surer than anywhere else. Hold out other clips "
            "and name their folder, or give the score files of folds with --scores"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationCheck:
    """Calibration error before and after; `ece_cross_fitted` is of clips that each fit had not seen."""

    calibration: Calibration
    clips: int
    ece_before: float | None
    ece_after: float | None
    ece_cross_fitted: float | None


def check(answers: Sequence[Answer], calibration: Calibration) -> CalibrationCheck:
    """What a calibration does to the answered clips that it was fitted on, told also without that advantage."""
    p_raw, is_alarm = answered(answers)
    crossed = cross_fitted(answers)
    return CalibrationCheck(
        calibration=calibration,
        clips=len(p_raw),
        ece_before=expected_calibration_error(p_raw, is_alarm),
        ece_after=expected_calibration_error(_applied(p_raw, calibration), is_alarm),
        ece_cross_fitted=None if crossed is None else expected_calibration_error(crossed, is_alarm),
    )


def cross_fitted(answers: Sequence[Answer], *, folds: int = FOLDS) -> Floats | None:
    """Each clip's probability under a calibration fitted on other recordings; None when there are too few."""
    p_raw, is_alarm = answered(answers)
    _, group_of = np.unique([answer.group for answer in answers], return_inverse=True)
    result = p_raw.copy()
    for fold in range(folds):
        held_out: Flags = group_of % folds == fold
        rest = ~held_out
        if rest.sum() < MIN_CLIPS or is_alarm[rest].all() or not is_alarm[rest].any():
            return None
        result[held_out] = _applied(p_raw[held_out], fit(p_raw[rest].tolist(), is_alarm[rest].tolist()))
    return result


def _applied(p_raw: Floats, calibration: Calibration) -> Floats:
    return np.array([calibrate(float(p), calibration) for p in p_raw], dtype=np.float64)
