import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from vigil.sources.timestamps import FileClock, FrameSampler


def placed(stamps: list[float | None], *, frame_s: float = 0.04) -> list[float | None]:
    clock = FileClock(frame_s=frame_s)
    times = [clock.place(stamp) for stamp in stamps]
    return [None if time_s is None else round(time_s, 3) for time_s in times]


def test_times_count_from_the_first_frame() -> None:
    assert placed([100.0, 100.04, 100.08]) == [0.0, 0.04, 0.08]


def test_a_known_start_keeps_what_could_not_be_decoded_before_the_first_frame() -> None:
    clock = FileClock(frame_s=0.04, start_s=100.0)
    assert clock.place(101.5) == 1.5


def test_a_start_that_makes_no_sense_is_not_believed() -> None:
    assert FileClock(frame_s=0.04, start_s=9000.0).place(3.0) == 0.0


def test_a_missing_stamp_follows_at_the_frame_rate() -> None:
    assert placed([None, None, 5.0, 5.04, None, 5.12]) == [0.0, 0.04, 0.08, 0.12, 0.16, 0.2]


def test_frames_without_a_stamp_are_missing_one_only_where_the_next_does_not_agree() -> None:
    sparse, lost, bare = (FileClock(frame_s=0.04) for _ in range(3))
    for stamp in (1.0, None, None, 1.12, None, 1.2, None):
        sparse.place(stamp)
    for stamp in (1.0, None, None, 9.0, None, 9.08):
        lost.place(stamp)
    for _ in range(5):
        bare.place(None)
    assert (sparse.missing, lost.missing, bare.missing) == (0, 2, 5)


def test_a_stamp_of_a_frame_near_by_moves_nothing_and_one_that_comes_again_does() -> None:
    stray = [0.0, None, None, 0.2, 0.16, None, None, 0.2, 0.32]
    assert placed(stray) == [0.0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32]
    skipped = [0.0, None, None, 0.2, None, 0.28, None, 0.36]
    assert placed(skipped) == [0.0, 0.04, 0.08, 0.12, 0.16, 0.28, 0.32, 0.36]


def test_a_repeated_stamp_is_a_repeated_frame() -> None:
    clock = FileClock(frame_s=0.04)
    assert [clock.place(s) for s in (0.0, 0.04, 0.04, 0.02, 0.08)] == [0.0, 0.04, None, None, 0.08]
    assert clock.repeats == 2


def test_a_clock_that_stands_still_is_given_up_after_a_second() -> None:
    times = placed([0.0] * 100)
    assert sum(time_s is not None for time_s in times) == 75


def test_a_clock_set_back_or_leaping_ahead_is_spliced() -> None:
    clock = FileClock(frame_s=0.04)
    times = [clock.place(s) for s in (50.0, 50.04, 3.0, 3.04, 900.0, 900.04)]
    assert [round(t, 2) for t in times if t is not None] == [0.0, 0.04, 0.08, 0.12, 0.16, 0.2]
    assert clock.jumps == 2


def test_a_pause_is_kept() -> None:
    assert placed([0.0, 7.0, 7.04]) == [0.0, 7.0, 7.04]


stamp_lists = st.lists(st.none() | st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=80)


@given(stamp_lists)
def test_whatever_the_stamps_are_times_only_grow(stamps: list[float | None]) -> None:
    clock = FileClock(frame_s=0.04)
    times = [time_s for stamp in stamps if (time_s := clock.place(stamp)) is not None]
    assert times[0] == 0.0
    assert all(before < after for before, after in itertools.pairwise(times))


@given(stamp_lists, st.lists(st.floats(min_value=0, max_value=200), min_size=1, max_size=20))
@example([None, 0.0], [0.375, 0.5])
def test_a_preview_says_what_place_will_do(stamps: list[float | None], ahead: list[float]) -> None:
    clock = FileClock(frame_s=0.04)
    for stamp in stamps:
        clock.place(stamp)
    seen = clock.preview(sorted(ahead))
    if seen is not None:
        jumps = clock.jumps
        assert [clock.place(stamp) for stamp in sorted(ahead)] == seen
        assert clock.jumps == jumps


def kept(fps: float, times: list[float]) -> list[float]:
    sampler = FrameSampler(fps)
    return [time_s for time_s in times if sampler.accept(time_s)]


def test_ten_minutes_at_twenty_five_give_twelve_hundred_frames() -> None:
    assert len(kept(2.0, [i / 25 for i in range(15_000)])) == 1200


def test_thousandths_that_a_container_rounds_away_do_not_matter() -> None:
    assert kept(2.0, [0.0, 0.2, 0.499, 0.533, 1.0]) == [0.0, 0.499, 1.0]


def test_a_slow_source_gives_every_frame_once() -> None:
    assert kept(2.0, [0.0, 1.0, 2.0, 3.0]) == [0.0, 1.0, 2.0, 3.0]


@given(
    st.sampled_from([0.5, 2.0, 3.0, 7.5]), st.lists(st.floats(min_value=0.01, max_value=3.0), min_size=1, max_size=60)
)
def test_each_instant_keeps_at_most_one_frame_and_loses_none(fps: float, steps: list[float]) -> None:
    times = [0.0, *itertools.accumulate(steps)]
    cells = [int((time_s + 0.002) * fps) for time_s in kept(fps, times)]
    assert len(cells) == len(set(cells))
    assert set(cells) == {int((time_s + 0.002) * fps) for time_s in times}


def test_a_fork_does_not_move_the_original() -> None:
    sampler = FrameSampler(2.0)
    assert sampler.accept(0.0)
    assert sampler.copy().accept(0.5)
    assert sampler.accept(0.5)
