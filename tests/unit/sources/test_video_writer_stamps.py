import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.sources.video_writer import EncodedPacket, assign_timestamps

FRAME_S = 0.04


def of(stamps: list[float | None], times: list[float]) -> list[EncodedPacket]:
    return [
        EncodedPacket(b"x", time_s, stamp, number == 0)
        for number, (stamp, time_s) in enumerate(zip(stamps, times, strict=True))
    ]


def steps(count: int, *, by_s: float = FRAME_S, from_s: float = 0.0) -> list[float]:
    return [from_s + number * by_s for number in range(count)]


def test_stamps_of_a_camera_are_moved_to_the_seconds_of_the_source() -> None:
    placed = assign_timestamps(of(list(steps(50, from_s=5000.0)), steps(50, from_s=7.0)), frame_s=FRAME_S)
    assert placed is not None
    assert [one.pts_s for one in placed] == pytest.approx(steps(50, from_s=7.0))
    assert [one.dts_s for one in placed] == pytest.approx(steps(50, from_s=7.0))


def test_pictures_out_of_order_are_decoded_early_enough() -> None:
    order = [0, 3, 1, 2, 6, 4, 5]
    shown = [number * FRAME_S for number in order]
    placed = assign_timestamps(of(list(shown), shown), frame_s=FRAME_S)
    assert placed is not None
    assert [one.pts_s for one in placed] == pytest.approx(shown)
    assert all(one.dts_s <= one.pts_s + 1e-9 for one in placed)
    assert all(a.dts_s < b.dts_s for a, b in itertools.pairwise(placed))


def test_a_missing_and_a_repeated_stamp_are_filled_in() -> None:
    stamps: list[float | None] = [None, None, *steps(40, from_s=100.0)]
    stamps[10] = stamps[9]
    placed = assign_timestamps(of(stamps, steps(42)), frame_s=FRAME_S)
    assert placed is not None
    times = [one.pts_s for one in placed]
    assert times == sorted(times) and len(set(times)) == 42
    assert times[0] == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    "stamps",
    [
        [None] * 50,
        [7.0] * 50,
        [number * FRAME_S * 2 for number in range(100)],
        [*steps(45), *steps(5, from_s=3600.0)],
        [*steps(30), *[None] * 40],
    ],
)
def test_stamps_of_a_broken_clock_are_not_trusted(stamps: list[float | None]) -> None:
    assert assign_timestamps(of(stamps, steps(len(stamps))), frame_s=FRAME_S) is None


def test_what_a_camera_had_gathered_and_sends_at_once_keeps_its_spacing() -> None:
    times = [*[2.0] * 40, *steps(400, from_s=2.0)]
    placed = assign_timestamps(of(list(steps(440)), times), frame_s=FRAME_S)
    assert placed is not None
    assert placed[-1].pts_s - placed[0].pts_s == pytest.approx(439 * FRAME_S)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=40), st.lists(st.floats(0, 1e5), max_size=40))
def test_whatever_the_stamps_say_decoding_times_grow(stamps: list[float | None], times: list[float]) -> None:
    count = min(len(stamps), len(times))
    placed = assign_timestamps(of(stamps[:count], times[:count]), frame_s=FRAME_S)
    if placed is not None:
        assert len(placed) == count
        assert all(a.dts_s <= b.dts_s for a, b in itertools.pairwise(placed))
        assert all(one.dts_s <= one.pts_s + 1e-6 for one in placed)
