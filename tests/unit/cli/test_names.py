"""Commands on films whose names are no UTF-8, or as long as can be: tables, logs, JSON, CSV, subtitles, pages."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from scripted_server import ScriptedServer
from vigil.cli.main import main
from watching import bright_server, film

Ran = Callable[..., str]

TASK = """name: t
question: Is there a fight?
alarm_word: "Yes"
normal_word: "No"
alarm_folders: [打架]
normal_folders: [正常]
"""


def in_gbk(text: str) -> str:
    return os.fsdecode(text.encode("gb18030"))


LONG = "斗" * 83
NAMES = {in_gbk("夜里"): "夜里", LONG: LONG, os.fsdecode(b"caf\xe9"): "caf\\xe9"}
"""Stems of names on disk, and how they are read."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.chdir(tmp_path)
    with bright_server() as running:
        yield running


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two folders whose own names are GBK, as an archive from Windows leaves them, with the same names in each."""
    task = tmp_path / "task.yaml"
    task.write_text(TASK, encoding="utf-8")
    folder = tmp_path / "clips"
    for number, label in enumerate(("打架", "正常")):
        for place, stem in enumerate(NAMES):
            path = folder / in_gbk(label) / f"{stem}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            film(tmp_path / "drawn.mp4", seconds=4, bright=[(place, place + 1.5 - number)], fps=8 + 2 * place + number)
            (tmp_path / "drawn.mp4").rename(path)
    rows = [f"{stem},{label},{label}{place}" for label in ("打架", "正常") for place, stem in enumerate(NAMES.values())]
    (folder / "sources.csv").write_text("\n".join(["clip,label,source", *rows]), encoding="utf-8")
    return folder


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Ran:
    """What a command prints to a terminal that takes text only, as pytest's own streams do."""

    def run(*words: str) -> str:
        code = main(list(words))
        told = capsys.readouterr()
        assert code == 0, told.err[-3000:]
        return told.out + told.err

    return run


def ran_alone(*words: str) -> str:
    """The same of a process of its own, whose words come from the shell."""
    environment: Mapping[str, str] = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run([sys.executable, "-m", "vigil", *words], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    return done.stdout.decode() + done.stderr.decode()


def test_a_dataset_is_built_checked_shown_and_scored_under_names_that_can_be_written(
    server: ScriptedServer, clips: Path, ran: Ran
) -> None:
    told = ran_alone("dataset", "build", "clips", "--out", "data", "--task", "task.yaml", "--max-pixels", "12288")
    assert "6 clips cut" in told
    folders = [path.name for path in Path("data/frames").glob("*/*")]
    assert len(folders) == 6 and {"夜里", "caf_xe9"} < set(folders)
    assert all(len(name.encode()) <= 120 for name in folders)
    assert "0 errors" in ran("dataset", "check", "data")
    rows = [row for path in Path("data").glob("anomaly-*.json") for row in json.loads(path.read_text("utf-8"))]
    assert {row["clip"] for row in rows} == {
        f"{label}/{stem}.mp4" for label in ("打架", "正常") for stem in NAMES.values()
    }
    assert all(Path("data", frame).is_file() for row in rows for frame in row["videos"][0])
    assert LONG[:30] in ran("dataset", "preview", "data") + Path("data/preview.html").read_text("utf-8")
    scored = ran("score", "clips", "--task", "task.yaml", "--url", server.url, "--out", "out", "--json", "s.json")
    assert "accuracy" in scored
    verdicts = [json.loads(line) for line in Path("out/verdicts-model.jsonl").read_text("utf-8").splitlines()]
    assert {line.get("clip") for line in verdicts} >= {"打架/夜里.mp4", f"正常/{LONG}.mp4", "正常/caf\\xe9.mp4"}


@pytest.mark.parametrize("stem", NAMES)
def test_a_film_is_watched_and_its_events_are_kept_and_exported(
    server: ScriptedServer, clips: Path, stem: str, ran: Ran
) -> None:
    path, name = f"{stem}.mp4", f"{NAMES[stem]}.mp4"
    film(Path("drawn.mp4"), seconds=16, bright=[(4, 10)]).rename(path)
    ending = stem if stem == LONG else f"{stem}-seen"
    files = ["--jsonl", f"{ending}.jsonl", "--srt", f"{ending}.srt", "--video", f"{ending}.seen"[:80] + ".mp4"]
    words = ["--url", server.url, "--task", "task.yaml", "--max-pixels", "12288", "--store", "st/e.db", *files]
    assert name[:20] in (ran if stem == LONG else ran_alone)("watch", path, *words)
    line = json.loads(Path(f"{ending}.jsonl").read_text("utf-8").splitlines()[0])
    assert line["source"] == name
    assert name[:20] in ran("events", "list", "--store", "st/e.db")
    (event,) = json.loads(ran("events", "export", "--store", "st/e.db", "--format", "json"))
    assert event["source"] == name and all(Path(each).is_file() for each in event["media"])
    ran("events", "export", "--store", "st/e.db", "--out", "e.csv")
    with Path("e.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["source"] for row in csv.DictReader(file)] == [name]
    assert "ALARM" in ran("events", "export", "--store", "st/e.db", "--format", "srt")


def test_long_films_are_scored_by_the_names_that_people_write(server: ScriptedServer, clips: Path, ran: Ran) -> None:
    for stem in NAMES:
        film(Path("drawn.mp4"), seconds=16, bright=[(4, 10)]).rename(f"{stem}.mp4")
    rows = "".join(f"{name}.mp4,4,10\n" for name in NAMES.values() if "\\" not in name)
    Path("truth.csv").write_text(f"video,onset_s,end_s\n{rows}", encoding="utf-8")
    files = [f"{stem}.mp4" for stem in NAMES if "\\" not in NAMES[stem]]
    told = ran("score", "--timeline", "truth.csv", *files, "--url", server.url, "--task", "task.yaml", "--out", "out")
    assert "found" in told
    assert {path.name for path in Path("out").glob("*.png")} == {
        "timeline-1-夜里.mp4.png",
        next(path.name for path in Path("out").glob("timeline-2-斗斗*.png")),
    }


def test_films_are_composed_and_the_truth_names_them_as_they_are_read(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: Ran
) -> None:
    monkeypatch.chdir(tmp_path)
    out = f"{in_gbk('长片')}.mp4"
    ran("compose", "clips", "--out", out, "--seconds", "20", "--task", "task.yaml")
    with Path(out).with_suffix(".csv").open(encoding="utf-8-sig", newline="") as file:
        assert {row["video"] for row in csv.DictReader(file)} == {"长片.mp4"}


@pytest.mark.parametrize("words", [["watch", "{name}"], ["dataset", "build", "{name}"]])
def test_a_place_that_is_not_there_is_named_on_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    name = in_gbk("没有")
    assert main([word.format(name=name) for word in words]) in {1, 2}
    told = capsys.readouterr().err
    assert "没有" in told
    assert len(told.splitlines()) == 1
