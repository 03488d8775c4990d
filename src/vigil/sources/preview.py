"""Pictures of a source for people to look at: smaller and more often than those the model sees, and only on demand.

A feed decodes nearly every picture anyway. While somebody looks, a previewer takes some of them on their way, sizes and
compresses them; while nobody does, it costs one question a picture.
"""

from collections.abc import Callable
from typing import Any

from vigil.frames import RGB, encode_jpeg, resize
from vigil.sources.frame_converter import FrameConverter, fit_within

QUALITY = 80
ROUNDING_S = 1e-6

PreviewWanted = Callable[[], bool]
"""Whether somebody looks now; asked for every picture, in the source's threads."""

OnPreview = Callable[[bytes, float], None]
"""Given a JPEG and its second of the source, in the source's thread."""

WaitUntil = Callable[[float], bool]
"""Waits until a second of the source has come; True when nobody wants it any more."""


def no_wait(time_s: float) -> bool:
    """What comes live is due when it comes."""
    return False


class PreviewEncoder:
    """Makes pictures of one source, at most `fps` a second, with a long side of at most `longest_px`.

    `wait` is set by a feed that plays a file, so that its pictures come when they are due.
    """

    def __init__(self, *, fps: float, longest_px: int, is_wanted: PreviewWanted, show: OnPreview) -> None:
        self.fps = fps
        self.longest_px = longest_px
        self.is_wanted = is_wanted
        self.wait: WaitUntil = no_wait
        self._show = show
        self._due_s = float("-inf")
        self._developer: FrameConverter | None = None

    @property
    def next_s(self) -> float | None:
        """The time from which on the next picture is wanted; None while nobody looks."""
        return self._due_s if self.is_wanted() else None

    def accept(self, time_s: float) -> bool:
        """Whether the picture at `time_s` is wanted."""
        if not self.is_wanted():
            return False
        step_s = 1 / self.fps
        late_s = time_s + ROUNDING_S - self._due_s
        if -2 * step_s < late_s < 0:
            return False
        # On time it keeps its rhythm; late, or after the clock began anew, it starts a new one.
        on_time = 0 <= late_s < step_s
        self._due_s = (self._due_s if on_time else time_s) + step_s
        return True

    def show_frame(self, frame: Any, time_s: float, *, pixel_aspect: float = 1.0) -> None:
        """Shows a decoded `av.VideoFrame`, if it is wanted."""
        if not self.accept(time_s) or self.wait(time_s):
            return
        if self._developer is None or self._developer.pixel_aspect != pixel_aspect:
            self._developer = FrameConverter(sampling=None, longest_px=self.longest_px, pixel_aspect=pixel_aspect)
        self._compress(self._developer.develop(frame), time_s)

    def show_image(self, image: RGB, time_s: float) -> None:
        """Shows a picture `(H, W, 3) uint8 RGB` that was taken."""
        height, width = image.shape[:2]
        self._compress(resize(image, fit_within(width, height, longest_px=self.longest_px)), time_s)

    def _compress(self, image: RGB, time_s: float) -> None:
        self._show(encode_jpeg(image, quality=QUALITY), time_s)
