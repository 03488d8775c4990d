"""Things that move and are no people: carts and cars that pass, doors and screens that change."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vigil.dataset.synth.figure import Image


@dataclass(frozen=True)
class MovingObject:
    """A box, sizes as fractions of the frame, with a speed in frame widths a second, or a blinking one."""

    x: float
    y: float
    width: float
    height: float
    speed: float
    blink_hz: float
    colour: tuple[float, float, float]


def random_moving_objects(rng: np.random.Generator, *, difficulty: float, light: float) -> list[MovingObject]:
    """Draw the things of a clip; most clips have none."""
    things = []
    for _ in range(int(rng.random() < 0.2 * difficulty) + int(rng.random() < 0.1 * difficulty)):
        passes = rng.random() < 0.6
        red, green, blue = rng.uniform(10, 240, 3) * light
        things.append(
            MovingObject(
                x=float(rng.uniform(0, 1)), y=float(rng.uniform(0.1, 0.9)),
                width=float(rng.uniform(0.06, 0.3)), height=float(rng.uniform(0.05, 0.2)),
                speed=float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.5)) if passes else 0.0,
                blink_hz=0.0 if passes else float(rng.uniform(0.3, 2.0)),
                colour=(float(red), float(green), float(blue)),
            )
        )  # fmt: skip
    return things


def draw_moving_object(image: Image, thing: MovingObject, time_s: float) -> None:
    """Draw one thing in place, behind the people."""
    height, width = image.shape[:2]
    if thing.blink_hz and int(time_s * thing.blink_hz * 2) % 2:
        return
    left = int((((thing.x + thing.speed * time_s) + 0.5) % 2.0 - 0.5) * width)
    top, right = int(thing.y * height), left + int(thing.width * width)
    bottom = top + int(thing.height * height)
    cv2.rectangle(image, (left, top), (right, bottom), thing.colour, -1)
    if not thing.speed:
        return
    for wheel in (left + (right - left) // 5, right - (right - left) // 5):
        cv2.circle(image, (wheel, bottom), max(1, (bottom - top) // 4), (20, 20, 20), -1, cv2.LINE_AA)
