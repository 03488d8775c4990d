"""`vigil timeline` on a real vLLM: its grammar holds the answers to their form, without white space."""

import json
from pathlib import Path

import pytest

from vigil.actions.action_question import MOST_ACTIONS
from vigil.cli.main import main
from vigil.serving.server import RunningServer
from watching import film

pytestmark = pytest.mark.e2e


def test_the_answers_of_a_real_model_have_the_form_whatever_it_says(server: RunningServer, tmp_path: Path) -> None:
    video, key = film(tmp_path / "a.mp4", seconds=9, bright=[(3, 6)]), tmp_path / "key"
    key.write_text(server.key)
    key.chmod(0o600)
    words = ["--url", server.url, "--key-file", str(key), "--out", str(tmp_path / "out"), "--max-pixels", "12288"]
    assert main(["timeline", str(video), *words, "--json", str(tmp_path / "a.json")]) == 0
    found = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert found["windows"] >= 4 and found["unknown"] == [] and found["words"] == []
    journal = (tmp_path / "out/a.mp4.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in journal[1:-1]]
    assert len(texts) == found["windows"]
    for text in texts:
        answer = json.loads(text)
        assert list(answer) == ["actions"] and len(answer["actions"]) <= MOST_ACTIONS
        assert json.dumps(answer, separators=(",", ":"), ensure_ascii=False) == text, "there is white space in it"
