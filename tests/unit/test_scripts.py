"""What the scripts do before and beside their work: help, wrong words, and a Ctrl-C in the middle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_script(checkout: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs a script of a checkout from elsewhere, as a user may."""
    return subprocess.run(
        ["bash", str(checkout / words[0]), *words[1:]],
        cwd=checkout.parent,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python that notes what it was to run, and was stopped by Ctrl-C in each training."""
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho "$3" >>{tmp_path}/ran\n[ "$3" != train ] || exit 130\n')
    program.chmod(0o755)
    return program


def test_a_stopped_building_of_the_base_leaves_the_shipped_one(python: Path, tmp_path: Path) -> None:
    done = run_script(ROOT, "scripts/build_tiny_base.sh", PYTHON=str(python), OUT=str(tmp_path / "base"))
    assert (done.returncode, (tmp_path / "ran").read_text()) == (130, "train\n")


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_for_building_the_base_runs_nothing(python: Path, tmp_path: Path, word: str) -> None:
    done = run_script(ROOT, "scripts/build_tiny_base.sh", word, PYTHON=str(python), OUT=str(tmp_path / "base"))
    assert done.returncode == 0 and "goes on from the last checkpoint" in done.stdout
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("words", "said"), [(("--url", "foo"), "no http address"), (("--key-file", "/nope"), "/nope")])
def test_a_question_to_no_endpoint_is_told_on_one_line(words: tuple[str, ...], said: str) -> None:
    command = [sys.executable, str(ROOT / "tests/test_texts.py"), *words]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 2 and said in told.stderr and len(told.stderr.splitlines()) == 1
