"""A look at what is attached: a picture, a video or a camera as JPEGs, cut as the served model was trained on.

A video is looked at from end to end: at the contract's own pace where all of it fits, else at evenly spaced moments.
A camera is looked at anew for each question, for as long as one window takes.
"""

import math
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from vigil.errors import SourceError
from vigil.frames import RGB, Frame, Sampling, encode_jpeg
from vigil.sources.address import Address
from vigil.sources.feed import open_feed
from vigil.sources.file import open_video
from vigil.sources.images import read_image
from vigil.sources.signals import Disconnected, Waiting

PICTURE_PIXELS = 589_824
"""The most that the server takes of a single picture (`image_max_pixels` in configs/serve)."""

CAMERA_WAIT_S = 15.0
"""How long a camera may take to show a window; a camera that answers does it in a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one question shows: JPEGs of one size, `spacing_s` apart, from `start_s` to `end_s` of the source.

    `at_s` is the `time.time()` of the first picture of a camera. `size_wh` is the size of the JPEGs. `is_stretched`
    where the frames are further apart than those of the contract, which is what the server believes.
    """

    kind: Literal["picture", "video", "camera"]
    jpegs: tuple[bytes, ...]
    size_wh: tuple[int, int]
    start_s: float = 0.0
    end_s: float = 0.0
    spacing_s: float = 0.0
    is_stretched: bool = False
    at_s: float | None = None

    @property
    def is_moving(self) -> bool:
        """Whether it is sent as a video."""
        return self.kind != "picture"


class ReadsImages(Protocol):
    """Decodes a picture file: `vigil.sources.images.read_image`, or a worker's."""

    def __call__(self, path: Path, /, *, max_pixels: int) -> RGB:
        """The picture, upright, at most `max_pixels`; raises SourceError."""


def look_at_picture(
    path: Path, *, quality: int = 90, max_pixels: int = PICTURE_PIXELS, read: ReadsImages = read_image
) -> Look:
    """One picture, upright, at most `max_pixels`; raises SourceError. What a stranger sent, a worker should `read`."""
    image = read(path, max_pixels=max_pixels)
    height, width = image.shape[:2]
    return Look(kind="picture", jpegs=(encode_jpeg(image, quality=quality),), size_wh=(width, height))


def look_at_video(path: Path, sampling: Sampling, *, most_frames: int, stop: threading.Event | None = None) -> Look:
    """At most `most_frames` frames (even) from the whole video, evenly spaced.

    Raises SourceError, also where `stop` was set before its end.
    """
    with open_video(path, sampling) as video:
        fps = _pace(video.duration_s, sampling, most_frames=most_frames)
    with open_video(path, replace(sampling, fps=fps)) as video:
        frames, step = _evenly(_until(video.frames(), stop or threading.Event(), path), most=most_frames)
    return _look("video", frames, sampling, spacing_s=step / fps)


def look_at_camera(address: Address, sampling: Sampling, *, stop: threading.Event | None = None) -> Look:
    """The next window of a camera, `sampling.frames` frames; raises SourceError when it does not come in time."""
    stop = stop or threading.Event()
    timer = threading.Timer(CAMERA_WAIT_S, stop.set)
    timer.start()
    at_s = time.time()
    frames: list[Frame] = []
    reason = f"no picture in {CAMERA_WAIT_S:g} s"
    try:
        with closing(open_feed(address, sampling, stop=stop).signals()) as signals:  # type: ignore[type-var]
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


def _pace(duration_s: float | None, sampling: Sampling, *, most_frames: int) -> float:
    """Frames a second at which the whole video gives about the most that fits."""
    if not duration_s or duration_s * sampling.fps <= most_frames:
        return sampling.fps
    return max(most_frames / (duration_s + 1 / sampling.fps), 1 / 3600)


def _until(frames: Iterable[Frame], stop: threading.Event, path: Path) -> Iterator[Frame]:
    for frame in frames:
        if stop.is_set():
            raise SourceError(f"{path} was not looked at to its end, as it was stopped")
        yield frame


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


def _look(kind: Literal["video", "camera"], frames: list[Frame], sampling: Sampling, *, spacing_s: float) -> Look:
    """Frames as JPEGs of one size (that of the last), even in number, as Qwen3-VL reads them in pairs."""
    shape = frames[-1].image.shape
    same = [frame for frame in frames if frame.image.shape == shape]
    jpegs = [encode_jpeg(frame.image, quality=sampling.jpeg_quality) for frame in same]
    return Look(
        kind=kind,
        jpegs=(*jpegs, *jpegs[-1:] * (len(jpegs) % 2)),
        size_wh=(shape[1], shape[0]),
        start_s=same[0].time_s,
        end_s=same[-1].time_s,
        spacing_s=spacing_s,
        is_stretched=spacing_s > 1.01 / sampling.fps,
    )


def tokens_of(look: Look) -> int:
    """The tokens that a look takes: 32x32 pixels of a picture, or of a pair of frames, are one."""
    width, height = look.size_wh
    return frame_tokens(width * height) * math.ceil(len(look.jpegs) / (2 if look.is_moving else 1))


def frame_tokens(pixels: int) -> int:
    """Tokens of one picture or one pair of frames with its time mark."""
    return math.ceil(pixels / (32 * 32)) + 8
