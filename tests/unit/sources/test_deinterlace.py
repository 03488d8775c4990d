"""Interlaced recordings: no combs in frames, films, snapshots and clips; what is progressive stays as it is."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vigil.frames import RGB, FrameSampling
from vigil.sources.footage import FileFootage
from vigil.sources.images import read_image
from vigil.sources.video_file import read_frames
from vigil.sources.video_info import full_size_frames

SIZE_WH = (720, 576)
STEP_PX = 16
LARGE = FrameSampling(max_pixels=2**20)
"""Nothing is shrunk, which would hide combs."""

INTERLACED = [
    ("top.mp4", "libx264", {"x264-params": "tff=1"}),
    ("bottom.mkv", "libx264", {"x264-params": "bff=1"}),
    ("mpeg2.ts", "mpeg2video", {"flags": "+ildct+ilme", "b": "6000000"}),
    ("tape.avi", "dvvideo", {}),
    ("ten-bit.mkv", "libx264", {"x264-params": "tff=1"}),
]
each_kind = pytest.mark.parametrize(("name", "codec", "options"), INTERLACED, ids=[name for name, _, _ in INTERLACED])


def half(moment: int) -> RGB:
    """A bar that has moved on; two such moments share a picture, line by line."""
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), 60, np.uint8)
    image[:, 40 + moment * STEP_PX : 120 + moment * STEP_PX] = 220
    return image


def woven(number: int) -> RGB:
    image = half(2 * number)
    image[1::2] = half(2 * number + 1)[1::2]
    return image


def shoot_fields(path: Path, codec: str, options: dict[str, str]) -> Path:
    pixels = "yuv420p10le" if path.name.startswith("ten-bit") else "yuv420p"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = *SIZE_WH, pixels, options
        for number in range(16):
            frame = av.VideoFrame.from_ndarray(woven(number), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def combs(image: RGB) -> float:
    """How far a line is from the ones above and below it, on average; 7 where the two moments are woven."""
    green = image[..., 1].astype(float)
    return float(np.abs(green[1:-1] - (green[:-2] + green[2:]) / 2).mean())


@each_kind
def test_frames_and_films_have_no_combs(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    path = shoot_fields(tmp_path / name, codec, options)
    assert combs(woven(3)) > 7
    assert all(combs(frame.image) < 1 for frame in read_frames(path, LARGE))
    assert all(combs(image) < 1 for image, _ in full_size_frames(path))


@each_kind
def test_clips_and_snapshots_have_no_combs(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    footage = FileFootage(shoot_fields(tmp_path / name, codec, options))
    footage.snapshot(tmp_path / "snapshot.jpg", at_s=0.3)
    assert combs(read_image(tmp_path / "snapshot.jpg", max_pixels=None)) < 1
    footage.clip(tmp_path / "clip.mp4", from_s=0.1, to_s=0.5)
    assert all(combs(image) < 1 for image, _ in full_size_frames(tmp_path / "clip.mp4"))


def test_a_bar_stays_where_it_is_and_as_bright(tmp_path: Path) -> None:
    path = shoot_fields(tmp_path / "top.mp4", "libx264", {"x264-params": "tff=1"})
    for number, (image, _) in enumerate(full_size_frames(path)):
        middle = image[288, :, 1]
        left = int(np.argmax(middle > 140))
        assert 0 <= left - (40 + 2 * number * STEP_PX) <= STEP_PX
        assert abs(int(middle[left + 30]) - 220) < 6


def test_a_progressive_picture_keeps_every_line(tmp_path: Path) -> None:
    path = shoot_fields(tmp_path / "lines.mp4", "libx264", {"crf": "4"})
    assert combs(next(full_size_frames(path))[0]) > 6
