"""Key frames: the few moments at which a long film is looked at, instead of every window.

    frames = choose_key_frames(read_frames(path, sampling), by="change", most=48, gap_s=2.0)

Three choices: by `interval`, evenly spaced; by `change`, where a picture differs most from the one before it; by
`flow`, where the most moves, measured by dense optical flow (Farneback 2003, OpenCV). `benchmarks/key_frames.py`
compares them. They have nothing to do with the key pictures of a video codec.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vigil.errors import UsageError
from vigil.frames import Frame
from vigil.picture_change import Grey, grey_thumbnail, mean_difference, mean_flow_px
from vigil.windows import Window

KeyFrameChoice = Literal["interval", "change", "flow"]

MOST_KEY_FRAMES = 64

CHANGE_PX, FLOW_PX = 64, 128
"""The side of the grey picture that is compared."""


@dataclass(frozen=True, slots=True)
class FrameScore:
    """How much happens at a frame: grey levels of change, or pixels of motion per frame."""

    time_s: float
    score: float


def choose_key_frames(
    frames: Iterable[Frame], *, by: KeyFrameChoice, most: int, gap_s: float
) -> tuple[FrameScore, ...]:
    """The key frames of a film, in order of time: at most `most`, any two at least `gap_s` apart.

    The frames are read once and not kept. Raises UsageError unless `most` is from 1 to `MOST_KEY_FRAMES`.
    """
    if not 1 <= most <= MOST_KEY_FRAMES:
        raise UsageError(f"key frames must be from 1 to {MOST_KEY_FRAMES}, not {most}")
    scores = list(score_frames(frames, by=by))
    chosen = _evenly(scores, most) if by == "interval" else _highest(scores, most, gap_s)
    return tuple(sorted(chosen, key=lambda each: each.time_s))


def score_frames(frames: Iterable[Frame], *, by: KeyFrameChoice) -> Iterator[FrameScore]:
    """The score of each frame against the one before it; the first has 0, as has one of another size."""
    before: Grey | None = None
    for frame in frames:
        grey = grey_thumbnail(frame.image, side_px=FLOW_PX if by == "flow" else CHANGE_PX)
        score = 0.0 if before is None or by == "interval" else _difference(before, grey, by)
        before = grey
        yield FrameScore(frame.time_s, score)


def _difference(before: Grey, now: Grey, by: KeyFrameChoice) -> float:
    return mean_difference(before, now) if by == "change" else mean_flow_px(before, now)


def _evenly(scores: Sequence[FrameScore], most: int) -> list[FrameScore]:
    """Frames at the middle of equal parts of the film."""
    count = min(most, len(scores))
    return [scores[int((part + 0.5) * len(scores) / count)] for part in range(count)]


def _highest(scores: Sequence[FrameScore], most: int, gap_s: float) -> list[FrameScore]:
    """The frames with the highest scores that are far enough from each other; of equals, the earlier one."""
    chosen: list[FrameScore] = []
    for each in sorted(scores, key=lambda one: (-one.score, one.time_s)):
        if len(chosen) == most:
            break
        if all(abs(each.time_s - other.time_s) >= gap_s for other in chosen):
            chosen.append(each)
    return chosen


def windows_with_key_frames(windows: Iterable[Window], key_frames: Sequence[FrameScore]) -> Iterator[Window]:
    """Yields, for each key frame, the window whose middle is nearest to it; each window once, in order."""
    waiting = deque(each.time_s for each in key_frames)
    before: Window | None = None
    for window in windows:
        if before is not None and waiting and _is_nearer(before, window, waiting[0]):
            yield before
            while waiting and _is_nearer(before, window, waiting[0]):
                waiting.popleft()
        before = window
    if before is not None and waiting:
        yield before


def _is_nearer(window: Window, following: Window, time_s: float) -> bool:
    return abs(_middle_s(window) - time_s) <= abs(_middle_s(following) - time_s)


def _middle_s(window: Window) -> float:
    return (window.start_s + window.end_s) / 2
