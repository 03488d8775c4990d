"""Determines by content, never by name, whether a file is a still image or a video."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vigil.errors import SourceError
from vigil.frames import FrameSampling
from vigil.sources.images import opened, read_image
from vigil.sources.video_file import open_video

ENOUGH_PIXELS = 4096

MOST_VIDEO_PIXELS = 4096 * 2304
"""Per frame of a visitor's video. It is decoded beside the watch, and H.264 may keep 16 decoded frames."""

ANIMATED_WEBP = "animated WebP"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaContent:
    """A decoded file: all of an image, or the first frame of a video.

    `format` is Pillow's name of an image format (`PNG`), `codec` FFmpeg's name of a video codec (`h264`).
    """

    kind: Literal["picture", "video"]
    format: str = ""
    codec: str = ""


def inspect_content(path: Path) -> MediaContent:
    """Returns what a file contains; raises SourceError if it is neither a decodable image nor a decodable video.

    A video with more than `MOST_VIDEO_PIXELS` per frame is refused before it is decoded.
    """
    still = _still_format(path)
    if still == ANIMATED_WEBP:
        raise SourceError(f"{path} is an {ANIMATED_WEBP}, which cannot be read; save it as mp4 or GIF")
    if still:
        read_image(path, max_pixels=ENOUGH_PIXELS)
        return MediaContent(kind="picture", format=still)
    with open_video(path, FrameSampling(max_pixels=ENOUGH_PIXELS)) as video:
        width, height = video.size_wh
        if width * height > MOST_VIDEO_PIXELS:
            raise SourceError(f"{path} has frames of {width}x{height} pixels; a video that is sent may have 4096x2304")
        next(video.frames())
        return MediaContent(kind="video", codec=video.codec)


def _still_format(path: Path) -> str:
    """Returns the format of a still image; empty for anything else.

    An animated image counts as a video if FFmpeg can play it. Raises SourceError for an image that is too large.
    """
    try:
        with opened(path) as image:
            # A phone photo that contains a second image (depth, a preview) is not a video.
            if image.format == "MPO":
                return "JPEG"
            if not getattr(image, "is_animated", False):
                return str(image.format)
            return ANIMATED_WEBP if image.format == "WEBP" else ""
    except SourceError as error:
        # Without a cause, the error is about the size, so the file is an image.
        if error.__cause__ is None or isinstance(error.__cause__, MemoryError):
            raise
        return ""
