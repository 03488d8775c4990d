"""The class of an event in the store, and marks that correct it."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from incidents import make_event
from vigil.cli.main import main
from vigil.errors import UsageError
from vigil.events import Event, EventWindow
from vigil.report.event_export import COLUMNS, as_csv, as_json
from vigil.store import EventFilter, Store
from vigil.store.event_record import event_of, event_record


def of_class(id: str, label: str) -> Event:
    window = EventWindow(window=0, start_s=0.0, end_s=2.5, p_alarm=0.9, label=label)
    return replace(make_event(id=id, end_s=2.5), label=label, windows=(window,))


@pytest.fixture
def filled(store: Store) -> Store:
    for id, label in (("a", "烟雾"), ("b", "烟雾"), ("c", "跌倒"), ("d", "")):
        store.events.save(of_class(id, label))
    store.marks.add("b", "true", who="lena", label="跌倒")
    return store


def ids(store: Store, **wanted: str) -> set[str]:
    return {event.id for event in store.events.find(EventFilter(**wanted))}  # type: ignore[arg-type]


def test_an_event_and_its_windows_come_back_with_their_class(filled: Store) -> None:
    found = filled.events.get("a")
    assert (found.label, found.windows[0].label, filled.events.get("d").label) == ("烟雾", "烟雾", "")


def test_events_are_found_by_the_class_that_is_valid(filled: Store) -> None:
    assert (ids(filled, label="烟雾"), ids(filled, label="跌倒")) == ({"a"}, {"b", "c"})
    filled.marks.add("b", "", who="lena")
    assert ids(filled, label="烟雾") == {"a", "b"}
    assert ids(filled, label="没有") == set()


def test_a_correction_is_part_of_the_record_and_of_the_log_of_changes(filled: Store) -> None:
    [told] = json.loads(as_json([filled.events.get("b")], {}, filled.marks.of_events(["b"])))
    assert (told["label"], told["marked_label"], told["marks"][0]["label"]) == ("烟雾", "跌倒", "跌倒")
    marked = filled.changes.of_event("b")[-1]
    assert (marked.kind, marked.record["label"], marked.record["marked_label"]) == ("marked", "烟雾", "跌倒")


def test_a_class_goes_with_a_true_alarm_only(filled: Store) -> None:
    with pytest.raises(UsageError, match="a class goes with the mark true"):
        filled.marks.add("a", "false_alarm", who="lena", label="跌倒")
    with pytest.raises(UsageError, match="longer than 200"):
        filled.marks.add("a", "true", who="lena", label="x" * 201)
    assert filled.marks.of_event("a") == []


def test_the_record_of_an_event_of_two_labels_has_no_word_about_classes(filled: Store) -> None:
    record = event_record(filled.events.get("d"))
    assert "label" not in record and event_of(record).label == ""
    assert "label" not in filled.changes.of_event("d")[0].record


def test_a_table_has_columns_for_classes_if_an_event_has_one(filled: Store) -> None:
    events = filled.events.find()
    rows = list(csv.DictReader(io.StringIO(as_csv(events, {}, filled.marks.of_events(["b"])))))
    assert {(row["event"], row["label"], row["marked_label"]) for row in rows} == {
        ("a", "烟雾", ""), ("b", "烟雾", "跌倒"), ("c", "跌倒", ""), ("d", "", ""),
    }  # fmt: skip
    plain = as_csv([filled.events.get("d")], {}, {})
    assert plain.splitlines()[0] == ",".join(COLUMNS)


def test_the_command_line_lists_by_class_and_corrects_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.db"
    with Store.open(path) as store:
        store.events.save(of_class("aaaa", "烟雾"))
        store.events.save(of_class("bbbb", "跌倒"))
    assert main(["events", "list", "--store", str(path), "--class", "烟雾"]) == 0
    listed = capsys.readouterr().out
    assert "aaaa" in listed and "bbbb" not in listed and "class" in listed
    assert main(["events", "mark", "aaaa", "true", "--class", "跌倒", "--who", "lena", "--store", str(path)]) == 0
    assert main(["events", "list", "--store", str(path), "--class", "跌倒"]) == 0
    assert "跌倒 (said: 烟雾)" in capsys.readouterr().out
