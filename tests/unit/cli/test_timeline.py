"""`vigil timeline` against a server that says what is bright: files, resuming, and what goes wrong."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripted_server import Reply, Request, ScriptedServer, chat, error, stream
from vigil.cli.main import main
from vigil.store import Store
from vigil.store.observations import ObservationFilter
from watching import film, is_bright


def says(request: Request) -> Reply:
    """A man waves where it is bright, from second 0.5 of the window on; elsewhere nobody does anything."""
    if not request.body.get("stream"):
        return chat("No")
    waves = {"time": 0.5, "actor": "man", "action": "waves", "intent": "=to greet"}
    return stream(json.dumps({"actions": [waves] if is_bright(request) else []}))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "a.mp4", seconds=20, bright=[(8, 14)])
    with ScriptedServer(models=["tiny"]) as running:
        running.default = says
        yield running


def listed(server: ScriptedServer, *words: str, code: int = 0) -> dict[str, Any]:
    """What `vigil timeline` writes as JSON."""
    asked = ["timeline", "a.mp4", "--url", server.url, "--max-pixels", "12288", "--json", "a.json", *words]
    assert main(asked) == code
    found: dict[str, Any] = json.loads(Path("a.json").read_text(encoding="utf-8"))
    return found


def asked(server: ScriptedServer) -> list[Request]:
    """The requests about windows, without those that try what the server takes."""
    return [request for request in server.chats if request.body.get("stream")]


def test_an_action_that_goes_on_is_one_line_of_every_file(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = listed(server, "--csv", "a.csv", "--srt", "a.srt", "--plot", "a.png")
    [action] = found["actions"]
    assert (action["actor"], action["action"], action["intent"]) == ("man", "waves", "=to greet")
    # The windows from 6, 8 and 10 s end while it is bright.
    assert (action["start_s"], action["end_s"], action["windows"]) == (6.5, 12.5, 3)
    assert (found["words"], found["unknown"]) == ([], []) and found["seen_s"] == found["length_s"] - 0.5
    [row] = list(csv.DictReader(Path("a.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert row["intent"] == "'=to greet" and float(row["start_s"]) == action["start_s"]
    assert Path("a.srt").read_text(encoding="utf-8").splitlines()[2] == "man: waves (=to greet)"
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert "man: waves" in capsys.readouterr().out


def test_every_request_is_held_to_the_form(server: ScriptedServer) -> None:
    listed(server, "--language", "en")
    requests = asked(server)
    assert len(requests) == 10
    for request in requests:
        held = request.body["response_format"]
        assert held["type"] == "json_schema" and held["json_schema"]["schema"]["required"] == ["actions"]
    assert "what is done" in requests[0].text


def test_with_key_frames_only_their_windows_are_asked_about(server: ScriptedServer) -> None:
    found = listed(server, "--key-frames", "change", "--most", "2")
    assert len(asked(server)) == found["windows"] == 2 and found["key_frames"] == "change"
    assert found["seen_s"] < found["length_s"] / 2


def test_an_interrupted_run_asks_only_what_has_no_answer_yet(server: ScriptedServer, tmp_path: Path) -> None:
    listed(server)
    journal = tmp_path / "outputs/timeline/a.mp4.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[-1]) == {"complete": True}
    # As kill -9 leaves it: four answers, and half of the fifth.
    journal.write_text("\n".join([*lines[:5], lines[5][:20]]), encoding="utf-8")
    server.forget()
    assert len(listed(server)["actions"]) == 1 and len(asked(server)) == 6
    server.forget()
    listed(server)
    assert len(asked(server)) == 10, "a complete run starts over"
    journal.write_text("\n".join(lines[:5]), encoding="utf-8")
    server.forget()
    listed(server, "--fresh")
    assert len(asked(server)) == 10


def test_the_actions_are_in_the_store_once_however_often_they_are_written(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        listed(server, "--store", "events.db")
    assert "1 new observation" in (told := capsys.readouterr().err) and "0 new observations" in told
    with Store.open("events.db") as store:
        [row] = store.observations.find(ObservationFilter(text="WAVES"))
    assert (row.source, row.start_s, row.end_s, row.question) == ("a.mp4", 6.5, 12.5, "timeline")
    assert row.text == "man: waves (=to greet)" and row.fields is not None and row.fields["actor"] == "man"
    assert row.camera_id and row.session_id


def test_words_instead_of_json_are_kept_counted_and_told(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default = lambda request: stream('{"actions": [{"ti') if request.body.get("stream") else chat("No")
    found = listed(server)
    assert found["actions"] == [] and len(found["words"]) == 10
    assert found["words"][0]["words"] == '{"actions": [{"ti'
    assert (
        "10 answers not in the form that was asked for, kept as words: the JSON breaks off" in capsys.readouterr().out
    )


def test_windows_that_are_refused_are_unknown_and_if_all_are_the_job_failed(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = error(400, "no room for it")
    server.default = lambda request: bad if is_bright(request) else says(request)
    assert {each["reason"].partition(":")[0] for each in listed(server)["unknown"]} == {"rejected"}
    server.default = lambda request: bad if request.body.get("stream") else chat("No")
    listed(server, code=1)
    assert "not one of 10 windows has an answer: rejected: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["gone.mp4"], 1, "gone.mp4 is no video file; name one that exists"),
        (["empty.mp4"], 1, "empty.mp4"),
        (["a.mp4", "--most", "65"], 2, "less than or equal to 64"),
        (["a.mp4", "--key-frames", "motion"], 2, "motion"),
        (["a.mp4", "--csv", "."], 2, "is a folder"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_asked(
    server: ScriptedServer, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.mp4").write_bytes(b"")
    assert main(["timeline", *words, "--url", server.url]) == code
    assert told in capsys.readouterr().err and not asked(server)
