"""Chooses what incidents need besides people: fences, marked zones, tools and bags, smoke, and faults of the lens.

Colours fit the light of the scene. What an incident is about stands out against the scene, as it does where a person
would recognise it; near misses look like it.
"""

from __future__ import annotations

import numpy as np

from vigil.synth.camera_faults import FAULT_KINDS, DrawnFault, FaultKind
from vigil.synth.figure import RGBColor
from vigil.synth.props import Fence, Held, Plume, Zone
from vigil.synth.scene import Scene


def random_fence(rng: np.random.Generator, scene: Scene, *, depth: float, height: float | None = None) -> Fence:
    """A fence at a depth, about as high as a person there unless its height (of the frame) is given."""
    body = scene.height_at(depth) * scene.squash
    return Fence(
        floor_y=scene.floor_y(depth),
        height=height or body * float(rng.uniform(0.6, 1.1)),
        bar_gap=float(rng.uniform(0.03, 0.09)),
        colour=_colour(rng, 30, 220, light=scene.light),
    )


def random_zone(rng: np.random.Generator, scene: Scene, x: float, depth: float) -> Zone:
    """A marked zone of the floor around (x, depth)."""
    warning = ((235, 200, 30), (220, 40, 30), (240, 120, 20))[int(rng.integers(3))]
    red, green, blue = (int(part * scene.light * rng.uniform(0.8, 1.0)) for part in warning)
    return Zone(
        x=x,
        y=scene.floor_y(depth),
        half_width=float(rng.uniform(0.16, 0.28)),
        half_height=float(rng.uniform(0.06, 0.12)),
        colour=(red, green, blue),
    )


def random_tool(rng: np.random.Generator, scene: Scene, *, at: tuple[float, float]) -> Held:
    """A tool or a weapon in the hand of the first person, who stands at (x, depth)."""
    x, depth = at
    chest_y = scene.floor_y(depth) - 0.7 * scene.height_at(depth) * scene.squash
    return Held(
        actor=0,
        is_tool=True,
        length=float(rng.uniform(0.3, 0.55)),
        thickness=float(rng.uniform(0.03, 0.05)),
        head=float(rng.uniform(0.08, 0.14)) if rng.random() < 0.35 else 0.0,
        colour=_colour(rng, *_apart(scene, x, chest_y, dark=(5, 40), bright=(190, 250)), light=1.0),
    )


def random_bag(rng: np.random.Generator, scene: Scene) -> Held:
    """A bag in the hand of the first person."""
    length = float(rng.uniform(0.14, 0.28))
    colour = _colour(rng, 10, 240, light=scene.light)
    return Held(actor=0, is_tool=False, length=length, thickness=0.0, head=0.0, colour=colour)


def random_plume(rng: np.random.Generator, scene: Scene, *, is_steam: bool) -> Plume:
    """A plume of smoke, or of steam, which is small and white."""
    scale = 0.3 if is_steam else 1.0
    count = int(rng.integers(8, 15))
    puffs = np.stack(
        (
            np.sort(rng.uniform(0, 5.0, count)),
            rng.uniform(-0.06, 0.06, count) * scale,
            rng.uniform(-0.03, 0.03, count) * scale,
        ),
        axis=1,
    )
    x, y = float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.55, 0.95))
    grey = (225.0, 250.0) if is_steam else _apart(scene, x, y - 0.2, dark=(25, 70), bright=(130, 200))
    return Plume(
        x=x,
        y=y,
        start_s=float(rng.uniform(-4.0, -1.5)),
        rise_per_s=float(rng.uniform(0.08, 0.2)) * scale,
        growth_per_s=float(rng.uniform(0.05, 0.1)) * scale,
        drift_per_s=float(rng.uniform(-0.06, 0.06)) * scale,
        density=float(rng.uniform(0.55, 0.9)) * (0.6 if is_steam else 1.0),
        grey=float(rng.uniform(*grey)),
        puffs=puffs,
    )


def random_fault(rng: np.random.Generator, kind: str) -> DrawnFault:
    """A fault of a kind."""
    known: FaultKind = next(each for each in FAULT_KINDS if each == kind)
    return DrawnFault(
        kind=known,
        strength=float(rng.uniform(0, 1)),
        centre=(float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.35, 0.65))),
        colour=_colour(rng, 4, 120, light=1.0),
        seed=int(rng.integers(1 << 31)),
    )


def _apart(
    scene: Scene, x: float, y: float, *, dark: tuple[float, float], bright: tuple[float, float]
) -> tuple[float, float]:
    """Of two ranges of grey, the one that stands out against the scene at (x, y)."""
    behind = scene.grey_at(x, y)
    return bright if behind < (dark[1] + bright[0]) / 2 else dark


def _colour(rng: np.random.Generator, low: float, high: float, *, light: float) -> RGBColor:
    grey = rng.uniform(low, high)
    red, green, blue = (int(v) for v in np.clip((grey + rng.normal(0, 14, 3)) * light, 0, 255))
    return red, green, blue
