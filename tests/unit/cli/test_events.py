import csv
import io
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from incidents import make_event, make_judged
from vigil.cli.event_table import probability_blocks
from vigil.cli.main import main
from vigil.events import EventWindow, Tier
from vigil.report.event_export import as_csv
from vigil.store import Store
from vigil.store.times import format_utc

DOCS = Path(__file__).resolve().parents[3] / "docs"

Told = pytest.CaptureFixture[str]


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A door and a yard with an event each: the door's live, an hour ago; the yard is a file."""
    path = tmp_path / "events.db"
    monkeypatch.setenv("VIGIL_STORE", str(path))
    began_s = time.time() - 3600
    with Store.open(path) as store:
        store.sessions.start(source="door", epoch_s=began_s)
        store.verdicts.add([make_judged(0, 0.1), make_judged(1, 0.95), make_judged(2, 0.9), make_judged(3, None)])
        event = make_event(
            id="20261120T110000000Z-aaaaaaaa",
            epoch_s=began_s,
            onset_s=2.0,
            end_s=6.5,
            tier=Tier.HIGH,
            text="[bold]两个人在打架\x1b[31m",
            closed_because="quiet",
        )
        store.events.save(event)
        store.media.keep(event.id, "clips", ".mp4", lambda clip: clip.write_bytes(b"clip") and None)
        store.events.save(
            make_event(
                id="20261120T120000000Z-bbbbbbbb",
                source="yard.mp4",
                tier=Tier.LOW,
                text='=HYPERLINK("x")',
                rule="loitering",
            )
        )
    yield path


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], {"aaaaaaaa", "bbbbbbbb"}),
        (["--source", "door"], {"aaaaaaaa"}),
        (["--tier", "medium"], {"aaaaaaaa"}),
        (["--text", "打架"], {"aaaaaaaa"}),
        (["--rule", "loitering"], {"bbbbbbbb"}),
        (["--since", "30m"], {"bbbbbbbb"}),
        (["--until", "30 m ago"], {"aaaaaaaa"}),
        (["--since", "2d", "--until", "now"], None),
        (["--since", "1999-01-01", "--limit", "1"], {"bbbbbbbb"}),
    ],
)
def test_events_are_listed_by_conditions(db: Path, capsys: Told, words: list[str], found: set[str] | None) -> None:
    code = main(["events", "list", *words])
    told = capsys.readouterr()
    if found is None:
        assert code == 2 and "--until 'now': write 2026-11-20" in told.err
        return
    assert code == 0 and {name for name in ("aaaaaaaa", "bbbbbbbb") if name in told.out} == found
    assert "\x1b" not in told.out


def test_words_of_a_model_neither_steer_the_terminal_nor_are_read_as_markup(db: Path, capsys: Told) -> None:
    assert main(["events", "list"]) == 0
    assert "[bold]两个人在打架 [31m" in capsys.readouterr().out


def test_nothing_found_says_what_there_is(db: Path, capsys: Told, tmp_path: Path) -> None:
    assert main(["events", "list", "--source", "roof"]) == 0
    assert "events of: door, yard.mp4" in capsys.readouterr().err
    Store.open(tmp_path / "empty.db").close()
    assert main(["events", "list", "--store", str(tmp_path / "empty.db")]) == 0
    assert "vigil watch SOURCE --store" in capsys.readouterr().err
    assert main(["events", "list", "--store", str(tmp_path / "none.db")]) == 1
    assert "there is no store at" in capsys.readouterr().err


def test_one_event_is_shown_with_its_windows_probabilities_and_files(db: Path, capsys: Told) -> None:
    assert main(["events", "show", "aaaaaaaa"]) == 0
    told = capsys.readouterr().out
    assert "20261120T110000000Z-aaaaaaaa" in told and "6.50 s (quiet)" in told and "██" in told
    assert str(db.parent / "clips" / "20261120T110000000Z-aaaaaaaa.mp4") in told
    assert main(["events", "show", "cccc"]) == 2


def test_events_are_exported_as_json(db: Path, capsys: Told) -> None:
    assert main(["events", "export"]) == 0
    door, yard = json.loads(capsys.readouterr().out)
    assert (door["event"][-8:], door["end_s"], door["closed_because"]) == ("aaaaaaaa", 6.5, "quiet")
    assert door["windows"][0] == {"window": 0, "start_s": 0.0, "end_s": 2.5, "p_alarm": 0.9}
    assert Path(door["media"][0]).read_bytes() == b"clip"
    assert datetime.fromisoformat(door["onset_utc"]).tzinfo == UTC and yard["onset_utc"] is None


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Europe/Berlin", "2026-10-25 02:30:02 +02:00"),
        ("America/New_York", "2026-10-24 20:30:02 -04:00"),
        ("Asia/Shanghai", "2026-10-25 08:30:02 +08:00"),
    ],
)
def test_every_time_that_is_shown_or_exported_bears_its_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Told, zone: str, shown: str
) -> None:
    monkeypatch.setenv("VIGIL_STORE", str(tmp_path / "e.db"))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    began_s = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    with Store.open(tmp_path / "e.db") as store:
        store.sessions.start(source="door", epoch_s=began_s)
        event = make_event(epoch_s=began_s, onset_s=2.0, end_s=6.5)
        store.events.save(event)
        store.marks.add(event.id, "true", who="ann")
    try:
        for words in (["list"], ["show", event.id]):
            assert main(["events", *words]) == 0
            assert shown in capsys.readouterr().out
        assert main(["events", "show", event.id]) == 0
        assert re.search(r"by ann, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d", capsys.readouterr().out)
        assert main(["events", "list", "--since", shown, "--until", shown]) == 0
        assert "door" in capsys.readouterr().out
        for kind in ("csv", "json"):
            assert main(["events", "export", "--format", kind]) == 0
            assert "2026-10-25T00:30:02.000Z" in capsys.readouterr().out
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_spreadsheet_runs_nothing_that_a_model_wrote(db: Path, capsys: Told, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "events.csv"
    assert main(["events", "export", "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().err
    assert out.read_bytes().startswith(b"\xef\xbb\xbfevent,source,")
    door, yard = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8-sig")))
    assert yard["text"] == '\'=HYPERLINK("x")' and yard["end_s"] == "" and door["windows"] == "2"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", " =1", "\t=1", "\r\n=1", "＝1"])
def test_a_cell_that_a_spreadsheet_would_run_becomes_text(text: str) -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv([make_event(text=text)], {}, {}), newline=""))
    assert row["text"] == f"'{text}"


def test_a_watch_is_exported_as_subtitles_of_one_source(db: Path, capsys: Told) -> None:
    assert main(["events", "export", "--format", "srt", "--source", "door"]) == 0
    told = capsys.readouterr().out
    assert len(re.findall("-->", told)) == 4 and "ALARM 0.95" in told and "high event since 00:00:02" in told
    assert main(["events", "export", "--format", "srt"]) == 2
    assert "choose with --source: door, yard.mp4" in capsys.readouterr().err
    assert main(["events", "export", "--format", "srt", "--source", "yard.mp4"]) == 2
    assert main(["events", "export", "--format", "srt", "--source", "roof"]) == 2


def test_an_export_that_cannot_be_written_or_has_no_format_is_told(db: Path, capsys: Told, tmp_path: Path) -> None:
    assert main(["events", "export", "--out", str(tmp_path / "events.txt")]) == 2
    assert main(["events", "export", "--out", str(db / "events.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_where_media_are_is_told_and_chosen_before_there_are_any(
    db: Path, capsys: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:9")
    assert main(["events", "media"]) == 0 and capsys.readouterr().out.strip() == str(tmp_path)
    assert main(["events", "media", "s3://evidence/gate"]) == 2
    assert f"the media of this store are in {tmp_path}" in capsys.readouterr().err
    new = str(tmp_path / "new.db")
    for words in (["s3://evidence/gate"], []):
        assert main(["events", "media", *words, "--store", new]) == 0
        assert capsys.readouterr().out == "s3://evidence/gate\n"


def test_old_media_are_pruned_after_a_look(db: Path, capsys: Told) -> None:
    for words, left in ((["--dry-run"], True), ([], False)):
        assert main(["events", "prune", "--media-days", "0", "--verdict-days", "never", *words]) == 0
        assert "delete" in (told := capsys.readouterr().out) and "1 pictures and clips" in told
        assert (db.parent / "clips" / "20261120T110000000Z-aaaaaaaa.mp4").exists() == left
    assert main(["events", "prune", "--media-days", "soon"]) == 2


def test_the_lines_in_the_docs_run(db: Path, capsys: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changes, events = re.findall(r"```python\n(.*?)```", (DOCS / "events.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for code in (changes, changes, events):
        exec(code.replace("outputs/watch/", ""), {"__name__": "example"})
    told = capsys.readouterr().out
    assert "aaaaaaaa Tier.HIGH" not in told and "aaaaaaaa high 2.0 6.5" in told
    assert told.count(" opened ") == 2 and told.startswith("1 opened cam_"), "each change is handled once"


def test_a_strip_draws_probabilities_and_marks_the_unknown() -> None:
    windows = [EventWindow(window=i, start_s=i, end_s=i + 1, p_alarm=p) for i, p in enumerate([0.0, 0.5, 1.0, None])]
    assert probability_blocks(windows) == "▁▅█?"
    assert len(probability_blocks(windows * 100)) <= 60


def test_an_event_is_marked_then_listed_shown_exported_and_found_by_it(db: Path, capsys: Told) -> None:
    note = "=cmd <img src=x onerror=alert(1)>\x1b[31m"
    assert main(["events", "mark", "aaaa", "false-alarm", "--note", note, "--who", "lena"]) == 0
    assert "false-alarm, marked by lena" in capsys.readouterr().err
    assert main(["events", "list", "--mark", "false-alarm"]) == 0
    listed = capsys.readouterr().out
    assert "false alarm" in listed and "lena: =cmd" in listed and "bbbbbbbb" not in listed and "\x1b" not in listed
    assert main(["events", "list", "--mark", "unmarked"]) == 0
    assert "aaaaaaaa" not in capsys.readouterr().out
    assert main(["events", "mark", "aaaa", "true", "--who", "omar"]) == 0
    assert main(["events", "show", "aaaa"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("false alarm, by lena") < shown.index("true, by omar")
    assert main(["events", "export", "--mark", "true"]) == 0
    (exported,) = json.loads(capsys.readouterr().out)
    assert (exported["mark"], exported["marked_by"], exported["note"]) == ("true", "omar", "")
    assert [mark["who"] for mark in exported["marks"]] == ["lena", "omar"]


def test_a_mark_is_taken_back_and_a_note_is_no_formula_in_csv(db: Path, capsys: Told) -> None:
    assert main(["events", "mark", "aaaa", "unsure", "--note", "=1+1"]) == 0
    assert main(["events", "export", "--format", "csv", "--source", "door"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""))
    assert (row["mark"], row["note"]) == ("unsure", "'=1+1") and row["marked_by"]
    assert main(["events", "mark", "aaaa", "none"]) == 0
    assert main(["events", "list", "--mark", "unsure"]) == 0
    assert "no event" in capsys.readouterr().err
    assert main(["events", "mark", "cccc", "true"]) == 2


def test_missed_incidents_are_listed_and_told_beside_the_events(db: Path, capsys: Told) -> None:
    assert main(["events", "missed"]) == 0
    assert "no missed incidents" in capsys.readouterr().err
    with Store.open(db) as store:
        since, until = format_utc(time.time() - 60), format_utc(time.time() - 50)
        span = store.missed_spans.add("door", from_utc=since, to_utc=until, who="lena", note="=1+1 \x1b[31m两个人")
    assert main(["events", "list", "--source", "door"]) == 0
    assert "1 missed incident" in capsys.readouterr().err
    assert main(["events", "missed", "--since", "1h", "--source", "door", "--text", "两个人"]) == 0
    told = capsys.readouterr().out
    assert "10.0 s" in told and "lena" in told and "\x1b" not in told
    assert main(["events", "missed", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["missed"] == span.id
    assert main(["events", "missed", "--format", "csv"]) == 0
    assert "'=1+1" in capsys.readouterr().out
    assert main(["events", "missed", "--until", "1d"]) == 0
    assert "no missed incidents" in capsys.readouterr().err
