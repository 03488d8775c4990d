"""A look at what is attached: a picture, a video or a camera as JPEGs, cut as the served model was trained on.

A video is looked at from end to end, or in the part that is asked about: at the contract's own pace where all of it
fits, else at evenly spaced moments. A camera is looked at anew for each question, for as long as one window takes;
of what was seen of it before, pictures are given as they were kept.
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
"""The most that the server takes of a single picture (`image_max_pixels` in configs/serve)."""

CAMERA_WAIT_S = 15.0
"""How long a camera may take to show a window; a camera that answers does it in a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPicture:
    """One picture of a camera as it was judged: its second, as a JPEG of `size_wh`."""

    time_s: float
    jpeg: bytes
    size_wh: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What one question shows: JPEGs of one size, `spacing_s` apart, from `start_s` to `end_s` of the source.

    `at_s` is the `time.time()` of the first picture of a camera. `size_wh` is the size of the JPEGs. `is_stretched`
    where the frames are further apart than those of the contract, which is what the server believes; `is_part` where
    they are not from the beginning, which it believes too. `family` is that of the model which is to see it.
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
        """Whether it is sent as a video."""
        return self.kind != "picture"

    @property
    def tokens(self) -> int:
        """The most tokens that it takes."""
        return attachment_tokens(self.family, self.size_wh, len(self.jpegs), is_video=self.is_moving)


class ReadsImages(Protocol):
    """Decodes a picture file: `vigil.sources.images.read_image`, or a worker's."""

    def __call__(self, path: Path, /, *, max_pixels: int, pixel_multiple: int) -> RGB:
        """The picture, upright, at most `max_pixels`, its sides multiples; raises SourceError."""


def attach_picture(
    path: Path,
    *,
    quality: int = 90,
    max_pixels: int = PICTURE_PIXELS,
    family: ModelFamily = FAMILIES[0],
    read: ReadsImages = read_image,
) -> Attachment:
    """One picture, upright, at most `max_pixels`; raises SourceError. What a stranger sent, a worker should `read`."""
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
    """At most `most_frames` frames (whole groups) from the whole video or from the seconds of `span`, evenly spaced.

    Raises SourceError, also where `stop` was set before its end, and for a span that is not in the video.
    """
    with open_video(path, sampling) as video:
        length_s = video.duration_s
    part = None if span is None else _part(span, length_s, sampling, path)
    shown_s = length_s if part is None else part.end_s - part.start_s + 1 / sampling.fps
    fps = _pace(shown_s, sampling, most_frames=most_frames)
    with open_video(path, replace(sampling, fps=fps), start_s=part.start_s if part else 0.0) as video:
        frames = _until(video.frames(), stop or threading.Event(), path)
        wanted = frames if part is None else _to(part.end_s + 0.4 / fps, frames)
        kept, step = _evenly(wanted, most=most_frames)
    if not kept:
        raise SourceError(f"{path} has no picture there; name other seconds")
    return replace(_look("video", kept, sampling, spacing_s=step / fps), is_part=part is not None)


def look_at_pictures(pictures: Sequence[KeptPicture], sampling: FrameSampling, *, most_frames: int) -> Attachment:
    """Pictures of a camera that were kept as they were seen, oldest first; raises SourceError where there are none."""
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
    """The span as it lies in the video; a moment is one window, which ends with the video at the latest."""
    window_s = (sampling.frames - 1) / sampling.fps
    part = span.within(length_s, moment_s=window_s)
    if length_s is not None and part.start_s >= length_s:
        raise SourceError(f"{path} is {length_s:.1f} s long; nothing of it is at {part.start_s:g} s")
    if span.is_moment and length_s is not None:
        part = replace(part, start_s=max(0.0, min(part.start_s, length_s - window_s - 1 / sampling.fps)))
    return part


def attach_camera(address: Address, sampling: FrameSampling, *, stop: threading.Event | None = None) -> Attachment:
    """The next window of a camera, `sampling.frames` frames; raises SourceError when it does not come in time."""
    stop = stop or threading.Event()
    timer = threading.Timer(CAMERA_WAIT_S, stop.set)
    timer.start()
    at_s = time.time()
    frames: list[Frame] = []
    reason = f"no picture in {CAMERA_WAIT_S:g} s"
    try:
        with closing(open_capture(address, sampling, stop=stop).read()) as signals:  # type: ignore[type-var]
            for signal in signals:
                if isinstance(signal, Disconnected):
                    reason = signal.reason
                    break
                if isinstance(signal, Waiting):
                    reason = f"{signal.reason} ({CAMERA_WAIT_S:g} s were not enough)"
                if isinstance(signal, Frame):
                    frames.append(signal)
                if len(frames) == sampling.frames:
                    break
    finally:
        timer.cancel()
        stop.set()
    if not frames:
        raise SourceError(f"{address.name} shows nothing: {reason}; check that it is on, and its address")
    return replace(_look("camera", frames, sampling, spacing_s=1 / sampling.fps), at_s=frames[0].captured_s or at_s)


def _pace(duration_s: float | None, sampling: FrameSampling, *, most_frames: int) -> float:
    """Frames a second at which the whole video gives about the most that fits."""
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
    """Every n-th frame so that at most `most` are kept, and that n: a header may promise less than comes."""
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
    """The pictures with the last one repeated until its group is whole."""
    return (*jpegs, *[jpegs[-1]] * sampling.missing_frames(len(jpegs)))


def _look(
    kind: Literal["video", "camera"], frames: list[Frame], sampling: FrameSampling, *, spacing_s: float
) -> Attachment:
    """Frames as JPEGs of one size (that of the last), in whole groups, as the model reads them."""
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
