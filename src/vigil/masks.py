"""Masks of a camera: polygons that are painted over in its pictures.

    masks = parse_masks([{"kind": "privacy", "points": [[0, 0], [0.5, 0], [0.5, 0.5]]}])
    paint(image, masks, ("privacy",))

Points are shares of the upright picture's width and height, from its upper left corner. A privacy mask is black in
everything that leaves the camera's reader; an ignore zone is grey in what the model and the gate see.
"""

import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import cv2
import numpy as np

from vigil.errors import UsageError
from vigil.frames import RGB

MaskKind = Literal["privacy", "ignore"]
Point: TypeAlias = tuple[float, float]

KINDS: tuple[MaskKind, ...] = get_args(MaskKind)
COLOURS: dict[MaskKind, tuple[int, int, int]] = {"privacy": (0, 0, 0), "ignore": (128, 128, 128)}
MOST_POINTS = 100
MOST_MASKS = 32
LEAST_AREA = 1e-6
"""The smallest area of a mask as a share of the picture: less than a pixel of any camera."""

FRACTION_BITS = 4
EDGE_PX = 3
"""The edge is painted this wide, so that no pixel remains that a mask covers in part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """One polygon, closed by itself; raises UsageError unless it has 3 to 100 points in the picture and an area.

    Edges must not cross: what lies inside such a polygon is a matter of opinion.
    """

    kind: MaskKind
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        problem = _problem_of(self.points)
        if self.kind not in KINDS:
            raise UsageError(f"a mask is of kind {' or '.join(KINDS)}, not {str(self.kind)[:20]!r}")
        if problem:
            raise UsageError(f"a mask {problem}")


def _problem_of(points: Sequence[Sequence[float]]) -> str:
    if not 3 <= len(points) <= MOST_POINTS:
        return f"has 3 to {MOST_POINTS} points, not {len(points)}"
    if any(len(point) != 2 for point in points):
        return "has points of two numbers each: [x, y]"
    if not all(math.isfinite(value) and 0 <= value <= 1 for point in points for value in point):
        return "has points inside the picture: x and y from 0 to 1"
    if _area(points) < LEAST_AREA:
        return "has no area; draw it larger"
    if _crosses_itself(points):
        return "has edges that cross each other; draw it as two"
    return ""


def _area(points: Sequence[Sequence[float]]) -> float:
    x, y = np.array(points, np.float64).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _crosses_itself(points: Sequence[Sequence[float]]) -> bool:
    """Whether two edges have more in common than the corner between them; edges that only touch do not cross."""
    starts = np.array(points, np.float64)
    ends = np.roll(starts, -1, axis=0)
    sides = _side(starts[:, None], ends[:, None], starts[None]) * _side(starts[:, None], ends[:, None], ends[None])
    return bool(((sides < 0) & (sides.T < 0)).any())


def _side(start: Any, end: Any, point: Any) -> Any:
    """On which side of the line from `start` to `end` a point lies: the sign of the cross product."""
    along, towards = end - start, point - start
    return np.sign(along[..., 0] * towards[..., 1] - along[..., 1] * towards[..., 0])


def checked_masks(masks: Iterable[Mask]) -> tuple[Mask, ...]:
    """The masks of a camera; raises UsageError if there are too many."""
    found = tuple(masks)
    if len(found) > MOST_MASKS:
        raise UsageError(f"a camera has at most {MOST_MASKS} masks, not {len(found)}")
    return found


def parse_masks(data: Iterable[Any]) -> tuple[Mask, ...]:
    """The masks of plain data (`kind` and `points` each); raises UsageError that says which mask is wrong."""
    found: list[Mask] = []
    for number, each in enumerate(data):
        try:
            points = tuple((float(x), float(y)) for x, y in each["points"])
            found.append(Mask(kind=each["kind"], points=points))
        except UsageError as error:
            raise UsageError(f"masks.{number}: {error}") from error
        except (TypeError, ValueError, KeyError) as error:
            raise UsageError(f"masks.{number}: a mask has a kind and points, each of two numbers") from error
    return checked_masks(found)


def masks_as_data(masks: Iterable[Mask]) -> list[dict[str, Any]]:
    """The masks as plain data, which `parse_masks` reads."""
    return [{"kind": mask.kind, "points": [list(point) for point in mask.points]} for mask in masks]


def masks_to_text(masks: Iterable[Mask]) -> str:
    """The masks as JSON, the same text for the same masks."""
    return json.dumps(masks_as_data(masks), separators=(",", ":"))


def masks_from_text(text: str) -> tuple[Mask, ...]:
    """The masks of JSON; raises UsageError."""
    try:
        data = json.loads(text or "[]")
    except ValueError as error:
        raise UsageError("masks are a list in JSON") from error
    if not isinstance(data, list):
        raise UsageError("masks are a list in JSON")
    return parse_masks(data)


def paint(image: RGB, masks: Iterable[Mask], kinds: Collection[MaskKind] = KINDS) -> RGB:
    """Returns an upright image `(H, W, 3) uint8 RGB` with the masks of these kinds painted over, privacy last.

    Without such masks it is the image itself, otherwise a copy.
    """
    painted = sorted((mask for mask in masks if mask.kind in kinds), key=lambda mask: mask.kind == "privacy")
    if not painted:
        return image
    copied = image.copy()
    for mask in painted:
        _paint_one(copied, mask)
    return copied


def _paint_one(image: RGB, mask: Mask) -> None:
    height, width = image.shape[:2]
    # The centre of the first pixel is at half a pixel.
    corners = np.array(mask.points, np.float64) * (width, height) - 0.5
    fixed = np.rint(corners * 2**FRACTION_BITS).astype(np.int32)[None]
    colour = COLOURS[mask.kind]
    cv2.fillPoly(image, fixed, colour, shift=FRACTION_BITS)
    cv2.polylines(image, fixed, isClosed=True, color=colour, thickness=EDGE_PX, shift=FRACTION_BITS)
