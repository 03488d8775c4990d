import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.frames import Frame, FrameSampling, decode_jpeg
from vigil.windows import Window, Windower, iter_windows

SMALL = FrameSampling(max_pixels=4096)


def run_of(count: int, *, size_wh: tuple[int, int] = (64, 64), start: int = 0) -> list[Frame]:
    """Frames half a second apart, each of its own grey."""
    width, height = size_wh
    return [Frame(np.full((height, width, 3), (start + i) * 2 % 256, np.uint8), (start + i) / 2) for i in range(count)]


def windows_of(count: int, sampling: FrameSampling = SMALL) -> list[Window]:
    return list(iter_windows(run_of(count), sampling))


def covered(windows: list[Window]) -> set[float]:
    return {shot.time_s for window in windows for shot in window.shots}


samplings = st.builds(
    FrameSampling,
    frames=st.sampled_from([2, 4, 6, 8]),
    overlap=st.floats(min_value=0, max_value=0.95),
    max_pixels=st.just(4096),
)
counts = st.integers(min_value=1, max_value=40)


@given(counts, samplings)
def test_no_frame_is_lost_and_no_window_is_empty_or_odd(count: int, sampling: FrameSampling) -> None:
    windows = windows_of(count, sampling)
    assert covered(windows) == {frame.time_s for frame in run_of(count)}
    assert all(2 <= len(window.shots) <= sampling.frames and len(window.shots) % 2 == 0 for window in windows)


@given(counts, samplings)
def test_full_windows_start_a_stride_apart(count: int, sampling: FrameSampling) -> None:
    windows = windows_of(count, sampling)
    expected = max(0, (count - sampling.frames) // sampling.stride + 1) if count >= sampling.frames else 0
    starts = [window.start_s * 2 for window in windows[:expected]]
    assert starts == [sampling.stride * i for i in range(expected)]
    assert len(windows) in (expected, expected + 1)


@given(counts, samplings)
def test_windows_are_numbered_and_run_forward(count: int, sampling: FrameSampling) -> None:
    windows = windows_of(count, sampling)
    assert [window.index for window in windows] == list(range(len(windows)))
    for window in windows:
        times = [shot.time_s for shot in window.shots[: len(window.shots) - window.repeated]]
        assert all(after - before == 0.5 for before, after in itertools.pairwise(times))
    assert all(a.end_s < b.end_s for a, b in itertools.pairwise(windows))


@given(counts, samplings)
def test_only_the_last_picture_is_ever_repeated(count: int, sampling: FrameSampling) -> None:
    for window in windows_of(count, sampling):
        assert window.repeated == (len({shot.time_s for shot in window.shots}) % 2)
        assert window.repeated == 0 or window.shots[-1] is window.shots[-2]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [2]), (2, [2]), (3, [4]), (4, [4]), (5, [6]), (6, [6]), (7, [6, 6]), (9, [6, 6]), (10, [6, 6]), (11, [6] * 3)],
)
def test_short_clips_give_short_windows_and_tails_reach_back(count: int, sizes: list[int]) -> None:
    windows = windows_of(count)
    assert [len(window.shots) for window in windows] == sizes
    assert windows[-1].end_s == (count - 1) / 2


def test_a_window_comes_as_soon_as_its_last_frame_is_there() -> None:
    cutter = Windower(SMALL)
    when = [i for i, frame in enumerate(run_of(14)) if list(cutter.push(frame))]
    assert when == [5, 9, 13]


def test_a_picture_is_compressed_once_for_all_its_windows() -> None:
    first, second = windows_of(10)
    assert first.jpegs[4] is second.jpegs[0]
    assert first.jpegs[5] is second.jpegs[1]
    assert decode_jpeg(first.jpegs[0]).shape == (64, 64, 3)


def test_a_change_of_size_ends_one_run_and_starts_another() -> None:
    frames = [*run_of(7), *run_of(3, size_wh=(96, 64), start=7)]
    windows = list(iter_windows(frames, SMALL))
    assert [{shot.image.shape for shot in w.shots} for w in windows] == [{(64, 64, 3)}] * 2 + [{(64, 96, 3)}]
    assert covered(windows) == {frame.time_s for frame in frames}
    assert [window.index for window in windows] == [0, 1, 2]


def test_no_window_reaches_across_a_long_pause() -> None:
    before, after = run_of(7), run_of(7, start=30)
    windows = list(iter_windows([*before, *after], SMALL))
    assert [(w.start_s, w.end_s) for w in windows] == [(0.0, 2.5), (0.5, 3.0), (15.0, 17.5), (15.5, 18.0)]


def test_a_source_that_is_only_slow_still_fills_its_windows() -> None:
    frames = [Frame(np.zeros((64, 64, 3), np.uint8), 2.0 * i) for i in range(6)]
    assert len(list(iter_windows(frames, SMALL))) == 1


def test_an_endless_run_needs_no_memory_of_what_is_past() -> None:
    endless = (Frame(np.zeros((64, 64, 3), np.uint8), i / 2) for i in itertools.count())
    windows = list(itertools.islice(iter_windows(endless, SMALL), 50))
    assert windows[-1].start_s == 49 * 2.0


def test_no_frames_give_no_windows() -> None:
    assert windows_of(0) == []


def test_a_live_window_knows_when_it_was_captured() -> None:
    frames = [Frame(np.zeros((64, 64, 3), np.uint8), i / 2, captured_s=1000.0 + i) for i in range(6)]
    (window,) = iter_windows(frames, SMALL)
    assert window.captured_s == 1005.0


@given(counts, samplings)
def test_a_window_is_a_rest_where_the_one_before_it_shows_more_of_its_frames_than_the_overlap(
    count: int, sampling: FrameSampling
) -> None:
    frames = run_of(count)
    resumed = [Frame(frame.image, frame.time_s + 1000.0) for frame in frames]
    windows = list(iter_windows([*frames, *resumed], sampling))
    for before, window in itertools.pairwise(windows):
        shared = {shot.time_s for shot in before.shots} & {shot.time_s for shot in window.shots}
        assert window.rest == (len(shared) > sampling.frames - sampling.stride)
    assert not windows[0].rest
