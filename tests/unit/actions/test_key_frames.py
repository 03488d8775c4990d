"""Key frames are where something happens, few, and apart from each other."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from vigil.actions.key_frames import KeyFrameChoice, choose_key_frames, windows_with_key_frames
from vigil.errors import UsageError
from vigil.frames import Frame, FrameSampling
from vigil.windows import iter_windows

SIDE_PX = 96


def frame(time_s: float, *, left_px: int) -> Frame:
    """A grey picture with a white square."""
    image = np.full((SIDE_PX, SIDE_PX, 3), 90, np.uint8)
    image[30:60, left_px : left_px + 30] = 250
    return Frame(image, time_s)


def film(*, seconds: int, moving: tuple[float, float]) -> Iterator[Frame]:
    """Two frames a second; the square moves between two seconds, and stands still otherwise."""
    left_px = 0
    for number in range(2 * seconds):
        left_px += 6 if moving[0] < number / 2 <= moving[1] else 0
        yield frame(number / 2, left_px=left_px)


@pytest.mark.parametrize("by", ["change", "flow"])
def test_key_frames_lie_where_something_moves(by: KeyFrameChoice) -> None:
    found = choose_key_frames(film(seconds=60, moving=(30.0, 34.0)), by=by, most=3, gap_s=1.0)
    assert len(found) == 3 and all(30.0 <= each.time_s <= 34.5 for each in found)


def test_by_interval_they_are_evenly_spaced() -> None:
    found = choose_key_frames(film(seconds=60, moving=(0, 0)), by="interval", most=4, gap_s=2.0)
    assert [each.time_s for each in found] == [7.5, 22.5, 37.5, 52.5]


@pytest.mark.parametrize("by", ["interval", "change", "flow"])
def test_they_are_in_order_apart_and_no_more_than_asked_for(by: KeyFrameChoice) -> None:
    times = [each.time_s for each in choose_key_frames(film(seconds=40, moving=(3, 11)), by=by, most=8, gap_s=2.0)]
    assert times == sorted(times) and len(times) == 8
    assert all(later - earlier >= 2.0 for earlier, later in pairwise(times))


def test_a_film_shorter_than_the_number_has_fewer() -> None:
    assert len(choose_key_frames(film(seconds=2, moving=(0, 2)), by="interval", most=64, gap_s=2.0)) == 4
    assert choose_key_frames(iter(()), by="flow", most=4, gap_s=2.0) == ()


def test_a_change_of_picture_size_is_no_motion() -> None:
    small = Frame(np.full((32, 64, 3), 250, np.uint8), 0.5)
    found = choose_key_frames([frame(0.0, left_px=0), small], by="flow", most=2, gap_s=0.1)
    assert len(found) == 2


@pytest.mark.parametrize("most", [0, 65])
def test_more_than_64_are_refused(most: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 64"):
        choose_key_frames(iter(()), by="change", most=most, gap_s=2.0)


def test_each_key_frame_has_the_window_around_it_once() -> None:
    sampling = FrameSampling(max_pixels=12_288)
    frames = list(film(seconds=30, moving=(10, 14)))
    found = choose_key_frames(frames, by="change", most=3, gap_s=1.0)
    windows = list(windows_with_key_frames(iter_windows(frames, sampling), found))
    assert 1 <= len(windows) <= 3
    assert len({window.index for window in windows}) == len(windows)
    for each in found:
        assert any(window.start_s <= each.time_s <= window.end_s for window in windows)
    assert list(windows_with_key_frames(iter_windows(frames, sampling), ())) == []
