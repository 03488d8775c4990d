"""What the docs tell people to run, runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from judging import SAMPLING, tokenized
from vigil.cli.main import main
from vigil.manifest import Contract
from vigil.questions import load_question
from watching import bright_server, film

DOCS = Path(__file__).resolve().parents[2] / "docs"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / "watch.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_watch_of_a_dozen_lines_tells_of_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = (code for code in examples() if "asyncio.run" in code)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    film(tmp_path / "clips" / "a.mp4", seconds=24, bright=[(6, 12)])
    with bright_server() as server:
        server.routes["/tokenize"] = tokenized({"是的": [7], "没有": [9]})
        server.models.append(Contract.of(load_question("fight"), SAMPLING).alias)
        exec(code.replace("http://127.0.0.1:8000/v1", server.url), {"__name__": "example"})
    told = capsys.readouterr().out
    assert "opened a.mp4 high" in told and "1 events 0 windows unaccounted for" in told


def test_the_watch_beside_a_program_is_steered_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = (code for code in examples() if "BackgroundWatcher" in code)
    monkeypatch.chdir(tmp_path)
    with bright_server() as server:
        code = code.replace('"preview_fps=5"', f'"preview_fps=5", "url={server.url}"').replace(
            "10.0.0.7", "127.0.0.1:9"
        )
        names: dict[str, Any] = {"__name__": "example"}
        exec(code, names)
    told = capsys.readouterr().out
    assert "door" in told and "secret" not in told
    assert names["service"].watch is None and (tmp_path / "outputs" / "watch" / "room.yaml").exists()


@pytest.mark.parametrize("words", [["parity"], ["events"], ["score"], ["dataset", "build"]])
def test_the_help_of_a_command_shows_an_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    assert f"Example: vigil {' '.join(words)}" in capsys.readouterr().out
