"""Converts decoded frames into the images that the model reads: one pass of swscale, then rotation or mirroring.

Frames are shrunk by area averaging. On real clips, of swscale's methods it is closest to `cv2.INTER_AREA` (39 to
47 dB), which resizes webcam frames, still pictures and decord frames, so that an image does not depend on its reader;
it also costs a quarter less than bicubic. Scaled output is planar (`gbrp`), swscale's fast and exact path; its `rgb24`
path is slow and rounds every colour down (docs/ingest.md).
"""

from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from vigil.frames import RGB, FrameSampling
from vigil.sources.deinterlace import deinterlace
from vigil.sources.orientation import AS_STORED, Orientation, orientation_of
from vigil.sources.tone_mapping import BT2020_MATRIX, PLANES, tone_map, transfer_curve

ITU601, ITU709 = 5, 1
LIMITED, FULL = 1, 2

# With many files and cameras at once, scaler threads cost more than they save.
ONE_THREAD: dict[str, int] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 18 else {}


class FrameConverter:
    """Converts the decoded frames of one stream into resized, upright RGB images.

    Without `sampling` they keep their display size, or are shrunk to a long side of `longest_px`.
    """

    def __init__(
        self, *, sampling: FrameSampling | None, longest_px: int | None = None, pixel_aspect: float = 1.0
    ) -> None:
        self.sampling = sampling
        self.longest_px = longest_px
        self.pixel_aspect = pixel_aspect
        self.sizes: list[tuple[int, int]] = []
        self._scaler = VideoReformatter()
        self._geometry: tuple[int, int, float] | None = None
        self._turn = AS_STORED

    def convert(self, frame: Any) -> RGB:
        """Returns the image of an `av.VideoFrame`, resized by `FrameSampling.fit`: `(H, W, 3) uint8 RGB`."""
        self._note(frame)
        orientation = self._orientation(frame)
        width, height = display_size(frame.width, frame.height, self.pixel_aspect, sideways=orientation.swaps_sides)
        size_wh = self._sized(width, height)
        smaller = size_wh[0] * size_wh[1] < width * height
        flat = self._scale(frame, size_wh[::-1] if orientation.swaps_sides else size_wh, smaller=smaller)
        return orientation.set_upright(flat)

    def _orientation(self, frame: Any) -> Orientation:
        """Cached until size or angle change: reading PyAV's side data keeps a frame alive until garbage collection."""
        geometry = (frame.width, frame.height, frame.rotation)
        if geometry != self._geometry:
            self._geometry, self._turn = geometry, orientation_of(frame)
        return self._turn

    def _sized(self, width: int, height: int) -> tuple[int, int]:
        if self.sampling is not None:
            return self.sampling.fit(width, height)
        return (width, height) if self.longest_px is None else fit_within(width, height, longest_px=self.longest_px)

    def _note(self, frame: Any) -> None:
        size = (frame.width, frame.height)
        if not self.sizes or self.sizes[-1] != size:
            self.sizes.append(size)

    def _scale(self, frame: Any, size_wh: tuple[int, int], *, smaller: bool) -> RGB:
        curve = transfer_curve(frame)
        whole = deinterlace(frame) if frame.interlaced_frame else frame
        if curve is not None:
            return self._tone(whole, curve, size_wh, smaller=smaller)
        as_it_is = size_wh == (frame.width, frame.height)
        scaled: Any = self._scaler.reformat(
            whole,
            width=size_wh[0],
            height=size_wh[1],
            format="rgb24" if as_it_is else "gbrp",
            interpolation="AREA" if smaller else "BICUBIC",
            src_colorspace=ITU709 if frame.colorspace == ITU709 else ITU601,
            src_color_range=FULL if frame.color_range == FULL else LIMITED,
            dst_color_range=FULL,
            **ONE_THREAD,
        )
        picture: RGB = scaled.to_ndarray() if as_it_is else planes_to_rgb(scaled)
        return picture

    def _tone(self, frame: Any, curve: int, size_wh: tuple[int, int], *, smaller: bool) -> RGB:
        planes = self._scaler.reformat(
            frame,
            width=size_wh[0],
            height=size_wh[1],
            format=PLANES,
            interpolation="AREA" if smaller else "BICUBIC",
            src_colorspace=BT2020_MATRIX,
            src_color_range=FULL if frame.color_range == FULL else LIMITED,
            dst_color_range=FULL,
            **ONE_THREAD,
        )
        return tone_map(planes, curve)


def planes_to_rgb(frame: Any) -> RGB:
    """Returns the RGB image of a `gbrp` frame; `to_ndarray` takes three times as long."""
    green, blue, red = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    )
    picture: RGB = cv2.merge([red, green, blue])
    return picture


def fit_within(width: int, height: int, *, longest_px: int) -> tuple[int, int]:
    """Returns `(width, height)` shrunk, if necessary, to a long side of `longest_px`, keeping the aspect ratio."""
    scale = min(1.0, longest_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def display_size(width: int, height: int, pixel_aspect: float, *, sideways: bool = False) -> tuple[int, int]:
    """Returns the display size `(width, height)`: square pixels, upright."""
    shown = max(1, round(width * pixel_aspect)), height
    return shown[::-1] if sideways else shown
