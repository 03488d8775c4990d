"""A small detector of people: how sure it is that a person is in a picture.

    detector = PersonDetector()
    detector.confidence(image)          # 0.0 to 1.0, of the surest person

YOLOX-Nano (Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021"), 0.9 million parameters, trained on the photographs
of COCO (`vigil.person_detector.weights`). OpenCV runs it on the CPU, and none of its boxes are kept.
"""

import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.errors import EnvironmentMissing
from vigil.frames import RGB
from vigil.person_detector.weights import REMEDY, person_weights

SIDE_PX = 416
"""The longer side of what the network sees, as it was trained; the shorter is padded to a multiple of `STRIDE_PX`."""

STRIDE_PX = 32
PADDING = 114
"""The grey beside the picture, as in training."""

OBJECT, PERSON = 4, 5
"""Columns of the network's output: whether anything is in a box, and whether it is a person."""


class PersonDetector:
    """YOLOX-Nano for people; one thread at a time uses it. Raises EnvironmentMissing without its weights."""

    def __init__(self, weights: Callable[[], bytes] = person_weights) -> None:
        self._network = _load(weights())
        self._lock = threading.Lock()

    def confidence(self, image: RGB) -> float:
        """How sure it is that a person is in a picture, from 0 to 1."""
        seen = cv2.dnn.blobFromImage(fitted(image), swapRB=True)
        with self._lock:
            self._network.setInput(seen)
            found = self._network.forward()[0]
        return float(np.max(found[:, OBJECT] * found[:, PERSON]))


def fitted(image: RGB) -> NDArray[np.uint8]:
    """The picture with its longer side 416 pixels long, grey at the right and below."""
    height, width = image.shape[:2]
    scale = SIDE_PX / max(height, width)
    small_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, small_wh, interpolation=cv2.INTER_LINEAR)
    right, below = -small_wh[0] % STRIDE_PX, -small_wh[1] % STRIDE_PX
    grey = (PADDING, PADDING, PADDING)
    return np.asarray(cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT, value=grey), np.uint8)


def _load(weights: bytes) -> Any:
    try:
        return cv2.dnn.readNetFromONNX(np.frombuffer(weights, np.uint8))
    except cv2.error as error:
        raise EnvironmentMissing(f"the person detector's weights cannot be loaded; {REMEDY}") from error
