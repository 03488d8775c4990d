"""Faults of a camera, put into pictures: of whole recordings, and of single pictures while clips are drawn.

    broken = with_fault(frames, Fault.COVERED, seed=7)      # (T, H, W, 3) RGB, as such a camera would have recorded
    image = draw_fault(image, DrawnFault("covered", 0.5, (0.5, 0.5), (40, 30, 30), seed=7), time_s=1.5)

`with_fault` makes what the camera rules tell (covered, moved, frozen, dark, blurred); what it looks like depends on the
seed. `draw_fault` makes what the class of device faults shows, which also is snow and dazzle; times are seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from vigil.rules.camera_fault import Fault
from vigil.synth.figure import FloatArray, Image, RGBColor

FaultKind: TypeAlias = Literal["covered", "defocused", "snow", "dazzled"]
FAULT_KINDS: tuple[FaultKind, ...] = ("covered", "defocused", "snow", "dazzled")


@dataclass(frozen=True)
class DrawnFault:
    """A fault of the camera: its lens covered, out of focus, or dazzled, or its signal full of snow."""

    kind: FaultKind
    strength: float
    centre: tuple[float, float]
    colour: RGBColor
    seed: int


def with_fault(frames: Image, fault: Fault, *, seed: int) -> Image:
    """The frames (T, H, W, 3) as a camera with this fault would have recorded them."""
    return _MADE[fault](frames, np.random.default_rng((31, seed)))


def with_sensor_noise(frames: Image, *, strength: float, seed: int) -> Image:
    """The frames with noise of so many grey levels, other noise in each frame."""
    rng = np.random.default_rng((37, seed))
    return np.stack([_noisy(frame, strength, rng) for frame in frames])


def _noisy(frame: Image, strength: float, rng: np.random.Generator) -> Image:
    grain = rng.standard_normal((*frame.shape[:2], 1), np.float32)
    return np.asarray(np.clip(np.rint(frame + strength * grain), 0, 255), np.uint8)


def _covered(frames: Image, rng: np.random.Generator) -> Image:
    """A cloth, a hand or paint close before the lens: out of focus, so one colour that changes slowly across it."""
    height, width = frames.shape[1:3]
    corners = rng.uniform(20, 190, 3) + rng.normal(0, 12, (2, 2, 3))
    cloth = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    covered = np.repeat(_bytes(cloth)[None], len(frames), axis=0)
    if rng.random() < 0.5:  # it does not reach one edge of the picture quite
        gap = max(1, round(0.06 * width))
        covered[:, :, :gap] = frames[:, :, :gap]
    return with_sensor_noise(covered, strength=2.0, seed=int(rng.integers(1 << 30)))


def _moved(frames: Image, rng: np.random.Generator) -> Image:
    """Turned by a quarter to half of the picture: what leaves it on one side enters mirrored on the other."""
    width = frames.shape[2]
    shift = round(width * rng.uniform(0.25, 0.5)) * int(rng.choice([-1, 1]))
    doubled = np.concatenate([frames, frames[:, ::-1, ::-1]], axis=2)
    return np.ascontiguousarray(np.roll(doubled, shift, axis=2)[:, :, :width])


def _frozen(frames: Image, rng: np.random.Generator) -> Image:
    return np.repeat(frames[int(rng.integers(len(frames)))][None], len(frames), axis=0)


def _dark(frames: Image, rng: np.random.Generator) -> Image:
    """The lights are off: a thirtieth to a hundredth of the light, and the noise of a sensor that makes up for it."""
    light, black = rng.uniform(0.01, 0.03), rng.uniform(2, 8)
    faint = np.stack([_bytes(frame * light + black) for frame in frames])
    return with_sensor_noise(faint, strength=float(rng.uniform(1, 3)), seed=int(rng.integers(1 << 30)))


def _blurred(frames: Image, rng: np.random.Generator) -> Image:
    """Out of focus by a fiftieth to a twenty-fifth of the picture's width."""
    sigma = frames.shape[2] * rng.uniform(0.02, 0.04)
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])
    return with_sensor_noise(soft, strength=2.0, seed=int(rng.integers(1 << 30)))


def _bytes(pictures: FloatArray | Image) -> Image:
    return np.asarray(np.clip(pictures, 0, 255), np.uint8)


_MADE: Mapping[Fault, Callable[[Image, np.random.Generator], Image]] = {
    Fault.COVERED: _covered,
    Fault.MOVED: _moved,
    Fault.FROZEN: _frozen,
    Fault.DARK: _dark,
    Fault.BLURRED: _blurred,
}


def draw_fault(image: Image, fault: DrawnFault, time_s: float) -> Image:
    """The picture (H, W, 3) as a camera with this fault takes it at a second of the clip."""
    height, width = image.shape[:2]
    if fault.kind == "defocused":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), height * (0.03 + 0.05 * fault.strength)), dtype=np.uint8)
    if fault.kind == "dazzled":
        return np.asarray(np.clip(image * 0.25 + 150 + 90 * fault.strength, 0, 255), dtype=np.uint8)
    if fault.kind == "snow":
        rng = np.random.default_rng((fault.seed, abs(round(time_s * 1000))))
        snow = rng.integers(0, 256, (height, width, 1)) * np.ones(3)
        share = 0.45 + 0.5 * fault.strength
        return np.asarray(image * (1 - share) + snow * share, dtype=np.uint8)
    mask = np.zeros((height, width), np.float32)
    centre = (round(fault.centre[0] * width), round(fault.centre[1] * height))
    axes = (round(width * (0.5 + 0.4 * fault.strength)), round(height * (0.55 + 0.4 * fault.strength)))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, (1.0,), -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), height / 12))[..., None]
    return np.asarray(image * (1 - mask) + np.array(fault.colour) * mask, dtype=np.uint8)
