"""Two models on the same clips: who is right where the other is wrong, and by how much the areas differ."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.errors import UsageError
from vigil.score.combine import Prediction
from vigil.score.intervals import Interval, bootstrap, mcnemar
from vigil.score.metrics import roc_auc
from vigil.score.scorecard import THRESHOLD, predicted_alarm


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
    """Compares two models' answers to the same clips; raises UsageError when the clips differ."""
    pairs = _paired(first[1], second[1])
    right = [(_right(a, threshold), _right(b, threshold)) for a, b in pairs]
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


def _right(answer: Prediction, threshold: float) -> bool:
    return predicted_alarm(answer, threshold=threshold) is answer.is_alarm


def _auc_difference(pairs: Sequence[tuple[Prediction, Prediction]]) -> tuple[float | None, Interval | None]:
    """The AUC of the second less that of the first, on clips that both answered."""
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
