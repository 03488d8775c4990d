"""What a file holds, told by its content and never by its name: a still picture, or a video."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vigil.errors import SourceError
from vigil.frames import FrameSampling
from vigil.sources.images import opened, read_image
from vigil.sources.video_file import open_video

ENOUGH_PIXELS = 4096
ANIMATED_WEBP = "animated WebP"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaContent:
    """A file that was decoded: all of a picture, the first frame of a video.

    `format` is Pillow's name of a picture's (`PNG`), `codec` FFmpeg's of a video's (`h264`).
    """

    kind: Literal["picture", "video"]
    format: str = ""
    codec: str = ""


def inspect_content(path: Path) -> MediaContent:
    """What a file is; raises SourceError when it is neither a picture nor a video that can be decoded."""
    still = _still_format(path)
    if still == ANIMATED_WEBP:
        raise SourceError(f"{path} is an {ANIMATED_WEBP}, which cannot be read; save it as mp4 or GIF")
    if still:
        read_image(path, max_pixels=ENOUGH_PIXELS)
        return MediaContent(kind="picture", format=still)
    with open_video(path, FrameSampling(max_pixels=ENOUGH_PIXELS)) as video:
        next(video.frames())
        return MediaContent(kind="video", codec=video.codec)


def _still_format(path: Path) -> str:
    """The format of a still picture, empty for anything else; a picture that moves is a video, if FFmpeg plays it.

    Raises SourceError for a picture that is too large.
    """
    try:
        with opened(path) as image:
            # A phone's photo with a second picture (depth, a preview) in it is no film.
            if image.format == "MPO":
                return "JPEG"
            if not getattr(image, "is_animated", False):
                return str(image.format)
            return ANIMATED_WEBP if image.format == "WEBP" else ""
    except SourceError as error:
        # Raised without a cause it is about the size, and it is a picture.
        if error.__cause__ is None or isinstance(error.__cause__, MemoryError):
            raise
        return ""
