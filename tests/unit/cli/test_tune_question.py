"""`vigil tune-question`: the best of several wordings beside the old one, resumed where it was stopped."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from judging import no, yes
from scoring import brightness_server, by_brightness, write_dataset
from scripted_server import Reply, Request, ScriptedServer, chat, error
from vigil.cli.main import main
from vigil.questions import load_question

CLIPS = {
    **{f"alarm/{number}": [200 + number] for number in range(12)},
    **{f"normal/{number}": [20 + number] for number in range(12)},
}
HITS = "Do people hit each other?"
WEATHER = "Is it raining?"


def by_wording(request: Request) -> Reply:
    """`HITS` sees how bright it is; any other question is answered at random, but always alike."""
    if "hit" in request.text:
        return by_brightness(request)
    p = 0.3 + 0.4 * (hash(str(request.parts)) % 97) / 97
    return yes(math.log(p), math.log(1 - p))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedServer]:
    monkeypatch.chdir(tmp_path)
    with brightness_server(models=["base"]) as running:
        running.default = by_wording
        yield running


@pytest.fixture
def words(server: ScriptedServer, tmp_path: Path) -> list[str]:
    data = write_dataset(tmp_path / "data", CLIPS, split="calibration")
    Path("wordings.txt").write_text(f"{WEATHER}\n{HITS}\n", encoding="utf-8")
    return ["tune-question", "--data", str(data), "--url", server.url, "--candidates", "wordings.txt"]


def test_the_best_wording_is_named_beside_the_old_one_and_written_as_a_task(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--out", "better.yaml", "--json", "tuned.json"]) == 0
    told = capsys.readouterr()
    first, *_ = [line for line in told.out.splitlines() if line.startswith("1")]
    assert "1.000" in first and "[" in first and "24" in first
    rows = json.loads(Path("tuned.json").read_text())["questions"]
    assert [row["is_old"] for row in rows].count(True) == 1 and rows[0]["roc_auc"] == 1.0
    assert rows[0]["roc_auc_ci95"][0] < 1.0 and rows[0]["comparison"]["roc_auc_difference_ci95"][0] > 0
    better = load_question("better.yaml")
    assert (
        better.name == "better" and better.text.startswith(HITS) and better.words() == {"alarm": "Yes", "normal": "No"}
    )
    assert "score it on clips kept back" in told.err


def test_a_run_that_was_stopped_asks_only_what_is_missing(words: list[str], server: ScriptedServer) -> None:
    def fails_at_the_second(request: Request) -> Reply:
        return (
            error(401, "no") if WEATHER in request.text and "video_url" in str(request.parts) else by_wording(request)
        )

    server.default = fails_at_the_second
    assert main([*words, "--in-flight", "1"]) == 1
    server.default = by_wording
    server.requests.clear()
    assert main([*words, "--in-flight", "1"]) == 0
    asked = [request.text for request in server.chats if request.body.get("max_tokens") == 1]
    assert not [text for text in asked if "fight" in text][1:], "the old question's answers were kept"
    assert sum(WEATHER in text for text in asked) >= 24 and sum(HITS in text for text in asked) >= 24
    server.requests.clear()
    assert main(words) == 0
    assert [request for request in server.chats if "video_url" in str(request.parts)] == [], "all were kept"


def test_the_model_writes_wordings_which_are_kept(
    words: list[str], server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def writes(request: Request) -> Reply:
        if "other wordings" in request.text:
            return chat(f"1. {HITS}\n2. Is it <video>?\n3. Is it dark?")
        return by_wording(request)

    server.default = writes
    own = [*words[:-2], "--write", "3"]
    assert main(own) == 0
    told = capsys.readouterr()
    assert HITS in told.out and "Is it dark?" in told.out and "left out: 'Is it <video>?'" in told.err
    server.default = by_wording
    assert main(own) == 0, "those that it wrote are tried again, and it is not asked for others"


def test_an_old_question_that_is_the_best_is_not_written_again(
    words: list[str], server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default = lambda request: by_brightness(request) if "fight" in request.text else no()
    assert main([*words, "--out", "better.yaml"]) == 0
    assert "no wording is better than the old one" in " ".join(capsys.readouterr().err.split())
    assert not Path("better.yaml").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--split", "test"], "the test split is for the score alone"),
        (["--candidates", "none.txt"], "none.txt cannot be read"),
        (["--out", "better.txt"], "--out names a task file"),
        (["--task", "describe"], "has no labels"),
    ],
)
def test_what_cannot_be_tuned_is_told(
    words: list[str], more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_without_wordings_there_is_nothing_to_do(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words[:-2]) == 2
    assert "--candidates" in capsys.readouterr().err
