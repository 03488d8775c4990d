"""Calibration: makes a probability of 0.9 mean that nine in ten such clips are alarms.

A fine-tuned model ranks well but is overconfident. So its log-odds are divided by a temperature and shifted by a
bias, both fitted on clips used neither for training nor for scoring. The ranking, and so the ROC AUC, does not change.
The two numbers are stored in the model's `vigil.json`.

    vigil calibrate HELD_OUT_CLIPS --model-dir models/fight
"""

import math
from collections.abc import Sequence

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


def fit_calibration(p_raw: Sequence[float], is_alarm: Sequence[bool]) -> Calibration:
    """Fits temperature and bias on held-out answers by minimising the log loss (L-BFGS).

    Raises UsageError if there are fewer than 20 clips or only one class.
    """
    _require_both_classes(is_alarm)
    from scipy.optimize import minimize

    x = [logit(p) for p in p_raw]
    found = minimize(
        lambda parameters: _loss(parameters, x, is_alarm),
        x0=(0.0, 0.0),
        method="L-BFGS-B",
        bounds=((-3.0, 3.0), (-5.0, 5.0)),
    )
    log_temperature, bias = (float(value) for value in found.x)
    return Calibration(temperature=round(math.exp(log_temperature), 4), bias=round(bias, 4), clips=len(x))


def _loss(parameters: Sequence[float], x: Sequence[float], is_alarm: Sequence[bool]) -> float:
    log_temperature, bias = float(parameters[0]), float(parameters[1])
    scale = math.exp(-log_temperature)
    losses = (
        _softplus(-(value * scale + bias) if alarm else value * scale + bias)
        for value, alarm in zip(x, is_alarm, strict=True)
    )
    return (PRIOR_CLIPS * (log_temperature**2 + bias**2) + sum(losses)) / len(x)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _require_both_classes(is_alarm: Sequence[bool]) -> None:
    alarms = sum(is_alarm)
    if len(is_alarm) < MIN_CLIPS or alarms in (0, len(is_alarm)):
        raise UsageError(
            f"calibration needs at least {MIN_CLIPS} answered clips of both classes; there are "
            f"{alarms} alarm and {len(is_alarm) - alarms} normal"
        )
