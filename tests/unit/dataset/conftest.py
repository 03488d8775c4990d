"""Small videos, drawn by PyAV: a block that wanders (normal) or jumps about (fight) before a wall of its own."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

DrawClip = Callable[..., Path]


@pytest.fixture(scope="session")
def draw_clip() -> DrawClip:
    """A function that writes a clip of `seconds` at 10 fps; `scene` sets the wall, `seed` the movement."""
    return write_clip


def write_clip(
    path: Path, *, seconds: float = 2.0, scene: int = 0, seed: int = 0, size: tuple[int, int] = (96, 64)
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wall = wall_of(scene, size)
    moves = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = 2_000_000
        for _ in range(round(seconds * 10)):
            image = wall.copy()
            left, top = moves.integers(0, size[0] - 12), moves.integers(0, size[1] - 12)
            image[top : top + 12, left : left + 12] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def wall_of(scene: int, size: tuple[int, int]) -> np.ndarray:
    coarse = np.random.default_rng(1000 + scene).integers(30, 200, (6, 8, 3), dtype=np.uint8)
    tall, wide = -(-size[1] // 6), -(-size[0] // 8)
    return np.kron(coarse, np.ones((tall, wide, 1), np.uint8))[: size[1], : size[0]].copy()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight fight and eight normal clips, each of a scene of its own; two are longer than a window."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(8):
        seconds = 4.2 if number == 0 else 2.0
        write_clip(folder / f"fight/fi{number}.mp4", seconds=seconds, scene=number, seed=number)
        write_clip(folder / f"normal/no{number}.mp4", seconds=seconds, scene=20 + number, seed=50 + number)
    return folder
