import threading
from itertools import pairwise
from pathlib import Path

import pytest

from films import number_in, shoot
from vigil.chat import look_at_camera, look_at_picture, look_at_video
from vigil.errors import SourceError
from vigil.frames import Sampling, decode_jpeg
from vigil.sources.address import find_sources
from watching import film

SAMPLING = Sampling(max_pixels=12_288)


def test_a_short_video_is_seen_at_the_contracts_pace(tmp_path: Path) -> None:
    look = look_at_video(film(tmp_path / "a.mp4", seconds=4), SAMPLING, most_frames=64)
    assert (len(look.jpegs), look.start_s, look.end_s, look.spacing_s) == (8, 0.0, 3.5, 0.5)
    assert not look.is_stretched
    assert look.size_wh == (128, 96)


def test_a_long_video_is_seen_from_end_to_end_at_even_moments(tmp_path: Path) -> None:
    shoot(tmp_path / "a.mp4", frames=750, rate=25)  # 30 s
    look = look_at_video(tmp_path / "a.mp4", SAMPLING, most_frames=10)
    numbers = [number_in(decode_jpeg(jpeg)) for jpeg in look.jpegs]
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    assert len(numbers) == 10
    assert numbers[0] == 0
    assert numbers[-1] > 600
    assert max(steps) - min(steps) <= 1
    assert look.is_stretched


def test_an_odd_number_of_frames_is_made_even(tmp_path: Path) -> None:
    look = look_at_video(film(tmp_path / "a.mp4", seconds=1.3), SAMPLING, most_frames=64)
    assert len(look.jpegs) == 4
    assert look.jpegs[-1] == look.jpegs[-2]


def test_a_camera_is_seen_for_one_window(tmp_path: Path) -> None:
    [address] = find_sources([str(film(tmp_path / "a.mp4", seconds=6))])  # a file gives the signals of a camera
    look = look_at_camera(address, SAMPLING)
    assert (look.kind, len(look.jpegs)) == ("camera", 6)
    assert look.at_s is not None


def test_a_camera_that_is_not_there_is_told_at_once() -> None:
    [address] = find_sources(["rtsp://user:secret@127.0.0.1:9/yard"])
    with pytest.raises(SourceError, match="shows nothing") as refused:
        look_at_camera(address, SAMPLING)
    assert "secret" not in str(refused.value)


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(SourceError):
        look_at_picture(tmp_path / "a.jpg")


def test_a_look_at_a_video_ends_when_it_is_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(SourceError, match="it was stopped"):
        look_at_video(film(tmp_path / "a.mp4", seconds=4), SAMPLING, most_frames=64, stop=stop)
