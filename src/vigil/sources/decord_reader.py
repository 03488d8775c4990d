"""Reads video files with decord (`pip install 'vigil[decord]'`), for pipelines that already use it.

The package is decord2, the maintained successor of decord (last released in 2021); it is imported as `decord`, too.
It yields the same frames as the PyAV reader for files it can read. It cannot read damaged, truncated fragmented or raw
files, and it does not see gaps in the timestamps; therefore PyAV is the default.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av

from vigil.errors import EnvironmentMissing, SourceError
from vigil.frames import RGB, Frame, FrameSampling, resize
from vigil.sources import container as containers
from vigil.sources.file_timeline import plausible_gap_s
from vigil.sources.orientation import AS_STORED, Orientation, orientation_of
from vigil.sources.timestamps import FileClock, FrameSampler
from vigil.sources.video_tracks import main_video_stream

BATCH = 16
"""Full-size frames held at a time: 100 MB at 1080p."""


def read_frames_decord(path: Path, sampling: FrameSampling) -> Iterator[Frame]:
    """Yields the frames of a video file, sampled and resized as `vigil.sources.video_file.read_frames` does.

    Raises EnvironmentMissing if decord is not installed, SourceError if it cannot read the file.
    """
    decord = import_decord()
    properties = _read_properties(path)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        wanted = _wanted(reader, sampling, plausible_gap_s=properties.plausible_gap_s)
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            pictures = reader.get_batch([index for index, _ in batch]).asnumpy()
            for picture, (_, time_s) in zip(pictures, batch, strict=True):
                yield Frame(_sized(picture, properties, sampling), time_s)
    except (decord.DECORDError, RuntimeError) as error:
        raise SourceError(
            f"{path} cannot be read by decord ({_first_line(error)}); the reader pyav reads more kinds of files"
        ) from error


def import_decord() -> Any:
    """Returns the decord package; raises EnvironmentMissing if it is not installed."""
    try:
        return importlib.import_module("decord")
    except (ImportError, OSError) as error:
        raise EnvironmentMissing(
            "the reader decord needs the package decord2: pip install 'vigil[decord]' (or use the reader pyav)"
        ) from error


def _wanted(reader: Any, sampling: FrameSampling, *, plausible_gap_s: float) -> list[tuple[int, float]]:
    """Returns index and time in seconds of each frame to keep."""
    fps = float(reader.get_avg_fps() or containers.USUAL_RATE)
    clock, sampler = FileClock(frame_s=1 / fps, plausible_gap_s=plausible_gap_s), FrameSampler(sampling.fps)
    stamps = reader.get_frame_timestamp(list(range(len(reader))))[:, 0]
    placed = ((index, clock.place(float(stamp))) for index, stamp in enumerate(stamps))
    return [(index, time_s) for index, time_s in placed if time_s is not None and sampler.accept(time_s)]


@dataclass(frozen=True, slots=True)
class _VideoProperties:
    pixel_aspect: float
    plausible_gap_s: float
    orientation: Orientation = AS_STORED


def _read_properties(path: Path) -> _VideoProperties:
    """Reads what decord does not report: pixel aspect ratio, orientation, and the length of plausible gaps.

    It also rejects files that are no video, which decord does not check.
    """
    with containers.open_container(path) as container:
        stream: av.VideoStream = main_video_stream(container, path)
        properties = _VideoProperties(containers.sample_aspect_ratio(stream), plausible_gap_s(container, stream))
        try:
            return replace(properties, orientation=orientation_of(next(container.decode(stream))))
        except (StopIteration, IndexError, *containers.UNREADABLE):
            return properties


def _sized(picture: RGB, properties: _VideoProperties, sampling: FrameSampling) -> RGB:
    upright = properties.orientation.unmirrored(picture)
    height, width = upright.shape[:2]
    return resize(upright, sampling.fit(max(1, round(width * properties.pixel_aspect)), height))


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
