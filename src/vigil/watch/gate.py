"""The gate before the model: windows in which nothing moves are not judged; they end as `skipped`, never `normal`.

Motion is the mean absolute difference of neighbouring frames, in grey and at 64x64 pixels. It ranks pairs of frames as
SSIM does (Spearman 0.98) at a hundredth of the cost (measured in docs/ingest.md). `vigil gate measure` tells how many
windows a threshold skips, and how many incidents it loses (docs/gate.md).
"""

from itertools import pairwise
from typing import Literal, TypeAlias

from vigil.picture_change import Grey, grey_thumbnail, mean_difference
from vigil.windows import Window

GateName: TypeAlias = Literal["none", "motion"]

USUAL_MOTION = 1.0
"""Grey levels: the highest threshold tried that lost no incident in docs/measurements/gate.md."""


class MotionGate:
    """Detects windows in which no frame differs from the previous one by `threshold` grey levels (of 255)."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._small: dict[float, Grey] = {}

    def is_still(self, window: Window) -> bool:
        """Returns True if nothing moves in a window; always False if the gate is off (`threshold` is 0)."""
        return self.threshold > 0 and self.motion(window) < self.threshold

    def motion(self, window: Window) -> float:
        """The largest mean absolute difference between two neighbouring frames, in grey levels."""
        cached = self._small
        self._small = {
            shot.time_s: cached[shot.time_s] if shot.time_s in cached else grey_thumbnail(shot.image)
            for shot in window.shots
        }
        frames = [self._small[shot.time_s] for shot in window.shots]
        pairs = pairwise(frames)
        return max((mean_difference(a, b) for a, b in pairs), default=0.0)
