import threading
import time

import numpy as np

from films import Film
from pace import PACE
from vigil.frames import Frame, Sampling
from vigil.sources.address import find_sources
from vigil.sources.feed import Connected, open_feed
from vigil.sources.realtime import pace

PICTURE = np.zeros((64, 64, 3), np.uint8)


def test_frames_come_when_they_are_due_and_say_so() -> None:
    epoch_s = time.time()
    seen = []
    for frame in pace([Frame(PICTURE, t) for t in (0.0, 0.1, 0.3)], stop=threading.Event(), epoch_s=epoch_s):
        assert frame.captured_s == epoch_s + frame.time_s
        seen.append(time.time() - epoch_s - frame.time_s)
    assert len(seen) == 3
    assert min(seen) > -0.01
    assert max(seen) < 1.0


def test_waiting_for_a_frame_ends_when_told_to_stop() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    began_s = time.monotonic()
    assert not list(pace([Frame(PICTURE, 30.0)], stop=stop, epoch_s=time.time()))
    assert time.monotonic() - began_s < 2 * PACE


def test_a_file_in_real_time_is_live_and_ends(film: Film, sampling: Sampling) -> None:
    (address,) = find_sources([str(film("a.mp4", frames=26))])
    feed = open_feed(address, sampling, stop=threading.Event(), realtime=True)
    assert feed.is_live
    began_s = time.monotonic()
    connected, *frames = feed.signals()
    assert isinstance(connected, Connected)
    assert [f.time_s for f in frames if isinstance(f, Frame)] == [0.0, 0.52, 1.0]
    assert feed.epoch_s is not None
    assert [f.captured_s for f in frames if isinstance(f, Frame)] == [feed.epoch_s + t for t in (0.0, 0.52, 1.0)]
    assert 1.0 <= time.monotonic() - began_s < 2.5 * PACE


def test_a_file_that_plays_knows_when_it_began_as_soon_as_it_is_there(film: Film, sampling: Sampling) -> None:
    (address,) = find_sources([str(film("a.mp4", frames=26))])
    feed = open_feed(address, sampling, stop=threading.Event(), realtime=True)
    time.sleep(0.3)
    began_s, signals = time.time(), feed.signals()
    next(signals)
    assert feed.epoch_s is not None and began_s <= feed.epoch_s <= time.time()
    epoch_s = feed.epoch_s
    next(signals)
    assert feed.epoch_s == epoch_s
