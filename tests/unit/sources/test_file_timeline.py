"""The times that players show, the same for whole reads, starts in the middle, films, clips and snapshots."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from films import Film, hum, number_in, picture, shoot_dav
from vigil.frames import FrameSampling
from vigil.sources.footage import FileFootage
from vigil.sources.images import read_image
from vigil.sources.video_file import open_video
from vigil.sources.video_info import full_size_frames

PAUSE_S = 300.0
CONTAINERS = ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.flv", "fragmented.mp4"]


def paused(film: Film, name: str, *, pause_s: float = PAUSE_S, **how: object) -> Path:
    """A film of 100 pictures that pauses after the first 50."""
    stamps = [i * 40 for i in range(50)] + [2000 + round(pause_s * 1000) + i * 40 for i in range(50)]
    if name.endswith(".webm"):
        how |= {"codec": "libvpx"}
    if name.endswith(".flv"):
        # FLV has 24 bits for what lies between decoding and showing; over hours of pause B-frames run out of them.
        how["options"] = {"bf": "0", **how.get("options", {})}  # type: ignore[dict-item]
    if name.startswith("fragmented"):
        how |= {"container_options": {"movflags": "frag_keyframe+empty_moov"}}
    return film(name, stamps_ms=stamps, **how)


def read_from(path: Path, start_s: float, sampling: FrameSampling) -> list[tuple[float, int]]:
    with open_video(path, sampling, start_s=start_s) as video:
        return [(round(frame.time_s, 2), number_in(frame.image)) for frame in video.frames()]


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("pause_s", [90.0, PAUSE_S, 4 * 3600.0])
def test_a_pause_is_as_long_as_players_show_it(film: Film, sampling: FrameSampling, name: str, pause_s: float) -> None:
    path = paused(film, name, pause_s=pause_s)
    with open_video(path, sampling) as video:
        frames = list(video.frames())
    after_s = 2 + pause_s
    assert [round(frame.time_s, 2) for frame in frames] == [
        *(0.0, 0.52, 1.0, 1.52),
        *(after_s, after_s + 0.52, after_s + 1, after_s + 1.52),
    ]
    assert [number_in(frame.image) for frame in frames] == [0, 13, 25, 38, 50, 63, 75, 88]
    assert video.problems == ()


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("start_s", [1.0, 31.0, 100.0, 303.0])
def test_a_start_in_the_middle_gives_what_the_whole_gives(
    film: Film, sampling: FrameSampling, name: str, start_s: float
) -> None:
    path = paused(film, name, options={"g": "20"})
    whole = read_from(path, 0.0, sampling)
    assert read_from(path, start_s, sampling) == [(time_s, number) for time_s, number in whole if time_s >= start_s]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.flv"])
def test_films_clips_and_snapshots_keep_to_the_same_times(film: Film, tmp_path: Path, name: str) -> None:
    path = paused(film, name, options={"g": "20"})
    assert [round(time_s, 2) for _, time_s in full_size_frames(path)][48:52] == [1.92, 1.96, 302.0, 302.04]
    footage = FileFootage(path)
    footage.snapshot(tmp_path / "snapshot.jpg", at_s=303.0)
    assert number_in(read_image(tmp_path / "snapshot.jpg", max_pixels=None)) == 75
    footage.clip(tmp_path / "clip.mp4", from_s=303.0, to_s=303.5)
    assert 75 in [number_in(image) for image, _ in full_size_frames(tmp_path / "clip.mp4")]


@pytest.mark.parametrize("bf", ["0", "3"])
@pytest.mark.parametrize("leap_s", [3600.0, -3600.0])
def test_a_leap_in_a_transport_stream_is_spliced_behind_the_last_picture(
    film: Film, sampling: FrameSampling, tmp_path: Path, leap_s: float, bf: str
) -> None:
    begins, how = [36_000_000, 36_002_000 + round(leap_s * 1000)], {"options": {"bf": bf, "g": "25"}}
    stamps = [[begin + i * 40 for i in range(50)] for begin in begins]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(film(f"{n}.ts", stamps_ms=s, **how).read_bytes() for n, s in enumerate(stamps)))
    with open_video(path, sampling) as video:
        frames = list(video.frames())
    assert [round(frame.time_s, 2) for frame in frames] == [0.0, 0.52, 1.0, 1.52, 2.0, 2.52, 3.0, 3.52]
    assert [number_in(frame.image) for frame in frames] == [0, 13, 25, 38, 0, 13, 25, 38]
    assert video.problems == ("jumps of its clock, spliced: 1",)
    assert read_from(path, 2.4, sampling) == [(2.52, 13), (3.0, 25), (3.52, 38)]


@pytest.mark.parametrize("leap_s", [0, 3600, -3600])
def test_a_recording_whose_date_is_set_has_one_clock_from_every_start(
    sampling: FrameSampling, tmp_path: Path, leap_s: int
) -> None:
    path = tmp_path / "night.dav"
    seconds = [i / 5 + (leap_s if i >= 200 else 0) for i in range(500)]
    shoot_dav(path, seconds, size_wh=(160, 128), rate=5)
    whole = read_from(path, 0.0, sampling)
    assert len(whole) == 200
    assert all(abs(number / 5 - time_s) < 0.21 for time_s, number in whole)
    assert all(0 < later - time_s < 0.61 for (time_s, _), (later, _) in pairwise(whole))
    for start_s in (30.0, 50.0, 90.0):
        assert read_from(path, start_s, sampling) == [row for row in whole if row[0] >= start_s]


def test_a_start_behind_the_end_is_said(film: Film, sampling: FrameSampling) -> None:
    with open_video(film("a.mp4"), sampling, start_s=60.0) as video:
        assert list(video.frames()) == []
    assert video.notes == ("it has no picture from second 60.0 on",)


def late_film(path: Path, *, begins_s: float) -> Path:
    """Eleven seconds of sound, and a hundred pictures that begin in the middle of it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 320, 240, "yuv420p", {"g": "25"}
        stream.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("aac", rate=16_000)
        container.mux(audio.encode(hum(16_000 * 11)))
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(picture(number, (320, 240)), format="rgb24")
            frame.pts, frame.time_base = round(begins_s * 1000) + number * 40, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux([*stream.encode(), *audio.encode()])
    return path


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.mov", "late.flv", "late.ts"])
def test_pictures_that_begin_after_the_sound_begin_when_players_show_them(
    sampling: FrameSampling, tmp_path: Path, name: str
) -> None:
    path = late_film(tmp_path / name, begins_s=5.3)
    whole = read_from(path, 0.0, sampling)
    assert all(abs(5.3 + number / 25 - time_s) < 0.08 for time_s, number in whole)
    assert read_from(path, 7.0, sampling) == [row for row in whole if row[0] >= 7]
    assert abs(next(full_size_frames(path))[1] - 5.3) < 0.08
    FileFootage(path).snapshot(tmp_path / "snapshot.jpg", at_s=7.3)
    assert abs(number_in(read_image(tmp_path / "snapshot.jpg", max_pixels=None)) - 50) <= 2
    with open_video(path, sampling) as video:
        list(video.frames())
    assert video.problems == ()
