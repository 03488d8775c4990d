"""A camera that lies about its clock: 25 pictures a second arrive, whatever their stamps say."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from vigil.sources.timestamps import ArrivalClock, FrameSampler, StreamPacer
from waiting import Hands

FPS = 25


def kept(
    stamp: Callable[[float], float | None], *, seconds: int = 120, late: Callable[[], float] = lambda: 0.0
) -> list[float]:
    """The times of the frames kept, at 2 a second, of pictures that claim `stamp(true time)`."""
    clock, sampler = ArrivalClock(), FrameSampler(2.0)
    times, arrived_s = [], 0.0
    for number in range(seconds * FPS):
        true_s = number / FPS
        arrived_s = max(arrived_s, true_s + late())
        clock.locate(stamp(true_s), arrived_s=arrived_s)
        time_s = clock.place(stamp(true_s), arrived_s=arrived_s)
        if time_s is None or not sampler.accept(time_s):
            continue
        assert time_s <= arrived_s, "a picture from the future"
        assert arrived_s - time_s <= 3.1, "a picture is held for older than it can be"
        times.append(time_s)
    return times


@pytest.mark.parametrize(
    "stamp",
    [
        lambda t: t,
        lambda t: t + 1e6,
        lambda t: 2 * t,
        lambda t: 0.5 * t,
        lambda t: 100 * t,
        lambda t: 0.0,
        lambda t: -t,
        lambda t: None,
        lambda t: t + (7200 if t > 30 else 0),
        lambda t: t - (7200 if t > 30 else 0),
        lambda t: t % 20,
        lambda t: t * 1.0002,
        lambda t: t * 0.9998,
        lambda t: None if int(t * FPS) % 7 == 0 else t,
        lambda t: t if int(t * FPS) % 50 else 1e9,
        lambda t: random.Random(t).uniform(-1e5, 1e5),
    ],
    ids=[
        "true",
        "offset",
        "fast",
        "slow",
        "faster",
        "still",
        "reversed",
        "none",
        "leap",
        "back",
        "loops",
        "skewed+",
        "skewed-",
        "holes",
        "spikes",
        "noise",
    ],
)
def test_two_frames_a_second_whatever_the_camera_claims(stamp: Callable[[float], float | None]) -> None:
    times = kept(stamp)
    assert all(before < after for before, after in pairwise(times))
    assert 225 <= len(times) <= 240
    late = [time_s for time_s in times if time_s > 60]
    assert 117 <= len(late) <= 121
    assert max(after - before for before, after in pairwise(late)) <= 1.0


def test_a_clock_that_stands_still_blinds_for_a_second_only() -> None:
    times = kept(lambda _: 7.0, seconds=10)
    assert times[1] == pytest.approx(1.0, abs=0.05)
    apart = [after - before for before, after in pairwise(times[1:])]
    assert len(apart) >= 17 and all(0.4 < gap < 0.6 for gap in apart)


def test_two_packets_of_one_picture_on_both_sides_of_a_pause_are_no_still_clock() -> None:
    clock = ArrivalClock()
    for stamp_s, arrived_s in [(0.0, 0.0), (0.1, 0.1), (0.1, 1.9), (0.2, 1.9), (0.3, 1.9)]:
        clock.locate(stamp_s, arrived_s=arrived_s)
    assert clock.trusted and clock.corrections == 0


def test_stamps_give_exact_spacing_where_arrival_trembles() -> None:
    dice = random.Random(7)
    times = kept(lambda t: t + 5, seconds=60, late=lambda: dice.expovariate(20))
    steady = times[20:]
    assert max(abs(after - before - 0.5) for before, after in pairwise(steady)) < 0.045


def test_a_burst_at_the_start_is_not_a_fast_clock() -> None:
    clock = ArrivalClock()
    for number in range(50):
        clock.locate(number / FPS, arrived_s=3.0 + number / 1000)
    for number in range(50, 500):
        clock.locate(number / FPS, arrived_s=1.0 + number / FPS)
    assert clock.corrections == 0
    assert clock.locate(20.0, arrived_s=21.1) == pytest.approx(21.0, abs=0.06)


def test_a_network_that_held_up_four_seconds_costs_no_trust_and_no_exactness() -> None:
    clock = ArrivalClock()
    for number in range(1000):
        true_s = number / FPS
        arrived_s = 24.0 + number / 1e6 if 20 <= true_s < 24 else true_s
        assert clock.locate(true_s, arrived_s=arrived_s) == pytest.approx(true_s, abs=0.01)
    assert clock.corrections == 0


def test_a_repeated_stamp_is_no_new_picture() -> None:
    clock = ArrivalClock()
    clock.locate(1.0, arrived_s=10.0)
    assert clock.place(1.0, arrived_s=10.0) == 10.0
    assert clock.place(1.0, arrived_s=10.04) is None
    assert clock.repeats == 1


def test_a_stream_without_a_clock_goes_by_arrival() -> None:
    clock = ArrivalClock(trusted=False)
    assert clock.locate(4.0, arrived_s=1.0) == 1.0
    assert clock.place(4.0, arrived_s=1.0) == 1.0
    assert clock.corrections == 0


def test_the_pacer_holds_back_what_is_early_and_nothing_else() -> None:
    hands = Hands()
    pacer = StreamPacer(stop=hands.stop, clock=hands)
    for stamp_s in (100.0, 100.1, None, 100.2, 5.0, 5.1, 9000.0):
        pacer.wait(stamp_s)
    assert hands.waits == pytest.approx([0.1, 0.1, 0.1])


def test_the_pacer_lets_go_when_it_is_told_to_stop() -> None:
    hands = Hands()
    pacer = StreamPacer(stop=hands.stop, clock=hands)
    pacer.wait(0.0)
    hands.stop.set()
    pacer.wait(9.0)
    assert hands.waits == []
