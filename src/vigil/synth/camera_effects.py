"""Camera effects: jitter, slow pans, motion blur, noise, flicker, a clock, black bars, lossy compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vigil.synth.figure import FloatArray, Image
from vigil.synth.motion import Wobble, wobble
from vigil.synth.scene import MARGIN

_GRAIN = np.random.default_rng(20).normal(0, 1, (3, 400, 400)).astype(np.float32)


@dataclass(frozen=True)
class CameraEffects:
    """The imperfections of one camera; sizes are fractions of the frame, noise is in grey levels."""

    shake: Wobble
    shake_size: float
    pan_per_s: tuple[float, float]
    noise: float
    flicker: Wobble
    flicker_size: float
    grey: bool
    gain: FloatArray
    jpeg_quality: int
    clock: bool
    mirrored: bool
    blur: bool
    shutter_s: float
    border: float


def random_camera_effects(rng: np.random.Generator, *, difficulty: float) -> CameraEffects:
    """Choose random effects; difficulty 0 is steady and clean."""
    shaky = rng.random() < 0.3 * difficulty
    panning = rng.random() < 0.12 * difficulty
    return CameraEffects(
        shake=wobble(rng, channels=2, rate_hz=rng.uniform(2, 12)),
        shake_size=float(rng.uniform(0.002, 0.012)) if shaky else 0.0,
        pan_per_s=tuple(rng.uniform(-0.025, 0.025, 2)) if panning else (0.0, 0.0),
        noise=float(rng.gamma(1.5, 4.0) * difficulty),
        flicker=wobble(rng, channels=1, rate_hz=rng.uniform(0.3, 6)),
        flicker_size=float(rng.uniform(0, 0.08) * difficulty) if rng.random() < 0.5 else 0.0,
        grey=bool(rng.random() < 0.22 * (0.3 + difficulty)),
        gain=1.0 + rng.normal(0, 0.1 * difficulty, 3),
        jpeg_quality=int(rng.integers(35 if difficulty > 0.3 else 75, 96)),
        clock=bool(rng.random() < 0.35 * difficulty),
        mirrored=bool(rng.random() < 0.5),
        blur=bool(rng.random() < 0.2 * difficulty),
        shutter_s=float(rng.uniform(0.02, 0.06)) if rng.random() < 0.4 * difficulty else 0.0,
        border=float(rng.uniform(0.04, 0.14)) if rng.random() < 0.12 * difficulty else 0.0,
    )


def view_offsets(camera: CameraEffects, times_s: FloatArray) -> FloatArray:
    """The offset of the view inside the larger background: (T, xy) as fractions of the frame, within the margin."""
    middle = float(times_s.mean())
    pan = np.asarray(camera.pan_per_s) * (times_s - middle)[:, None]
    moved = pan + camera.shake_size * camera.shake.at(times_s)
    return np.asarray(np.clip(moved, -MARGIN, MARGIN) + MARGIN)


def apply_camera_effects(camera: CameraEffects, image: Image, time_s: float, *, seed: int) -> Image:
    """Turn a drawn (H, W, 3) frame into what this camera would have recorded."""
    # Work on whole rows: broadcasting over the three channels of each pixel takes NumPy three times as long.
    height, width = image.shape[:2]
    gain = np.tile(camera.gain.astype(np.float32), width)
    picture: FloatArray = np.multiply(image.reshape(height, -1), gain, dtype=np.float32).reshape(height, width, 3)
    if camera.grey:
        picture[:] = ((picture[..., 0] + picture[..., 1] + picture[..., 2]) / 3)[..., None]
    if camera.flicker_size:
        picture *= 1.0 + camera.flicker_size * float(camera.flicker.at(np.array([time_s]))[0, 0])
    if camera.noise > 0.5:
        grain = camera.noise * _grain((height, width), seed)
        picture += np.repeat(grain, 3, axis=1).reshape(height, width, 3)
    if camera.blur:
        picture = np.asarray(cv2.GaussianBlur(picture, (3, 3), 0))
    result: Image = np.clip(picture, 0, 255, out=picture).astype(np.uint8)
    if camera.border:
        rows = int(camera.border * result.shape[0])
        result[:rows], result[-rows:] = 8, 8
    if camera.clock:
        _stamp(result, time_s)
    return compressed(result, quality=camera.jpeg_quality)


def _grain(shape: tuple[int, int], seed: int) -> FloatArray:
    # Crop a precomputed random field: generating millions of normals would cost more than the drawing itself.
    height, width = shape
    rng = np.random.default_rng(seed)
    if height > 400 or width > 400:
        return np.asarray(rng.normal(0, 1, (height, width, 1)))
    top, left = rng.integers(0, 401 - height), rng.integers(0, 401 - width)
    return np.asarray(_GRAIN[rng.integers(3), top : top + height, left : left + width, None])


def _stamp(image: Image, time_s: float) -> None:
    height = image.shape[0]
    text = f"CAM 2 12:{int(time_s) // 60 % 60:02d}:{int(time_s) % 60:02d}"
    at = (max(1, height // 40), max(7, height // 14))
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_PLAIN, height / 160, (235, 235, 235), 1, cv2.LINE_AA)


def compressed(image: Image, *, quality: int) -> Image:
    """The image after a JPEG round trip."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"could not compress a picture of shape {image.shape}")
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
