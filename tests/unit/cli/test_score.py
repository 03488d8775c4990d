import json
import math
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from judging import yes
from scoring import brightness_server, by_brightness, manifest, write_dataset
from scripted_server import Reply, Request, ScriptedServer, chat, error
from vigil.calibration import sigmoid
from vigil.cli.main import main
from vigil.manifest import Calibration, read_manifest

CLIPS = {"alarm/a": [250], "alarm/b": [200, 10], "alarm/c": [30], "normal/d": [10], "normal/e": [20], "normal/f": [180]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ScriptedServer]:
    monkeypatch.setenv("VIGIL_API_KEY", "secret")
    monkeypatch.chdir(tmp_path)
    with brightness_server(models=["base", "lora"], api_key="secret") as running:
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", CLIPS)


def by_model(request: Request) -> Reply:
    """`base` always says the same; `lora` looks."""
    if request.body["model"] == "base":
        return chat("No", logprobs={"token_id:9": -0.1, "token_id:7": -3.0})
    return by_brightness(request)


def test_a_dataset_is_scored_into_a_table_a_file_and_pictures(
    server: ScriptedServer, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(data), "--url", server.url, "--model", "lora", "--json", "deep/score.json", "--out", "out"]
    assert main(["score", *words]) == 0
    told = capsys.readouterr()
    assert "accuracy" in told.out and "always the commoner class" in told.out and "secret" not in told.out + told.err
    score = json.loads(Path("deep/score.json").read_text())
    assert (score["model"], score["n"], score["confusion"]) == ("lora", 6, {"tp": 1, "fp": 1, "fn": 2, "tn": 2})
    assert score["windows"]["n"] == 7 and score["roc_auc"] == pytest.approx(7 / 9)
    written = {path.name for path in Path("out").iterdir()}
    assert written == {"confusion.png", "roc.png", "reliability.png", "mistakes.html", "verdicts-lora.jsonl"}


def test_ctrl_c_says_what_is_kept_and_the_same_command_goes_on(
    server: ScriptedServer, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def strike_at_the_fourth(request: Request) -> Reply:
        if len(server.chats) == 4:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        return by_brightness(request)

    server.default = strike_at_the_fourth
    words = ["score", "--data", str(data), "--url", server.url, "--model", "lora", "--out", "out", "--in-flight", "1"]
    assert main(words) == 1
    told = capsys.readouterr().err
    kept = re.search(
        r"vigil: stopped; (\d) verdicts are kept in out/verdicts-lora.jsonl: the same command resumes", told
    )
    assert kept is not None and 1 <= int(kept[1]) <= 3
    server.default = by_brightness
    asked = len(server.chats)
    assert main(words) == 0
    # Each run begins with a question of its own: which form of video the server takes.
    assert len(server.chats) - asked == 1 + 7 - int(kept[1])


def test_two_models_are_put_side_by_side(
    server: ScriptedServer, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default = by_model
    words = ["--data", str(data), "--url", server.url, "--model", "base", "--against", "lora", "--json", "s.json"]
    assert main(["score", *words]) == 0
    assert "McNemar's exact test p" in capsys.readouterr().out
    score = json.loads(Path("s.json").read_text())
    assert (score["model"], score["against"]["model"], score["comparison"]["second"]) == ("base", "lora", "lora")


def test_folds_are_combined_from_their_files(
    server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fold, names in enumerate(("ab", "cd")):
        data = write_dataset(tmp_path / f"data{fold}", {f"alarm/{names[0]}": [240], f"normal/{names[1]}": [20]})
        assert (
            main(["score", "--data", str(data), "--url", server.url, "--model", "lora", "--json", f"{fold}.json"]) == 0
        )
    capsys.readouterr()
    assert main(["score", "--combine", "0.json", "1.json", "--json", "all.json"]) == 0
    assert "1.000 [0.510, 1.000]" in capsys.readouterr().out
    assert json.loads(Path("all.json").read_text())["n"] == 4
    assert main(["score", "--combine", "0.json"]) == 2 and main(["score", "--combine", "0.json", "0.json"]) == 2


def test_a_limit_draws_the_same_clips_each_time(server: ScriptedServer, data: Path) -> None:
    drawn = []
    for name in ("1.json", "2.json"):
        words = ["--data", str(data), "--url", server.url, "--model", "lora", "--limit", "3", "--json", name]
        assert main(["score", *words]) == 0
        drawn.append([clip["clip"] for clip in json.loads(Path(name).read_text())["clips"]])
    assert drawn[0] == drawn[1] and len(drawn[0]) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "name clips to score"),
        (["--data", "data", "--model", "lora", "--against-model-dir", "data"], 2, "goes with --against"),
        (["clips", "--data", "data"], 2, "not both"),
        (["--data", "nowhere"], 1, "vigil dataset build"),
        (["--data", "data", "--model", "third"], 1, "it serves base, lora"),
        (["--data", "data"], 1, "several models"),
        (["--data", "data", "--split", "sideways"], 2, "sideways"),
        (["nowhere", "--model", "lora"], 2, "neither a folder nor a file"),
        (["--data", "data", "--model", "lora", "--model-dir", "nowhere"], 1, "there is no folder nowhere"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    server: ScriptedServer, data: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert main(["score", *words, "--url", server.url]) == code
    told = capsys.readouterr().err
    assert said in " ".join(told.split()) and "Traceback" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "taken"], "--out taken is a file; name a folder"),
        (["--out", "taken/below"], "is no folder; name another place"),
        (["--json", "folder"], "--json folder is a folder; name a file"),
        (["--json", "taken/s.json"], "is no folder; name another place"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_asked(
    server: ScriptedServer, data: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    Path("taken").touch()
    Path("folder").mkdir()
    before = sorted(Path().iterdir())
    assert main(["score", "--data", str(data), "--url", server.url, "--model", "lora", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert server.requests == [] and sorted(Path().iterdir()) == before


def test_a_wrong_key_is_an_error_and_not_a_score(
    server: ScriptedServer, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_API_KEY", "wrong")
    assert main(["score", "--data", str(data), "--url", server.url, "--model", "lora"]) == 1
    assert "refused the key" in capsys.readouterr().err


def test_a_server_that_only_fails_is_a_failed_job_with_its_causes_on_file(
    server: ScriptedServer, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default = error(400, "no")
    server.queue(by_brightness)  # what the judge asks first, to see which form of pictures is taken
    words = ["--data", str(data), "--url", server.url, "--model", "lora", "--json", "s.json"]
    assert main(["score", *words]) == 1
    assert "answered about none of 6 clips: rejected" in capsys.readouterr().err
    score = json.loads(Path("s.json").read_text())
    assert (score["accuracy"], score["unknown"], score["roc_auc"]) == (0.0, {"rejected": 6}, None)


def test_a_server_lost_on_the_way_is_told_and_only_what_is_missing_is_asked_again(
    server: ScriptedServer, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default = Reply(hang_up=True)
    server.queue(*[by_brightness] * 2)  # the form of pictures, and one window
    words = ["score", "--data", str(data), "--url", server.url, "--model", "lora", "--json", "s.json"]
    assert main(words) == 1
    told = capsys.readouterr()
    assert "6 of 7 windows had no answer (unreachable 6: no connection to the endpoint)" in told.err
    assert "repeat the command" in told.err and "one class only" not in told.out
    assert main(["score", "--combine", "s.json", "s.json"]) == 2 and "not complete" in capsys.readouterr().err
    server.default, before = by_brightness, len(server.chats)
    assert main(words) == 0
    assert len(server.chats) - before == 6 + 1


def overconfident(request: Request) -> Reply:
    """Log-odds four times too large: sure of itself also where it is wrong."""
    reply = by_brightness(request)
    first = reply.body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    alarm, normal = (token["logprob"] for token in first)
    p = sigmoid(max(-20.0, min(20.0, 4 * (alarm - normal))))
    return yes(math.log(p), math.log(1 - p))


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    greys = {f"alarm/{i}": [128 + 8 * i - (60 if i % 4 == 0 else 0)] for i in range(1, 13)}
    greys |= {f"normal/{i}": [128 - 8 * i + (60 if i % 4 == 0 else 0)] for i in range(1, 13)}
    return write_dataset(tmp_path / "held", greys, split="calibration", digest="other")


def test_calibration_is_fitted_stored_and_used(
    server: ScriptedServer, held_out: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default = overconfident
    model = tmp_path / "model"
    model.mkdir()
    manifest(digest="d").write(model)
    where = ["--url", server.url, "--model", "lora", "--model-dir", str(model)]
    assert main(["calibrate", "--data", str(held_out), *where]) == 0
    assert "calibration error before" in capsys.readouterr().out
    calibration = read_manifest(model).calibration
    assert calibration is not None and calibration.temperature > 1.5 and calibration.clips == 24
    assert main(["score", "--data", str(data), *where, "--json", "s.json"]) == 0
    score = json.loads(Path("s.json").read_text())
    assert score["calibration"]["temperature"] == calibration.temperature and "ece_uncalibrated" in score


def test_a_dataset_without_clips_for_calibration_says_how_to_keep_some(
    server: ScriptedServer, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest(digest="d").write(tmp_path)
    words = ["--data", str(data), "--model-dir", str(tmp_path), "--url", server.url, "--model", "lora"]
    assert main(["calibrate", *words]) == 1
    assert "dataset build CLIPS --calibration-share 0.2, and train on that" in capsys.readouterr().err


def test_the_calibration_of_one_model_leaves_the_other_alone(
    server: ScriptedServer, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, temperature in (("first", 9.0), ("second", 4.0)):
        (tmp_path / name).mkdir()
        replace(manifest(), calibration=Calibration(temperature=temperature)).write(tmp_path / name)
    words = ["score", "--data", str(data), "--url", server.url, "--model", "lora", "--json", "s.json"]
    words += ["--model-dir", "first", "--against", "base"]
    assert main([*words, "--fresh"]) == 0
    score = json.loads(Path("s.json").read_text())
    assert score["calibration"]["temperature"] == 9.0 and score["against"]["calibration"] is None
    assert score["clips"][0]["p_alarm"] < 0.8 < 0.99 < score["against"]["clips"][0]["p_alarm"]
    told = capsys.readouterr().out
    assert "calibrated" in told and "as the model gives them" in told
    assert main([*words, "--against-model-dir", "second"]) == 0
    assert json.loads(Path("s.json").read_text())["against"]["calibration"]["temperature"] == 4.0


def test_a_second_calibration_does_not_build_on_the_first(
    server: ScriptedServer, held_out: Path, tmp_path: Path
) -> None:
    server.default = overconfident
    found = []
    for name, before in (("new", None), ("old", Calibration(temperature=9.0, bias=3.0))):
        (tmp_path / name).mkdir()
        replace(manifest(), calibration=before).write(tmp_path / name)
        where = ["--url", server.url, "--model", "lora", "--model-dir", str(tmp_path / name)]
        assert main(["calibrate", "--data", str(held_out), *where]) == 0
        found.append(read_manifest(tmp_path / name).calibration)
    assert found[0] == found[1]


def test_the_test_split_is_not_calibrated_on(server: ScriptedServer, data: Path, tmp_path: Path) -> None:
    manifest().write(tmp_path)
    where = ["--url", server.url, "--model", "lora", "--model-dir", str(tmp_path)]
    assert main(["calibrate", "--data", str(data), "--split", "test", *where]) == 2
    assert read_manifest(tmp_path).calibration is None
