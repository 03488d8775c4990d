from pathlib import Path

import pytest

from films import Film, shoot
from vigil.frames import FrameSampling


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """`film(name, **how)` makes a video file and gives its path."""

    def make(name: str, **how: object) -> Path:
        path = tmp_path / name
        shoot(path, **how)  # type: ignore[arg-type]
        return path

    return make


@pytest.fixture
def sampling() -> FrameSampling:
    return FrameSampling(fps=2.0, max_pixels=131_072)
