"""Measures a drawn window and quantises the measurements to digits 0 to 9, which the tiny base learns to predict.

Supervision is dense on purpose. A tiny model trained on yes or no alone learns nothing for a thousand steps; one that
must predict position, distance, speed and amount for each pair of frames learns to use the visual tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.synth.clip import ClipFacts

DigitArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WINDOW_DIGITS = (
    "people", "height", "light", "speed", "direction", "nearness", "pair_motion", "unrest", "lying", "still",
)  # fmt: skip
PAIR_DIGITS = ("x", "y", "change", "near", "pair_change", "touching", "seen")

_SPEED_EDGES = (0.02, 0.05, 0.09, 0.14, 0.2, 0.28, 0.4, 0.6, 0.9)
_LIMB_EDGES = (0.01, 0.02, 0.035, 0.055, 0.08, 0.105, 0.13, 0.155, 0.19)
_NEAR_EDGES = (0.1, 0.18, 0.26, 0.36, 0.5, 0.7, 1.0, 1.5)
_CHANGE_EDGES = (0.003, 0.008, 0.016, 0.03, 0.05, 0.08, 0.12, 0.18, 0.27)
_NO_PAIR = 9


@dataclass(frozen=True)
class Measures:
    """Measurements of one window with P people and T frames; lengths in body heights, motion per frame step."""

    centres: DigitArray  # (T, P, xy) as fractions of the frame
    visible: NDArray[np.bool_]  # (T, P)
    steps: DigitArray  # (T-1, P, xy) displacement
    limbs: DigitArray  # (T-1, P) motion of head, hands, elbows, knees and feet relative to the body's centre
    distances: DigitArray  # (T, P, P)
    heights: DigitArray  # (P,)
    lying: NDArray[np.bool_]
    light: float


def measure(facts: ClipFacts) -> Measures:
    """Measure a window from the ground truth of its drawn clip."""
    scale = np.array([facts.aspect, 1.0])
    joints = facts.joints * scale
    height = np.maximum(facts.heights, 1e-6)
    inside = ((facts.joints > 0.0) & (facts.joints < 1.0)).all(axis=3)
    centres = joints[:, :, 1:3].mean(axis=2)
    about = joints - centres[:, :, None]
    limbs = np.linalg.norm(np.diff(about, axis=0), axis=3).mean(axis=2) / height
    gaps = np.linalg.norm(centres[:, :, None] - centres[:, None], axis=3)
    size = (height[:, None] + height[None]) / 2
    distances = gaps / size + 9.0 * np.eye(len(height))
    visible = inside.mean(axis=2) > 0.35
    hidden = ~(visible[:, :, None] & visible[:, None])
    return Measures(
        centres=centres / scale,
        visible=visible,
        steps=np.diff(centres, axis=0) / height[:, None],
        limbs=limbs,
        distances=np.where(hidden, 9.0, distances),
        heights=facts.heights,
        lying=facts.lying,
        light=facts.light,
    )


def window_digits(measures: Measures) -> IntArray:
    """The digits of the window as a whole, in the order of WINDOW_DIGITS."""
    seen = measures.visible.mean(axis=0) > 0.5
    if not seen.any():
        return np.array([0, 0, _tenth(measures.light), 0, 0, _NO_PAIR, 0, 0, 0, 0])
    steps = np.where(seen, np.linalg.norm(measures.steps, axis=2).mean(axis=0), 0.0)
    limbs = np.where(seen, measures.limbs.mean(axis=0), 0.0)
    pair = closest_pair(measures)
    still = seen & (steps < 0.04) & (limbs < 0.04)
    return np.array([
        min(9, int(seen.sum())),
        _tenth(float(np.where(seen, measures.heights, 0).max())),
        _tenth(measures.light),
        _digit(float(steps.max()), _SPEED_EDGES),
        _direction(measures.steps[:, int(steps.argmax())].mean(axis=0)),
        _NO_PAIR if pair is None else _digit(float(measures.distances[:, pair[0], pair[1]].mean()), _NEAR_EDGES),
        0 if pair is None else _digit(float(measures.limbs[:, list(pair)].mean()), _LIMB_EDGES),
        _digit(float(limbs.max()), _LIMB_EDGES),
        int((seen & (measures.lying.mean(axis=0) > 0.5)).sum()),
        int(still.sum()),
    ])  # fmt: skip


def pair_digits(measures: Measures, *, first: int) -> IntArray:
    """The digits of the frames first and first + 1, in the order of PAIR_DIGITS."""
    seen = measures.visible[first : first + 2].any(axis=0)
    if not seen.any():
        return np.array([0, 0, 0, _NO_PAIR, 0, 0, 0])
    moved = np.where(seen, measures.limbs[first] + np.linalg.norm(measures.steps[first], axis=1), -1.0)
    x, y = measures.centres[first : first + 2, int(moved.argmax())].mean(axis=0)
    change = float((np.where(seen, moved, 0.0) * measures.heights**2).sum())
    near = measures.distances[first : first + 2].mean(axis=0)
    pair = np.unravel_index(int(near.argmin()), near.shape)
    nearest = float(near[pair])
    touching = int((near.min(axis=0) < 0.36).sum())
    return np.array([
        _tenth(float(x)),
        _tenth(float(y)),
        _digit(change, _CHANGE_EDGES),
        _NO_PAIR if nearest > 4 else _digit(nearest, _NEAR_EDGES),
        0 if nearest > 4 else _digit(float(measures.limbs[first][list(pair)].mean()), _LIMB_EDGES),
        touching,
        int(seen.sum()),
    ])  # fmt: skip


def all_digits(measures: Measures) -> IntArray:
    """Window digits, then the digits of each pair of frames."""
    frames = len(measures.centres)
    pairs = [pair_digits(measures, first=first) for first in range(0, frames - 1, 2)]
    return np.concatenate([window_digits(measures), *pairs])


def closest_pair(measures: Measures) -> tuple[int, int] | None:
    """The indices of the two people closest to each other over the window, or None if no two are close."""
    near = measures.distances.mean(axis=0)
    if near.size < 4 or near.min() > 4:
        return None
    first, second = np.unravel_index(int(near.argmin()), near.shape)
    return int(first), int(second)


def _digit(value: float, edges: tuple[float, ...]) -> int:
    return int(np.searchsorted(edges, value, side="right"))


def _tenth(value: float) -> int:
    return int(np.clip(value * 10, 0, 9))


def _direction(step: DigitArray) -> int:
    """The direction as a digit: 0 none, 1 left, 2 right, 3 down (nearer), 4 up (farther)."""
    if float(np.linalg.norm(step)) < 0.04:
        return 0
    if abs(step[0]) >= abs(step[1]):
        return 2 if step[0] > 0 else 1
    return 3 if step[1] > 0 else 4
