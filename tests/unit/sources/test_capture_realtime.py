from pathlib import Path

import numpy as np
import pytest

from films import Film
from vigil.frames import Frame, FrameSampling
from vigil.sources.address import find_sources
from vigil.sources.capture import play_in_realtime
from vigil.sources.open_capture import Connected, FileCapture, open_capture
from waiting import Hands

PICTURE = np.zeros((64, 64, 3), np.uint8)


def test_frames_come_when_they_are_due_and_say_so() -> None:
    hands, seen = Hands(), []
    epoch_s = hands() - 2.0
    for frame in play_in_realtime(
        [Frame(PICTURE, t) for t in (1.5, 2.1, 2.3, 2.4, 3.0)],
        stop=hands.stop,
        epoch_s=epoch_s,
        clock=hands,
        wall_clock=hands,
    ):
        assert frame.captured_s == epoch_s + frame.time_s
        seen.append(hands() - epoch_s)
        # Whoever takes the third is late for the fourth.
        hands.now_s += 0.3 if len(seen) == 3 else 0.0
    assert seen == pytest.approx([2.0, 2.1, 2.3, 2.6, 3.0])


def test_a_wall_clock_that_is_set_holds_no_frame_back() -> None:
    hands, wall = Hands(), Hands(5_000.0)
    frames = [Frame(PICTURE, t) for t in (0.0, 1.0)]
    paced = play_in_realtime(frames, stop=hands.stop, epoch_s=wall(), clock=hands, wall_clock=wall)
    next(paced)
    wall.now_s -= 3600
    next(paced)
    assert hands.waits == [1.0]


def test_waiting_for_a_frame_ends_when_told_to_stop() -> None:
    hands, taken = Hands(), []
    frames = (Frame(PICTURE, t) for t in (0.0, 30.0, 31.0))
    for frame in play_in_realtime(frames, stop=hands.stop, epoch_s=hands(), clock=hands, wall_clock=hands):
        taken.append(frame.time_s)
        hands.stop.set()
    assert (taken, hands.waits) == ([0.0], [])


def playing(path: Path, sampling: FrameSampling, hands: Hands) -> FileCapture:
    return FileCapture(path, sampling, stop=hands.stop, realtime=True, clock=hands, wall_clock=hands)


def test_a_file_in_real_time_is_live_and_ends(film: Film, sampling: FrameSampling) -> None:
    hands, path = Hands(), film("a.mp4", frames=26)
    (address,) = find_sources([str(path)])
    assert open_capture(address, sampling, stop=hands.stop, realtime=True).is_live
    feed = playing(path, sampling, hands)
    connected, *frames = [(signal, hands()) for signal in feed.read()]
    assert isinstance(connected[0], Connected)
    assert [frame.time_s for frame, _ in frames if isinstance(frame, Frame)] == [0.0, 0.52, 1.0]
    assert feed.started_utc_s == 1000.0
    due = [feed.started_utc_s + time_s for time_s in (0.0, 0.52, 1.0)]
    assert [frame.captured_s for frame, _ in frames if isinstance(frame, Frame)] == due
    assert [at_s for _, at_s in frames] == pytest.approx(due)


def test_a_file_that_plays_knows_when_it_began_as_soon_as_it_is_there(film: Film, sampling: FrameSampling) -> None:
    hands = Hands()
    feed = playing(film("a.mp4", frames=26), sampling, hands)
    hands.now_s += 30.0
    signals = feed.read()
    next(signals)
    assert feed.started_utc_s == 1030.0
    next(signals)
    assert feed.started_utc_s == 1030.0
