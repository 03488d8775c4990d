"""The motion gate: windows in which nothing moves need not be judged; they are `skipped`, never `normal`.

Motion is the mean absolute difference of neighbouring frames, made grey and 64x64: it ranks pairs of
frames as SSIM does (Spearman 0.98) for a hundredth of the work (INGEST measurements in docs/ingest.md).
"""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.frames import RGB
from vigil.windows import Window

SIDE_PX = 64


class MotionGate:
    """Tells windows of one source in which no frame differs from the one before by `least` grey levels (of 255)."""

    def __init__(self, least: float) -> None:
        self.least = least
        self._small: dict[float, NDArray[np.uint8]] = {}

    def is_still(self, window: Window) -> bool:
        """Whether nothing moves in a window; never, when the gate is off (`least` is 0)."""
        return self.least > 0 and self.motion(window) < self.least

    def motion(self, window: Window) -> float:
        """The largest mean absolute difference of two neighbouring frames, in grey levels."""
        known = self._small
        self._small = {
            shot.time_s: known[shot.time_s] if shot.time_s in known else _small(shot.image) for shot in window.shots
        }
        frames = [self._small[shot.time_s] for shot in window.shots]
        pairs = pairwise(frames)
        return max((float(cv2.norm(a, b, cv2.NORM_L1)) / SIDE_PX**2 for a, b in pairs), default=0.0)


def _small(image: RGB) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), dtype=np.uint8)
