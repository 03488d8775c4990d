"""`scripts/setup.sh` on a machine that lacks what it is to install."""

import os
import subprocess
from pathlib import Path

import pytest

from waiting import HANG_S

SETUP = Path(__file__).parents[2] / "scripts" / "setup.sh"
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with this machine's programs but its browsers, for PATH; its apt-get only notes what it is asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name not in BROWSERS and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    for name, says in {"apt-get": f'echo "$@" >>{tmp_path}/asked', "id": "echo 0"}.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{says}\n")
        (folder / name).chmod(0o755)
    return folder


def run(programs: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "VIGIL_CHROMIUM"}
    return subprocess.run(
        ["bash", str(SETUP), "browser"],
        env={**environment, "PATH": str(programs), **variables},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def test_a_browser_that_is_missing_is_installed(programs: Path, tmp_path: Path) -> None:
    done = run(programs)
    assert done.returncode == 0, done.stderr
    assert "installing the system's chromium-headless-shell" in done.stderr
    assert "chromium-headless-shell" in (tmp_path / "asked").read_text().split()


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_browser_that_is_there_is_left_alone(programs: Path, tmp_path: Path, browser: str) -> None:
    (programs / browser).symlink_to("/bin/true")
    assert run(programs).stderr == "browser: it is there\n"
    assert not (tmp_path / "asked").exists()


def test_who_may_not_install_a_browser_is_told_what_to_do(programs: Path) -> None:
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    done = run(programs)
    assert done.returncode == 1
    assert "sudo apt-get install chromium-headless-shell" in done.stderr and "VIGIL_CHROMIUM" in done.stderr
    assert run(programs, VIGIL_CHROMIUM="/opt/chrome").returncode == 0
