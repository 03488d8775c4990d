"""Chooses the actors of a clip: an activity becomes people with positions and motions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vigil.synth import motion
from vigil.synth.motion import Motion

NORMAL_ACTIVITIES = (
    "empty", "standing", "walking", "together", "talking", "hugging",
    "running", "dancing", "sitting", "bending", "lying", "mixed",
)  # fmt: skip
FIGHT_ACTIVITIES = ("striking", "wrestling", "pushing", "beating", "brawl")
_NORMAL_WEIGHTS = np.array([3, 9, 15, 10, 14, 9, 8, 9, 6, 6, 3, 8], dtype=float)
_FIGHT_WEIGHTS = np.array([28, 26, 16, 16, 14], dtype=float)

MakeMotion = Callable[[np.random.Generator, int], Motion]


@dataclass(frozen=True)
class Actor:
    """One person: position (x 0..1 of the width, depth 0..1 towards the camera), relative height and motion."""

    x: float
    depth: float
    offset: float
    relative_height: float
    behaviour: str
    motion: Motion


def choose_activity(rng: np.random.Generator, *, label: str) -> str:
    """Choose a random activity of a label, by weight."""
    names, weights = (FIGHT_ACTIVITIES, _FIGHT_WEIGHTS) if label == "fight" else (NORMAL_ACTIVITIES, _NORMAL_WEIGHTS)
    return str(rng.choice(names, p=weights / weights.sum()))


def label_of(activity: str) -> str:
    """The label of an activity: fight or normal."""
    return "fight" if activity in FIGHT_ACTIVITIES else "normal"


def cast_activity(rng: np.random.Generator, activity: str) -> list[Actor]:
    """Choose the people of an activity, followed by bystanders, who do the same under both labels."""
    if activity == "empty":
        return []
    groups = _FIGHTS if label_of(activity) == "fight" else _PEACEFUL
    main = groups[activity](rng)
    return main + bystanders_of(rng, main[0], room=max(0, 5 - len(main)))


def bystanders_of(rng: np.random.Generator, main: Actor, *, room: int = 4) -> list[Actor]:
    """Choose the people around the main actor, at most `room` of them."""
    return [_bystander(rng, main) for _ in range(min(room, int(rng.choice([0, 0, 1, 1, 2, 3]))))]


def place_alone(
    rng: np.random.Generator, behaviour: str, make: MakeMotion, *, at: tuple[float, float] | None = None
) -> Actor:
    """One person who moves like this, at a random place unless it is given."""
    return _actor(rng, behaviour, make(rng, _facing(rng)), at=_place(rng) if at is None else at)


def _actor(
    rng: np.random.Generator, behaviour: str, move: Motion, *, at: tuple[float, float], offset: float = 0.0
) -> Actor:
    return Actor(at[0], at[1], offset, float(rng.uniform(0.9, 1.1)), behaviour, move)


def _facing(rng: np.random.Generator) -> int:
    return int(rng.choice([-1, 1]))


def _place(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(0.16, 0.84)), float(rng.uniform(0.0, 1.0))


def _bystander(rng: np.random.Generator, main: Actor) -> Actor:
    x, depth = _place(rng)
    if abs(x - main.x) < 0.22 and rng.random() < 0.6:  # most bystanders keep their distance
        x = main.x + (0.3 if main.x < 0.5 else -0.3) * rng.uniform(0.9, 1.4)
    name = str(rng.choice(["standing", "standing", "walking", "talking", "sitting"]))
    return _actor(rng, name, _SINGLE[name](rng, _facing(rng)), at=(float(x), depth))


def _running(rng: np.random.Generator, facing: int) -> Motion:
    return motion.walking(rng, facing, pace=rng.uniform(1.8, 2.8))


_SINGLE: dict[str, MakeMotion] = {
    "standing": motion.standing,
    "walking": motion.walking,
    "talking": motion.talking,
    "running": _running,
    "dancing": motion.dancing,
    "sitting": motion.sitting,
    "bending": motion.bending,
    "lying": motion.lying,
}


def _alone(name: str) -> Callable[[np.random.Generator], list[Actor]]:
    def group(rng: np.random.Generator) -> list[Actor]:
        facing = _facing(rng)
        x, depth = _place(rng)
        if name in ("walking", "running"):  # start on the side they come from, so that they cross the frame
            x = 0.5 - facing * rng.uniform(-0.1, 0.5)
        return [_actor(rng, name, _SINGLE[name](rng, facing), at=(x, depth))]

    return group


def _pair(name: str, make: MakeMotion, gap: tuple[float, float]) -> Callable[[np.random.Generator], list[Actor]]:
    def group(rng: np.random.Generator) -> list[Actor]:
        at = _place(rng)
        half = rng.uniform(*gap) / 2
        return [_actor(rng, name, make(rng, -side), at=at, offset=side * half) for side in (-1, 1)]

    return group


def _together(rng: np.random.Generator) -> list[Actor]:
    seed, facing = int(rng.integers(1 << 31)), _facing(rng)
    x, depth = 0.5 - facing * float(rng.uniform(-0.1, 0.4)), float(rng.uniform(0, 1))
    count = int(rng.integers(2, 4))
    # the same seed gives all of them the same pace
    return [
        _actor(rng, "walking", motion.walking(np.random.default_rng(seed), facing), at=(x, depth), offset=0.3 * i)
        for i in range(count)
    ]


def _mixed(rng: np.random.Generator) -> list[Actor]:
    names = rng.choice(list(_SINGLE), size=int(rng.integers(2, 6)))
    return [actor for name in names for actor in _alone(str(name))(rng)]


_PEACEFUL: dict[str, Callable[[np.random.Generator], list[Actor]]] = {
    **{name: _alone(name) for name in ("standing", "walking", "running", "dancing", "sitting", "bending", "lying")},
    "together": _together,
    "talking": _pair("talking", motion.talking, (0.3, 0.7)),
    "hugging": _pair("hugging", motion.hugging, (0.1, 0.25)),
    "mixed": _mixed,
}


def _fighters(
    rng: np.random.Generator, count: int, gap: tuple[float, float], *, reach: float, floor: int = 0
) -> list[Actor]:
    at = _place(rng)
    force = rng.uniform(0.75, 1.15)
    spread = rng.uniform(*gap)
    actors = []
    for number in range(count):
        side = 1 if number % 2 else -1
        offset = side * spread * (0.5 if count < 3 else rng.uniform(0.2, 1.0))
        if number >= count - floor:
            move = motion.struggling(rng, -side, force=force)
        else:
            move = motion.fighting(rng, -side, force=force, reach=reach)
        depth = at[1] + rng.uniform(-0.06, 0.06)
        actors.append(_actor(rng, "fighting", move, at=(at[0], depth), offset=offset))
    return actors


def _striking(rng: np.random.Generator) -> list[Actor]:
    return _fighters(rng, 2, (0.22, 0.42), reach=1.0, floor=int(rng.random() < 0.15))


def _wrestling(rng: np.random.Generator) -> list[Actor]:
    return _fighters(rng, 2, (0.1, 0.26), reach=1.1, floor=int(rng.random() < 0.25))


def _pushing(rng: np.random.Generator) -> list[Actor]:
    return _fighters(rng, 2, (0.28, 0.45), reach=1.3)


def _beating(rng: np.random.Generator) -> list[Actor]:
    return _fighters(rng, int(rng.integers(2, 4)), (0.2, 0.4), reach=0.5, floor=1)


def _brawl(rng: np.random.Generator) -> list[Actor]:
    return _fighters(rng, int(rng.integers(3, 6)), (0.3, 0.6), reach=0.9, floor=int(rng.random() < 0.3))


_FIGHTS: dict[str, Callable[[np.random.Generator], list[Actor]]] = {
    "striking": _striking,
    "wrestling": _wrestling,
    "pushing": _pushing,
    "beating": _beating,
    "brawl": _brawl,
}
