"""Hints name the command as it can be typed in the shell that called it: real processes, with a PATH of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vigil.cli.hints import runnable

VIGIL = Path(sys.executable).with_name("vigil")


def told(folder: Path, *words: str, path: str = "/usr/bin:/bin") -> str:
    env = {**os.environ, "PATH": path}
    done = subprocess.run([VIGIL, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split())


def test_in_the_checkout_hints_name_the_file_in_its_environment(tmp_path: Path) -> None:
    checkout = VIGIL.parents[2]
    name = VIGIL.relative_to(checkout)
    assert f"make it with: {name} dataset build" in told(checkout, "score", "--data", str(tmp_path / "no"))


def test_elsewhere_the_whole_path_is_named_and_can_be_run(tmp_path: Path) -> None:
    assert f"make it with: {VIGIL} dataset build" in told(tmp_path, "score", "--data", "no")


def test_a_shell_that_knows_vigil_is_told_vigil(tmp_path: Path) -> None:
    path = f"{VIGIL.parent}:/usr/bin:/bin"
    assert "make it with: vigil dataset build" in told(tmp_path, "score", "--data", "no", path=path)


def test_another_vigil_on_the_path_is_not_meant(tmp_path: Path) -> None:
    other = tmp_path / "bin" / "vigil"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert f"{VIGIL} dataset build" in told(tmp_path, "score", "--data", "no", path=f"{other.parent}:/usr/bin:/bin")


@pytest.mark.parametrize(
    "text",
    [
        "vigil: stopped",
        "vigil.json is damaged",
        ".venv/bin/vigil score",
        "python -m mypkg.vigil score",
        "vigil scores well",
        "the vigil is kept",
    ],
)
def test_what_is_no_command_stays(text: str) -> None:
    assert runnable(text) == text
