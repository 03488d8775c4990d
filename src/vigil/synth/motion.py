"""How people move: each motion is a function of continuous time, so a clip can be sampled at any rate.

A motion gives the joint angles and the displacement since time 0, in the figure's own heights. Peaceful motions are
slow, periodic or coherent. Violent ones are wide, irregular and too fast for two frames a second, so consecutive
sampled frames differ strongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vigil.synth.figure import ANGLES, FloatArray

_TABLE_LENGTH = 61


@dataclass(frozen=True)
class Wobble:
    """Smooth noise in several channels: random targets `rate_hz` times a second, interpolated in between."""

    table: FloatArray
    rate_hz: float
    phase: float

    def at(self, times_s: FloatArray) -> FloatArray:
        """Evaluate at times (T,) -> (T, channels), each about -1..1."""
        turns = times_s * self.rate_hz + self.phase
        whole = np.floor(turns).astype(int)
        part = (turns - whole)[:, None]
        eased = part * part * (3 - 2 * part)
        now, then = self.table[whole % _TABLE_LENGTH], self.table[(whole + 1) % _TABLE_LENGTH]
        return np.asarray(now * (1 - eased) + then * eased)


def wobble(rng: np.random.Generator, *, channels: int, rate_hz: float) -> Wobble:
    """Make a noise source with its own random table and phase."""
    table = rng.uniform(-1.0, 1.0, (_TABLE_LENGTH, channels))
    return Wobble(table, rate_hz, float(rng.uniform(0, _TABLE_LENGTH)))


@dataclass(frozen=True)
class Movement:
    """Joint angles (T, 11) in radians, and the displacement (T, xy) in heights."""

    angles: FloatArray
    path_xy: FloatArray


Motion = Callable[[FloatArray], Movement]
_SLOW_GAIN = np.array([0.05, 0.15, 0.12, 0.12, 0.12, 0.12, 0.04, 0.02, 0.04, 0.02, 0.0])
_FIGHT_GAIN = np.array([0.55, 0.5, 1.3, 1.1, 1.3, 1.1, 0.5, 0.5, 0.5, 0.5, 0.12])
_REST = np.array([0.0, 0.0, -0.15, 0.1, 0.15, 0.1, -0.08, 0.0, 0.08, 0.0, 0.0])


def _index(name: str) -> int:
    return ANGLES.index(name)


def standing(rng: np.random.Generator, facing: int) -> Motion:
    """Stand, occasionally shifting weight."""
    noise = wobble(rng, channels=len(ANGLES), rate_hz=rng.uniform(0.15, 0.5))
    rest = _REST + 0.1 * rng.uniform(-1, 1, len(ANGLES)) * (_SLOW_GAIN > 0)
    if rng.random() < 0.35:  # hands in front: a telephone, a bag, folded arms
        rest[[2, 4]] = facing * rng.uniform(0.1, 0.5)
        rest[[3, 5]] = facing * rng.uniform(0.8, 2.0)

    def move(times_s: FloatArray) -> Movement:
        return Movement(rest + _SLOW_GAIN * noise.at(times_s), np.zeros((len(times_s), 2)))

    return move


def talking(rng: np.random.Generator, facing: int) -> Motion:
    """Stand and gesture slowly with one arm."""
    base = standing(rng, facing)
    noise = wobble(rng, channels=2, rate_hz=rng.uniform(0.3, 0.8))
    arm = int(rng.choice([2, 4]))
    gain = rng.uniform(0.15, 0.5)

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        gesture = noise.at(times_s)
        movement.angles[:, arm] += facing * (0.3 + gain * gesture[:, 0])
        movement.angles[:, arm + 1] += facing * (0.9 + gain * gesture[:, 1])
        return movement

    return move


def walking(rng: np.random.Generator, facing: int, *, pace: float = 1.0) -> Motion:
    """Walk (pace about 1) or run (pace about 2) with a steady stride along one line."""
    speed = pace * rng.uniform(0.45, 0.85)
    stride_hz = 0.75 * pace**0.5 * rng.uniform(0.85, 1.15)
    swing = min(0.9, 0.42 * pace**0.6)
    phase = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(-0.25, 0.25)

    def move(times_s: FloatArray) -> Movement:
        cycle = 2 * np.pi * stride_hz * times_s + phase
        step, lift = np.sin(cycle), np.cos(cycle)
        angles = np.tile(_REST, (len(times_s), 1))
        angles[:, 0] += facing * 0.06 * pace
        angles[:, 2] = -swing * step
        angles[:, 4] = swing * step
        angles[:, [3, 5]] = facing * 0.45 * pace
        angles[:, 6], angles[:, 8] = swing * step, -swing * step
        angles[:, 7] = -facing * swing * np.maximum(0, lift * facing)
        angles[:, 9] = -facing * swing * np.maximum(0, -lift * facing)
        path_xy = facing * speed * times_s
        return Movement(angles, np.stack((path_xy, slope * np.abs(path_xy)), axis=1))

    return move


def sitting(rng: np.random.Generator, facing: int) -> Motion:
    """Sit, thighs forward, shins down."""
    base = standing(rng, facing)
    thigh = facing * rng.uniform(1.2, 1.5)

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        movement.angles[:, [6, 8]] += thigh
        movement.angles[:, [7, 9]] -= thigh
        return movement

    return move


def lying(rng: np.random.Generator, facing: int) -> Motion:
    """Lie still on the floor."""
    base = standing(rng, facing)
    fall = facing * rng.uniform(1.3, 1.7)

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        movement.angles[:, 10] = fall
        return movement

    return move


def bending(rng: np.random.Generator, facing: int) -> Motion:
    """Bend forward over something and work slowly with the hands."""
    base = talking(rng, facing)
    noise = wobble(rng, channels=1, rate_hz=rng.uniform(0.2, 0.5))
    depth = rng.uniform(0.4, 1.0)

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        movement.angles[:, 0] += facing * depth * (1.0 + 0.3 * noise.at(times_s)[:, 0])
        return movement

    return move


def hugging(rng: np.random.Generator, facing: int) -> Motion:
    """Hold another person, hardly moving."""
    base = standing(rng, facing)

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        movement.angles[:, 0] += facing * 0.12
        movement.angles[:, [2, 4]] = facing * 1.2 + 0.3 * movement.angles[:, [2, 4]]
        movement.angles[:, [3, 5]] = facing * 0.7
        return movement

    return move


def dancing(rng: np.random.Generator, facing: int) -> Motion:
    """Swing arms and hips to a beat, on the spot."""
    base = standing(rng, facing)
    beat_hz = rng.uniform(0.7, 1.3)
    gain = _FIGHT_GAIN * rng.uniform(0.25, 0.75, len(ANGLES)) * (np.arange(len(ANGLES)) < 6)
    phases = rng.choice([0.0, np.pi / 2, np.pi], len(ANGLES))

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        beat = np.sin(2 * np.pi * beat_hz * times_s[:, None] + phases)
        return Movement(movement.angles + gain * beat, movement.path_xy)

    return move


def fighting(rng: np.random.Generator, facing: int, *, force: float = 1.0, reach: float = 0.9) -> Motion:
    """Strike, kick and grapple towards one side: wide, jerky, irregular; reach raises the arms (radians)."""
    noise = wobble(rng, channels=len(ANGLES), rate_hz=rng.uniform(2.0, 3.6))
    shove = wobble(rng, channels=2, rate_hz=rng.uniform(1.3, 2.4))
    drift = wobble(rng, channels=2, rate_hz=rng.uniform(0.3, 0.8))
    gain = _FIGHT_GAIN * force * rng.uniform(0.8, 1.25, len(ANGLES))
    lean = rng.uniform(0.0, 0.45)
    pause = rng.uniform(0.0, 0.4)  # fighters pause between strikes

    def move(times_s: FloatArray) -> Movement:
        vigour = 1.0 - pause * (0.5 + 0.5 * drift.at(times_s)[:, :1])
        angles = _REST + gain * vigour * noise.at(times_s)
        angles[:, 0] += facing * lean
        angles[:, [2, 4]] += facing * reach
        angles[:, [3, 5]] += facing * 0.5
        path_xy = force * np.array([0.16, 0.05]) * shove.at(times_s) + np.array([0.15, 0.05]) * drift.at(times_s)
        return Movement(angles, path_xy)

    return move


def struggling(rng: np.random.Generator, facing: int, *, force: float = 1.0) -> Motion:
    """Fall at some point, or lie from the start, and kick and ward off blows from the floor."""
    base = fighting(rng, facing, force=force)
    start_s = rng.uniform(-3.0, 2.0)
    fall = -facing * rng.uniform(1.0, 1.6)

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        down = np.clip((times_s - start_s) / 0.5, 0.0, 1.0)
        movement.angles[:, 10] += fall * down
        return movement

    return move


def pacing(rng: np.random.Generator, facing: int, *, reach: float | None = None) -> Motion:
    """Walk to and fro on a short way, turning about; `reach` is half of the way, in heights."""
    turn_s = rng.uniform(2.2, 3.8)
    reach = rng.uniform(0.25, 0.6) if reach is None else reach
    phase = rng.uniform(0, 2 * np.pi)
    stride_hz = rng.uniform(0.7, 1.1)

    def move(times_s: FloatArray) -> Movement:
        turn = 2 * np.pi * times_s / turn_s + phase
        step = np.sin(2 * np.pi * stride_hz * times_s)
        speed = np.cos(turn)
        angles = np.tile(_REST, (len(times_s), 1))
        angles[:, 0] += facing * 0.08 * speed
        angles[:, 2], angles[:, 4] = -0.4 * step * speed, 0.4 * step * speed
        angles[:, 6], angles[:, 8] = 0.4 * step * speed, -0.4 * step * speed
        return Movement(angles, np.stack((facing * reach * np.sin(turn), np.zeros(len(times_s))), axis=1))

    return move


def climbing(rng: np.random.Generator, facing: int, *, top: float) -> Motion:
    """Climb up something `top` heights high, hand over hand, and hang over its upper edge."""
    start_s = rng.uniform(-1.2, 0.3)
    speed = rng.uniform(0.28, 0.5)
    reach_hz = rng.uniform(0.6, 1.1)
    phase = rng.uniform(0, 2 * np.pi)

    def move(times_s: FloatArray) -> Movement:
        risen = np.clip((times_s - start_s) * speed, 0.06, top * 0.8)
        pull = np.sin(2 * np.pi * reach_hz * times_s + phase)
        angles = np.tile(_REST, (len(times_s), 1))
        angles[:, 0] += facing * (0.1 + 0.9 * np.clip(risen / top - 0.55, 0.0, 0.4))
        angles[:, 2], angles[:, 4] = facing * (2.5 + 0.5 * pull), facing * (2.5 - 0.5 * pull)
        angles[:, [3, 5]] = facing * 0.25
        angles[:, 6], angles[:, 8] = facing * (0.6 + 0.5 * pull), facing * (0.6 - 0.5 * pull)
        angles[:, 7], angles[:, 9] = -facing * (0.9 + 0.4 * pull), -facing * (0.9 - 0.4 * pull)
        return Movement(angles, np.stack((0.05 * pull, -risen), axis=1))

    return move


def falling(rng: np.random.Generator, facing: int) -> Motion:
    """Stand or walk, fall within half a second, and lie still."""
    before = standing(rng, facing) if rng.random() < 0.5 else walking(rng, facing, pace=0.8)
    start_s = rng.uniform(0.2, 1.3)
    lasts_s = rng.uniform(0.35, 0.7)
    side = int(rng.choice([-1, 1]))
    lies = side * rng.uniform(1.35, 1.65)

    def move(times_s: FloatArray) -> Movement:
        movement = before(np.minimum(times_s, start_s))
        down = np.clip((times_s - start_s) / lasts_s, 0.0, 1.0) ** 2
        movement.angles[:, 10] += lies * down
        movement.angles[:, [2, 4]] += side * 0.9 * (down * (1 - down) * 4)[:, None]
        return movement

    return move


def sitting_down(rng: np.random.Generator, facing: int) -> Motion:
    """Stand, and sit down without haste."""
    base = standing(rng, facing)
    start_s = rng.uniform(-0.5, 1.2)
    lasts_s = rng.uniform(0.8, 1.5)
    thigh = facing * rng.uniform(1.2, 1.5)

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        down = np.clip((times_s - start_s) / lasts_s, 0.0, 1.0)
        movement.angles[:, [6, 8]] += (thigh * down)[:, None]
        movement.angles[:, [7, 9]] -= (thigh * down)[:, None]
        movement.angles[:, 0] += facing * 0.5 * down * (1 - down) * 4
        return movement

    return move


def brandishing(rng: np.random.Generator, facing: int) -> Motion:
    """Stand or walk slowly with one arm stretched out or raised, moving it slowly."""
    base = walking(rng, facing, pace=0.4) if rng.random() < 0.4 else standing(rng, facing)
    noise = wobble(rng, channels=2, rate_hz=rng.uniform(0.6, 1.6))
    raised = rng.uniform(1.1, 2.4)

    def move(times_s: FloatArray) -> Movement:
        movement = base(times_s)
        sway = noise.at(times_s)
        movement.angles[:, 4] = facing * (raised + 0.35 * sway[:, 0])
        movement.angles[:, 5] = facing * (0.2 + 0.3 * sway[:, 1])
        return movement

    return move
