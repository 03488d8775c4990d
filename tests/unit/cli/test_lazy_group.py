"""Help and wrong words are answered before anything heavy is loaded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vigil.cli import lazy_group
from vigil.cli.lazy_group import SUMMARIES
from vigil.cli.main import main
from waiting import HANG_S, until

HEAVY = ("numpy", "cv2", "av", "openai", "aiohttp", "sqlalchemy")


def test_the_help_lists_every_command_in_a_line_and_loads_none() -> None:
    code = (
        "import sys\nfrom vigil.cli.main import main\nmain(['--help'])\n"
        f"sys.exit(', '.join(name for name in {HEAVY!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stderr
    lines = {
        line.strip().split("  ")[0]: line for line in done.stdout.split("Commands:")[1].splitlines() if line.strip()
    }
    assert all(SUMMARIES[name] in lines[name] for name in SUMMARIES)


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command_of_the_list_has_a_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert f" {name} " in told.splitlines()[0] and "--install-completion" not in told


def test_a_command_that_is_misspelled_is_told_with_the_right_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wach"]) == 2
    assert "No such command 'wach'. Did you mean 'watch'?" in capsys.readouterr().err


def test_ctrl_c_in_a_command_that_has_nothing_to_say_of_it_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(lazy_group, "_load", interrupted)
    assert main(["parity"]) == 1
    assert capsys.readouterr().err == "vigil: stopped\n"


def test_ctrl_c_while_clips_are_drawn_says_how_to_go_on(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "vigil", "synth", str(tmp_path / "clips"), "--clips", "2000"]
    job = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(lambda: list(tmp_path.glob("clips/*/*.mp4")))
    os.killpg(job.pid, signal.SIGINT)
    _, told = job.communicate(timeout=HANG_S)
    assert job.returncode == 1
    assert told.endswith("vigil: stopped; what is complete was kept, and the same command resumes from there\n")
    assert "Traceback" not in told
