"""Reads a video file's properties and all its frames at full size, to draw annotated videos (not for the model)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vigil.frames import RGB, resize
from vigil.sources import container as containers
from vigil.sources.file_timeline import FileTimeline
from vigil.sources.frame_converter import FrameConverter, display_size
from vigil.sources.video_tracks import main_video_stream


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The properties of a video file; `duration_s` is None if the header gives no length."""

    size_wh: tuple[int, int]
    fps: float
    duration_s: float | None


def video_info(path: Path) -> VideoInfo:
    """Returns display size (before any rotation), frame rate and length of a video file; raises SourceError."""
    with containers.open_container(path) as container:
        stream = main_video_stream(container, path)
        codec = stream.codec_context
        return VideoInfo(
            size_wh=display_size(codec.width, codec.height, containers.sample_aspect_ratio(stream)),
            fps=containers.frame_rate(stream),
            duration_s=containers.duration_from_header(container, stream),
        )


def full_size_frames(path: Path) -> Iterator[tuple[RGB, float]]:
    """Yields every decodable frame, upright, with its time in seconds as windows count it; raises SourceError."""
    with containers.open_container(path) as container:
        stream = main_video_stream(container, path)
        timeline = FileTimeline(container, stream)
        converter = FrameConverter(sampling=None, pixel_aspect=containers.sample_aspect_ratio(stream))
        for frame in _frames(container, stream):
            time_s = timeline.place(frame)
            if time_s is not None:
                yield converter.convert(frame), time_s


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError, *containers.UNREADABLE):
            return
        try:
            decoded = stream.codec_context.decode(packet if packet.size else None)
        except containers.UNREADABLE:
            continue
        yield from decoded


def letterbox(image: RGB, size_wh: tuple[int, int]) -> RGB:
    """Fits an image into `size_wh`, keeping its aspect ratio, with black borders."""
    height, width = image.shape[:2]
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner = _side(width * scale, size_wh[0]), _side(height * scale, size_wh[1])
    fitted = resize(image, inner)
    if inner == size_wh:
        return fitted
    boxed = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    top, left = (size_wh[1] - inner[1]) // 2, (size_wh[0] - inner[0]) // 2
    boxed[top : top + inner[1], left : left + inner[0]] = fitted
    return boxed


def _side(wanted_px: float, most_px: int) -> int:
    """Returns a rounded side length; up to 2 px of border are filled, since such a thin line looks like a fault."""
    side = max(1, min(most_px, round(wanted_px)))
    return most_px if most_px - side <= 2 else side
