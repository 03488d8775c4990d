"""Metrics of a list of answers (confusion, ROC, calibration error), with 95 % intervals.

`p_alarm` is always the probability of alarm and `is_alarm` the truth, one entry per answered clip or window.
Intervals of shares, counts and areas are Wilson's, Garwood's, DeLong's, Newcombe's or from the bootstrap; McNemar's
test compares two models. Formulas and their sources are in `docs/scoring.md`. Resampling is seeded, so everything is
deterministic.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Interval: TypeAlias = tuple[float, float]
"""Lower and upper end of a 95 % interval."""

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

Z_95 = 1.959963984540054
RESAMPLES = 2000


def wilson(successes: int, n: int) -> Interval:
    """Wilson's 95 % score interval of a share; (0, 1) if nothing was counted."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = successes / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def clopper_pearson(successes: int, n: int) -> Interval:
    """The exact 95 % interval of a share, which never covers less; (0, 1) if nothing was counted."""
    from scipy import stats  # a second to import, and only some figures need it

    if n == 0:
        return 0.0, 1.0
    low = 0.0 if successes == 0 else float(stats.beta.ppf(0.025, successes, n - successes + 1))
    return low, 1.0 if successes == n else float(stats.beta.ppf(0.975, successes + 1, n - successes))


def poisson(count: int) -> Interval:
    """The exact 95 % interval (Garwood's) of a Poisson mean, given a count of `count`."""
    from scipy import stats  # a second to import, and only some figures need it

    low = 0.0 if count == 0 else float(stats.chi2.ppf(0.025, 2 * count) / 2)
    return low, float(stats.chi2.ppf(0.975, 2 * count + 2) / 2)


def delong(p_alarm: Floats, is_alarm: Flags) -> Interval | None:
    """DeLong's 95 % interval of the ROC AUC; None if a class has fewer than two members.

    If the classes are separated perfectly, its variance is 0, which claims certainty: then Newcombe's interval instead.
    """
    alarms, normals = p_alarm[is_alarm], p_alarm[~is_alarm]
    if min(len(alarms), len(normals)) < 2:
        return None
    wins = (alarms[:, None] > normals[None, :]) + 0.5 * (alarms[:, None] == normals[None, :])
    auc = float(wins.mean())
    if auc in (0.0, 1.0):
        return newcombe(auc, len(alarms), len(normals))
    variance = wins.mean(axis=1).var(ddof=1) / len(alarms) + wins.mean(axis=0).var(ddof=1) / len(normals)
    half = Z_95 * math.sqrt(float(variance))
    return max(0.0, auc - half), min(1.0, auc + half)


def newcombe(auc: float, alarms: int, normals: int) -> Interval:
    """Newcombe's 95 % score interval of a ROC AUC (his method 5), which does not shrink to a point at 0 and 1."""

    def is_far(theta: float) -> bool:
        extra = (alarms + normals) / 2 - 1
        spread = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        return (auc - theta) ** 2 > Z_95**2 * theta * (1 - theta) * spread / (alarms * normals)

    return _edge(is_far, 0.0, auc), _edge(is_far, 1.0, auc)


def _edge(is_far: Callable[[float], bool], far: float, near: float) -> float:
    """The value at which a figure is just too far from the measured one, by bisection."""
    if far == near:
        return near
    for _ in range(60):
        middle = (far + near) / 2
        far, near = (middle, near) if is_far(middle) else (far, middle)
    return near


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float | None],
    groups: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The percentile bootstrap's 95 % interval, resampling whole groups (recordings) with replacement.

    `statistic` maps drawn row numbers to a figure, or None if a draw has none (one class only).
    Returns None if fewer than half of the draws have one.
    """
    members = _members(groups)
    rng = np.random.default_rng(seed)
    values: list[float] = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(members), len(members))
        value = statistic(np.concatenate([members[i] for i in drawn]))
        if value is not None:
            values.append(value)
    if len(values) * 2 < resamples:
        return None
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _members(groups: Sequence[str]) -> list[NDArray[np.intp]]:
    _, inverse = np.unique(np.asarray(groups), return_inverse=True)
    return [np.flatnonzero(inverse == number) for number in range(int(inverse.max()) + 1)]


def mcnemar(only_first_right: int, only_second_right: int) -> float:
    """The exact two-sided p-value of McNemar's test that two models are equally good on these clips."""
    differing = only_first_right + only_second_right
    if differing == 0:
        return 1.0
    from scipy import stats

    return float(stats.binomtest(only_first_right, differing, 0.5).pvalue)


ECE_BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionMatrix:
    """Counts of answers against truth; unanswered ones are in none of the four and are counted apart."""

    tp: int
    fp: int
    fn: int
    tn: int
    unknown_alarm: int = 0
    unknown_normal: int = 0

    @property
    def n(self) -> int:
        """The number of clips or windows asked, answered or not."""
        return self.tp + self.fp + self.fn + self.tn + self.unknown_alarm + self.unknown_normal

    @property
    def correct(self) -> int:
        return self.tp + self.tn

    @property
    def accuracy(self) -> float:
        """The share of right answers among all that was asked: an unknown is not a right answer."""
        return _share(self.correct, self.n)

    @property
    def precision(self) -> float:
        """The share of alarms that were true; 0 if there was none."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """The share of true alarms that were found; an unanswered one counts as missed."""
        return _share(self.tp, self.tp + self.fn + self.unknown_alarm)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _share(2 * self.precision * self.recall, self.precision + self.recall)

    @property
    def majority(self) -> float:
        """The accuracy of always answering the more frequent class."""
        alarms = self.tp + self.fn + self.unknown_alarm
        return _share(max(alarms, self.n - alarms), self.n)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def roc_auc(p_alarm: Floats, is_alarm: Flags) -> float | None:
    """The probability that an alarm outranks a normal, ties counted half; None if a class is missing."""
    alarms = int(is_alarm.sum())
    normals = len(is_alarm) - alarms
    if alarms == 0 or normals == 0:
        return None
    from scipy import stats  # a second to import

    ranks = stats.rankdata(p_alarm)
    return float((ranks[is_alarm].sum() - alarms * (alarms + 1) / 2) / (alarms * normals))


def average_precision(p_alarm: Floats, is_alarm: Flags) -> float | None:
    """The precision at each alarm's probability, averaged over the alarms; None if there is none.

    Guessing gives the share of alarms. Same as `sklearn.metrics.average_precision_score`, ties included.
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
    """(mean probability, share of true alarms, count) of each non-empty bin of equal width."""
    bin_of = bin_numbers(p_alarm, bins=bins)
    used = [bin_of == number for number in range(bins) if (bin_of == number).any()]
    return [(float(p_alarm[rows].mean()), float(is_alarm[rows].mean()), int(rows.sum())) for rows in used]


def bin_numbers(p_alarm: Floats, *, bins: int) -> NDArray[np.intp]:
    """The number of the equal-width bin that each probability falls into; 1.0 is in the last."""
    return np.minimum((p_alarm * bins).astype(np.intp), bins - 1)


def expected_calibration_error(p_alarm: Floats, is_alarm: Flags, *, bins: int = ECE_BINS) -> float | None:
    """The gap between probability and frequency of alarm, averaged over equal-width bins by their counts."""
    if len(p_alarm) == 0:
        return None
    parts = reliability(p_alarm, is_alarm, bins=bins)
    return sum(abs(mean - share) * count for mean, share, count in parts) / len(p_alarm)


def brier(p_alarm: Floats, is_alarm: Flags) -> float | None:
    """The mean squared difference of probability and truth (0.25 for always saying one half)."""
    return float(np.mean((p_alarm - is_alarm) ** 2)) if len(p_alarm) else None
