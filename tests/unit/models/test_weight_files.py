"""A file of weights that is not whole is told apart by its header alone."""

from pathlib import Path

import pytest

from model_folder import WEIGHTS
from vigil.errors import EnvironmentMissing
from vigil.models.weight_files import INDEX_NAME, safetensors_damage, weight_files
from vigil.tiny import BASE_FOLDER


def test_whole_files_are_found_whole(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(WEIGHTS)
    assert safetensors_damage(tmp_path / "small") is None
    assert safetensors_damage(BASE_FOLDER / "model.safetensors") is None


@pytest.mark.parametrize("kept", [len(WEIGHTS) - 1, len(WEIGHTS) - 8])
def test_a_file_cut_within_its_tensors_tells_how_much_is_there(tmp_path: Path, kept: int) -> None:
    (tmp_path / "cut").write_bytes(WEIGHTS[:kept])
    assert safetensors_damage(tmp_path / "cut") == f"ends after {kept} of {len(WEIGHTS)} bytes"


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
    assert safetensors_damage(tmp_path / "other") == f"has no header of safetensors in its {len(content)} bytes"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert safetensors_damage(tmp_path / "nowhere") == "cannot be read (No such file or directory)"


def test_the_files_of_a_model_are_those_of_its_index(tmp_path: Path) -> None:
    assert weight_files(tmp_path) == ["model.safetensors"]
    (tmp_path / INDEX_NAME).write_text(
        '{"weight_map": {"b": "2.safetensors", "a": "1.safetensors", "c": "1.safetensors"}}'
    )
    assert weight_files(tmp_path) == ["1.safetensors", "2.safetensors"]


@pytest.mark.parametrize("index", ["{", "[]", "{}", '{"weight_map": ["a"]}'])
def test_an_index_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, index: str) -> None:
    (tmp_path / INDEX_NAME).write_text(index)
    with pytest.raises(EnvironmentMissing, match=rf"{INDEX_NAME} is damaged .*export the model again"):
        weight_files(tmp_path)
