"""What a list of answers is worth: confusion, ROC and its area, calibration error.

`p_alarm` is always the probability of alarm and `is_alarm` the truth, one entry an answered clip or window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.score.intervals import Flags, Floats

ECE_BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionMatrix:
    """Counts of answers against truth; what was not answered is in none of the four, but counted apart."""

    tp: int
    fp: int
    fn: int
    tn: int
    unknown_alarm: int = 0
    unknown_normal: int = 0

    @property
    def n(self) -> int:
        """All that was asked, answered or not."""
        return self.tp + self.fp + self.fn + self.tn + self.unknown_alarm + self.unknown_normal

    @property
    def correct(self) -> int:
        return self.tp + self.tn

    @property
    def accuracy(self) -> float:
        """Right answers among all that was asked: an unknown is not a right answer."""
        return _share(self.correct, self.n)

    @property
    def precision(self) -> float:
        """Alarms that were true; 0 when none was given."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """True alarms that were found; one that was not answered is one not found."""
        return _share(self.tp, self.tp + self.fn + self.unknown_alarm)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _share(2 * self.precision * self.recall, self.precision + self.recall)

    @property
    def majority(self) -> float:
        """The accuracy of always naming the commoner class."""
        alarms = self.tp + self.fn + self.unknown_alarm
        return _share(max(alarms, self.n - alarms), self.n)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def roc_auc(p_alarm: Floats, is_alarm: Flags) -> float | None:
    """The chance that an alarm outranks a normal, ties counted half; None where a class is missing."""
    alarms = int(is_alarm.sum())
    normals = len(is_alarm) - alarms
    if alarms == 0 or normals == 0:
        return None
    from scipy import stats  # a second to import

    ranks = stats.rankdata(p_alarm)
    return float((ranks[is_alarm].sum() - alarms * (alarms + 1) / 2) / (alarms * normals))


def average_precision(p_alarm: Floats, is_alarm: Flags) -> float | None:
    """The precision at each alarm's probability, averaged over the alarms; None where there is none.

    Guessing gives the share of alarms. As `sklearn.metrics.average_precision_score`, ties included.
    """
    alarms = int(is_alarm.sum())
    if alarms == 0:
        return None
    order = np.argsort(-p_alarm, kind="stable")
    last_of_ties = np.flatnonzero(np.diff(p_alarm[order], append=-1.0) != 0)
    hits = np.cumsum(is_alarm[order])[last_of_ties]
    return float(np.sum(np.diff(hits, prepend=0) * hits / (last_of_ties + 1)) / alarms)


def roc_curve(p_alarm: Floats, is_alarm: Flags) -> tuple[Floats, Floats]:
    """The ROC curve as (false alarm rates, hit rates), one point for each distinct probability."""
    order = np.argsort(-p_alarm, kind="stable")
    last_of_ties = np.flatnonzero(np.diff(p_alarm[order], append=-1.0) != 0)
    hits = np.cumsum(is_alarm[order])[last_of_ties] / max(1, int(is_alarm.sum()))
    false_alarms = np.cumsum(~is_alarm[order])[last_of_ties] / max(1, int((~is_alarm).sum()))
    return np.concatenate([[0.0], false_alarms]), np.concatenate([[0.0], hits])


def reliability(p_alarm: Floats, is_alarm: Flags, *, bins: int = ECE_BINS) -> list[tuple[float, float, int]]:
    """(mean probability, share of true alarms, count) of each bin of equal width that holds anything."""
    bin_of = bin_numbers(p_alarm, bins=bins)
    used = [bin_of == number for number in range(bins) if (bin_of == number).any()]
    return [(float(p_alarm[rows].mean()), float(is_alarm[rows].mean()), int(rows.sum())) for rows in used]


def bin_numbers(p_alarm: Floats, *, bins: int) -> NDArray[np.intp]:
    """The number of the equal-width bin that each probability falls into; 1.0 is in the last."""
    return np.minimum((p_alarm * bins).astype(np.intp), bins - 1)


def expected_calibration_error(p_alarm: Floats, is_alarm: Flags, *, bins: int = ECE_BINS) -> float | None:
    """How far probability and frequency of alarm lie apart, averaged over equal-width bins by their counts."""
    if len(p_alarm) == 0:
        return None
    parts = reliability(p_alarm, is_alarm, bins=bins)
    return sum(abs(mean - share) * count for mean, share, count in parts) / len(p_alarm)


def brier(p_alarm: Floats, is_alarm: Flags) -> float | None:
    """The mean squared distance of probability from truth (0.25 for always saying one half)."""
    return float(np.mean((p_alarm - is_alarm) ** 2)) if len(p_alarm) else None
