"""All eight ways a display matrix can turn and mirror a picture, in everything that shows one."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from films import write_matrix
from vigil.frames import RGB, FrameSampling, resize
from vigil.sources.footage import FileFootage
from vigil.sources.images import read_image
from vigil.sources.orientation import AS_STORED, from_matrix
from vigil.sources.video_file import read_frames
from vigil.sources.video_info import full_size_frames

Turn = Callable[[RGB], RGB]
Matrix = tuple[float, float, float, float]

WAYS: dict[str, tuple[Matrix, Turn]] = {
    "as stored": ((1, 0, 0, 1), lambda image: image),
    "mirrored left to right": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "mirrored top to bottom": ((1, 0, 0, -1), lambda image: image[::-1]),
    "upside down": ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
    "a quarter to the right": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "a quarter to the left": ((0, -1, 1, 0), lambda image: np.rot90(image)),
    "mirrored at its falling diagonal": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "mirrored at its rising diagonal": ((0, -1, -1, 0), lambda image: np.rot90(image, 2).transpose(1, 0, 2)),
}

SIZE_WH = (320, 256)
each_way = pytest.mark.parametrize(("matrix", "turn"), WAYS.values(), ids=WAYS.keys())


def scene() -> RGB:
    """A picture that looks different in each of its eight orientations."""
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), 90, np.uint8)
    image[:128, :160] = (220, 40, 40)
    image[:128, 160:] = (40, 200, 60)
    image[128:, :160] = (50, 60, 220)
    return image


def scene_film(path: Path, matrix: Matrix, *, codec: str = "libx264") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(scene(), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    write_matrix(path, matrix)
    return path


def unlike(one: RGB, other: RGB) -> float:
    """Mean difference in grey levels, of pictures of the same shape."""
    assert abs(one.shape[0] - other.shape[0]) <= 64 and (one.shape[0] < one.shape[1]) == (
        other.shape[0] < other.shape[1]
    )
    small = [resize(np.ascontiguousarray(image), (64, 64)).astype(int) for image in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())


@each_way
def test_frames_and_films_stand_as_players_show_them(tmp_path: Path, matrix: Matrix, turn: Turn) -> None:
    path = scene_film(tmp_path / "scene.mp4", matrix)
    assert unlike(next(iter(read_frames(path, FrameSampling()))).image, turn(scene())) < 6
    assert unlike(next(full_size_frames(path))[0], turn(scene())) < 6


@each_way
@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_clips_and_snapshots_stand_as_players_show_them(tmp_path: Path, matrix: Matrix, turn: Turn, codec: str) -> None:
    footage = FileFootage(scene_film(tmp_path / "scene.mp4", matrix, codec=codec))
    footage.snapshot(tmp_path / "snapshot.jpg", at_s=0.4)
    assert unlike(read_image(tmp_path / "snapshot.jpg", max_pixels=None), turn(scene())) < 6
    footage.clip(tmp_path / "clip.mp4", from_s=0.2, to_s=0.8)
    assert unlike(next(full_size_frames(tmp_path / "clip.mp4"))[0], turn(scene())) < 6


def test_a_turn_that_was_rounded_is_a_turn_and_a_slant_is_none() -> None:
    def as_ffmpeg(*values: float) -> bytes:
        return b"".join(round(v * 65536).to_bytes(4, "little", signed=True) for v in (*values, 0, 0, 0, 16384))

    assert from_matrix(as_ffmpeg(0.001, 1, 0, -1, 0.001)).swaps_sides
    assert from_matrix(as_ffmpeg(2, 0, 0, 0, 2)) == AS_STORED
    assert from_matrix(as_ffmpeg(0.7, 0.7, 0, -0.7, 0.7)) == AS_STORED
    assert from_matrix(bytes(36)) == AS_STORED
