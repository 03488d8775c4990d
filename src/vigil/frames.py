"""Frames, and how they are sampled, resized and JPEG-encoded.

Training, scoring and watching all use `FrameSampling.fit` and `encode_jpeg`, so that the model always reads the same
pixels. Frame sides are already multiples of the model's patch size (32 px for Qwen3-VL), so every later resize
(by LLaMA-Factory and the processors of transformers and vLLM) changes nothing.
"""

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from vigil.errors import UsageError

RGB: TypeAlias = NDArray[np.uint8]
"""An image: `(H, W, 3) uint8 RGB`."""

MAX_JPEG_PIXELS = 8192 * 4352
"""The largest frame size accepted; a JPEG that declares more is refused before memory is allocated for it."""

PIXEL_MULTIPLE = 32
FRAMES_PER_GROUP = 2
"""The grid of Qwen3-VL, the default for contracts that name none; `vigil.models` defines that of each family."""

GRID_KEYS = {"pixel_multiple": PIXEL_MULTIPLE, "frames_per_group": FRAMES_PER_GROUP}
"""The grid's fields and defaults. Files and aliases omit a field that has its default, as older versions did."""

SIDE_MULTIPLES = 2
"""The shortest side of a frame in `pixel_multiple`s; a model recognises nothing in a smaller frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSampling:
    """How video is sampled into windows; part of the contract a model was trained under.

    `max_pixels` limits the area of a frame; `overlap` is the share of a window that the next one repeats. The model
    reads cells of `pixel_multiple` x `pixel_multiple` pixels in groups of `frames_per_group` frames; both depend on
    its family. Raises UsageError for invalid values.
    """

    fps: float = 2.0
    frames: int = 6
    overlap: float = 0.4
    max_pixels: int = 131_072
    jpeg_quality: int = 90
    pixel_multiple: int = PIXEL_MULTIPLE
    frames_per_group: int = FRAMES_PER_GROUP

    def __post_init__(self) -> None:
        if self.pixel_multiple < 1 or self.frames_per_group < 1:
            raise UsageError("pixel_multiple and frames_per_group must be at least 1")
        group, least = self.frames_per_group, min_side_px(self.pixel_multiple) ** 2
        grouped = "even" if group == 2 else f"a multiple of {group}"
        checks = (
            (0 < self.fps <= 60, f"fps must be above 0 and at most 60, not {self.fps}"),
            (
                self.frames >= 2 and self.frames % group == 0,
                f"frames must be {grouped} and at least 2, not {self.frames}",
            ),
            (0 <= self.overlap < 1, f"overlap must be from 0 to below 1, not {self.overlap}"),
            (self.max_pixels >= least, f"max_pixels must be at least {least}, not {self.max_pixels}"),
            (1 <= self.jpeg_quality <= 100, f"jpeg_quality must be from 1 to 100, not {self.jpeg_quality}"),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def stride(self) -> int:
        """Frames between the starts of consecutive windows (6 frames, overlap 0.4 -> 4)."""
        return max(1, self.frames - math.floor(self.frames * self.overlap + 1e-9))

    @property
    def window_s(self) -> float:
        """Duration of a full window in seconds."""
        return self.frames / self.fps

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Returns the `(width, height)` that an image is resized to."""
        return fit_size(width, height, max_pixels=self.max_pixels, pixel_multiple=self.pixel_multiple)

    def missing_frames(self, count: int) -> int:
        """Returns how often the last of `count` frames must be repeated to complete its group."""
        return -count % self.frames_per_group

    def as_json(self) -> dict[str, float]:
        """Returns the fields for files and digests; a default grid is omitted, for compatibility with older files."""
        return {key: value for key, value in asdict(self).items() if GRID_KEYS.get(key) != value}


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled frame.

    `time_s` counts from the start of the source; `captured_s` is `time.time()` at capture, or None for files.
    """

    image: RGB
    time_s: float
    captured_s: float | None = None


def min_side_px(pixel_multiple: int) -> int:
    """Returns the shortest side of a resized frame, in pixels."""
    return SIDE_MULTIPLES * pixel_multiple


@lru_cache(maxsize=1024)
def fit_size(width: int, height: int, *, max_pixels: int, pixel_multiple: int = PIXEL_MULTIPLE) -> tuple[int, int]:
    """Returns the `(width, height)` for an image: multiples of `pixel_multiple`, area at most `max_pixels`.

    Small images are not enlarged beyond the next multiple. Of the sizes that fit, the one with the least distortion
    plus half the loss of area is chosen, because a distorted person costs the model more than a slightly smaller one.
    """
    if width < 1 or height < 1:
        raise UsageError(f"a picture of {width}x{height} has no size")
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    target_w, target_h = width * scale, height * scale
    widths, heights = _near_grid(target_w, pixel_multiple), _near_grid(target_h, pixel_multiple)
    candidates = [(w, h) for w in widths for h in heights if w * h <= max_pixels]
    if not candidates:
        candidates = [_thin(width, height, max_pixels=max_pixels, multiple=pixel_multiple)]
    return min(candidates, key=lambda size: _misfit(size, target_w, target_h))


def _near_grid(side: float, multiple: int) -> list[int]:
    least = min_side_px(multiple)
    below = max(least, math.floor(side / multiple) * multiple)
    return sorted({max(least, below - multiple), below, below + multiple})


def _thin(width: int, height: int, *, max_pixels: int, multiple: int) -> tuple[int, int]:
    """For very wide or tall images: the short side at its minimum, the long one as far as `max_pixels` allows."""
    least = min_side_px(multiple)
    long_side = max(least, max_pixels // least // multiple * multiple)
    return (long_side, least) if width >= height else (least, long_side)


def _misfit(size: tuple[int, int], target_w: float, target_h: float) -> float:
    w, h = size
    distortion = abs(math.log((w / h) / (target_w / target_h)))
    lost_area = abs(math.log((target_w * target_h) / (w * h)))
    return distortion + 0.5 * lost_area


def resize(image: RGB, size_wh: tuple[int, int]) -> RGB:
    """Returns the image resized to `(width, height)`, by area averaging when shrinking, else bicubic."""
    height, width = image.shape[:2]
    if (width, height) == size_wh:
        return image
    smaller = size_wh[0] * size_wh[1] < width * height
    resized = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.ascontiguousarray(resized, dtype=np.uint8)


def encode_jpeg(image: RGB, *, quality: int) -> bytes:
    """Returns the image as a baseline JPEG with 4:2:0 chroma subsampling."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return data


def decode_jpeg(data: bytes) -> RGB:
    """Decodes a JPEG; raises ValueError if it is damaged or has more than `MAX_JPEG_PIXELS`."""
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    if height * width > MAX_JPEG_PIXELS:
        raise ValueError(f"it has {width}x{height} pixels; {MAX_JPEG_PIXELS:,} are the most")
    picture: RGB = simplejpeg.decode_jpeg(data, colorspace="RGB")
    return picture
