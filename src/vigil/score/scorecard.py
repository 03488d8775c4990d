"""The figures of one model on one set of clips, the JSON file they are stored in, and the comparison of two models.

Every clip that was sent to the model counts: one without an answer is an error in accuracy, a miss in recall, and is
reported by its cause. Areas and calibration are computed from the answered clips. A comparison is paired: on which
clips one is right and the other wrong, and by how much the areas differ. `docs/scoring.md` has the rules and the
sources of the formulas.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.errors import UsageError
from vigil.files import write_json
from vigil.score.classes import ClassScore
from vigil.score.journal import Throughput
from vigil.score.metrics import (
    ConfusionMatrix,
    Flags,
    Floats,
    Interval,
    bootstrap,
    brier,
    delong,
    expected_calibration_error,
    mcnemar,
    newcombe,
    roc_auc,
    wilson,
)
from vigil.score.predictions import CombineRule, Prediction

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFigures:
    """The figures of a list of answers (of clips or of windows)."""

    n: int
    accuracy: float
    accuracy_ci95: Interval
    baseline_majority: float
    precision: float
    recall: float
    f1: float
    roc_auc: float | None
    roc_auc_ci95: Interval | None
    ece: float | None
    brier: float | None
    unknown: dict[str, int]
    confusion: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A model's figures per clip and per window, the throughput, and every clip's answer.

    `figures` are those of alarm against normal; `classes` those of the labels, if there are others than these two.
    """

    model: str
    figures: ScoreFigures
    windows: ScoreFigures | None
    pace: Throughput
    answers: tuple[Prediction, ...]
    threshold: float = THRESHOLD
    rule: CombineRule = "top2"
    notes: dict[str, Any] = field(default_factory=dict)
    classes: ClassScore | None = None

    def to_json(self) -> dict[str, Any]:
        """The score as plain data: the per-clip figures at the top level, everything else beside them."""
        return {
            "model": self.model,
            **asdict(self.figures),
            "latency_ms": {"p50": self.pace.p50_ms, "p95": self.pace.p95_ms},
            "requests_per_s": self.pace.requests_per_s,
            "requests": self.pace.requests,
            "groups": len({answer.group for answer in self.answers}),
            "threshold": self.threshold,
            "rule": self.rule,
            "windows": None if self.windows is None else asdict(self.windows),
            "clips": [answer.to_json() for answer in self.answers],
            **({} if self.classes is None else {"classes": self.classes.to_json()}),
            **self.notes,
        }

    def write(self, path: Path) -> None:
        """Writes the JSON file atomically."""
        write_json(path, self.to_json())


def figures(answers: Sequence[Prediction], *, threshold: float = THRESHOLD) -> ScoreFigures:
    """The figures of a list of answers."""
    counts = confusion(answers, threshold=threshold)
    p_alarm, is_alarm = known_predictions(answers)
    causes = Counter(str(answer.cause) for answer in answers if answer.p_alarm is None)
    return ScoreFigures(
        n=counts.n,
        accuracy=counts.accuracy,
        accuracy_ci95=wilson(counts.correct, counts.n),
        baseline_majority=counts.majority,
        precision=counts.precision,
        recall=counts.recall,
        f1=counts.f1,
        roc_auc=roc_auc(p_alarm, is_alarm),
        roc_auc_ci95=auc_interval(answers),
        ece=expected_calibration_error(p_alarm, is_alarm),
        brier=brier(p_alarm, is_alarm),
        unknown=dict(causes.most_common()),
        confusion={"tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "tn": counts.tn},
    )


def confusion(answers: Sequence[Prediction], *, threshold: float = THRESHOLD) -> ConfusionMatrix:
    """Counts answers against truth; an answer is an alarm from `threshold` on."""
    cells = Counter((answer.is_alarm, predicted_alarm(answer, threshold=threshold)) for answer in answers)
    return ConfusionMatrix(
        tp=cells[True, True],
        fp=cells[False, True],
        fn=cells[True, False],
        tn=cells[False, False],
        unknown_alarm=cells[True, None],
        unknown_normal=cells[False, None],
    )


def predicted_alarm(answer: Prediction, *, threshold: float = THRESHOLD) -> bool | None:
    """Whether the answer is an alarm; None if there is no answer."""
    return None if answer.p_alarm is None else answer.p_alarm >= threshold


def known_predictions(answers: Sequence[Prediction]) -> tuple[Floats, Flags]:
    """The probabilities and truths of the known answers."""
    known = [(answer.p_alarm, answer.is_alarm) for answer in answers if answer.p_alarm is not None]
    p_alarm = np.array([p for p, _ in known], dtype=np.float64)
    return p_alarm, np.array([truth for _, truth in known], dtype=np.bool_)


def auc_interval(answers: Sequence[Prediction]) -> Interval | None:
    """The AUC's interval: the bootstrap over recordings if clips share them, else DeLong's.

    If the classes are separated perfectly, all draws are equal: then Newcombe's, with the number of recordings.
    """
    p_alarm, is_alarm = known_predictions(answers)
    groups = [answer.group for answer in answers if answer.p_alarm is not None]
    if len(set(groups)) == len(groups):
        return delong(p_alarm, is_alarm) if groups else None

    def drawn_auc(rows: NDArray[np.intp]) -> float | None:
        return roc_auc(p_alarm[rows], is_alarm[rows])

    if len(set(groups)) < 2:
        return None
    area = roc_auc(p_alarm, is_alarm)
    if area in (0.0, 1.0):
        alarms, normals = (
            {g for g, alarm in zip(groups, is_alarm, strict=True) if alarm == each} for each in (True, False)
        )
        return newcombe(area, len(alarms), len(normals))
    return bootstrap(drawn_auc, groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelComparison:
    """The paired difference of two models, the second against the first; an unknown is not right."""

    first: str
    second: str
    n: int
    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int
    mcnemar_p: float
    accuracy_difference: float
    roc_auc_difference: float | None
    roc_auc_difference_ci95: Interval | None

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return asdict(self)


def compare_scores(
    first: tuple[str, Sequence[Prediction]],
    second: tuple[str, Sequence[Prediction]],
    *,
    threshold: float = THRESHOLD,
) -> ModelComparison:
    """Compares two models' answers to the same clips; raises UsageError if the clips differ."""
    pairs = _paired(first[1], second[1])
    right = [(a.is_right(threshold=threshold), b.is_right(threshold=threshold)) for a, b in pairs]
    only_first, only_second = right.count((True, False)), right.count((False, True))
    difference, interval = _auc_difference(pairs)
    return ModelComparison(
        first=first[0],
        second=second[0],
        n=len(pairs),
        both_right=right.count((True, True)),
        only_first_right=only_first,
        only_second_right=only_second,
        both_wrong=right.count((False, False)),
        mcnemar_p=mcnemar(only_first, only_second),
        accuracy_difference=(only_second - only_first) / len(pairs) if pairs else 0.0,
        roc_auc_difference=difference,
        roc_auc_difference_ci95=interval,
    )


def _paired(first: Sequence[Prediction], second: Sequence[Prediction]) -> list[tuple[Prediction, Prediction]]:
    by_clip = {answer.clip: answer for answer in second}
    if {answer.clip for answer in first} != by_clip.keys():
        raise UsageError("the two scores are of different clips, so they cannot be compared")
    return [(answer, by_clip[answer.clip]) for answer in first]


def _auc_difference(pairs: Sequence[tuple[Prediction, Prediction]]) -> tuple[float | None, Interval | None]:
    """The AUC of the second minus that of the first, on clips that both answered."""
    both = [(a, b) for a, b in pairs if a.p_alarm is not None and b.p_alarm is not None]
    if not both:
        return None, None
    p_first = np.array([a.p_alarm for a, _ in both], dtype=np.float64)
    p_second = np.array([b.p_alarm for _, b in both], dtype=np.float64)
    is_alarm = np.array([a.is_alarm for a, _ in both], dtype=np.bool_)

    def difference(rows: NDArray[np.intp]) -> float | None:
        first, second = roc_auc(p_first[rows], is_alarm[rows]), roc_auc(p_second[rows], is_alarm[rows])
        return None if first is None or second is None else second - first

    whole = difference(np.arange(len(both)))
    return whole, bootstrap(difference, [a.group for a, _ in both]) if whole is not None else None
