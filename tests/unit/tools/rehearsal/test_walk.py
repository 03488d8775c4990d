"""What is known to be wrong before the rehearsal writes gigabytes."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tools.rehearsal.shapes import SHAPES
from tools.rehearsal.walk import MEMORY_FACTOR, RehearsalSettings, look

from vigil.errors import JobError

ROOT = Path(__file__).resolve().parents[4]
MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_model_that_does_not_fit_into_memory_is_not_begun(tmp_path: Path) -> None:
    shape = replace(SHAPES["2b"], parameters=int(MEMORY_BYTES / MEMORY_FACTOR))
    with pytest.raises(JobError, match=r"needs .* GB of memory, and .* GB is free; .*--no-rehearsal"):
        look(RehearsalSettings(shape=shape, out=tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_told_in_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.rehearsal.walk.MEMORY_FACTOR", 0.0)
    shape = replace(SHAPES["2b"], parameters=10**15)
    with pytest.raises(JobError, match=r"writes 4600000.0 GB, and .* GB free; free some space"):
        look(RehearsalSettings(shape=shape, out=tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--size", "8b"), "invalid choice: '8b'"), (("--out", "taken"), "--out taken is a file; name a folder")],
)
def test_wrong_words_are_told_and_nothing_is_begun(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "taken").touch()
    command = [sys.executable, "-m", "tools.rehearsal", *words]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 2 and said in told.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_script_says_what_it_needs_and_what_is_not_as_in_the_real_checkpoint() -> None:
    told = subprocess.run(
        ["bash", "scripts/rehearse.sh", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for said in ("--size 2b|4b", "14 GiB", "weights are random", "some files of the hub"):
        assert said in told.stdout
