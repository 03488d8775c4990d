"""Opens video files with PyAV safely: local files in known formats only.

FFmpeg detects formats by content. A "video" that is really a playlist could make it read other files or connect to an
address, so only self-contained formats are allowed, and only the `file` protocol.
"""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from vigil.errors import SourceError
from vigil.sources.image_formats import picture_kind

FORMATS = (
    "3g2 3gp apng asf av1 avi dhav dv flv gif h261 h263 h264 hevc ivf m4v matroska mjpeg mov mp4 mpeg mpegts "
    "mpegtsraw mpegvideo mpjpeg mxf nut obu ogg rm vc1 vvc webm wtv xmv"
)
# Titles in an unknown encoding must not keep a video from being opened; PyAV 19 and later handle this themselves.
LENIENT: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
MAX_PICTURE_PIXELS = 8192 * 4352
"""The maximum of H.264 and H.265; a file that claims more is refused before memory is allocated for it."""

# FFmpeg decodes a frame to identify a stream, before the limit can be set on that stream's decoder, so it is set
# here. Streams that appear later are ignored; PyAV before 18 crashed on them.
FIRST_LOOK: dict[str, Any] = (
    {"options": {"max_pixels": str(MAX_PICTURE_PIXELS)}} if int(av.__version__.split(".")[0]) >= 18 else {}
)

RAW = frozenset({"h261", "h263", "h264", "hevc", "m4v", "mjpeg", "mpegvideo", "mpjpeg", "obu", "vc1", "vvc"})
"""Raw bitstreams. Their packets have no timestamps, and the frame rate that FFmpeg reports is a guess."""

WHOLE_ONLY = frozenset({"asf", "matroska,webm"})
"""Formats for which FFmpeg reports the length of the whole file as that of each stream."""

MAX_RATE = 240
USUAL_RATE = 25.0
MICROSECONDS = 1_000_000
UNREADABLE = (av.FFmpegError, ValueError, OverflowError)
"""What PyAV raises for damaged files; damaged numbers surface as ValueError or OverflowError."""


def require_video_file(path: Path) -> None:
    """Raises SourceError unless `path` is a readable regular file that is not empty."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    if path.is_dir():
        raise SourceError(f"{path} is a folder, not a video; name a file in it")
    if not path.is_file():
        raise SourceError(f"{path} is not an ordinary file, so it cannot be read as a video")
    if size == 0:
        raise SourceError(f"{path} is empty (0 bytes); copy or record it again")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path} may not be read by this user; change its permissions")


def open_container(path: Path) -> Any:
    """Opens a video file and returns the `av` container; raises SourceError."""
    require_video_file(path)
    picture = picture_kind(path)
    if picture:
        raise SourceError(
            f"{path} is a picture ({picture}) and no video; where a picture is asked for, send it as JPEG"
        )
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS.replace(" ", ",")}
    try:
        return av.open(f"file:{path}", container_options=options, **FIRST_LOOK, **LENIENT)
    except UNREADABLE as error:
        raise SourceError(
            f"{path} cannot be read as a video ({ffmpeg_message(error)}); it is damaged, unfinished or no video at all"
        ) from error


def pick_stream(container: Any, path: Path | str, *, fast: bool = False) -> Any:
    """Returns the first video stream, ready to decode; raises SourceError. For files use `main_video_track`."""
    return prepared(moving_streams(container, path)[0], fast=fast)


def moving_streams(container: Any, path: Path | str) -> list[Any]:
    """Returns the decodable video streams except cover art; raises SourceError if there are none."""
    moving = [s for s in container.streams.video if not is_cover_art(s)]
    if not moving:
        raise SourceError(f"{path} holds no moving pictures ({stream_types(container) or 'nothing at all'})")
    decodable = [s for s in moving if s.codec_context is not None]
    if not decodable:
        raise SourceError(f"{path} is compressed in a way that cannot be decoded here; convert it to H.264")
    return decodable


def prepared(stream: Any, *, fast: bool = False) -> Any:
    """Sets a stream up to decode in one thread (`fast`: see `skip_loop_filter`) and returns it."""
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(MAX_PICTURE_PIXELS)}
    if fast:
        skip_loop_filter(stream.codec_context)
    return stream


def skip_loop_filter(codec_context: Any) -> None:
    """Disables the loop filter except in keyframes: a sixth less work, a difference of half a grey level."""
    codec_context.options = {**codec_context.options, "skip_loop_filter": "nokey"}


def is_cover_art(stream: Any) -> bool:
    """Returns whether a video stream is only the cover image of an audio file."""
    return bool(stream.disposition & Disposition.attached_pic)


def stream_types(container: Any) -> str:
    """Returns the types of a container's streams, such as `audio, subtitle`."""
    return ", ".join(sorted({str(stream.type) for stream in container.streams}))


def frame_rate(stream: Any) -> float:
    """Returns the frame rate that the file declares, or 25 if it declares none or nonsense."""
    return declared_rate(stream) or USUAL_RATE


def declared_rate(stream: Any) -> float | None:
    """Returns the frame rate that the container (for raw bitstreams, the codec) declares; None if it declares none."""
    rates: list[Fraction | None] = [stream.average_rate, stream.guessed_rate]
    if is_raw(stream.container):
        rates = [stream.codec_context.framerate]
    sound = (float(rate) for rate in rates if rate and 0 < rate <= MAX_RATE)
    return next(sound, None)


def is_raw(container: Any) -> bool:
    """Returns whether a file is a raw bitstream without timestamps."""
    return container.format.name in RAW


def sample_aspect_ratio(stream: Any) -> float:
    """Returns the width of a pixel over its height; 1 if the file declares none or nonsense."""
    aspect = stream.sample_aspect_ratio
    return float(aspect) if aspect and Fraction(1, 3) <= aspect <= 3 else 1.0


def duration_from_header(container: Any, stream: Any) -> float | None:
    """Returns the duration that the header declares, in seconds, or None."""
    own_s = own_length_s(container, stream)
    if own_s is not None:
        return own_s
    return float(container.duration / MICROSECONDS) if container.duration and container.duration > 0 else None


def own_length_s(container: Any, stream: Any) -> float | None:
    """Returns the duration declared for this stream, in seconds; None if only that of the whole file is declared."""
    whole_s = float((container.duration or 0) / MICROSECONDS)
    tagged_s = _clock_seconds(stream.metadata.get("DURATION", ""))
    # The tag may have been copied from an older file.
    if tagged_s is not None and 0 < tagged_s <= whole_s + 1:
        return tagged_s
    if stream.duration and stream.time_base and stream.duration > 0:
        length_s = float(stream.duration * stream.time_base)
        return None if container.format.name in WHOLE_ONLY and length_s == whole_s else length_s
    return None


def _clock_seconds(text: str) -> float | None:
    """Parses a time in the form of Matroska tags, `00:00:04.040000000`; None if it is not one."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds


def ffmpeg_message(error: BaseException) -> str:
    """Returns FFmpeg's error message without error numbers and file names."""
    return str(getattr(error, "strerror", None) or error).strip() or type(error).__name__
