"""What incidents need besides people: fences, marked zones, things in a hand, and smoke.

A prop is drawn into a picture by `draw_behind` (floor and walls), `draw_held` (in a hand) or `draw_before` (between the
scene and the lens). Sizes are fractions of the frame, times are seconds of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vigil.synth.camera_faults import DrawnFault, draw_fault
from vigil.synth.figure import FloatArray, Image, RGBColor


@dataclass(frozen=True)
class Fence:
    """Bars and rails across the whole picture, standing on the floor at `floor_y`."""

    floor_y: float
    height: float
    bar_gap: float
    colour: RGBColor


@dataclass(frozen=True)
class Zone:
    """A hatched area of the floor around (x, y), that nobody may enter."""

    x: float
    y: float
    half_width: float
    half_height: float
    colour: RGBColor


@dataclass(frozen=True)
class Held:
    """A thing in the right hand of an actor; lengths are in heights of that person. A tool points on, a bag hangs."""

    actor: int
    is_tool: bool
    length: float
    thickness: float
    head: float
    colour: RGBColor


@dataclass(frozen=True)
class Plume:
    """Puffs of smoke (or of steam: small, and white) that rise from (x, y) and grow."""

    x: float
    y: float
    start_s: float
    rise_per_s: float
    growth_per_s: float
    drift_per_s: float
    density: float
    grey: float
    puffs: FloatArray  # (N, 3): when each begins, and where beside the source


@dataclass(frozen=True)
class Props:
    """All props of a clip."""

    fence: Fence | None = None
    zone: Zone | None = None
    held: tuple[Held, ...] = ()
    plume: Plume | None = None
    fault: DrawnFault | None = None


def draw_behind(image: Image, props: Props) -> None:
    """Draw what stands behind the people into `image`."""
    if props.zone is not None:
        _draw_zone(image, props.zone)
    if props.fence is not None:
        _draw_fence(image, props.fence)


def draw_held(image: Image, held: Held, joints: FloatArray, *, height_px: float) -> None:
    """Draw a thing into the right hand of a person, whose joints (11, xy) are in pixels."""
    elbow, hand = joints[5], joints[6]
    thick = max(1, round(held.thickness * height_px))
    if not held.is_tool:
        half = held.length * height_px / 2
        corner, other = hand - np.array((half * 0.8, 0.0)), hand + np.array((half * 0.8, 2 * half))
        cv2.rectangle(image, _point(corner), _point(other), held.colour, -1)
        return
    along = (hand - elbow) / max(1e-6, float(np.hypot(*(hand - elbow))))
    tip = hand + along * held.length * height_px
    cv2.line(image, _point(hand - along * 0.08 * height_px), _point(tip), held.colour, thick, cv2.LINE_AA)
    if held.head:
        across = np.array((-along[1], along[0])) * held.head * height_px
        cv2.line(image, _point(tip - across * 0.3), _point(tip + across), held.colour, thick * 2, cv2.LINE_AA)


def draw_before(image: Image, props: Props, time_s: float) -> Image:
    """The picture with smoke before the scene, as a faulty camera sees it."""
    if props.plume is not None:
        image = _with_plume(image, props.plume, time_s)
    return image if props.fault is None else draw_fault(image, props.fault, time_s)


def _point(xy: FloatArray) -> tuple[int, int]:
    return round(float(xy[0])), round(float(xy[1]))


def _draw_fence(image: Image, fence: Fence) -> None:
    height, width = image.shape[:2]
    foot, top = round(fence.floor_y * height), round((fence.floor_y - fence.height) * height)
    thick = max(1, height // 90)
    for x in range(0, width, max(3, round(fence.bar_gap * width))):
        cv2.line(image, (x, foot), (x, top), fence.colour, thick)
    for y in (top + (foot - top) // 10, foot - (foot - top) // 8):
        cv2.line(image, (0, y), (width, y), fence.colour, thick + 1)


def _draw_zone(image: Image, zone: Zone) -> None:
    height, width = image.shape[:2]
    far, near = (zone.y - zone.half_height) * height, (zone.y + zone.half_height) * height
    left, right = (zone.x - zone.half_width) * width, (zone.x + zone.half_width) * width
    lean = 0.2 * (right - left)
    corners = np.array([(left + lean, far), (right - lean, far), (right, near), (left, near)], dtype=np.int32)
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [corners], (1,))
    rows, columns = np.indices(mask.shape)
    striped = (rows + columns) // max(3, height // 24) % 2 == 0
    image[(mask == 1) & striped] = zone.colour
    image[(mask == 1) & ~striped] //= 3
    cv2.polylines(image, [corners], True, zone.colour, max(1, height // 60), cv2.LINE_AA)


def _with_plume(image: Image, plume: Plume, time_s: float) -> Image:
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    for begins_s, x, y in plume.puffs:
        age_s = time_s - plume.start_s - begins_s
        if age_s < 0:
            continue
        at = (plume.x + x + plume.drift_per_s * age_s, plume.y + y - plume.rise_per_s * age_s)
        radius = (0.02 + plume.growth_per_s * age_s) * height
        layer = np.zeros_like(mask)
        cv2.circle(layer, (round(at[0] * width), round(at[1] * height)), max(1, round(radius)), (1.0,), -1)
        mask = np.maximum(mask, layer * plume.density * float(np.exp(-age_s / 5.0)))
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(1.0, height / 40)))[..., None]
    return np.asarray(image * (1 - mask) + plume.grey * mask, dtype=np.uint8)
