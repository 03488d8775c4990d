import sys
from pathlib import Path

import numpy as np
import pytest

from films import Film, number_in, rotate_by_metadata, write_matrix
from vigil.errors import EnvironmentMissing, SourceError
from vigil.frames import FrameSampling
from vigil.sources.video_file import read_frames


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp4", {}),
        ("no-b.mp4", {"options": {"bf": "0"}}),
        ("odd.mp4", {"size_wh": (302, 238)}),
        ("large.mp4", {"size_wh": (640, 480)}),
        ("a.mkv", {}),
        ("pause.mp4", {"stamps_ms": [i * 40 for i in range(50)] + [302_000 + i * 40 for i in range(50)]}),
        ("slow.mp4", {"rate": 5, "frames": 20}),
        ("variable.mp4", {"stamps_ms": [i * 40 for i in range(50)] + [2000 + i * 200 for i in range(10)]}),
    ],
)
def test_decord_gives_the_frames_of_pyav(
    film: Film, sampling: FrameSampling, name: str, how: dict[str, object]
) -> None:
    pytest.importorskip("decord")
    path = film(name, **how)
    ours, theirs = list(read_frames(path, sampling)), list(read_frames(path, sampling, reader="decord"))
    assert [number_in(frame.image) for frame in theirs] == [number_in(frame.image) for frame in ours]
    assert np.allclose([f.time_s for f in theirs], [f.time_s for f in ours], atol=0.002)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.image.shape == other.image.shape
        assert np.abs(mine.image.astype(int) - other.image).mean() < 4


def test_decord_turns_pictures_the_same_way(film: Film, sampling: FrameSampling) -> None:
    pytest.importorskip("decord")
    path = film("a.mp4")
    rotate_by_metadata(path)
    mine, other = next(iter(read_frames(path, sampling))), next(iter(read_frames(path, sampling, reader="decord")))
    assert np.abs(mine.image.astype(int) - other.image).mean() < 4


def test_what_decord_cannot_read_is_an_error_that_names_the_other_reader(film: Film, sampling: FrameSampling) -> None:
    pytest.importorskip("decord")
    with pytest.raises(SourceError, match="pyav"):
        list(read_frames(film("raw.h264", format="h264"), sampling, reader="decord"))


def test_a_file_that_is_no_video_is_refused_before_decord_sees_it(tmp_path: Path, sampling: FrameSampling) -> None:
    pytest.importorskip("decord")
    path = tmp_path / "a.mp4"
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="empty"):
        list(read_frames(path, sampling, reader="decord"))


def test_a_missing_package_says_how_to_get_it(
    film: Film, sampling: FrameSampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(EnvironmentMissing, match=r"vigil\[decord\]"):
        list(read_frames(film("a.mp4"), sampling, reader="decord"))


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0), (0, 1, -1, 0)])
def test_mirrors_are_shown_as_the_other_reader_shows_them(
    film: Film, sampling: FrameSampling, matrix: tuple[int, int, int, int]
) -> None:
    path = film("a.mp4", size_wh=(320, 256), frames=20)
    write_matrix(path, matrix)
    ours, theirs = (next(iter(read_frames(path, sampling, reader=reader))).image for reader in ("pyav", "decord"))
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).mean() < 4
