import threading
from pathlib import Path

import pytest

from films import Film
from vigil.errors import SourceError
from vigil.frames import Frame, Sampling
from vigil.sources.address import find_sources
from vigil.sources.feed import Connected, FileFeed, open_feed
from vigil.sources.file import read


def feed_of(path: Path, sampling: Sampling, *, stop: threading.Event | None = None) -> FileFeed:
    (address,) = find_sources([str(path)])
    feed = open_feed(address, sampling, stop=stop or threading.Event())
    assert isinstance(feed, FileFeed)
    return feed


def test_a_file_gives_the_same_frames_as_anywhere_else(film: Film, sampling: Sampling) -> None:
    path = film("a.mp4")
    feed = feed_of(path, sampling)
    connected, *frames = feed.signals()
    assert connected == Connected((320, 240), 25.0, "h264", 0.0)
    expected = list(read(path, sampling))
    assert len(frames) == len(expected) == 8
    for frame, same in zip(frames, expected, strict=True):
        assert isinstance(frame, Frame)
        assert (frame.time_s, frame.captured_s) == (same.time_s, None)
        assert (frame.image == same.image).all()
    assert not feed.is_live
    assert feed.epoch_s is None
    assert feed.problems == ()


def test_a_file_stops_when_told_to(film: Film, sampling: Sampling) -> None:
    stop = threading.Event()
    signals = feed_of(film("a.mp4"), sampling, stop=stop).signals()
    next(signals)
    next(signals)
    stop.set()
    assert list(signals) == []


def test_a_damaged_file_says_so_at_its_end(film: Film, sampling: Sampling) -> None:
    path = film("a.ts")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(data)
    feed = feed_of(path, sampling)
    assert sum(isinstance(signal, Frame) for signal in feed.signals()) > 2
    assert feed.problems


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, sampling: Sampling) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(SourceError, match=r"a\.mp4 cannot be read"):
        next(feed_of(path, sampling).signals())


def test_clips_of_a_file_come_from_the_file(film: Film, sampling: Sampling, tmp_path: Path) -> None:
    feed_of(film("a.mp4"), sampling).footage.clip(tmp_path / "clip.mp4", from_s=1.0, to_s=2.0)
    assert (tmp_path / "clip.mp4").stat().st_size > 0
