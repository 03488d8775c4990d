import sqlite3
import threading
import time
from pathlib import Path

import pytest

from databases import another
from incidents import make_event
from vigil.errors import UsageError
from vigil.store import EventFilter, MarkFilter, MarkValue, PruneReport, RetentionSettings, Store, prune, retention
from vigil.store.migrations import MIGRATIONS

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "'); DROP TABLE marks; --",
    '=HYPERLINK("http://x")',
    "\x1b[31mred\x00 end \ud83d",
    "100%_\\",
    "两个孩子在玩",
]


@pytest.fixture
def marked(store: Store) -> Store:
    for name in "abcd":
        store.events.save(make_event(id=name, source=name, end_s=5.0, text=f"event {name}"))
    store.marks.add("a", "true", who="lena")
    store.marks.add("b", "false_alarm", who="lena", note="two Boys play")
    store.marks.add("b", "unsure", who="omar")
    store.marks.add("c", "true", who="lena")
    store.marks.add("c", "", who="omar", note="wrong line")
    return store


def test_marks_are_kept_with_who_and_when_and_the_newest_counts(marked: Store) -> None:
    first, second = marked.marks.of_event("b")
    assert (first.mark, first.who, first.note) == ("false_alarm", "lena", "two Boys play")
    assert (second.mark, second.who, second.number) == ("unsure", "omar", 2)
    assert first.marked_utc <= second.marked_utc and first.marked_utc.endswith("Z")
    assert marked.marks.of_event("d") == []
    newest = marked.marks.newest(list("abcd"))
    assert {name: mark.mark for name, mark in newest.items()} == {"a": "true", "b": "unsure"}


@pytest.mark.parametrize(
    ("mark", "found"),
    [("true", "a"), ("false_alarm", ""), ("unsure", "b"), ("unmarked", "cd"), (None, "abcd")],
)
def test_events_are_found_by_the_mark_that_counts(marked: Store, mark: MarkFilter | None, found: str) -> None:
    assert [event.id for event in marked.events.find(EventFilter(mark=mark))] == list(found)


def test_text_is_looked_for_in_descriptions_and_notes(marked: Store) -> None:
    assert [event.id for event in marked.events.find(EventFilter(text="boys"))] == ["b"]
    assert [event.id for event in marked.events.find(EventFilter(text="event", mark="true"))] == ["a"]
    assert [event.id for event in marked.events.find(EventFilter(text="wrong line", mark="unmarked"))] == ["c"]


@pytest.mark.parametrize("note", HOSTILE)
def test_hostile_notes_stay_text_and_are_found_again(marked: Store, note: str) -> None:
    kept = marked.marks.add("d", "unsure", who=f"who {note}"[:190], note=note)
    assert marked.marks.of_event("d") == [kept]
    assert kept.note == note.replace("\0", " ").replace("\ud83d", "?")
    assert [event.id for event in marked.events.find(EventFilter(text=kept.note))] == ["d"]


@pytest.mark.parametrize(
    ("event", "mark", "who", "note", "told"),
    [
        ("zz", "true", "lena", "", "no event 'zz'"),
        ("a", "True", "lena", "", "'True' is no mark"),
        ("a", "true", "  ", "", "say who"),
        ("a", "true", "x" * 201, "", "200 characters"),
        ("a", "true", "lena", "x" * 4001, "4000 characters"),
    ],
)
def test_what_cannot_be_a_mark_is_told_and_changes_nothing(
    marked: Store, event: str, mark: MarkValue, who: str, note: str, told: str
) -> None:
    before = marked.marks.of_event("a")
    with pytest.raises(UsageError, match=told):
        marked.marks.add(event, mark, who=who, note=note)
    assert marked.marks.of_event("a") == before


def test_a_filter_for_an_unknown_mark_is_an_error() -> None:
    with pytest.raises(UsageError, match="false_alarm"):
        EventFilter(mark="false-alarm")  # type: ignore[arg-type]


def test_marks_from_many_at_once_are_all_kept_in_one_order(store: Store) -> None:
    store.events.save(make_event(id="a", end_s=5.0))

    def mark(who: str) -> None:
        # A connection of its own, as every visitor's process may have.
        with another(store) as own:
            for _ in range(5):
                own.marks.add("a", "true", who=who)

    threads = [threading.Thread(target=mark, args=(f"visitor {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = store.marks.of_event("a")
    assert [each.number for each in kept] == list(range(1, 21))
    assert {who: sum(each.who == who for each in kept) for who in {each.who for each in kept}} == {
        f"visitor {i}": 5 for i in range(4)
    }


def test_an_event_that_is_saved_again_keeps_its_marks_and_one_that_its_owner_deletes_takes_them_along(
    store: Store,
) -> None:
    event = make_event(id="a", epoch_s=1000.0, end_s=5.0)
    store.events.save(event)
    store.marks.add("a", "true", who="lena")
    store.events.save(event)
    assert [mark.who for mark in store.marks.of_event("a")] == ["lena"]
    prune(store, RetentionSettings(event_days=1), also_marked=True)
    assert store.events.find() == [] and store.marks.of_event("a") == []


def test_a_store_of_version_1_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with sqlite3.connect(path) as raw:
        for statement in MIGRATIONS[0].statements:
            raw.execute(statement)
        raw.execute(
            "CREATE TABLE migrations (number INTEGER NOT NULL, name VARCHAR NOT NULL, vigil_version VARCHAR NOT NULL, "
            "applied_utc VARCHAR NOT NULL, PRIMARY KEY (number))"
        )
        raw.execute("INSERT INTO migrations VALUES (1, 'sessions', '0.1.0', '2026-11-01T00:00:00.000Z')")
        raw.execute(
            "INSERT INTO sessions VALUES ('s', 'door', 1e9, 'm', 'fight', '', '2026-11-01T00:00:00.000Z', NULL, '')"
        )
        raw.execute(
            "INSERT INTO events VALUES ('old', 's', 'door', 'fight', 'm', 1e9, 2.0, 6.5, 0.95, 3.0, 'high', 4.0, "
            "'two men', 'quiet', '2026-11-01T00:00:02.000Z', '2026-11-01T00:00:06.500Z', '2026-11-01T00:00:04.000Z', "
            "'2026-11-01T00:00:07.000Z')"
        )
        raw.execute("INSERT INTO event_windows VALUES ('old', 1, 2.0, 4.5, 0.95)")
        raw.execute("INSERT INTO media VALUES ('clips/old.mp4', 'old', 'clips', 9, '2026-11-01T00:00:07.000Z')")
    raw.close()
    with Store.open(path) as store:
        (event,) = store.events.find(EventFilter(mark="unmarked"))
        assert (event.id, event.text, len(event.windows)) == ("old", "two men", 1)
        assert [file.path.name for file in store.media.of_event("old")] == ["old.mp4"]
        store.marks.add("old", "false_alarm", who="lena")
    with Store.open(path) as store:
        assert [event.id for event in store.events.find(EventFilter(mark="false_alarm"))] == ["old"]
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT number FROM migrations").fetchall() == [(step.number,) for step in MIGRATIONS]
    raw.close()


def soon() -> float:
    """A moment later than all that was written by now."""
    return time.time() + 1.0


@pytest.mark.parametrize("word", ["true", "false_alarm", "unsure"])
def test_what_people_have_marked_is_kept_with_its_pictures_until_they_delete_it(store: Store, word: MarkValue) -> None:
    for name in ("marked", "plain"):
        store.events.save(make_event(id=name, epoch_s=1000.0, end_s=5.0))
        store.media.keep(name, "clips", ".mp4", lambda path: path.write_bytes(b"x" * 1000) and None)
        store.media.keep_frames(name, 0, [b"one"])
    store.marks.add("marked", word, who="lena", note="two boys play")
    everything = RetentionSettings(media_days=0, media_mb=0, event_days=0)
    assert (
        prune(store, everything, dry_run=True, clock=soon)
        == prune(store, everything, clock=soon)
        == PruneReport(files=2, freed_bytes=1003, events=1, changes=5)
    )
    assert [event.id for event in store.events.find()] == ["marked"]
    assert len(store.media.of_event("marked")) == 2 and all(
        file.path.exists() for file in store.media.of_event("marked")
    )
    assert [mark.note for mark in store.marks.of_event("marked")] == ["two boys play"]
    assert prune(store, everything, clock=soon) == PruneReport()
    assert prune(store, everything, also_marked=True, clock=soon) == PruneReport(files=2, freed_bytes=1003, events=1)
    assert store.events.find() == [] and list(store.folder.rglob("*.mp4")) == []


def test_a_mark_that_was_taken_back_lets_the_pictures_go_and_keeps_what_was_said(store: Store) -> None:
    store.events.save(make_event(id="a", epoch_s=1000.0, end_s=5.0))
    store.media.keep("a", "clips", ".mp4", lambda path: path.write_bytes(b"x") and None)
    store.marks.add("a", "true", who="lena", note="a fight")
    store.marks.add("a", "", who="lena")
    assert prune(store, RetentionSettings(media_days=0, event_days=0), clock=soon) == PruneReport(
        files=1, freed_bytes=1, changes=4
    )
    assert [mark.note for mark in store.marks.of_event("a")] == ["a fight", ""]


def test_marked_pictures_take_no_room_from_the_others(store: Store) -> None:
    for number in range(4):
        store.events.save(make_event(id=f"e{number}", epoch_s=1000.0 * number, end_s=5.0))
        store.media.keep(f"e{number}", "clips", ".mp4", lambda path: path.write_bytes(b"x" * 1000) and None)
    for name in ("e0", "e1"):
        store.marks.add(name, "true", who="lena")
    assert prune(store, RetentionSettings(media_days=None, media_mb=0.002)) == PruneReport()
    assert prune(store, RetentionSettings(media_days=None, media_mb=0.001)) == PruneReport(files=1, freed_bytes=1000)
    assert [len(store.media.of_event(f"e{number}")) for number in range(4)] == [1, 1, 0, 1]


def test_a_mark_that_comes_while_old_pictures_are_deleted_keeps_its_own(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 1)
    for name in ("e0", "e1", "e2"):
        store.events.save(make_event(id=name, epoch_s=1000.0, end_s=5.0))
        store.media.keep(name, "clips", ".mp4", lambda path: path.write_bytes(b"x") and None)
    deleting = store.media.files.delete

    def remove(key: str) -> None:
        deleting(key)
        if key == "clips/e0.mp4":
            store.marks.add("e2", "true", who="lena")

    monkeypatch.setattr(store.media.files, "delete", remove)
    prune(store, RetentionSettings(media_days=0))
    assert [len(store.media.of_event(name)) for name in ("e0", "e1", "e2")] == [0, 0, 1]
