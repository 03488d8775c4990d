"""Encodes preview images of a source on demand, more often than the model's frames.

A capture decodes nearly every frame anyway. While there are viewers, some of these frames are resized and compressed;
otherwise a preview costs one function call per frame.
"""

from collections.abc import Callable
from typing import Any

from vigil.frames import RGB, encode_jpeg, resize
from vigil.sources.footage import Retouch
from vigil.sources.frame_converter import FrameConverter, fit_within

QUALITY = 80
ROUNDING_S = 1e-6

PreviewWanted = Callable[[], bool]
"""Returns whether there are viewers; called for every frame, in the source's thread."""

OnPreview = Callable[[bytes, float], None]
"""Receives a JPEG and its time in the source in seconds; called in the source's thread."""

WaitUntil = Callable[[float], bool]
"""Blocks until a time of the source is due; returns True if the preview is no longer wanted."""


def no_wait(time_s: float) -> bool:
    """For live sources: every frame is due when it arrives."""
    return False


class PreviewEncoder:
    """Encodes previews of one source, at most `fps` per second, with a long side of at most `longest_px`.

    A capture that plays a file sets `wait`, so that its previews appear in real time; one that has masks sets
    `retouch`, so that nothing masked is shown.
    """

    def __init__(self, *, fps: float, longest_px: int, is_wanted: PreviewWanted, show: OnPreview) -> None:
        self.fps = fps
        self.longest_px = longest_px
        self.is_wanted = is_wanted
        self.wait: WaitUntil = no_wait
        self.retouch: Retouch | None = None
        self._show = show
        self._due_s = float("-inf")
        self._converter: FrameConverter | None = None

    @property
    def next_s(self) -> float | None:
        """The time from which the next preview is due; None while there are no viewers."""
        return self._due_s if self.is_wanted() else None

    def accept(self, time_s: float) -> bool:
        """Returns whether the frame at `time_s` should be shown, and schedules the next one."""
        if not self.is_wanted():
            return False
        step_s = 1 / self.fps
        late_s = time_s + ROUNDING_S - self._due_s
        if -2 * step_s < late_s < 0:
            return False
        # If on time, keep the schedule; if late, or if the clock was reset, restart it.
        on_time = 0 <= late_s < step_s
        self._due_s = (self._due_s if on_time else time_s) + step_s
        return True

    def show_frame(self, frame: Any, time_s: float, *, pixel_aspect: float = 1.0) -> None:
        """Shows a decoded `av.VideoFrame` if a preview is due."""
        if not self.accept(time_s) or self.wait(time_s):
            return
        if self._converter is None or self._converter.pixel_aspect != pixel_aspect:
            self._converter = FrameConverter(sampling=None, longest_px=self.longest_px, pixel_aspect=pixel_aspect)
        self._compress(self._converter.convert(frame), time_s)

    def show_image(self, image: RGB, time_s: float) -> None:
        """Shows an image `(H, W, 3) uint8 RGB` for which `accept` returned True."""
        height, width = image.shape[:2]
        self._compress(resize(image, fit_within(width, height, longest_px=self.longest_px)), time_s)

    def _compress(self, image: RGB, time_s: float) -> None:
        shown = image if self.retouch is None else self.retouch(image)
        self._show(encode_jpeg(shown, quality=QUALITY), time_s)
