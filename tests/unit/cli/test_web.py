"""`vigil web` hands everything on to the pages, which answer for themselves under its name."""

import subprocess
import sys
from pathlib import Path


def web(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vigil", "web", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_its_help_is_that_of_the_pages(tmp_path: Path) -> None:
    asked = web("--help", folder=tmp_path)
    assert asked.returncode == 0
    assert asked.stdout.startswith("usage: vigil web ") and "Uploads and limits:" in asked.stdout
    assert "vigil web --demo" in asked.stdout and "web.py" not in asked.stdout


def test_a_wrong_option_ends_with_its_own_message(tmp_path: Path) -> None:
    asked = web("--port", "ten", folder=tmp_path)
    assert asked.returncode == 2
    assert asked.stderr.splitlines()[-1] == "vigil web: error: argument --port: invalid int value: 'ten'"


def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    asked = web("--host", "0.0.0.0", folder=tmp_path)
    assert asked.returncode == 2 and asked.stderr.startswith("vigil web: ") and asked.stderr.count("\n") == 1


def test_the_service_answers_for_itself_without_gradio(tmp_path: Path) -> None:
    words = "['vigil', 'service', '--host', '0.0.0.0']"
    code = f"import sys; from vigil.__main__ import run; sys.argv = {words}; print(run(), 'gradio' in sys.modules)"
    asked = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert asked.stdout.split() == ["2", "False"], asked.stderr
    assert (
        asked.stderr.startswith("vigil service: --host 0.0.0.0 opens the pages") and "vigil users add" in asked.stderr
    )
