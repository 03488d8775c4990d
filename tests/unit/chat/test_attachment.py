import threading
from itertools import pairwise
from pathlib import Path

import pytest

from films import number_in, shoot
from vigil.chat import TimeSpan, attach_camera, attach_picture, attach_pictures, attach_video
from vigil.chat.attachment import KeptPicture
from vigil.errors import SourceError
from vigil.frames import FrameSampling, decode_jpeg
from vigil.sources.address import find_sources
from watching import film

SAMPLING = FrameSampling(max_pixels=12_288)


def test_a_short_video_is_seen_at_the_contracts_pace(tmp_path: Path) -> None:
    attachment = attach_video(film(tmp_path / "a.mp4", seconds=4), SAMPLING, most_frames=64)
    assert (len(attachment.jpegs), attachment.start_s, attachment.end_s, attachment.spacing_s) == (8, 0.0, 3.5, 0.5)
    assert not attachment.is_stretched
    assert attachment.size_wh == (128, 96)


def test_a_long_video_is_seen_from_end_to_end_at_even_moments(tmp_path: Path) -> None:
    shoot(tmp_path / "a.mp4", frames=750, rate=25)  # 30 s
    attachment = attach_video(tmp_path / "a.mp4", SAMPLING, most_frames=10)
    numbers = [number_in(decode_jpeg(jpeg)) for jpeg in attachment.jpegs]
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    assert len(numbers) == 10
    assert numbers[0] == 0
    assert numbers[-1] > 600
    assert max(steps) - min(steps) <= 1
    assert attachment.is_stretched


def test_an_odd_number_of_frames_is_made_even(tmp_path: Path) -> None:
    attachment = attach_video(film(tmp_path / "a.mp4", seconds=1.3), SAMPLING, most_frames=64)
    assert len(attachment.jpegs) == 4
    assert attachment.jpegs[-1] == attachment.jpegs[-2]


def test_a_camera_is_seen_for_one_window(tmp_path: Path) -> None:
    [address] = find_sources([str(film(tmp_path / "a.mp4", seconds=6))])  # a file gives the signals of a camera
    attachment = attach_camera(address, SAMPLING)
    assert (attachment.kind, len(attachment.jpegs)) == ("camera", 6)
    assert attachment.at_s is not None


def test_a_camera_that_is_not_there_is_told_at_once() -> None:
    [address] = find_sources(["rtsp://user:secret@127.0.0.1:9/yard"])
    with pytest.raises(SourceError, match="shows nothing") as refused:
        attach_camera(address, SAMPLING)
    assert "secret" not in str(refused.value)


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(SourceError):
        attach_picture(tmp_path / "a.jpg")


def test_a_look_at_a_video_ends_when_it_is_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(SourceError, match="it was stopped"):
        attach_video(film(tmp_path / "a.mp4", seconds=4), SAMPLING, most_frames=64, stop=stop)


def test_a_part_of_a_video_is_what_is_named_and_nothing_else(tmp_path: Path) -> None:
    shoot(tmp_path / "a.mp4", frames=250, rate=25)  # 10 s
    attachment = attach_video(tmp_path / "a.mp4", SAMPLING, most_frames=64, span=TimeSpan(start_s=3, end_s=5))
    numbers = [number_in(decode_jpeg(jpeg)) for jpeg in attachment.jpegs]
    assert numbers == [75, 88, 100, 113, 125, 125]  # even in number
    assert (attachment.start_s, attachment.end_s, attachment.is_part, attachment.is_stretched) == (
        3.0,
        5.0,
        True,
        False,
    )


def test_a_moment_is_one_window_and_ends_with_the_video(tmp_path: Path) -> None:
    shoot(tmp_path / "a.mp4", frames=250, rate=25)
    early = attach_video(tmp_path / "a.mp4", SAMPLING, most_frames=64, span=TimeSpan(start_s=4, end_s=4))
    assert (early.start_s, early.end_s, len(early.jpegs)) == (4.0, pytest.approx(6.5, abs=0.04), 6)
    late = attach_video(tmp_path / "a.mp4", SAMPLING, most_frames=64, span=TimeSpan(start_s=9.8, end_s=9.8))
    assert (late.start_s, late.end_s, len(late.jpegs)) == (7.0, pytest.approx(9.5, abs=0.04), 6)


def test_a_long_part_is_seen_at_even_moments(tmp_path: Path) -> None:
    shoot(tmp_path / "a.mp4", frames=750, rate=25)
    attachment = attach_video(tmp_path / "a.mp4", SAMPLING, most_frames=8, span=TimeSpan(start_s=10, end_s=26))
    assert len(attachment.jpegs) <= 8 and attachment.is_stretched
    assert attachment.start_s >= 10 and attachment.end_s <= 26


def test_a_part_that_is_not_in_the_video_is_told(tmp_path: Path) -> None:
    shoot(tmp_path / "a.mp4", frames=50, rate=25)
    with pytest.raises(SourceError, match=r"a\.mp4 is 2\.0 s long; nothing of it is at 30 s"):
        attach_video(tmp_path / "a.mp4", SAMPLING, most_frames=8, span=TimeSpan(start_s=30, end_s=40))


def test_pictures_of_a_camera_are_given_as_they_were_kept() -> None:
    pictures = [KeptPicture(time_s=4 + n / 2, jpeg=bytes([n]), size_wh=(64, 48)) for n in range(5)]
    attachment = attach_pictures(pictures, SAMPLING, most_frames=64)
    assert attachment.jpegs == (b"\0", b"\1", b"\2", b"\3", b"\4", b"\4")
    assert (attachment.kind, attachment.start_s, attachment.end_s, attachment.is_part) == ("camera", 4.0, 6.0, True)
    assert len(attach_pictures(pictures, SAMPLING, most_frames=2).jpegs) == 2
    with pytest.raises(SourceError, match="not kept any more"):
        attach_pictures([], SAMPLING, most_frames=64)
