"""Calibration: makes "0.9" mean that nine in ten such clips are alarms.

A fine-tuned model ranks well and is sure of itself far too often, so its log-odds are divided by a
temperature and shifted by a bias, both fitted on clips that it was not trained on and is not
scored on. Ranking (and so the ROC AUC) stays what it was. The two numbers live in the model's `vigil.json`.

    vigil calibrate HELD_OUT_CLIPS --model-dir models/fight
"""

import math
from collections.abc import Sequence

from vigil.errors import UsageError
from vigil.manifest import Calibration

MIN_CLIPS = 20
"""Fewer clips than this fit noise; with one class only nothing can be fitted at all."""

P_FLOOR = 1e-6
"""Probabilities are held this far from 0 and 1, where log-odds have no end."""

PRIOR_CLIPS = 1.0
"""How many clips' worth of pull there is towards doing nothing: without any, clips that are separated
perfectly would sharpen without end (temperature 0)."""


def logit(p: float) -> float:
    """The log-odds of a probability, finite also for 0 and 1."""
    held = min(max(p, P_FLOOR), 1 - P_FLOOR)
    return math.log(held / (1 - held))


def sigmoid(x: float) -> float:
    """The probability of log-odds, without overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def calibrate(p_raw: float, calibration: Calibration | None) -> float:
    """The probability that is meant by the one that the model gave."""
    if calibration is None:
        return p_raw
    return sigmoid(logit(p_raw) / calibration.temperature + calibration.bias)


def fit_calibration(p_raw: Sequence[float], is_alarm: Sequence[bool]) -> Calibration:
    """The temperature and bias under which these held-out answers are likeliest (L-BFGS on their log loss).

    Raises UsageError when there are fewer than 20 clips or one class only.
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
