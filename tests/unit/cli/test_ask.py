"""`vigil ask`: an answer with its records, with a model, without one, and where nothing was recorded."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from incidents import make_event
from observing import make_observation
from scripted_server import ScriptedServer, error, stream
from vigil.cli.main import main
from vigil.store import CameraRecord, Store
from vigil.store.times import format_utc

Told = pytest.CaptureFixture[str]


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store with a fight an hour ago and two observations."""
    path = tmp_path / "events.db"
    monkeypatch.setenv("VIGIL_STORE", str(path))
    ago_s = time.time() - 3600
    with Store.open(path) as store:
        camera = store.cameras.register(CameraRecord(id="", name="后门", identity="i", kind="stream"))
        store.events.save(
            make_event(id="20261129T220000000Z-aaaaaaaa", text="[bold]两个人打架\x1b[31m", camera_id=camera.id,
                       source="后门", epoch_s=ago_s, end_s=4.0, rule="fight")
        )  # fmt: skip
        store.observations.add([
            make_observation(0, "a white van at the gate", happened_utc=format_utc(ago_s)),
            make_observation(5, "一个人搬梯子", happened_utc=format_utc(ago_s), camera_id=camera.id),
        ])  # fmt: skip
    yield path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """The served model."""
    with ScriptedServer(models=["tiny"]) as running:
        monkeypatch.setenv("VIGIL_URL", running.url)
        yield running


def test_each_sentence_is_printed_with_its_records(db: Path, server: ScriptedServer, capsys: Told) -> None:
    server.queue(stream("后门有人打架[E1]。", "没有别的[E9]。"))
    assert main(["ask", "后门有人打架吗", "--since", "24h"]) == 0
    told = capsys.readouterr()
    assert "后门有人打架。 [E1]" in told.out and "没有别的。 [rests on no record]" in told.out
    assert "aaaaaaaa" in told.out and "[bold]两个人打架" in told.out and "\x1b" not in told.out
    assert "taken off, as there are no such records: E9" in told.err
    assert "searched: 打架" in told.err and "后门 | 1 event and 1 observation there" in told.err


def test_without_a_model_the_records_are_listed_and_why_is_said(db: Path, server: ScriptedServer, capsys: Told) -> None:
    server.default = error(500, "out of memory")
    assert main(["ask", "was there a white van?"]) == 0
    told = capsys.readouterr()
    assert "O1" in told.out and "a white van at the gate" in told.out
    assert "no model has answered, so here is what was found" in told.err and "out of memory" in told.err


def test_with_records_alone_nobody_is_asked(db: Path, server: ScriptedServer, capsys: Told) -> None:
    assert main(["ask", "谁搬了梯子", "--records"]) == 0
    assert "一个人搬梯子" in capsys.readouterr().out and server.requests == []


def test_where_nothing_was_recorded_it_is_said_without_a_model(db: Path, server: ScriptedServer, capsys: Told) -> None:
    assert main(["ask", "有人骑马吗"]) == 0
    assert "nothing that matches was recorded, among 1 event and 2 observations" in capsys.readouterr().out
    assert main(["ask", "有人打架吗", "--until", "2020-01-01"]) == 0
    assert "and no camera was watched then" in capsys.readouterr().out
    assert server.requests == []


def test_as_json_the_answer_holds_all_that_was_found(db: Path, server: ScriptedServer, capsys: Told) -> None:
    server.queue(stream("打架[E1]。"))
    assert main(["ask", "有人打架吗", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outcome"] == "answered" and told["sentences"] == [{"text": "打架。", "refs": ["E1"]}]
    assert [record["ref"] for record in told["records"]] == ["E1"] and told["records"][0]["rule"] == "fight"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ask", " "], "the question is empty"),
        (["ask", "x" * 3000], "2000 are the most"),
        (["ask", "打架", "--since", "yesterday-ish"], "--since 'yesterday-ish'"),
        (["ask", "打架", "--since", "1h", "--until", "2h"], "wrong way"),
        (["ask", "打架", "--camera", "nosuch"], "no camera 'nosuch'"),
    ],
)
def test_what_cannot_be_asked_is_refused(db: Path, capsys: Told, words: list[str], told: str) -> None:
    assert main(words) == 2
    assert told in capsys.readouterr().err.replace("\n", " ")


def test_a_question_comes_from_standard_input(db: Path, capsys: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("谁搬了梯子\n"))
    assert main(["ask", "-", "--records"]) == 0 and "梯子" in capsys.readouterr().out


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, capsys: Told) -> None:
    assert main(["ask", "打架", "--store", str(tmp_path / "none.db")]) == 1
    assert "there is no store" in capsys.readouterr().err and not (tmp_path / "none.db").exists()
