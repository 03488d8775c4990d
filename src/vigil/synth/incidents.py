"""The scenes of the task `anomaly9`: incidents of eight classes and normal ones that resemble them.

Each class is varied in place, size, light, speed and camera. 异常声响 is left out: a sound cannot be drawn. Night,
fences and bystanders come with all classes, so that none of them gives a class away by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from vigil.synth import motion
from vigil.synth.actors import (
    FIGHT_ACTIVITIES,
    Actor,
    MakeMotion,
    bystanders_of,
    cast_activity,
    choose_activity,
    place_alone,
)
from vigil.synth.camera_faults import FAULT_KINDS, DrawnFault, FaultKind
from vigil.synth.figure import RGBColor
from vigil.synth.props import Fence, Held, Plume, Props, Zone
from vigil.synth.scene import Scene

NORMAL_SCENES: Final[Mapping[str, float]] = MappingProxyType(
    {
        "empty": 2, "standing": 6, "walking": 9, "together": 5, "talking": 7, "hugging": 4, "running": 5, "dancing": 4,
        "sitting": 4, "bending": 5, "passing_fence": 9, "beside_zone": 9, "night_walk": 9, "sitting_down": 8,
        "carrying": 8, "steaming": 6,
    }
)  # fmt: skip
"""The normal activities and their weights; those that nearly are an incident are the most frequent."""

ANOMALY_FOLDERS: Final = ("climbing", "intrusion", "loitering", "fall", "fight", "tool", "smoke", "device", "normal")
"""The folders of drawn clips, one a class: names that `configs/tasks/anomaly9.yaml` knows."""

_PLAIN = ("climbing", "intrusion", "loitering", "fall", "tool", "smoke")
_NIGHT_LIGHT = (0.3, 0.5)
_CLIMBER_HEIGHT = 0.45
"""The most that a climber is tall, as a share of the picture, so that the way up fits into it."""


@dataclass(frozen=True)
class Staging:
    """The people and props of a clip; `light` replaces that of the scene if it is night."""

    actors: list[Actor]
    props: Props = field(default_factory=Props)
    light: float | None = None


def choose_scene(rng: np.random.Generator, *, folder: str) -> str:
    """Choose a random activity of a class, by weight."""
    if folder == "fight":
        return choose_activity(rng, label="fight")
    if folder == "device":
        return str(rng.choice(FAULT_KINDS))
    if folder == "normal":
        weights = np.array([*NORMAL_SCENES.values()], dtype=float)
        return str(rng.choice([*NORMAL_SCENES], p=weights / weights.sum()))
    return folder


def folder_of(activity: str) -> str:
    """The class of an activity."""
    if activity in _PLAIN:
        return activity
    if activity in FIGHT_ACTIVITIES:
        return "fight"
    return "device" if activity in FAULT_KINDS else "normal"


def stage_scene(rng: np.random.Generator, activity: str, scene: Scene) -> Staging:
    """Choose the people and the props of an activity, at night in one clip of five."""
    stage = _STAGINGS.get(activity)
    staging = _everyday(rng, activity) if stage is None else stage(rng, scene)
    if staging.props.fence is None and rng.random() < 0.15:
        staging = replace(staging, props=replace(staging.props, fence=_fence(rng, scene, depth=0.0)))
    if staging.light is None and rng.random() < 0.2:
        staging = replace(staging, light=_night(rng))
    return staging


def _everyday(rng: np.random.Generator, activity: str) -> Staging:
    if activity in FAULT_KINDS:
        seen = str(rng.choice(["empty", "standing", "walking", "talking"]))
        return Staging(cast_activity(rng, seen), Props(fault=_fault(rng, activity)))
    return Staging(cast_activity(rng, activity))


def _night(rng: np.random.Generator) -> float:
    return float(rng.uniform(*_NIGHT_LIGHT))


def _alone(
    rng: np.random.Generator,
    name: str,
    move: MakeMotion,
    *,
    at: tuple[float, float] | None = None,
) -> list[Actor]:
    """One person who does this, and bystanders."""
    main = place_alone(rng, name, move, at=at)
    return [main, *bystanders_of(rng, main)]


def _fence(rng: np.random.Generator, scene: Scene, *, depth: float, height: float | None = None) -> Fence:
    body = scene.height_at(depth) * scene.squash
    return Fence(
        floor_y=scene.floor_y(depth),
        height=height or body * float(rng.uniform(0.6, 1.1)),
        bar_gap=float(rng.uniform(0.03, 0.09)),
        colour=_colour(rng, 30, 220, light=scene.light),
    )


def _colour(rng: np.random.Generator, low: float, high: float, *, light: float) -> RGBColor:
    grey = rng.uniform(low, high)
    red, green, blue = (int(v) for v in np.clip((grey + rng.normal(0, 14, 3)) * light, 0, 255))
    return red, green, blue


def _climbing(rng: np.random.Generator, scene: Scene) -> Staging:
    depth = float(rng.uniform(0.1, 0.8))
    top = float(rng.uniform(0.75, 1.1))
    at = (float(rng.uniform(0.2, 0.8)), depth)
    main, *others = _alone(rng, "climbing", lambda r, facing: motion.climbing(r, facing, top=top), at=at)
    fitting = min(main.relative_height, _CLIMBER_HEIGHT / scene.height_at(depth))
    fence = _fence(rng, scene, depth=depth, height=scene.height_at(depth) * fitting * top)
    return Staging([replace(main, relative_height=fitting), *others], Props(fence=fence))


def _passing_fence(rng: np.random.Generator, scene: Scene) -> Staging:
    depth = float(rng.uniform(0.1, 0.9))
    moves: list[tuple[str, MakeMotion]] = [
        ("walking", motion.walking),
        ("standing", motion.standing),
        ("talking", motion.talking),
    ]
    name, move = moves[int(rng.integers(len(moves)))]
    actors = _alone(rng, name, move, at=(float(rng.uniform(0.2, 0.8)), depth))
    return Staging(actors, Props(fence=_fence(rng, scene, depth=depth * float(rng.uniform(0.5, 1.0)))))


def _zone(rng: np.random.Generator, scene: Scene, x: float, depth: float) -> Zone:
    warning = ((235, 200, 30), (220, 40, 30), (240, 120, 20))[int(rng.integers(3))]
    red, green, blue = (int(part * scene.light * rng.uniform(0.8, 1.0)) for part in warning)
    return Zone(
        x=x,
        y=scene.floor_y(depth),
        half_width=float(rng.uniform(0.16, 0.28)),
        half_height=float(rng.uniform(0.06, 0.12)),
        colour=(red, green, blue),
    )


def _inside(scene: Scene, depth: float) -> float:
    """A depth whose floor is in the picture, so that a zone there can be seen."""
    return depth if scene.floor_y(depth) < 0.92 else 0.0


def _intrusion(rng: np.random.Generator, scene: Scene) -> Staging:
    x, depth = float(rng.uniform(0.25, 0.75)), _inside(scene, float(rng.uniform(0.0, 0.8)))
    moves = (motion.standing, motion.talking, motion.bending, motion.pacing)
    move = moves[int(rng.integers(len(moves)))]
    main = place_alone(rng, "intrusion", move, at=(x + float(rng.uniform(-0.05, 0.05)), depth))
    others = [one for one in bystanders_of(rng, main) if abs(one.x - x) > 0.34]
    return Staging([main, *others], Props(zone=_zone(rng, scene, x, depth)))


def _beside_zone(rng: np.random.Generator, scene: Scene) -> Staging:
    side = -1 if rng.random() < 0.5 else 1
    x, depth = 0.5 + side * float(rng.uniform(0.15, 0.25)), _inside(scene, float(rng.uniform(0.0, 0.8)))
    zone = _zone(rng, scene, x, depth)
    if rng.random() < 0.25:
        return Staging([], Props(zone=zone))
    moves = (motion.standing, motion.talking, motion.bending)
    at = (x - side * (zone.half_width + float(rng.uniform(0.14, 0.24))), depth)
    return Staging([place_alone(rng, "standing", moves[int(rng.integers(len(moves)))], at=at)], Props(zone=zone))


def _loitering(rng: np.random.Generator, scene: Scene) -> Staging:
    return Staging(_alone(rng, "loitering", motion.pacing)[:2], light=_night(rng))


def _night_walk(rng: np.random.Generator, scene: Scene) -> Staging:
    name = str(rng.choice(["walking", "walking", "standing", "running", "talking"]))
    return Staging(cast_activity(rng, name), light=_night(rng))


def _fall(rng: np.random.Generator, scene: Scene) -> Staging:
    return Staging(_alone(rng, "falling", motion.falling))


def _sitting_down(rng: np.random.Generator, scene: Scene) -> Staging:
    return Staging(_alone(rng, "sitting_down", motion.sitting_down))


def _tool(rng: np.random.Generator, scene: Scene) -> Staging:
    actors = _alone(rng, "tool", motion.brandishing)
    bright = bool(rng.random() < 0.6)
    held = Held(
        actor=0,
        is_tool=True,
        length=float(rng.uniform(0.3, 0.55)),
        thickness=float(rng.uniform(0.025, 0.05)),
        head=float(rng.uniform(0.08, 0.14)) if rng.random() < 0.35 else 0.0,
        colour=_colour(rng, 190, 250, light=1.0) if bright else _colour(rng, 5, 40, light=1.0),
    )
    return Staging(actors, Props(held=(held,)))


def _carrying(rng: np.random.Generator, scene: Scene) -> Staging:
    name = str(rng.choice(["walking", "standing"]))
    actors = cast_activity(rng, name)
    length = float(rng.uniform(0.14, 0.28))
    held = Held(
        actor=0, is_tool=False, length=length, thickness=0.0, head=0.0, colour=_colour(rng, 10, 240, light=scene.light)
    )
    return Staging(actors, Props(held=(held,)))


def _plume(rng: np.random.Generator, *, is_steam: bool) -> Plume:
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
    return Plume(
        x=float(rng.uniform(0.2, 0.8)),
        y=float(rng.uniform(0.55, 0.95)),
        start_s=float(rng.uniform(-4.0, -1.5)),
        rise_per_s=float(rng.uniform(0.08, 0.2)) * scale,
        growth_per_s=float(rng.uniform(0.05, 0.1)) * scale,
        drift_per_s=float(rng.uniform(-0.06, 0.06)) * scale,
        density=float(rng.uniform(0.55, 0.9)) * (0.6 if is_steam else 1.0),
        grey=float(rng.uniform(225, 250) if is_steam else rng.uniform(50, 190)),
        puffs=puffs,
    )


def _smoke(rng: np.random.Generator, scene: Scene) -> Staging:
    seen = str(rng.choice(["empty", "standing", "walking", "running", "talking"]))
    return Staging(cast_activity(rng, seen), Props(plume=_plume(rng, is_steam=False)))


def _steaming(rng: np.random.Generator, scene: Scene) -> Staging:
    seen = str(rng.choice(["empty", "standing", "talking", "bending"]))
    return Staging(cast_activity(rng, seen), Props(plume=_plume(rng, is_steam=True)))


def _fault(rng: np.random.Generator, kind: str) -> DrawnFault:
    known: FaultKind = next(each for each in FAULT_KINDS if each == kind)
    return DrawnFault(
        kind=known,
        strength=float(rng.uniform(0, 1)),
        centre=(float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.35, 0.65))),
        colour=_colour(rng, 4, 120, light=1.0),
        seed=int(rng.integers(1 << 31)),
    )


_STAGINGS: dict[str, Callable[[np.random.Generator, Scene], Staging]] = {
    "climbing": _climbing,
    "passing_fence": _passing_fence,
    "intrusion": _intrusion,
    "beside_zone": _beside_zone,
    "loitering": _loitering,
    "night_walk": _night_walk,
    "fall": _fall,
    "sitting_down": _sitting_down,
    "tool": _tool,
    "carrying": _carrying,
    "smoke": _smoke,
    "steaming": _steaming,
}
