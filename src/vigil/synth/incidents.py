"""The scenes of the task `anomaly9`: incidents of eight classes and normal ones that resemble them.

Each class is varied in place, size, light, speed and camera. 异常声响 is left out: a sound cannot be drawn. Night,
fences and bystanders come with all classes, so that none of them gives a class away by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeAlias

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
from vigil.synth.camera_faults import FAULT_KINDS
from vigil.synth.motion import Motion
from vigil.synth.props import Props
from vigil.synth.random_props import random_bag, random_fault, random_fence, random_plume, random_tool, random_zone
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
_AT_NIGHT = ("loitering", "night_walk")
_ON_MARKED_FLOOR = ("intrusion", "beside_zone")
_NIGHT_LIGHT = (0.35, 0.5)
_CLIMBER_HEIGHT = 0.45
"""The most that a climber is tall, as a share of the picture, so that the way up fits into it."""

_Cast: TypeAlias = tuple[list[Actor], Props]


@dataclass(frozen=True)
class Staging:
    """The scene of a clip under its light, its people and its props."""

    scene: Scene
    actors: list[Actor]
    props: Props = field(default_factory=Props)


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
    """Choose the light, the people and the props of an activity; at least one clip of five is at night.

    The light comes first, as fences and marks on the floor are seen by it.
    """
    if activity in _AT_NIGHT or rng.random() < 0.2:
        scene = scene.lit_by(float(rng.uniform(*_NIGHT_LIGHT)))
    if activity in _ON_MARKED_FLOOR:
        scene = scene.overlooking_floor()
    stage = _STAGINGS.get(activity)
    actors, props = _everyday(rng, activity) if stage is None else stage(rng, scene)
    if props.fence is None and rng.random() < 0.15:
        props = replace(props, fence=random_fence(rng, scene, depth=0.0))
    return Staging(scene, actors, props)


def _everyday(rng: np.random.Generator, activity: str) -> _Cast:
    if activity in FAULT_KINDS:
        seen = str(rng.choice(["empty", "standing", "walking", "talking"]))
        return cast_activity(rng, seen), Props(fault=random_fault(rng, activity))
    return cast_activity(rng, activity), Props()


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


def _climbing(rng: np.random.Generator, scene: Scene) -> _Cast:
    depth = float(rng.uniform(0.1, 0.8))
    top = float(rng.uniform(0.75, 1.1))
    at = (float(rng.uniform(0.2, 0.8)), depth)
    main, *others = _alone(rng, "climbing", lambda r, facing: motion.climbing(r, facing, top=top), at=at)
    fitting = min(main.relative_height, _CLIMBER_HEIGHT / scene.height_at(depth))
    fence = random_fence(rng, scene, depth=depth, height=scene.height_at(depth) * fitting * top)
    return [replace(main, relative_height=fitting), *others], Props(fence=fence)


def _passing_fence(rng: np.random.Generator, scene: Scene) -> _Cast:
    depth = float(rng.uniform(0.1, 0.9))
    moves: list[tuple[str, MakeMotion]] = [
        ("walking", motion.walking),
        ("standing", motion.standing),
        ("talking", motion.talking),
    ]
    name, move = moves[int(rng.integers(len(moves)))]
    actors = _alone(rng, name, move, at=(float(rng.uniform(0.2, 0.8)), depth))
    return actors, Props(fence=random_fence(rng, scene, depth=depth * float(rng.uniform(0.5, 1.0))))


def _intrusion(rng: np.random.Generator, scene: Scene) -> _Cast:
    x, depth = float(rng.uniform(0.25, 0.75)), float(rng.uniform(0.0, 0.8))
    moves: tuple[MakeMotion, ...] = (motion.standing, motion.talking, motion.bending, _pacing_inside)
    move = moves[int(rng.integers(len(moves)))]
    main = place_alone(rng, "intrusion", move, at=(x + float(rng.uniform(-0.05, 0.05)), depth))
    others = [one for one in bystanders_of(rng, main) if abs(one.x - x) > 0.34]
    return [main, *others], Props(zone=random_zone(rng, scene, x, depth))


def _pacing_inside(rng: np.random.Generator, facing: int) -> Motion:
    return motion.pacing(rng, facing, reach=float(rng.uniform(0.08, 0.2)))


def _beside_zone(rng: np.random.Generator, scene: Scene) -> _Cast:
    side = -1 if rng.random() < 0.5 else 1
    x, depth = 0.5 + side * float(rng.uniform(0.15, 0.25)), float(rng.uniform(0.0, 0.8))
    zone = random_zone(rng, scene, x, depth)
    if rng.random() < 0.25:
        return [], Props(zone=zone)
    moves = (motion.standing, motion.talking, motion.bending)
    at = (x - side * (zone.half_width + float(rng.uniform(0.14, 0.24))), depth)
    return [place_alone(rng, "standing", moves[int(rng.integers(len(moves)))], at=at)], Props(zone=zone)


def _loitering(rng: np.random.Generator, scene: Scene) -> _Cast:
    return _alone(rng, "loitering", motion.pacing)[:2], Props()


def _night_walk(rng: np.random.Generator, scene: Scene) -> _Cast:
    return cast_activity(rng, str(rng.choice(["walking", "walking", "standing", "running", "talking"]))), Props()


def _fall(rng: np.random.Generator, scene: Scene) -> _Cast:
    return _alone(rng, "falling", motion.falling), Props()


def _sitting_down(rng: np.random.Generator, scene: Scene) -> _Cast:
    return _alone(rng, "sitting_down", motion.sitting_down), Props()


def _tool(rng: np.random.Generator, scene: Scene) -> _Cast:
    at = (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.0, 1.0)))
    actors = _alone(rng, "tool", motion.brandishing, at=at)
    return actors, Props(held=(random_tool(rng, scene, at=at),))


def _carrying(rng: np.random.Generator, scene: Scene) -> _Cast:
    name = str(rng.choice(["walking", "standing"]))
    actors = cast_activity(rng, name)
    return actors, Props(held=(random_bag(rng, scene),))


def _smoke(rng: np.random.Generator, scene: Scene) -> _Cast:
    seen = str(rng.choice(["empty", "standing", "walking", "running", "talking"]))
    return cast_activity(rng, seen), Props(plume=random_plume(rng, scene, is_steam=False))


def _steaming(rng: np.random.Generator, scene: Scene) -> _Cast:
    seen = str(rng.choice(["empty", "standing", "talking", "bending"]))
    return cast_activity(rng, seen), Props(plume=random_plume(rng, scene, is_steam=True))


_STAGINGS: dict[str, Callable[[np.random.Generator, Scene], _Cast]] = {
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
