"""A jointed figure: its build, its colours, its joint angles, and how it is drawn.

Angles are in radians, relative to straight down (limbs) or upright (torso). Lengths are in units of the figure's own
height, so a motion fits every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Image = NDArray[np.uint8]
RGBColor = tuple[int, int, int]

JOINTS = ("head", "neck", "hip", "elbow_l", "hand_l", "elbow_r", "hand_r", "knee_l", "foot_l", "knee_r", "foot_r")
ANGLES = ("torso", "head", "arm_l", "elbow_l", "arm_r", "elbow_r", "leg_l", "knee_l", "leg_r", "knee_r", "fall")
BONES = ((3, 1), (4, 3), (7, 2), (8, 7), (9, 2), (10, 9), (2, 1), (0, 1), (5, 1), (6, 5))

_FRACTION_BITS = 4


@dataclass(frozen=True)
class Figure:
    """One person's build: relative limb lengths and widths, and the colours of the clothes."""

    torso: float
    arm: float
    leg: float
    girth: float
    shirt: RGBColor
    trousers: RGBColor
    skin: RGBColor
    hair: RGBColor
    shade: RGBColor
    long_sleeves: bool


def random_figure(rng: np.random.Generator, *, light: float) -> Figure:
    """Choose a random build and clothes; `light` (0..1) dims every colour."""
    skin = np.array([224, 172, 140]) * rng.uniform(0.35, 1.0)
    shirt = _cloth(rng)
    return Figure(
        torso=rng.uniform(0.27, 0.33),
        arm=rng.uniform(0.15, 0.19),
        leg=rng.uniform(0.22, 0.27),
        girth=rng.uniform(0.75, 1.45),
        shirt=_dim(shirt, light),
        trousers=_dim(_cloth(rng), light),
        skin=_dim(skin, light),
        hair=_dim(rng.uniform(5, 110) * np.ones(3), light),
        shade=_dim(shirt * rng.uniform(0.6, 1.3), light),
        long_sleeves=bool(rng.random() < 0.6),
    )


def _cloth(rng: np.random.Generator) -> FloatArray:
    value = rng.uniform(15, 245)
    saturation = rng.beta(1.0, 2.0)
    hue = rng.dirichlet(np.ones(3)) * 3.0
    return np.asarray(np.clip(value * (1 - saturation + saturation * hue), 0, 255))


def _dim(colour: FloatArray, light: float) -> RGBColor:
    red, green, blue = (int(v) for v in np.clip(colour * light, 0, 255))
    return red, green, blue


def joint_positions(figure: Figure, angles: FloatArray) -> FloatArray:
    """Joint positions: (T, 11 angles) -> (T, 11 joints, xy) in heights; the lowest point is at y = 0, y is downward."""
    joints = np.zeros((len(angles), len(JOINTS), 2))
    neck = -figure.torso * _down(-angles[:, 0])
    joints[:, 1] = neck
    joints[:, 0] = neck - 0.11 * _down(-(angles[:, 0] + angles[:, 1]))
    for upper, lower, first, start, length in (
        (3, 4, 2, neck, figure.arm),
        (5, 6, 4, neck, figure.arm),
        (7, 8, 6, joints[:, 2], figure.leg),
        (9, 10, 8, joints[:, 2], figure.leg),
    ):
        bend = angles[:, first] + angles[:, first + 1]
        joints[:, upper] = start + length * _down(angles[:, first])
        joints[:, lower] = joints[:, upper] + length * _down(bend)
    joints = _rotated(joints, angles[:, 10])
    joints[:, :, 1] -= joints[:, :, 1].max(axis=1, keepdims=True)
    return joints


def _down(angle: FloatArray) -> FloatArray:
    return np.stack((np.sin(angle), np.cos(angle)), axis=1)


def _rotated(joints: FloatArray, angle: FloatArray) -> FloatArray:
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = joints[:, :, 0], joints[:, :, 1]
    return np.stack((x * cos - y * sin, x * sin + y * cos), axis=2)


def draw_figure(image: Image, figure: Figure, joints: FloatArray, *, height_px: float) -> None:
    """Draw one figure into `image`; joints (11, xy) are in pixels."""
    points = np.round(joints * (1 << _FRACTION_BITS)).astype(int)
    limb = max(1, round(0.062 * height_px * figure.girth))
    trunk = max(2, round(0.15 * height_px * figure.girth))
    sleeve = figure.shirt if figure.long_sleeves else figure.skin
    for (end, start), colour, width in zip(BONES[:6], _bone_colours(figure, sleeve), _bone_widths(limb), strict=True):
        _bone(image, points[start], points[end], colour, width)
    _bone(image, points[2], points[1], figure.shirt, trunk)
    _bone(image, points[2] + trunk * 4, (points[1] + points[2]) // 2 + trunk * 4, figure.shade, max(1, trunk // 3))
    _head(image, points[0], figure, radius_px=max(1.0, 0.068 * height_px))
    _bone(image, points[1], points[5], figure.shirt, limb)
    _bone(image, points[5], points[6], sleeve, limb)


def _bone_colours(figure: Figure, sleeve: RGBColor) -> tuple[RGBColor, ...]:
    return (figure.shirt, sleeve, figure.trousers, figure.trousers, figure.trousers, figure.trousers)


def _bone_widths(limb: int) -> tuple[int, ...]:
    leg = max(1, round(limb * 1.3))
    return (limb, limb, leg, leg, leg, leg)


def _bone(image: Image, start: NDArray[np.int_], end: NDArray[np.int_], colour: RGBColor, width: int) -> None:
    first, second = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
    cv2.line(image, first, second, colour, width, cv2.LINE_AA, _FRACTION_BITS)


def _head(image: Image, centre: NDArray[np.int_], figure: Figure, *, radius_px: float) -> None:
    at = (int(centre[0]), int(centre[1]))
    radius = int(radius_px * (1 << _FRACTION_BITS))
    cv2.circle(image, at, radius, figure.skin, -1, cv2.LINE_AA, _FRACTION_BITS)
    crown = (at[0], at[1] - radius // 2)
    cv2.circle(image, crown, max(1, radius * 3 // 4), figure.hair, -1, cv2.LINE_AA, _FRACTION_BITS)
