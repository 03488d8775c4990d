"""Turns a picture, a video or a camera into the JPEGs that a chat question sends, sampled as in training.

A video is sampled from end to end, or over the part that is asked about: at the contract's frame rate if all of it
fits, else evenly spaced. A camera is captured again for each question, for the length of one window; for questions
about its past, the frames that were kept are used.
"""

import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Literal, Protocol

from vigil.chat.time_span import TimeSpan
from vigil.errors import SourceError
from vigil.frames import RGB, Frame, FrameSampling, encode_jpeg
from vigil.models import FAMILIES, ModelFamily, family_reading
from vigil.models.tokens import attachment_tokens
from vigil.sources.address import Address
from vigil.sources.capture import Disconnected, Waiting
from vigil.sources.images import read_image
from vigil.sources.open_capture import open_capture
from vigil.sources.video_file import open_video

PICTURE_PIXELS = 589_824
"""The largest picture the server accepts, in pixels (`image_max_pixels` in configs/serve)."""

CAMERA_WAIT_S = 15.0
"""Timeout for capturing one window from a camera; a responsive camera connects within a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPicture:
    """One frame of a camera as it was judged: its time in seconds, and a JPEG of `size_wh`."""

    time_s: float
    jpeg: bytes
    size_wh: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """The images sent with one question: JPEGs of `size_wh`, `spacing_s` apart, from `start_s` to `end_s`.

    `at_s` is the `time.time()` of a camera's first frame. `is_stretched`: the frames are further apart than the
    contract's, which the server assumes. `is_part`: they do not start at the beginning, which it assumes too.
    `family` is the family of the model that reads them.
    """

    kind: Literal["picture", "video", "camera"]
    jpegs: tuple[bytes, ...]
    size_wh: tuple[int, int]
    start_s: float = 0.0
    end_s: float = 0.0
    spacing_s: float = 0.0
    is_stretched: bool = False
    is_part: bool = False
    at_s: float | None = None
    family: ModelFamily = FAMILIES[0]

    @property
    def is_moving(self) -> bool:
        """True if it is sent as a video."""
        return self.kind != "picture"

    @property
    def tokens(self) -> int:
        """An upper bound of its prompt tokens."""
        return attachment_tokens(self.family, self.size_wh, len(self.jpegs), is_video=self.is_moving)


class ReadsImages(Protocol):
    """Decodes a picture file: `vigil.sources.images.read_image`, or that of an image worker process."""

    def __call__(self, path: Path, /, *, max_pixels: int, pixel_multiple: int) -> RGB:
        """Returns the upright picture: at most `max_pixels`, sides multiples of `pixel_multiple`; or SourceError."""


def attach_picture(
    path: Path,
    *,
    quality: int = 90,
    max_pixels: int = PICTURE_PIXELS,
    family: ModelFamily = FAMILIES[0],
    read: ReadsImages = read_image,
) -> Attachment:
    """Returns one upright picture of at most `max_pixels`; raises SourceError. Pass a worker's `read` for uploads."""
    image = read(path, max_pixels=max_pixels, pixel_multiple=family.pixel_multiple)
    height, width = image.shape[:2]
    jpeg = encode_jpeg(image, quality=quality)
    return Attachment(kind="picture", jpegs=(jpeg,), size_wh=(width, height), family=family)


def attach_video(
    path: Path,
    sampling: FrameSampling,
    *,
    most_frames: int,
    span: TimeSpan | None = None,
    stop: threading.Event | None = None,
) -> Attachment:
    """Samples at most `most_frames` frames (whole groups), evenly spaced, from the whole video or from `span`.

    Raises SourceError if the video is unreadable, `span` is not in it, or `stop` is set before the end.
    """
    with open_video(path, sampling) as video:
        length_s = video.duration_s
    part = None if span is None else _part(span, length_s, sampling, path)
    shown_s = length_s if part is None else part.end_s - part.start_s + 1 / sampling.fps
    fps = _pace(shown_s, sampling, most_frames=most_frames)
    with open_video(path, replace(sampling, fps=fps), start_s=part.start_s if part else 0.0) as video:
        frames = _until(video.frames(), stop or threading.Event(), path)
        selected = frames if part is None else _to(part.end_s + 0.4 / fps, frames)
        kept, step = _evenly(selected, most=most_frames)
    if not kept:
        raise SourceError(f"{path} has no picture there; name other seconds")
    return replace(_attachment("video", kept, sampling, spacing_s=step / fps), is_part=part is not None)


def attach_pictures(pictures: Sequence[KeptPicture], sampling: FrameSampling, *, most_frames: int) -> Attachment:
    """Returns kept frames of a camera, oldest first, as an attachment; raises SourceError if there are none."""
    same = [one for one in pictures if one.size_wh == pictures[-1].size_wh]
    if not same:
        raise SourceError("the pictures of those seconds are not kept any more; ask about newer ones")
    step = math.ceil(len(same) / most_frames)
    kept = same[::step]
    jpegs = tuple(one.jpeg for one in kept)
    return Attachment(
        kind="camera",
        jpegs=_whole(jpegs, sampling),
        size_wh=kept[-1].size_wh,
        start_s=kept[0].time_s,
        end_s=kept[-1].time_s,
        spacing_s=step / sampling.fps,
        is_stretched=step > 1,
        is_part=True,
        family=family_reading(sampling),
    )


def _part(span: TimeSpan, length_s: float | None, sampling: FrameSampling, path: Path) -> TimeSpan:
    """Clips the span to the video; a single moment becomes one window that ends no later than the video."""
    window_s = (sampling.frames - 1) / sampling.fps
    part = span.within(length_s, moment_s=window_s)
    if length_s is not None and part.start_s >= length_s:
        raise SourceError(f"{path} is {length_s:.1f} s long; nothing of it is at {part.start_s:g} s")
    if span.is_moment and length_s is not None:
        part = replace(part, start_s=max(0.0, min(part.start_s, length_s - window_s - 1 / sampling.fps)))
    return part


def attach_camera(address: Address, sampling: FrameSampling, *, stop: threading.Event | None = None) -> Attachment:
    """Captures up to `sampling.frames` frames from a camera; raises SourceError if none arrives in `CAMERA_WAIT_S`."""
    stop = stop or threading.Event()
    timer = threading.Timer(CAMERA_WAIT_S, stop.set)
    timer.start()
    at_s = time.time()
    try:
        with closing(open_capture(address, sampling, stop=stop).read()) as signals:  # type: ignore[type-var]
            frames, reason = _first_frames(signals, sampling.frames)
    finally:
        timer.cancel()
        stop.set()
    if not frames:
        raise SourceError(f"{address.name} shows nothing: {reason}; check that it is on, and its address")
    return replace(
        _attachment("camera", frames, sampling, spacing_s=1 / sampling.fps), at_s=frames[0].captured_s or at_s
    )


def _pace(duration_s: float | None, sampling: FrameSampling, *, most_frames: int) -> float:
    """Returns the frame rate at which the whole video gives about `most_frames`, at most the contract's."""
    if not duration_s or duration_s * sampling.fps <= most_frames:
        return sampling.fps
    return max(most_frames / (duration_s + 1 / sampling.fps), 1 / 3600)


def _until(frames: Iterable[Frame], stop: threading.Event, path: Path) -> Iterator[Frame]:
    for frame in frames:
        if stop.is_set():
            raise SourceError(f"{path} was not looked at to its end, as it was stopped")
        yield frame


def _to(end_s: float, frames: Iterable[Frame]) -> Iterator[Frame]:
    return takewhile(lambda frame: frame.time_s < end_s, frames)


def _evenly(frames: Iterable[Frame], *, most: int) -> tuple[list[Frame], int]:
    """Returns every n-th frame, at most `most`, and n; needed because a header may understate the length."""
    kept: list[Frame] = []
    step = 1
    for index, frame in enumerate(frames):
        if index % step:
            continue
        kept.append(frame)
        if len(kept) > most:
            kept, step = kept[::2], step * 2
    return kept, step


def _whole(jpegs: list[bytes] | tuple[bytes, ...], sampling: FrameSampling) -> tuple[bytes, ...]:
    """Repeats the last picture until the last frame group is complete."""
    return (*jpegs, *[jpegs[-1]] * sampling.missing_frames(len(jpegs)))


def _first_frames(signals: Iterable[object], most: int) -> tuple[list[Frame], str]:
    """The first `most` frames of a live source, or those until it is lost; and the reason if there are none."""
    frames: list[Frame] = []
    reason = f"no picture in {CAMERA_WAIT_S:g} s"
    for signal in signals:
        if isinstance(signal, Disconnected):
            return frames, signal.reason
        if isinstance(signal, Waiting):
            reason = f"{signal.reason} ({CAMERA_WAIT_S:g} s were not enough)"
        if isinstance(signal, Frame):
            frames.append(signal)
        if len(frames) == most:
            break
    return frames, reason


def _attachment(
    kind: Literal["video", "camera"], frames: list[Frame], sampling: FrameSampling, *, spacing_s: float
) -> Attachment:
    """Encodes frames as JPEGs of one size (that of the last frame), in whole groups, as the model reads them."""
    shape = frames[-1].image.shape
    same = [frame for frame in frames if frame.image.shape == shape]
    jpegs = [encode_jpeg(frame.image, quality=sampling.jpeg_quality) for frame in same]
    return Attachment(
        kind=kind,
        jpegs=_whole(jpegs, sampling),
        size_wh=(shape[1], shape[0]),
        start_s=same[0].time_s,
        end_s=same[-1].time_s,
        spacing_s=spacing_s,
        is_stretched=spacing_s > 1.01 / sampling.fps,
        family=family_reading(sampling),
    )
