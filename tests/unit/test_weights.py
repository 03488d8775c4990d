"""A file of weights that is not whole is told apart by its header alone."""

from pathlib import Path

import pytest

from model_folder import WEIGHTS
from vigil.tiny import BASE_FOLDER
from vigil.weights import damage


def test_whole_files_are_found_whole(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(WEIGHTS)
    assert damage(tmp_path / "small") is None
    assert damage(BASE_FOLDER / "model.safetensors") is None


@pytest.mark.parametrize("kept", [len(WEIGHTS) - 1, len(WEIGHTS) - 8])
def test_a_file_cut_within_its_tensors_tells_how_much_is_there(tmp_path: Path, kept: int) -> None:
    (tmp_path / "cut").write_bytes(WEIGHTS[:kept])
    assert damage(tmp_path / "cut") == f"ends after {kept} of {len(WEIGHTS)} bytes"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WEIGHTS[:5],
        WEIGHTS[:20],
        b"<html>not found</html>",
        b"\xff" * 100,
        (3).to_bytes(8, "little") + b"[1]",
        (2).to_bytes(8, "little") + b"12",
        (15).to_bytes(8, "little") + b'{"a": {"b": 1}}',
        (8).to_bytes(8, "little") + b'{"a": 1}',
        (6).to_bytes(8, "little") + b'"text"',
    ],
)
def test_what_is_no_safetensors_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    assert damage(tmp_path / "other") == f"has no header of safetensors in its {len(content)} bytes"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert damage(tmp_path / "nowhere") == "cannot be read (No such file or directory)"
