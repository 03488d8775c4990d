"""Help and wrong words are answered before anything heavy is loaded."""

import subprocess
import sys

import pytest

from vigil.cli import main
from vigil.cli.road import SUMMARIES

HEAVY = ("numpy", "cv2", "av", "openai", "aiohttp", "sqlalchemy")


def test_the_help_lists_every_command_in_a_line_and_loads_none() -> None:
    code = (
        "import sys\nfrom vigil.cli import main\nmain(['--help'])\n"
        f"sys.exit(', '.join(name for name in {HEAVY!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
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
