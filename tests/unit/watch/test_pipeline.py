import numpy as np

from vigil.frames import Frame
from vigil.watch.gate import MotionGate
from vigil.windows import EncodedFrame, Window


def window(greys: list[int], *, start: int = 0) -> Window:
    frames = [Frame(np.full((96, 128, 3), grey, np.uint8), (start + n) / 2) for n, grey in enumerate(greys)]
    return Window(0, tuple(EncodedFrame(frame, b"") for frame in frames))


def test_motion_is_the_largest_step_between_neighbours_in_grey_levels() -> None:
    assert MotionGate(1.0).motion(window([10, 10, 14, 13])) == 4.0


def test_a_window_below_the_limit_is_still_and_one_at_it_is_not() -> None:
    assert MotionGate(4.5).skips(window([10, 14]))
    assert not MotionGate(4.0).skips(window([10, 14]))


def test_a_gate_that_is_off_finds_nothing_still() -> None:
    assert not MotionGate(0.0).skips(window([10, 10]))


def test_frames_that_two_windows_share_are_measured_alike() -> None:
    gate = MotionGate(1.0)
    gate.motion(window([0, 0, 0, 0, 50, 50]))
    assert gate.motion(window([50, 50, 50, 50], start=4)) == 0.0
