import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripted_server import ScriptedServer
from vigil.cli.main import main
from watching import bright_server, film


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.chdir(tmp_path)
    with bright_server() as running:
        yield running


@pytest.fixture
def words(server: ScriptedServer, tmp_path: Path) -> list[str]:
    task = tmp_path / "task.yaml"
    task.write_text('name: t\nquestion: Is there a fight?\nalarm_word: "Yes"\nnormal_word: "No"\n')
    return ["--url", server.url, "--task", str(task), "--max-pixels", "12288", "--out", "out"]


def test_long_videos_are_watched_and_scored_against_their_onsets(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film(tmp_path / "a.mp4", seconds=40, bright=[(10, 16), (28, 30)])
    film(tmp_path / "b.mp4", seconds=24, bright=[(6, 12)])
    Path("truth.csv").write_text("video,onset_s,end_s\na.mp4,10,16\nb.mp4,,\nc.mp4,1,2\n")
    asked = ["score", "--timeline", "truth.csv", "a.mp4", "b.mp4", *words, "--json", "score.json"]
    assert main(asked) == 0
    told = capsys.readouterr()
    assert "false alarms an hour" in told.out and "c.mp4 (line 4)" in told.err
    score = json.loads(Path("score.json").read_text())
    assert (score["model"], score["incidents"], score["found"], score["missed"]) == ("tiny", 1, 1, 0)
    assert score["false_alarms"] >= 1 and score["per_video"][1]["found_share"] is None
    assert 0 < score["latency_p50_s"] < 8
    assert score["window"]["roc_auc"] > 0.7 and score["window"]["roc_auc_ci95"] is None
    assert "[-] (stretches: 1 positive, " in told.out
    assert sorted(path.name for path in Path("out").iterdir()) == ["timeline-1-a.mp4.png", "timeline-2-b.mp4.png"]
    assert not Path("outputs").exists()


def test_a_folder_of_folders_is_scored_by_the_names_that_the_watch_gives(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("day1/a.mp4", "day2/b.mp4"):
        path = tmp_path / "tl" / name
        path.parent.mkdir(parents=True)
        film(path, seconds=12, bright=[(4, 8)])
    Path("truth.csv").write_text("video,onset_s,end_s\nday1/a.mp4,4,8\nday2/b.mp4,4,8\n")
    assert main(["score", "--timeline", "truth.csv", "tl", *words, "--json", "score.json"]) == 0
    score = json.loads(Path("score.json").read_text())
    assert [video["video"] for video in score["per_video"]] == ["day1/a.mp4", "day2/b.mp4"]
    assert all(video["windows"] for video in score["per_video"])


def test_what_is_said_of_one_of_two_files_of_one_name_does_not_count_for_the_other(
    words: list[str], tmp_path: Path
) -> None:
    for folder, bright in (("one", [(4.0, 8.0)]), ("two", [])):
        (tmp_path / folder).mkdir()
        film(tmp_path / folder / "a.mp4", seconds=12, bright=bright)
    Path("truth.csv").write_text("video,onset_s,end_s\none/a.mp4,4,8\ntwo/a.mp4,,\n")
    videos = [str(tmp_path / folder / "a.mp4") for folder in ("two", "one")]
    assert main(["score", "--timeline", "truth.csv", *videos, *words, "--json", "score.json"]) == 0
    score = json.loads(Path("score.json").read_text())
    assert (score["incidents"], score["found"], score["false_alarms"]) == (1, 1, 0)
    assert [video["video"] for video in score["per_video"]] == ["two/a.mp4", "one/a.mp4"]


def test_a_video_that_breaks_off_is_scored_as_far_as_it_goes(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = film(tmp_path / "whole.mp4", seconds=400, bright=[(20, 30)], movflags="+faststart").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 35 // 100])
    Path("truth.csv").write_text("video,onset_s,end_s\ncut.mp4,20,30\n")
    assert main(["score", "--timeline", "truth.csv", "cut.mp4", *words, "--json", "score.json"]) == 0
    assert json.loads(Path("score.json").read_text())["found"] == 1
    assert Path("out/timeline-1-cut.mp4.png").is_file()


@pytest.mark.parametrize(
    ("videos", "code", "complaint"),
    [
        ([], 2, "name the videos that the ground truth describes"),
        (["0"], 2, "--timeline scores video files"),
        (["b.mp4"], 2, "no row names b.mp4"),
        (["a.mp4", "--data", "data"], 2, "--data cannot go with --timeline"),
        (["a.mp4", "--watch-config", "nonsense"], 2, "no watch configuration 'nonsense'"),
    ],
)
def test_what_cannot_be_scored_is_said_before_anything_is_watched(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], videos: list[str], code: int, complaint: str
) -> None:
    for name in ("a.mp4", "b.mp4"):
        film(tmp_path / name, seconds=4)
    Path("truth.csv").write_text("video,onset_s,end_s\na.mp4,1,2\n")
    assert main(["score", "--timeline", "truth.csv", *videos, *words]) == code
    assert complaint in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_video_that_cannot_be_read_is_no_score(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    Path("truth.csv").write_text("video,onset_s,end_s\na.mp4,1,2\n")
    assert main(["score", "--timeline", "truth.csv", "a.mp4", *words]) == 1
    assert "could not be read" in capsys.readouterr().err


def test_a_video_is_composed_from_clips_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("fight", "normal"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        film(tmp_path / "clips" / label / "a.mp4", seconds=4)
    out = tmp_path / "long.mp4"
    assert main(["compose", str(tmp_path / "clips"), "--out", str(out), "--seconds", "30", "--size", "64x64"]) == 0
    told = capsys.readouterr()
    assert "long.csv" in told.out and "composing: " in told.err
    assert out.is_file() and out.with_suffix(".csv").read_text().startswith("video,onset_s,end_s,label,clip\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--out", "long.avi"], "must end in .mp4"),
        (["--out", "long.mp4", "--size", "64"], "must be WIDTHxHEIGHT"),
        (["--out", "long.mp4", "--size", "65x64"], "must be even"),
        (["--out", "long.mp4", "--size", "9000x64"], "from 64 to 4096"),
    ],
)
def test_a_composition_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    for label in ("fight", "normal"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        film(tmp_path / "clips" / label / "a.mp4", seconds=1)
    assert main(["compose", str(tmp_path / "clips"), *words]) == 2
    assert complaint in capsys.readouterr().err


def test_a_class_that_the_question_does_not_have_is_refused_before_anything_is_watched(
    words: list[str], server: ScriptedServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = tmp_path / "task.yaml"
    labels = "".join(f"  - {{name: {one}, word: {one.title()}, is_alarm: true}}\n" for one in ("smoke", "fall"))
    task.write_text(f"name: yard\nquestion: What happens?\nlabels:\n{labels}  - {{name: calm, word: Calm}}\n")
    film(tmp_path / "a.mp4", seconds=6, bright=[])
    Path("truth.csv").write_text("video,onset_s,end_s,label\na.mp4,1,2,flood\n")
    assert main(["score", "--timeline", "truth.csv", "a.mp4", *words]) == 2
    assert "line 2: the label 'flood' is none of the question: smoke, fall" in capsys.readouterr().err
