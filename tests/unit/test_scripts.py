"""What the scripts do before and beside their work: help, wrong words, and a Ctrl-C in the middle."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from waiting import HANG_S

ROOT = Path(__file__).resolve().parents[2]


def run_script(checkout: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs a script of a checkout from elsewhere, as a user may."""
    return subprocess.run(
        ["bash", str(checkout / words[0]), *words[1:]],
        cwd=checkout.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("VIGIL_")} | variables,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python that notes what it was to run, and was stopped by Ctrl-C in each training."""
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho "$3" >>{tmp_path}/ran\n[ "$3" != train ] || exit 1\n')
    program.chmod(0o755)
    return program


def test_a_stopped_building_of_the_base_leaves_the_shipped_one(python: Path, tmp_path: Path) -> None:
    done = run_script(ROOT, "scripts/build_tiny_base.sh", PYTHON=str(python), OUT=str(tmp_path / "base"))
    assert (done.returncode, (tmp_path / "ran").read_text()) == (1, "train\n")


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_for_building_the_base_runs_nothing(python: Path, tmp_path: Path, word: str) -> None:
    done = run_script(ROOT, "scripts/build_tiny_base.sh", word, PYTHON=str(python), OUT=str(tmp_path / "base"))
    assert done.returncode == 0 and "goes on from the last checkpoint" in done.stdout
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without environments; its setup.sh notes what it is to make, and makes the core one."""
    folder = tmp_path / "checkout"
    for name in ("scripts", "configs", "tools"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("export.sh", "vllm.sh"):
        shutil.copy(ROOT / name, folder)
    setup = f'#!/bin/sh\ncd "$(dirname "$0")/.."\necho "$@" >>asked\n[ "$1" != core ] || ln -sfn {sys.prefix} .venv\n'
    (folder / "scripts" / "setup.sh").write_text(setup)
    return folder


def asked_for(checkout: Path) -> list[str]:
    """The environments that setup.sh was to make."""
    asked = checkout / "asked"
    return asked.read_text().split() if asked.exists() else []


SCRIPTS = [f"scripts/{name}.sh" for name in ("build_tiny_base", "check", "demo", "download_model", "lock", "test")]


@pytest.mark.parametrize("script", [*SCRIPTS, "scripts/train.sh", "export.sh", "vllm.sh"])
def test_help_needs_no_environment(checkout: Path, script: str) -> None:
    done = run_script(checkout, script, "--help")
    assert (done.returncode, asked_for(checkout)) == (0, []), done.stderr
    assert Path(script).name in done.stdout and "set -euo" not in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scripts/train.sh", "WRONG"), "there are: "),
        (("scripts/train.sh", "tiny_lora", "lr=1"), "'learning_rate'"),
        (("export.sh", "--bogus"), "--bogus"),
        (("export.sh", "nowhere"), "there is no folder nowhere"),
        (("scripts/demo.sh", "--bogus"), "--bogus"),
        (("scripts/demo.sh", "--clips", "nowhere", "--no-web"), "--clips nowhere is not a folder"),
        (("scripts/download_model.sh", "--from", "disk"), "modelscope or huggingface (hf), not 'disk'"),
        (("scripts/check.sh", "--fxi"), "there is only --fix"),
    ],
)
def test_wrong_words_are_told_before_anything_large_is_fetched(
    checkout: Path, words: tuple[str, ...], said: str
) -> None:
    done = run_script(checkout, *words)
    assert done.returncode == 2 and said in " ".join(done.stderr.split())
    assert asked_for(checkout) in ([], ["core"])


@pytest.mark.parametrize(
    ("words", "said"), [(("--url", "foo"), "not the HTTP address"), (("--key-file", "/nope"), "/nope")]
)
def test_a_question_to_no_endpoint_is_told_on_one_line(words: tuple[str, ...], said: str) -> None:
    command = [sys.executable, str(ROOT / "tests/test_texts.py"), *words]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 2 and said in told.stderr and len(told.stderr.splitlines()) == 1
