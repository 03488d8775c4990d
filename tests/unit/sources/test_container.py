"""What a file says of itself: its rate, and what is only a guess."""

from pathlib import Path

import pytest

from films import Film, number_in
from vigil.frames import FrameSampling
from vigil.sources.footage import FileFootage
from vigil.sources.video_file import open_video
from vigil.sources.video_info import full_size_frames, video_info

QUIET = "log-level=none"


@pytest.mark.parametrize(
    ("name", "rate", "how"),
    [
        ("slow.h264", 10, {"codec": "libx264", "format": "h264"}),
        ("b-frames.264", 12, {"codec": "libx264", "format": "h264", "options": {"bf": "3"}}),
        ("quick.h264", 50, {"codec": "libx264", "format": "h264"}),
        ("slow.hevc", 10, {"codec": "libx265", "format": "hevc", "options": {"x265-params": QUIET}}),
        ("slow.m4v", 10, {"codec": "mpeg4", "format": "m4v"}),
        ("film.m2v", 24, {"codec": "mpeg2video", "format": "mpeg2video"}),
        ("named.mp4", 10, {"codec": "libx264", "format": "h264"}),
    ],
)
def test_a_raw_stream_lasts_as_long_as_its_own_rate_says(
    film: Film, sampling: FrameSampling, name: str, rate: int, how: dict[str, object]
) -> None:
    with open_video(film(name, rate=rate, frames=4 * rate, **how), sampling) as video:
        frames = list(video.frames())
        assert video.source_fps == pytest.approx(rate)
    assert [round(frame.time_s * 2) for frame in frames] == list(range(8))
    assert [number_in(frame.image) for frame in frames] == [
        next(n for n in range(4 * rate) if 2 * n >= k * rate) for k in range(8)
    ]
    assert video.problems == ()
    assert video.notes == ()


def test_films_and_clips_of_a_raw_stream_go_by_its_own_rate(film: Film, tmp_path: Path) -> None:
    path = film("slow.h264", codec="libx264", format="h264", rate=10, frames=40, options={"bf": "0", "g": "10"})
    assert video_info(path).fps == pytest.approx(10)
    assert [round(time_s, 1) for _, time_s in full_size_frames(path)] == [round(n / 10, 1) for n in range(40)]
    FileFootage(path).clip(tmp_path / "clip.mp4", from_s=2.0, to_s=3.05)
    assert [number_in(image) for image, _ in full_size_frames(tmp_path / "clip.mp4")] == list(range(20, 31))


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (
            "silent.hevc",
            {"codec": "libx265", "format": "hevc", "options": {"x265-params": f"{QUIET}:vui-timing-info=0"}},
        ),
        ("still.mjpeg", {"codec": "mjpeg", "format": "mjpeg", "pixels": "yuvj420p"}),
    ],
)
def test_a_rate_that_nothing_tells_is_said_to_be_a_guess(
    film: Film, sampling: FrameSampling, name: str, how: dict[str, object]
) -> None:
    with open_video(film(name, **how), sampling) as video:
        assert len(list(video.frames())) == 8
    assert video.problems == ()
    assert video.notes == ("nothing in it tells its frame rate; 25 a second is a guess",)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.flv"])
def test_a_rate_that_the_container_tells_is_no_guess(film: Film, sampling: FrameSampling, name: str) -> None:
    with open_video(film(name, rate=10, frames=20), sampling) as video:
        list(video.frames())
    assert video.source_fps == pytest.approx(10)
    assert video.notes == ()
