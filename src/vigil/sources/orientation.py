"""How a frame is rotated and mirrored for display: the eight orientations of a display matrix."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from av.sidedata.sidedata import Type

from vigil.frames import RGB

NEARLY_NONE = 0.02
"""Matrix entries below this share of the largest are rounding errors: a degree at most."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """Rows and columns are swapped first, then the image is mirrored."""

    swaps_sides: bool = False
    mirrors_x: bool = False
    mirrors_y: bool = False

    def set_upright(self, image: RGB) -> RGB:
        """Returns an `(H, W, 3) uint8 RGB` image as it is displayed, from the image as it is stored."""
        swapped = cv2.transpose(image) if self.swaps_sides else image
        if not (self.mirrors_x or self.mirrors_y):
            return np.asarray(swapped, np.uint8)
        flip_code = -1 if self.mirrors_x and self.mirrors_y else int(self.mirrors_x)
        return np.asarray(cv2.flip(swapped, flip_code), np.uint8)

    def unmirrored(self, image: RGB) -> RGB:
        """Returns the displayed image, from one that a reader has only rotated by the angle it read from the matrix."""
        if self.swaps_sides ^ self.mirrors_x ^ self.mirrors_y:
            return np.asarray(cv2.flip(image, int(self.swaps_sides)), np.uint8)
        return image


AS_STORED = Orientation()


def orientation_of(frame: Any) -> Orientation:
    """Returns the orientation of an `av.VideoFrame`; as stored if it declares none or a slanted one."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    return AS_STORED if matrix is None else from_matrix(bytes(matrix))


def from_matrix(matrix: bytes) -> Orientation:
    """Parses FFmpeg's nine 32-bit numbers, row by row: x is shown at `a x + c y`, y at `b x + d y`."""
    a, b, _, c, d = np.frombuffer(matrix, np.int32, 5).tolist()
    least = NEARLY_NONE * max(map(abs, (a, b, c, d)))
    if abs(b) <= least and abs(c) <= least and min(abs(a), abs(d)) > least:
        return Orientation(mirrors_x=a < 0, mirrors_y=d < 0)
    if abs(a) <= least and abs(d) <= least and min(abs(b), abs(c)) > least:
        return Orientation(swaps_sides=True, mirrors_x=c < 0, mirrors_y=b < 0)
    return AS_STORED
