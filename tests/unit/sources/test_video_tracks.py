"""Files with several tracks of pictures: the film is read, and that there are several is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from films import number_in, picture
from vigil.frames import FrameSampling
from vigil.sources.footage import FileFootage
from vigil.sources.images import read_image
from vigil.sources.video_file import open_video
from vigil.sources.video_info import full_size_frames, video_info

SECOND = 25
OFFSET = 200
"""The pictures of the second track are numbered from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A track to be: `frames` pictures, one every `step` ticks of a 25th of a second."""

    codec: str = "libx264"
    size_wh: tuple[int, int] = (320, 240)
    frames: int = 100
    step: int = 1
    is_default: bool = False


PREVIEW = Shot(codec="mjpeg", size_wh=(32, 32), frames=1)


def shoot_tracks(path: Path, shots: Sequence[Shot], **container_options: str) -> Path:
    with av.open(str(path), "w", container_options=container_options) as container:
        streams = [_track(container, shot) for shot in shots]
        for tick in range(100):
            for number, (shot, stream) in enumerate(zip(shots, streams, strict=True)):
                if tick % shot.step == 0 and tick // shot.step < shot.frames:
                    image = picture(tick + number * OFFSET, shot.size_wh)
                    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                    frame.pts, frame.time_base = tick, Fraction(1, 25)
                    container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


def _track(container: object, shot: Shot) -> object:
    stream = container.add_stream(shot.codec, rate=25)  # type: ignore[attr-defined]
    stream.width, stream.height = shot.size_wh
    stream.pix_fmt = "yuvj420p" if shot.codec == "mjpeg" else "yuv420p"
    stream.disposition = Disposition.default if shot.is_default else Disposition(0)
    return stream


@pytest.mark.parametrize(
    ("name", "shots"),
    [
        ("preview.mp4", [PREVIEW, Shot()]),
        ("preview.mov", [PREVIEW, Shot()]),
        ("preview.mkv", [PREVIEW, Shot()]),
        ("preview.avi", [PREVIEW, Shot()]),
        ("default-preview.mkv", [Shot(codec="mjpeg", frames=1, size_wh=(640, 480), is_default=True), Shot()]),
        ("png.mkv", [Shot(codec="mjpeg", frames=1, size_wh=(1280, 720)), Shot()]),
        ("second-default.mkv", [Shot(size_wh=(640, 480)), Shot(is_default=True)]),
        ("second-default.mp4", [Shot(size_wh=(640, 480)), Shot(is_default=True)]),
        ("larger.mkv", [Shot(size_wh=(160, 128)), Shot()]),
        ("larger.ts", [Shot(size_wh=(160, 128)), Shot()]),
        ("thumbnails.mkv", [Shot(codec="mjpeg", size_wh=(64, 64), frames=4, step=25), Shot()]),
    ],
)
def test_the_film_is_read_and_not_what_lies_before_it(
    tmp_path: Path, sampling: FrameSampling, name: str, shots: list[Shot]
) -> None:
    path = shoot_tracks(tmp_path / name, shots)
    with open_video(path, sampling) as video:
        frames = list(video.frames())
    assert [number_in(frame.image) - OFFSET for frame in frames] == [0, 13, 25, 38, 50, 63, 75, 88]
    assert video.problems == ()
    assert video.notes == ("it holds several tracks of pictures (2); number 2 is read (h264, 320x240)",)


def test_the_first_of_two_alike_is_read(tmp_path: Path, sampling: FrameSampling) -> None:
    path = shoot_tracks(tmp_path / "two.mp4", [Shot(is_default=True), Shot(is_default=True)])
    with open_video(path, sampling) as video:
        assert number_in(next(video.frames()).image) == 0
    assert "number 1 is read" in video.notes[0]


def test_one_track_is_not_worth_a_word(tmp_path: Path, sampling: FrameSampling) -> None:
    with open_video(shoot_tracks(tmp_path / "one.mp4", [Shot()]), sampling) as video:
        list(video.frames())
    assert video.notes == ()


def test_films_clips_and_snapshots_show_the_same_track(tmp_path: Path) -> None:
    path = shoot_tracks(tmp_path / "preview.mp4", [PREVIEW, Shot()])
    assert video_info(path).size_wh == (320, 240)
    assert [number_in(image) - OFFSET for image, _ in full_size_frames(path)] == list(range(100))
    footage = FileFootage(path)
    footage.snapshot(tmp_path / "snapshot.jpg", at_s=2.0)
    assert number_in(read_image(tmp_path / "snapshot.jpg", max_pixels=None)) == OFFSET + 50
    footage.clip(tmp_path / "clip.mp4", from_s=0.0, to_s=1.0)
    assert number_in(next(full_size_frames(tmp_path / "clip.mp4"))[0]) == OFFSET
