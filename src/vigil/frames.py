"""A frame, and the one way every frame is sized and compressed.

Training, scoring and watching all go through `fit` and `encode_jpeg`, so that the model sees the
same pixels everywhere. Frames leave the cutter already sized to multiples of what the model reads (32 px
for Qwen3-VL), which makes every later resize (LLaMA-Factory's and the processors' of transformers and vLLM) an
identity.
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
"""One picture: `(H, W, 3) uint8 RGB`."""

MAX_JPEG_PIXELS = 8192 * 4352
"""The most that a video's picture has; a JPEG that claims more is refused before memory is taken for it."""

PIXEL_MULTIPLE = 32
FRAMES_PER_GROUP = 2
"""The grid of Qwen3-VL, which contracts that name none were made for; `vigil.models` knows that of each family."""

GRID_KEYS = {"pixel_multiple": PIXEL_MULTIPLE, "frames_per_group": FRAMES_PER_GROUP}
"""Files and aliases name these only where they differ from what they were before there were two families."""

SIDE_MULTIPLES = 2
"""The shortest side of a frame, in multiples: a model sees nothing in less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSampling:
    """How moving pictures become windows: the part of the contract that the model was trained under.

    `max_pixels` caps the area of a frame; `overlap` is the share of a window that the next one repeats. The model reads
    cells of `pixel_multiple` squared pixels in groups of `frames_per_group` frames; its family decides both.
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
        """Frames from the start of one window to the start of the next (6 frames, 0.4 -> 4)."""
        return max(1, self.frames - math.floor(self.frames * self.overlap + 1e-9))

    @property
    def window_s(self) -> float:
        """Seconds that a full window stands for."""
        return self.frames / self.fps

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """The `(width, height)` that a picture is resized to."""
        return fit_size(width, height, max_pixels=self.max_pixels, pixel_multiple=self.pixel_multiple)

    def missing_frames(self, count: int) -> int:
        """How often the last of `count` frames is repeated to make its group whole."""
        return -count % self.frames_per_group

    def as_json(self) -> dict[str, float]:
        """As plain data, for files and digests: a grid that is Qwen3-VL's is not named, as it never was."""
        return {key: value for key, value in asdict(self).items() if GRID_KEYS.get(key) != value}


@dataclass(frozen=True, slots=True)
class Frame:
    """One sampled picture.

    `time_s` counts from the start of the source; `captured_s` is `time.time()` at capture on live sources.
    """

    image: RGB
    time_s: float
    captured_s: float | None = None


def min_side_px(pixel_multiple: int) -> int:
    """The shortest side that a frame is given."""
    return SIDE_MULTIPLES * pixel_multiple


@lru_cache(maxsize=1024)
def fit_size(width: int, height: int, *, max_pixels: int, pixel_multiple: int = PIXEL_MULTIPLE) -> tuple[int, int]:
    """The `(width, height)` a picture is resized to: multiples of `pixel_multiple`, area at most `max_pixels`.

    Small pictures are not enlarged beyond the next multiple. Among the sizes that fit, the one
    with the least distortion of shape wins, weighed against lost area (half as heavy, as a stretched
    figure costs the model more than a slightly smaller one).
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
    """A very long or tall picture: the short side at its minimum, the long one as far as the cap allows."""
    least = min_side_px(multiple)
    long_side = max(least, max_pixels // least // multiple * multiple)
    return (long_side, least) if width >= height else (least, long_side)


def _misfit(size: tuple[int, int], target_w: float, target_h: float) -> float:
    w, h = size
    distortion = abs(math.log((w / h) / (target_w / target_h)))
    lost_area = abs(math.log((target_w * target_h) / (w * h)))
    return distortion + 0.5 * lost_area


def resize(image: RGB, size_wh: tuple[int, int]) -> RGB:
    """A picture resized to `(width, height)`; area averaging down, cubic up."""
    height, width = image.shape[:2]
    if (width, height) == size_wh:
        return image
    smaller = size_wh[0] * size_wh[1] < width * height
    resized = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.ascontiguousarray(resized, dtype=np.uint8)


def encode_jpeg(image: RGB, *, quality: int) -> bytes:
    """A picture as baseline JPEG with 4:2:0 chroma."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return data


def decode_jpeg(data: bytes) -> RGB:
    """The picture in JPEG bytes; raises ValueError when they are damaged, or claim more than `MAX_JPEG_PIXELS`."""
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    if height * width > MAX_JPEG_PIXELS:
        raise ValueError(f"it has {width}x{height} pixels; {MAX_JPEG_PIXELS:,} are the most")
    picture: RGB = simplejpeg.decode_jpeg(data, colorspace="RGB")
    return picture
