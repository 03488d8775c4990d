"""The cutter: frames in, windows out - the same code for training, scoring and watching.

A full window holds `sampling.frames` frames; the next one starts `sampling.stride` frames later. The
end of a file is never lost: frames that no full window covers give one last window that reaches
back as far as it can. A clip shorter than a window gives one short window. The last frame is repeated until the
number of frames is a multiple of `frames_per_group`: Qwen's models read frames in pairs, and LLaMA-Factory and vLLM pad
an incomplete pair differently.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from vigil.frames import RGB, Frame, FrameSampling, encode_jpeg

NO_PICTURE: RGB = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A frame as the model gets it: the JPEG, made once and shared by the windows that overlap."""

    frame: Frame
    jpeg: bytes

    @property
    def time_s(self) -> float:
        return self.frame.time_s

    @property
    def image(self) -> RGB:
        return self.frame.image

    def without_picture(self) -> "EncodedFrame":
        """The same with its JPEG alone; its `image` has no pixels."""
        return EncodedFrame(replace(self.frame, image=NO_PICTURE), self.jpeg)


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive shots that are judged together; `repeated` of the last ones repeat the final picture.

    A `rest` ends a run with frames that no full window covers: the window before it shows more of its shots than it
    does of any other's.
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
        """The pictures in order, as they are sent and stored."""
        return tuple(shot.jpeg for shot in self.shots)

    @property
    def captured_s(self) -> float | None:
        """When the last frame was captured (`time.time()`), on live sources."""
        return self.shots[-1].frame.captured_s

    def without_pictures(self) -> "Window":
        """The same with its JPEGs alone: what waits to be judged would hold a camera's raw pictures by the megabyte."""
        return replace(self, shots=tuple(shot.without_picture() for shot in self.shots))


def window_start_s(at_s: float, sampling: FrameSampling) -> float:
    """Where the newest window begins that has begun at second `at_s` of a file."""
    stride_s = sampling.stride / sampling.fps
    return math.floor(at_s / stride_s + 1e-6) * stride_s


def iter_windows(frames: Iterable[Frame], sampling: FrameSampling) -> Iterator[Window]:
    """Cuts a finite or endless run of frames, already sampled and sized, into windows.

    A full window is yielded as soon as its last frame is there. A change of picture size in the
    middle (a camera that was switched over) starts a new run, since a window must be of one size; so
    does a pause longer than a window (a recorder that stopped, a camera that was away), since frames
    from before and after it do not belong to one scene.
    """
    cutter = Windower(sampling)
    for frame in frames:
        yield from cutter.push(frame)
    yield from cutter.finish()


class Windower:
    """The state between two frames of one source; `push` a frame, take what windows it completes."""

    def __init__(self, sampling: FrameSampling) -> None:
        self.sampling = sampling
        self._shots: list[EncodedFrame] = []
        self._frames_until_window = sampling.frames
        self._frames_since_window = 0
        self._next_index = 0
        self._run_has_windows = False

    def push(self, frame: Frame) -> Iterator[Window]:
        """Adds a frame; yields the window it completes, and before it the rest of a run it ends."""
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
        """Ends the run: yields the last window when frames are left that none has covered."""
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
