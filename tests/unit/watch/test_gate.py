"""Which windows the gate skips: those without motion, without people, or either, each frame looked at once."""

import numpy as np
import pytest

from vigil.frames import RGB, Frame
from vigil.watch.gate import AnyGate, MotionGate, PersonGate, build_gate
from vigil.windows import EncodedFrame, Window


class BrightIsSomebody:
    """Is as sure of a person as the picture is bright; `seen` are the brightnesses that it was shown."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def confidence(self, image: RGB) -> float:
        self.seen.append(int(image[0, 0, 0]))
        return float(image[0, 0, 0]) / 255


def window(greys: list[int], *, start: int = 0) -> Window:
    frames = [Frame(np.full((96, 128, 3), grey, np.uint8), (start + n) / 2) for n, grey in enumerate(greys)]
    return Window(0, tuple(EncodedFrame(frame, b"") for frame in frames))


@pytest.fixture
def detector() -> BrightIsSomebody:
    return BrightIsSomebody()


def test_a_window_is_skipped_if_nobody_is_in_any_of_its_frames(detector: BrightIsSomebody) -> None:
    gate = PersonGate(0.1, detector)
    assert gate.skips(window([0, 10, 25])) and detector.seen == [0, 10, 25]
    assert not PersonGate(0.1, detector).skips(window([0, 10, 26]))
    assert PersonGate(0.1, detector).confidence(window([0, 51, 10])) == 0.2


def test_frames_are_examined_once_and_only_until_somebody_is_seen(detector: BrightIsSomebody) -> None:
    gate = PersonGate(0.5, detector)
    assert gate.skips(window([0, 1, 2, 3, 4, 5]))
    assert gate.skips(window([4, 5, 6, 7, 8, 9], start=4))
    assert detector.seen == list(range(10)), "the two that both windows have are known"
    assert not gate.skips(window([8, 9, 200, 201, 202, 203], start=8)) and detector.seen[10:] == [200]
    assert not gate.skips(window([202, 203, 1, 1], start=12)) and detector.seen[11:] == [202]
    assert not gate.skips(window([202, 1, 1, 1], start=12)) and detector.seen[12:] == [], "known to hold somebody"


def test_a_gate_that_is_off_skips_nothing_and_looks_at_nothing(detector: BrightIsSomebody) -> None:
    assert not PersonGate(0.0, detector).skips(window([0, 0])) and detector.seen == []
    assert not build_gate(motion_threshold=0.0, person_threshold=0.0).skips(window([0, 0]))


def test_of_two_gates_the_cheap_one_is_asked_first(detector: BrightIsSomebody) -> None:
    gate = AnyGate([MotionGate(1.0), PersonGate(0.5, detector)])
    assert gate.skips(window([255, 255])) and detector.seen == [], "nothing moves"
    assert gate.skips(window([0, 9])) and not gate.skips(window([255, 0], start=9))


def test_the_gate_of_a_watch_looks_for_motion_and_for_people() -> None:
    assert build_gate(motion_threshold=1.0, person_threshold=0.0).skips(window([9, 9]))
    assert build_gate(motion_threshold=0.0, person_threshold=0.1).skips(window([90, 9])), "a grey picture is nobody"
