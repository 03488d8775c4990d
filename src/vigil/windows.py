"""Groups sampled frames into overlapping windows. Training, scoring and watching all use this code.

A full window has `sampling.frames` frames; windows start `sampling.stride` frames apart. Frames left over at the end
of a file form a last window that reaches back to full length if possible. A clip shorter than a window gives one short
window. The last frame is repeated until the number of frames is a multiple of `frames_per_group`: Qwen's models encode
frames in pairs, and LLaMA-Factory and vLLM pad an incomplete pair differently.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from vigil.frames import RGB, Frame, FrameSampling, encode_jpeg

NO_PICTURE: RGB = np.empty((0, 0, 3), np.uint8)


class JpegWindow(Protocol):
    """What a model is asked about: JPEGs of one size, an even number of them, and their times in the source."""

    @property
    def jpegs(self) -> Sequence[bytes]:
        """The JPEGs in order."""

    @property
    def start_s(self) -> float:
        """Time of the first frame in the source."""

    @property
    def end_s(self) -> float:
        """Time of the last frame in the source."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A frame with its JPEG, as it is sent to the model; encoded once and shared by overlapping windows."""

    frame: Frame
    jpeg: bytes

    @property
    def time_s(self) -> float:
        return self.frame.time_s

    @property
    def image(self) -> RGB:
        return self.frame.image

    def without_picture(self) -> "EncodedFrame":
        """Returns a copy that keeps only the JPEG; its `image` has no pixels."""
        return EncodedFrame(replace(self.frame, image=NO_PICTURE), self.jpeg)


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive frames (`shots`) that are judged together; the last `repeated` of them are padding.

    `rest` is True for the left-over frames at the end of a run that already has a full window; it overlaps the
    previous window more than full windows overlap.
    """

    index: int
    shots: tuple[EncodedFrame, ...]
    repeated: int = 0
    rest: bool = False

    @property
    def start_s(self) -> float:
        """Time of the first frame in the source."""
        return self.shots[0].time_s

    @property
    def end_s(self) -> float:
        """Time of the last frame in the source."""
        return self.shots[-1].time_s

    @property
    def jpegs(self) -> tuple[bytes, ...]:
        """The JPEGs in order, as they are sent and stored."""
        return tuple(shot.jpeg for shot in self.shots)

    @property
    def captured_s(self) -> float | None:
        """When the last frame was captured (`time.time()`); None for files."""
        return self.shots[-1].frame.captured_s

    def without_pictures(self) -> "Window":
        """Returns a copy that keeps only the JPEGs: queued windows would otherwise hold megabytes of raw pixels."""
        return replace(self, shots=tuple(shot.without_picture() for shot in self.shots))


def window_start_s(at_s: float, sampling: FrameSampling) -> float:
    """Returns the start, in seconds, of the newest window that has started at second `at_s` of a file."""
    stride_s = sampling.stride / sampling.fps
    return math.floor(at_s / stride_s + 1e-6) * stride_s


def iter_windows(frames: Iterable[Frame], sampling: FrameSampling) -> Iterator[Window]:
    """Yields the windows of a finite or endless stream of frames that are already sampled and resized.

    A full window is yielded as soon as its last frame arrives. A change of frame size (a camera switched to another
    resolution) starts a new run, since all frames of a window must have one size. So does a gap longer than a window
    (a stopped recorder, a disconnected camera), since frames before and after it do not belong to one scene.
    """
    cutter = Windower(sampling)
    for frame in frames:
        yield from cutter.push(frame)
    yield from cutter.finish()


class Windower:
    """The windowing state of one source: `push` each frame and iterate over the windows it completes."""

    def __init__(self, sampling: FrameSampling) -> None:
        self.sampling = sampling
        self._shots: list[EncodedFrame] = []
        self._frames_until_window = sampling.frames
        self._frames_since_window = 0
        self._next_index = 0
        self._run_has_windows = False

    def push(self, frame: Frame) -> Iterator[Window]:
        """Adds a frame; yields the window it completes, preceded by the left-over window of a run that it ends."""
        if self._shots and self._is_discontinuity(self._shots[-1].frame, frame):
            yield from self.finish()
        self._shots.append(EncodedFrame(frame, encode_jpeg(frame.image, quality=self.sampling.jpeg_quality)))
        del self._shots[: -self.sampling.frames]
        self._frames_since_window += 1
        self._frames_until_window -= 1
        if self._frames_until_window == 0:
            self._frames_until_window = self.sampling.stride
            yield self._emit()

    def finish(self) -> Iterator[Window]:
        """Ends the run; yields a last window if there are frames that no window covers."""
        if self._frames_since_window:
            yield self._emit(rest=self._run_has_windows)
        self._shots.clear()
        self._run_has_windows = False
        self._frames_until_window = self.sampling.frames

    def _is_discontinuity(self, last: Frame, frame: Frame) -> bool:
        paused = frame.time_s - last.time_s > self.sampling.window_s
        return paused or last.image.shape != frame.image.shape

    def _emit(self, *, rest: bool = False) -> Window:
        repeated = self.sampling.missing_frames(len(self._shots))
        shots = (*self._shots, *self._shots[-1:] * repeated)
        window = Window(self._next_index, shots, repeated=repeated, rest=rest)
        self._run_has_windows = True
        self._next_index += 1
        self._frames_since_window = 0
        return window
