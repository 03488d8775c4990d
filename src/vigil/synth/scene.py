"""The scene of a clip: a procedural background, the light, the perspective, and moving objects.

Nothing comes from photographs, so a model trained on drawn clips has seen no real recording. Moving objects are not
people: passing carts and cars, and doors and screens that change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vigil.synth.figure import FloatArray, Image

MARGIN = 0.08  # share of the size added on each side for jitter and slow pans


@dataclass(frozen=True)
class Scene:
    """A background (larger than the frame by MARGIN), its light (0..1) and its perspective."""

    background: Image
    foreground: Image | None
    light: float
    near_height: float
    far_height: float
    near_y: float
    far_y: float
    squash: float

    def floor_y(self, depth: float) -> float:
        """The y of a person's feet at a depth, as a fraction of the frame height."""
        return self.far_y + (self.near_y - self.far_y) * depth

    def height_at(self, depth: float) -> float:
        """Body height as a fraction of the frame height at a depth."""
        return self.far_height + (self.near_height - self.far_height) * depth

    def lit_by(self, light: float) -> Scene:
        """The same scene under another light (0..1)."""
        factor = light / self.light
        dimmed = None if self.foreground is None else _lit(self.foreground, factor)
        return replace(self, background=_lit(self.background, factor), foreground=dimmed, light=light)

    def overlooking_floor(self) -> Scene:
        """The same scene by a camera that is turned down a little, with nothing before the floor."""
        near_y, far_y = min(self.near_y, 0.88), min(self.far_y, 0.8)
        return replace(self, near_y=near_y, far_y=far_y, foreground=None)

    def grey_at(self, x: float, y: float) -> float:
        """The grey level (0 to 255) of the background around a place, given as fractions of the frame."""
        height, width = self.background.shape[:2]
        column, row = (round((at + MARGIN) / (1 + 2 * MARGIN) * side) for at, side in ((x, width), (y, height)))
        top, left = max(0, min(row, height - 1) - height // 8), max(0, min(column, width - 1) - width // 8)
        return float(self.background[top : max(0, row) + height // 8, left : max(0, column) + width // 8].mean())


def _lit(image: Image, factor: float) -> Image:
    return np.asarray(np.clip(image * factor, 0, 255), dtype=np.uint8)


def random_scene(rng: np.random.Generator, *, size_wh: tuple[int, int], difficulty: float) -> Scene:
    """Choose a random scene; difficulty 0 is plain and near, 1 is cluttered, sometimes dark, and far."""
    width, height = (round(side * (1 + 2 * MARGIN)) for side in size_wh)
    light = float(rng.uniform(0.35, 0.7) if rng.random() < 0.3 * difficulty else rng.uniform(0.75, 1.0))
    background = _plain(rng, width, height)
    if rng.random() < 0.25 + 0.7 * difficulty:
        background = _room(rng, background)
    for _ in range(rng.poisson(5.0 * difficulty)):
        _CLUTTER[int(rng.integers(len(_CLUTTER)))](rng, background)
    background = _textured(rng, background, strength=difficulty * rng.uniform(0, 28))
    if rng.random() < 0.6:  # most places are not colourful
        grey = background.mean(axis=2, keepdims=True)
        background = grey + (background - grey) * rng.uniform(0.15, 0.7)
    lit: Image = np.clip(background * light, 0, 255).astype(np.uint8)
    near, far = _heights(rng, difficulty)
    near_y = float(rng.uniform(0.84, 1.05))
    far_y = near_y - float(rng.uniform(0.02, 0.4)) * (1.15 - near)
    foreground = _foreground(rng, size_wh, light) if rng.random() < 0.3 * difficulty else None
    return Scene(lit, foreground, light, near, far, near_y, far_y, float(rng.uniform(0.65, 1.0)))


def _heights(rng: np.random.Generator, difficulty: float) -> tuple[float, float]:
    smallest = 0.5 - 0.22 * difficulty
    if rng.random() < 0.12 * difficulty:  # only a few far views: tiny figures teach little
        smallest = 0.2
    near = float(np.exp(rng.uniform(np.log(smallest * 1.15), np.log(0.95))))
    return near, max(smallest * 0.8, near * float(rng.uniform(0.55, 0.95)))


def _colour(rng: np.random.Generator) -> FloatArray:
    grey = rng.uniform(25, 235)
    return np.asarray(np.clip(grey + rng.normal(0, rng.choice([8, 16, 35]), 3), 0, 255))


def _plain(rng: np.random.Generator, width: int, height: int) -> FloatArray:
    corners = np.stack([_colour(rng)] * 4) + rng.normal(0, 18, (4, 3))
    grid = np.clip(corners, 0, 255).reshape(2, 2, 3)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR))


def _room(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    height, width = image.shape[:2]
    horizon = int(height * rng.uniform(-0.1, 0.55))
    if horizon > 2:
        image[:horizon] = 0.4 * image[:horizon] + 0.6 * _colour(rng)
    if rng.random() < 0.7:
        _tiles(rng, image, horizon)
    if rng.random() < 0.4:
        corner = int(width * rng.uniform(0.1, 0.9))
        image[: max(horizon, 0), corner:] *= rng.uniform(0.6, 0.9)
    return image


def _tiles(rng: np.random.Generator, image: FloatArray, horizon: int) -> None:
    height, width = image.shape[:2]
    line = tuple(np.clip(image[-1, width // 2] + rng.normal(0, 45, 3), 0, 255).tolist())
    vanish = (int(width * rng.uniform(0.2, 0.8)), horizon - int(0.1 * height))
    spacing = width * rng.uniform(0.12, 0.4)
    for step in range(-8, 9):
        foot = (int(vanish[0] + step * spacing * 2), height * 2)
        cv2.line(image, vanish, foot, line, 1, cv2.LINE_AA)
    for step in range(1, 9):
        row = int(horizon + (height - horizon) * (step / 8) ** 1.7)
        cv2.line(image, (0, row), (width, row), line, 1)
    if horizon > 0:
        image[: max(0, horizon)] = image[: max(0, horizon)].mean(axis=(0, 1))


def _box(rng: np.random.Generator, image: FloatArray, *, tall: tuple[float, float]) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    box_w, box_h = int(width * rng.uniform(0.06, 0.35)) + 2, int(height * rng.uniform(*tall)) + 2
    return int(rng.uniform(-0.1, 0.95) * width), int(rng.uniform(-0.05, 0.9) * height), box_w, box_h


def _furniture(rng: np.random.Generator, image: FloatArray) -> None:
    x, y, w, h = _box(rng, image, tall=(0.06, 0.4))
    colour = _colour(rng)
    cv2.rectangle(image, (x, y), (x + w, y + h), colour.tolist(), -1)
    cv2.rectangle(image, (x, y), (x + w, y + max(1, h // 5)), np.minimum(colour * 1.25, 255).tolist(), -1)


def _door(rng: np.random.Generator, image: FloatArray) -> None:
    x, y, w, h = _box(rng, image, tall=(0.3, 0.6))
    colour = _colour(rng)
    cv2.rectangle(image, (x, y // 3), (x + w // 2 + 4, y // 3 + h), colour.tolist(), -1)
    cv2.rectangle(image, (x, y // 3), (x + w // 2 + 4, y // 3 + h), (colour * 0.6).tolist(), 1)


def _shelf(rng: np.random.Generator, image: FloatArray) -> None:
    x, y, w, h = _box(rng, image, tall=(0.2, 0.5))
    columns, rows = int(rng.integers(3, 9)), int(rng.integers(2, 6))
    goods = rng.uniform(20, 240, (rows, columns, 3))
    for row, column in np.ndindex(rows, columns):
        left, top = x + w * column // columns, y + h * row // rows
        right, bottom = x + w * (column + 1) // columns - 1, y + h * (row + 1) // rows - 2
        cv2.rectangle(image, (left, top), (right, bottom), goods[row, column].tolist(), -1)


def _car(rng: np.random.Generator, image: FloatArray) -> None:
    x, y, w, h = _box(rng, image, tall=(0.08, 0.16))
    colour, w = _colour(rng), w + image.shape[1] // 8
    cv2.rectangle(image, (x, y), (x + w, y + h), colour.tolist(), -1)
    roof = np.array([[x + w // 5, y], [x + w // 3, y - h], [x + 3 * w // 4, y - h], [x + 7 * w // 8, y]])
    cv2.fillPoly(image, [roof.astype(np.int32)], (colour * 0.6).tolist())
    for wheel in (x + w // 5, x + 4 * w // 5):
        cv2.circle(image, (wheel, y + h), max(2, h // 3), (20, 20, 20), -1, cv2.LINE_AA)


def _post(rng: np.random.Generator, image: FloatArray) -> None:
    height, width = image.shape[:2]
    x, thick = int(rng.uniform(0, 1) * width), max(1, int(width * rng.uniform(0.01, 0.07)))
    slant = int(width * rng.normal(0, 0.05))
    cv2.line(image, (x, -5), (x + slant, int(height * rng.uniform(0.4, 1.1))), _colour(rng).tolist(), thick)


def _ellipse(rng: np.random.Generator, image: FloatArray) -> None:
    x, y, w, h = _box(rng, image, tall=(0.05, 0.2))
    cv2.ellipse(image, (x, y), (w // 2 + 1, h // 2 + 1), 0, 0, 360, _colour(rng).tolist(), -1, cv2.LINE_AA)


def _lamp(rng: np.random.Generator, image: FloatArray) -> None:
    height, width = image.shape[:2]
    glow = np.zeros((height, width), np.float64)
    at = (int(rng.uniform(0, 1) * width), int(rng.uniform(0, 0.8) * height))
    cv2.circle(glow, at, int(height * rng.uniform(0.1, 0.35)), (1.0,), -1)
    blurred = cv2.blur(glow, (height // 4 * 2 + 1, height // 4 * 2 + 1))
    image += rng.uniform(-70, 90) * blurred[:, :, None]


_CLUTTER: tuple[Callable[[np.random.Generator, FloatArray], None], ...] = (
    _furniture, _furniture, _door, _shelf, _car, _post, _ellipse, _lamp,
)  # fmt: skip


def _textured(rng: np.random.Generator, image: FloatArray, *, strength: float) -> FloatArray:
    if strength < 2:
        return image
    height, width = image.shape[:2]
    for octave in (4, 10, 24):
        coarse = rng.normal(0, 1, (octave, octave * 4 // 3, 1 if rng.random() < 0.6 else 3))
        layer = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        image = image + strength * (layer if layer.ndim == 3 else layer[:, :, None]) * rng.uniform(0.2, 0.8)
    return image


def _foreground(rng: np.random.Generator, size_wh: tuple[int, int], light: float) -> Image:
    """An overlay: black is transparent, the rest hides people behind it."""
    image = np.zeros((size_wh[1], size_wh[0], 3))
    width, height = size_wh
    if rng.random() < 0.5:
        x, w = int(rng.uniform(0, 0.95) * width), int(width * rng.uniform(0.02, 0.09)) + 1
        cv2.rectangle(image, (x, 0), (x + w, height), (_colour(rng) * light + 1).tolist(), -1)
    else:
        x, w, h = int(rng.uniform(-0.1, 0.8) * width), int(width * rng.uniform(0.2, 0.5)), int(height * 0.17)
        cv2.rectangle(image, (x, height - h), (x + w, height), (_colour(rng) * light + 1).tolist(), -1)
    return np.asarray(np.clip(image, 0, 255), dtype=np.uint8)


@dataclass(frozen=True)
class MovingObject:
    """A moving or blinking box: sizes are fractions of the frame, `speed` is in frame widths per second."""

    x: float
    y: float
    width: float
    height: float
    speed: float
    blink_hz: float
    colour: tuple[float, float, float]


def random_moving_objects(rng: np.random.Generator, *, difficulty: float, light: float) -> list[MovingObject]:
    """Choose the moving objects of a clip; most clips have none."""
    moving_objects = []
    for _ in range(int(rng.random() < 0.2 * difficulty) + int(rng.random() < 0.1 * difficulty)):
        passes = rng.random() < 0.6
        red, green, blue = rng.uniform(10, 240, 3) * light
        moving_objects.append(
            MovingObject(
                x=float(rng.uniform(0, 1)), y=float(rng.uniform(0.1, 0.9)),
                width=float(rng.uniform(0.06, 0.3)), height=float(rng.uniform(0.05, 0.2)),
                speed=float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.5)) if passes else 0.0,
                blink_hz=0.0 if passes else float(rng.uniform(0.3, 2.0)),
                colour=(float(red), float(green), float(blue)),
            )
        )  # fmt: skip
    return moving_objects


def draw_moving_object(image: Image, moving_object: MovingObject, time_s: float) -> None:
    """Draw one object into `image`, behind the people."""
    height, width = image.shape[:2]
    if moving_object.blink_hz and int(time_s * moving_object.blink_hz * 2) % 2:
        return
    left = int((((moving_object.x + moving_object.speed * time_s) + 0.5) % 2.0 - 0.5) * width)
    top, right = int(moving_object.y * height), left + int(moving_object.width * width)
    bottom = top + int(moving_object.height * height)
    cv2.rectangle(image, (left, top), (right, bottom), moving_object.colour, -1)
    if not moving_object.speed:
        return
    for wheel in (left + (right - left) // 5, right - (right - left) // 5):
        cv2.circle(image, (wheel, bottom), max(1, (bottom - top) // 4), (20, 20, 20), -1, cv2.LINE_AA)
