"""Checks which model and which held-out clips may be used for a calibration, and measures what it gains."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vigil.calibration import MIN_CLIPS, fit_calibration, fit_label_calibration
from vigil.dataset.folder import dataset_digest_on_disk
from vigil.dataset.used_clips import USED_KEY, UsedClips
from vigil.errors import UsageError
from vigil.events import TierThresholds
from vigil.judge.discovery import ServedModel
from vigil.manifest import Calibration, Manifest, read_manifest
from vigil.score.eval_set import EvalClip, EvalSplit
from vigil.score.metrics import expected_calibration_error
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
    alarms = [answer for answer in answers if answer.is_alarm]
    shown, _ = known_predictions(alarms if calibration is None else [one.calibrated(calibration) for one in alarms])
    return {tier: int((shown >= from_p).sum()) for tier, from_p in asdict(tiers).items()}


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
    """Calibration error before and after; `ece_cross_fitted` is measured on clips that each fit had not seen.

    `ece_...` is that of an alarm, `label_ece_...` that of the most probable label of a question with several.
    """

    calibration: Calibration
    clips: int
    ece_before: float | None
    ece_after: float | None
    ece_cross_fitted: float | None
    label_ece_before: float | None = None
    label_ece_after: float | None = None
    label_ece_cross_fitted: float | None = None


def check_calibration(answers: Sequence[Prediction], calibration: Calibration) -> CalibrationReport:
    """What a calibration does to the answered clips it was fitted on, and to clips left out of the fit."""
    known = [answer for answer in answers if answer.p_alarm is not None]
    calibrated = [answer.calibrated(calibration) for answer in known]
    crossed = cross_fit(known)
    return CalibrationReport(
        calibration=calibration,
        clips=len(known),
        ece_before=_calibration_error(known),
        ece_after=_calibration_error(calibrated),
        ece_cross_fitted=None if crossed is None else _calibration_error(crossed),
        label_ece_before=_label_error(known),
        label_ece_after=_label_error(calibrated),
        label_ece_cross_fitted=None if crossed is None else _label_error(crossed),
    )


def fit_answers(answers: Sequence[Prediction]) -> Calibration:
    """Fits a calibration on held-out answers; raises UsageError if they are too few or only alarms or none."""
    known = [answer for answer in answers if answer.p_alarm is not None]
    p_raw, is_alarm = known_predictions(known)
    if not any(answer.probabilities for answer in known):
        return fit_calibration(p_raw.tolist(), is_alarm.tolist())
    labelled = [answer for answer in known if answer.probabilities]
    alarms = [label for label in labelled[0].probabilities if label not in labelled[0].normal_labels]
    return fit_label_calibration(
        [answer.probabilities for answer in labelled], [answer.label for answer in labelled], alarms
    )


def cross_fit(answers: Sequence[Prediction], *, folds: int = FOLDS) -> list[Prediction] | None:
    """Each answer under a calibration fitted on other recordings; None if there are too few."""
    _, group_of = np.unique([answer.group for answer in answers], return_inverse=True)
    result = list(answers)
    for fold in range(folds):
        rest = [answer for answer, group in zip(answers, group_of, strict=True) if group % folds != fold]
        if len(rest) < MIN_CLIPS or len({answer.is_alarm for answer in rest}) < 2:
            return None
        calibration = fit_answers(rest)
        for number in np.flatnonzero(group_of % folds == fold).tolist():
            result[number] = answers[number].calibrated(calibration)
    return result


def _calibration_error(answers: Sequence[Prediction]) -> float | None:
    return expected_calibration_error(*known_predictions(answers))


def _label_error(answers: Sequence[Prediction]) -> float | None:
    """The calibration error of the most probable label; None for a question with two labels."""
    labelled = [answer for answer in answers if answer.probabilities]
    if not labelled:
        return None
    p_said = np.array([max(answer.probabilities.values()) for answer in labelled], dtype=np.float64)
    return expected_calibration_error(p_said, np.array([answer.said == answer.label for answer in labelled]))
