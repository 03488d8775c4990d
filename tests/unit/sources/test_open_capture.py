import threading
from pathlib import Path

import pytest

from films import Film
from vigil.errors import SourceError
from vigil.frames import Frame, FrameSampling
from vigil.sources.address import find_sources
from vigil.sources.live_masks import MaskedCapture
from vigil.sources.open_capture import Connected, FileCapture, open_capture
from vigil.sources.video_file import read_frames
from waiting import Hands


def feed_of(path: Path, sampling: FrameSampling, *, stop: threading.Event | None = None) -> MaskedCapture:
    (address,) = find_sources([str(path)])
    feed = open_capture(address, sampling, stop=stop or threading.Event())
    assert isinstance(feed, MaskedCapture)
    return feed


def test_a_file_gives_the_same_frames_as_anywhere_else(film: Film, sampling: FrameSampling) -> None:
    path = film("a.mp4")
    feed = feed_of(path, sampling)
    connected, *frames = feed.read()
    assert connected == Connected((320, 240), 25.0, "h264", 0.0)
    expected = list(read_frames(path, sampling))
    assert len(frames) == len(expected) == 8
    for frame, same in zip(frames, expected, strict=True):
        assert isinstance(frame, Frame)
        assert (frame.time_s, frame.captured_s) == (same.time_s, None)
        assert (frame.image == same.image).all()
    assert not feed.is_live
    assert feed.started_utc_s is None
    assert feed.problems == ()


def test_a_file_stops_when_told_to(film: Film, sampling: FrameSampling) -> None:
    stop = threading.Event()
    signals = feed_of(film("a.mp4"), sampling, stop=stop).read()
    next(signals)
    next(signals)
    stop.set()
    assert list(signals) == []


def test_a_damaged_file_says_so_at_its_end(film: Film, sampling: FrameSampling) -> None:
    path = film("a.ts")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(data)
    feed = feed_of(path, sampling)
    assert sum(isinstance(signal, Frame) for signal in feed.read()) > 2
    assert feed.problems


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, sampling: FrameSampling) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"a\.mp4 cannot be read"):
        next(feed_of(path, sampling).read())


def test_clips_of_a_file_come_from_the_file(film: Film, sampling: FrameSampling, tmp_path: Path) -> None:
    feed_of(film("a.mp4"), sampling).footage.clip(tmp_path / "clip.mp4", from_s=1.0, to_s=2.0)
    assert (tmp_path / "clip.mp4").stat().st_size > 0


@pytest.mark.parametrize(
    ("at_s", "start_s", "gop"), [(2.0, 2.0, "10"), (2.0, 2.0, "500"), (3.5, 2.0, "25"), (0.5, 0.0, "10")]
)
def test_a_file_can_begin_in_its_middle_and_gives_the_frames_it_would_have(
    film: Film, sampling: FrameSampling, at_s: float, start_s: float, gop: str
) -> None:
    path = film("a.mp4", options={"g": gop})
    (address,) = find_sources([str(path)])
    feed = open_capture(address, sampling, stop=threading.Event(), start_s=at_s)
    connected, *frames = feed.read()
    assert isinstance(connected, Connected)
    assert connected.at_s == start_s
    expected = [frame for frame in read_frames(path, sampling) if frame.time_s >= start_s]
    assert len(frames) == len(expected) > 0
    for frame, same in zip(frames, expected, strict=True):
        assert isinstance(frame, Frame)
        assert frame.time_s == same.time_s
        assert (frame.image == same.image).all()


def test_a_middle_more_than_a_minute_in_is_no_broken_clock(film: Film, sampling: FrameSampling) -> None:
    path = film("long.mp4", frames=400, rate=4, options={"g": "20"})
    (address,) = find_sources([str(path)])
    _, *frames = open_capture(address, sampling, stop=threading.Event(), start_s=90.0).read()
    assert [frame.time_s for frame in frames if isinstance(frame, Frame)] == [90.0 + k / 2 for k in range(20)]


def test_a_file_that_begins_behind_its_end_gives_nothing(film: Film, sampling: FrameSampling) -> None:
    (address,) = find_sources([str(film("a.mp4"))])
    assert len(list(open_capture(address, sampling, stop=threading.Event(), start_s=99.0).read())) == 1


def test_from_its_middle_a_file_at_its_own_pace_is_at_once_there(film: Film, sampling: FrameSampling) -> None:
    hands = Hands()
    feed = FileCapture(
        film("a.mp4"), sampling, stop=hands.stop, start_s=3.0, realtime=True, clock=hands, wall_clock=hands
    )
    next(signals := feed.read())
    frame = next(signals)
    assert isinstance(frame, Frame)
    assert feed.started_utc_s is not None
    assert frame.time_s == 2.0  # the window that is under way there, from its beginning
    assert (hands() - feed.started_utc_s, hands.waits) == (3.0, [])
