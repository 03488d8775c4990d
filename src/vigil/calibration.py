"""Calibration: makes a probability of 0.9 mean that nine in ten such clips are alarms.

With several labels, each log probability is divided by the temperature and those of the alarm labels are shifted by the
bias, which is the same for two of them.

A fine-tuned model ranks well but is overconfident. So its log-odds are divided by a temperature and shifted by a
bias, both fitted on clips used neither for training nor for scoring. The ranking, and so the ROC AUC, does not change.
The two numbers are stored in the model's `vigil.json`.

    vigil calibrate HELD_OUT_CLIPS --model-dir models/fight
"""

import math
from collections.abc import Callable, Container, Mapping, Sequence

import numpy as np

from vigil.errors import UsageError
from vigil.manifest import Calibration

MIN_CLIPS = 20
"""Fewer clips would fit noise; a single class cannot be fitted at all."""

P_FLOOR = 1e-6
"""Probabilities are clipped this far from 0 and 1, where log-odds are infinite."""

PRIOR_CLIPS = 1.0
"""The weight, in clips, of the prior towards no change. Without it, perfectly separated clips would drive the
temperature to 0.
"""


def logit(p: float) -> float:
    """Returns the log-odds of a probability, finite also for 0 and 1."""
    clamped = min(max(p, P_FLOOR), 1 - P_FLOOR)
    return math.log(clamped / (1 - clamped))


def sigmoid(x: float) -> float:
    """Returns the probability for log-odds, without overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def calibrate(p_raw: float, calibration: Calibration | None) -> float:
    """Returns the calibrated probability for the model's raw one."""
    if calibration is None:
        return p_raw
    return sigmoid(logit(p_raw) / calibration.temperature + calibration.bias)


def calibrate_labels(
    raw: Mapping[str, float], alarm_labels: Container[str], calibration: Calibration | None
) -> Mapping[str, float]:
    """Returns the calibrated probabilities of all labels, which sum to 1, for the model's raw ones.

    Each log probability is divided by the temperature, and those of alarm labels are shifted by the bias: of two labels
    this is `calibrate`. A temperature below 1 or a bias may exchange labels of unlike kinds, never two that alarm.
    """
    if calibration is None:
        return raw
    scores = {
        label: _log(p) / calibration.temperature + (calibration.bias if label in alarm_labels else 0.0)
        for label, p in raw.items()
    }
    return softmax(scores)


def softmax(scores: Mapping[str, float]) -> dict[str, float]:
    """Returns the probabilities, summing to 1, that are proportional to the exponentials of these scores."""
    highest = max(scores.values())
    weights = {label: math.exp(score - highest) for label, score in scores.items()}
    total = sum(weights.values())
    return {label: weight / total for label, weight in weights.items()}


def mean_of_labels(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the probabilities whose log is the mean of the logs of these (at least one), up to a constant."""
    return softmax({label: sum(_log(one.get(label, 0.0)) for one in each) / len(each) for label in each[0]})


def _log(p: float) -> float:
    return math.log(max(p, P_FLOOR))


def fit_label_calibration(
    raw: Sequence[Mapping[str, float]], truths: Sequence[str], alarm_labels: Container[str]
) -> Calibration:
    """Fits temperature and bias of several labels on held-out answers by minimising the log loss (L-BFGS).

    Raises UsageError if there are fewer than 20 clips, or only alarms or none.
    """
    _require_both_classes([truth in alarm_labels for truth in truths])
    labels = list(raw[0])
    logs = np.array([[_log(one.get(label, 0.0)) for label in labels] for one in raw])
    shifted = np.array([label in alarm_labels for label in labels], dtype=np.float64)
    true = np.array([labels.index(truth) for truth in truths])

    def loss(log_temperature: float, bias: float) -> float:
        scores = logs * math.exp(-log_temperature) + bias * shifted
        highest = scores.max(axis=1)
        totals = highest + np.log(np.exp(scores - highest[:, None]).sum(axis=1))
        return float((totals - scores[np.arange(len(true)), true]).sum())

    return _fitted(loss, clips=len(true))


def fit_calibration(p_raw: Sequence[float], is_alarm: Sequence[bool]) -> Calibration:
    """Fits temperature and bias on held-out answers by minimising the log loss (L-BFGS).

    Raises UsageError if there are fewer than 20 clips or only one class.
    """
    _require_both_classes(is_alarm)
    x = [logit(p) for p in p_raw]
    return _fitted(lambda log_temperature, bias: _loss(log_temperature, bias, x, is_alarm), clips=len(x))


def _fitted(loss: Callable[[float, float], float], *, clips: int) -> Calibration:
    """The calibration with the smallest sum of `loss(log of the temperature, bias)` and the prior's."""
    from scipy.optimize import minimize

    def with_prior(parameters: Sequence[float]) -> float:
        log_temperature, bias = float(parameters[0]), float(parameters[1])
        return (PRIOR_CLIPS * (log_temperature**2 + bias**2) + loss(log_temperature, bias)) / clips

    found = minimize(with_prior, x0=(0.0, 0.0), method="L-BFGS-B", bounds=((-3.0, 3.0), (-5.0, 5.0)))
    log_temperature, bias = (float(value) for value in found.x)
    return Calibration(temperature=round(math.exp(log_temperature), 4), bias=round(bias, 4), clips=clips)


def _loss(log_temperature: float, bias: float, x: Sequence[float], is_alarm: Sequence[bool]) -> float:
    scale = math.exp(-log_temperature)
    return sum(
        _softplus(-(value * scale + bias) if alarm else value * scale + bias)
        for value, alarm in zip(x, is_alarm, strict=True)
    )


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _require_both_classes(is_alarm: Sequence[bool]) -> None:
    alarms = sum(is_alarm)
    if len(is_alarm) < MIN_CLIPS or alarms in (0, len(is_alarm)):
        raise UsageError(
            f"calibration needs at least {MIN_CLIPS} answered clips of both classes; there are "
            f"{alarms} alarm and {len(is_alarm) - alarms} normal"
        )
