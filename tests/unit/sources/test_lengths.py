"""A file is whole when its pictures are, however long its sound goes on; and cut off when they are not."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from films import hum, picture
from vigil.frames import FrameSampling
from vigil.sources.video_file import open_video

RATE_HZ = 16_000


def film_with_sound(path: Path, *, sound_s: float) -> Path:
    """Four seconds of pictures and so much sound, interleaved."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 320, 240, "yuv420p", {"g": "25"}
        audio = container.add_stream("aac", rate=RATE_HZ)
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(picture(number, (320, 240)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        container.mux([*audio.encode(hum(round(sound_s * RATE_HZ))), *audio.encode()])
    return path


def without_tags(path: Path) -> Path:
    """Makes Matroska's tag of a track's length one that means nothing."""
    path.write_bytes(path.read_bytes().replace(b"DURATION", b"DURATIOX"))
    return path


def problems_of(path: Path, sampling: FrameSampling) -> tuple[int, tuple[str, ...]]:
    with open_video(path, sampling) as video:
        return len(list(video.frames())), video.problems


@pytest.mark.parametrize("sound_s", [6, 12])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "bare.mkv", "a.flv", "a.ts", "a.avi", "a.nut"])
def test_sound_that_goes_on_is_no_damage(tmp_path: Path, sampling: FrameSampling, name: str, sound_s: int) -> None:
    path = film_with_sound(tmp_path / name, sound_s=sound_s)
    if name == "bare.mkv":
        without_tags(path)
    assert problems_of(path, sampling) == (8, ())


@pytest.mark.parametrize("name", ["a.mkv", "bare.mkv", "a.flv"])
def test_a_file_that_is_cut_off_still_says_what_is_missing(tmp_path: Path, sampling: FrameSampling, name: str) -> None:
    path = film_with_sound(tmp_path / name, sound_s=4)
    if name == "bare.mkv":
        without_tags(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    frames, problems = problems_of(path, sampling)
    assert 1 <= frames < 8
    assert any("header promises" in problem for problem in problems)


def test_a_length_is_that_of_the_pictures_where_the_file_tells_it(tmp_path: Path, sampling: FrameSampling) -> None:
    with open_video(film_with_sound(tmp_path / "a.mkv", sound_s=9), sampling) as video:
        assert video.duration_s == pytest.approx(4.0, abs=0.05)
