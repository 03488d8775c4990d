"""From a decoded frame to the picture that the model sees: one pass of swscale, then a turn or a mirror.

Area averaging was chosen for shrinking: on real clips it is the nearest of swscale's ways to
`cv2.INTER_AREA` (39 to 47 dB), which sizes what comes from webcams, pictures and decord, so that a
picture does not depend on the way it came in; and it costs a quarter less than bicubic. Scaled colours
come out as planes: that is swscale's fast and exact way, where `rgb24` is its slow one and rounds every
colour down (docs/ingest.md).
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

# With many files and cameras at once, a scaler that starts threads of its own only costs.
ONE_THREAD: dict[str, int] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 18 else {}


class FrameConverter:
    """Turns decoded frames of one stream into sized RGB pictures, upright as players show them.

    Without `sampling` they keep the size at which players show them, or are shrunk to a long side of `longest_px`.
    """

    def __init__(
        self, *, sampling: FrameSampling | None, longest_px: int | None = None, pixel_aspect: float = 1.0
    ) -> None:
        self.sampling = sampling
        self.longest_px = longest_px
        self.pixel_aspect = pixel_aspect
        self.sizes: list[tuple[int, int]] = []
        self._scaler = VideoReformatter()
        self._looked_at: tuple[int, int, float] | None = None
        self._turn = AS_STORED

    def develop(self, frame: Any) -> RGB:
        """The picture of an `av.VideoFrame`, sized by `fit`: `(H, W, 3) uint8 RGB`."""
        self._note(frame)
        orientation = self._orientation(frame)
        width, height = display_size(frame.width, frame.height, self.pixel_aspect, sideways=orientation.swaps_sides)
        size_wh = self._sized(width, height)
        smaller = size_wh[0] * size_wh[1] < width * height
        flat = self._scale(frame, size_wh[::-1] if orientation.swaps_sides else size_wh, smaller=smaller)
        return orientation.set_upright(flat)

    def _orientation(self, frame: Any) -> Orientation:
        """Read once, and where size or angle change: PyAV's side data keeps a picture alive until the next sweep."""
        seen = (frame.width, frame.height, frame.rotation)
        if seen != self._looked_at:
            self._looked_at, self._turn = seen, orientation_of(frame)
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
    """The picture of a `gbrp` frame; `to_ndarray` would take three times as long."""
    green, blue, red = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    )
    picture: RGB = cv2.merge([red, green, blue])
    return picture


def fit_within(width: int, height: int, *, longest_px: int) -> tuple[int, int]:
    """The `(width, height)` of the same shape whose long side is at most `longest_px`; never larger than it is."""
    scale = min(1.0, longest_px / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def display_size(width: int, height: int, pixel_aspect: float, *, sideways: bool = False) -> tuple[int, int]:
    """The `(width, height)` at which a player shows a picture: square pixels, upright."""
    shown = max(1, round(width * pixel_aspect)), height
    return shown[::-1] if sideways else shown
