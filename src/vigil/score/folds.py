"""Grouped k-fold: pools the scores of k models, each on the fold it was not trained on, into one table.

    vigil dataset build CLIPS --folds 5 --fold 0    (train, serve, vigil score --json fold-0.json; then fold 1 ...)
    vigil score --combine fold-*.json

Every clip is scored once, by a model that has not seen its recording, so all clips of a small set count.
Pooled figures compare probabilities across models; the mean of the folds' own areas is reported beside them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigil.errors import UsageError
from vigil.questions import NORMAL, LabelName
from vigil.score.classes import class_score
from vigil.score.journal import Throughput
from vigil.score.predictions import Prediction
from vigil.score.scorecard import Score, figures
from vigil.verdict import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldScore:
    """One score file; `labels` are those of its question, if it has others than alarm and normal."""

    name: str
    model: str
    threshold: float
    roc_auc: float | None
    accuracy: float
    answers: tuple[Prediction, ...]
    is_calibrated: bool = False
    labels: tuple[LabelName, ...] = ()

    def uncalibrated_answers(self) -> tuple[Prediction, ...]:
        """The uncalibrated answers; raises UsageError if the score was calibrated."""
        if self.is_calibrated:
            raise UsageError(f"{self.name} was scored with a calibration; score again without --model-dir")
        return self.answers


def read_fold(path: Path) -> FoldScore:
    """The answers of a score file; raises UsageError if it is not one."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        answers = tuple(_answer(clip) for clip in data["clips"])
        lost = sum((data.get("unanswered") or {}).values())
        fold = FoldScore(
            name=path.name,
            model=str(data["model"]),
            threshold=float(data["threshold"]),
            roc_auc=data["roc_auc"],
            accuracy=float(data["accuracy"]),
            answers=answers,
            is_calibrated=bool(data.get("calibration")),
            labels=tuple(data["classes"]["confusion"]) if data.get("classes") else (),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no score file; `vigil score --json FILE` writes one ({error})") from error
    if lost:
        raise UsageError(f"{path} is not complete: {lost} windows had no answer; repeat the score that wrote it")
    return fold


def _answer(clip: dict[str, Any]) -> Prediction:
    cause = clip.get("cause")
    normal_labels = tuple(clip.get("normal_labels", (NORMAL,)))
    return Prediction(**{**clip, "cause": Cause(cause) if cause else None, "normal_labels": normal_labels})


def pool_folds(folds: Sequence[FoldScore]) -> Score:
    """All folds as one score; raises UsageError if a recording or a clip is in more than one of them."""
    _require_apart(folds)
    answers = tuple(answer for fold in folds for answer in fold.answers)
    threshold = folds[0].threshold
    if any(fold.threshold != threshold for fold in folds):
        raise UsageError("the folds were scored with different thresholds")
    labels = folds[0].labels
    if any(fold.labels != labels for fold in folds):
        raise UsageError("the folds were scored with questions of different labels")
    areas = [fold.roc_auc for fold in folds if fold.roc_auc is not None]
    notes: dict[str, Any] = {
        "folds": [
            {"file": fold.name, "model": fold.model, "n": len(fold.answers), "accuracy": fold.accuracy}
            | {"roc_auc": fold.roc_auc}
            for fold in folds
        ],
        "roc_auc_mean_of_folds": sum(areas) / len(areas) if areas else None,
    }
    return Score(
        model=" + ".join(sorted({fold.model for fold in folds})),
        figures=figures(answers, threshold=threshold),
        windows=None,
        pace=Throughput(),
        answers=answers,
        threshold=threshold,
        notes=notes,
        classes=class_score(answers, labels) if labels else None,
    )


def _require_apart(folds: Sequence[FoldScore]) -> None:
    fold_of: dict[str, str] = {}
    for fold in folds:
        for key in {f"clip {a.clip}" for a in fold.answers} | {f"recording {a.group}" for a in fold.answers}:
            if key in fold_of:
                raise UsageError(f"{key} is in {fold_of[key]} and in {fold.name}: these are not folds of one split")
            fold_of[key] = fold.name
