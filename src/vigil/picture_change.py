"""How much two pictures of a camera differ: in grey levels, or in motion."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.frames import RGB

Grey: TypeAlias = NDArray[np.uint8]
"""A picture in grey: `(side_px, side_px) uint8`."""

SIDE_PX = 64


def grey_thumbnail(image: RGB, *, side_px: int = SIDE_PX) -> Grey:
    """The picture in grey and small, so that noise hardly counts as change."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (side_px, side_px), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def mean_difference(before: Grey, now: Grey) -> float:
    """The mean absolute difference of two pictures of one size, in grey levels (of 255)."""
    return float(cv2.norm(before, now, cv2.NORM_L1)) / now.size


def mean_flow_px(before: Grey, now: Grey) -> float:
    """The mean length of the dense optical flow from one picture to the next, in pixels (Farneback 2003)."""
    # The parameters of OpenCV's example, with two levels instead of three, as the pictures are small.
    flow = cv2.calcOpticalFlowFarneback(before, now, None, 0.5, 2, 15, 3, 5, 1.2, 0)
    return float(np.linalg.norm(flow, axis=2).mean())
