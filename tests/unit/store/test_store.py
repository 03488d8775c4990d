import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect

from databases import another
from incidents import make_event, make_judged
from vigil.errors import StoreError, UsageError
from vigil.events import EventWindow, Tier
from vigil.store import EventFilter, Store
from vigil.store.migrations import MIGRATIONS
from vigil.store.schema import metadata


def test_an_event_comes_back_as_it_was_saved(store: Store) -> None:
    event = make_event(epoch_s=1000.0)
    store.events.save(event)
    assert store.events.find() == [event]
    assert store.events.find_open("door") == [event] and store.events.find_open("yard") == []


def test_saving_an_event_again_updates_it_and_adds_its_new_windows(store: Store) -> None:
    event = make_event()
    store.events.save(event)
    more = EventWindow(window=2, start_s=4.0, end_s=6.5, p_alarm=None)
    grown = replace(event, windows=(*event.windows, more), peak=0.95, tier=Tier.HIGH, end_s=6.5, closed_because="quiet")
    for _ in range(2):
        store.events.save(grown)
    assert store.events.find() == [grown] and store.events.find_open() == []


def test_a_second_process_sees_what_the_first_has_saved_and_both_may_write(store: Store) -> None:
    event = make_event()
    store.events.save(event)
    with another(store) as other:
        assert other.events.find() == [event]
        other.events.save(make_event())
    assert len(store.events.find()) == 2


def test_the_open_events_of_a_killed_watcher_end_at_their_last_window(store: Store) -> None:
    store.sessions.start(source="door")
    event = make_event(windows=4)
    store.events.save(event)
    store.events.save(make_event(source="yard"))
    with another(store) as again:
        closed = again.events.recover("door")
        [session] = store.sessions.of_camera("door")
        ended = replace(event, end_s=8.5, closed_because="the watcher stopped", camera_id=session.camera_id)
        assert closed == [ended]
        assert [each.source for each in again.events.find_open()] == ["yard"]
        assert again.events.recover("door") == []
        assert [session.ended_because for session in again.sessions.of_camera("door")] == ["the watcher stopped"]


def test_a_watch_whose_beginning_was_stored_without_an_answer_begins_again_as_the_same(store: Store) -> None:
    first = store.sessions.start(source="door", session_id="s1", model="m")
    again = store.sessions.start(source="door", session_id="s1", model="m")
    [session] = store.sessions.of_camera("door")
    assert session.id == again.id and session.started_utc == first.started_utc


def test_verdicts_are_logged_by_session_and_words_that_come_later_are_added(store: Store) -> None:
    session = store.sessions.start(source="door", epoch_s=12.0, model="m", task="fight", contract="c")
    store.verdicts.add([make_judged(0), make_judged(1, None), make_judged(0, source="yard")])
    store.verdicts.add([make_judged(0, text="words")])
    event = make_event()
    store.events.save(event)
    store.sessions.end("door", because="stopped")
    session = store.sessions.of_camera("door")[0]
    judged, events = store.verdicts.of_session(session), store.events.of_session(session)
    its = {"camera_id": session.camera_id}
    assert judged == [replace(make_judged(0, text="words"), **its), replace(make_judged(1, None), **its)]
    assert events == [replace(event, **its)]
    assert store.sessions.of_camera("door")[0].id == session.id and store.sessions.of_camera("door")[0].ended_utc
    assert len(store.sessions.of_camera("yard")) == 1
    store.verdicts.add([])


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (EventFilter(source="yard"), ["b"]),
        (EventFilter(tier=Tier.MEDIUM), ["b", "c"]),
        (EventFilter(text="打架"), ["a", "c"]),
        (EventFilter(text="FALLS"), ["b"]),
        (EventFilter(text="100%"), []),
        (EventFilter(since_utc="1970-01-01T00:16:48.000Z"), ["b", "c"]),
        (EventFilter(until_utc="1970-01-01T00:16:45.000Z"), ["a"]),
        (EventFilter(open_only=True), ["c"]),
        (EventFilter(limit=1), ["c"]),
        (EventFilter(), ["a", "b", "c"]),
    ],
)
def test_events_are_found_by_time_source_tier_and_text(store: Store, wanted: EventFilter, found: list[str]) -> None:
    low, high = Tier.LOW, Tier.HIGH
    store.events.save(make_event(id="a", epoch_s=1000.0, onset_s=2.0, end_s=5.0, tier=low))
    store.events.save(make_event(id="b", epoch_s=1000.0, onset_s=7.0, end_s=9.0, source="yard", text="one falls"))
    store.events.save(make_event(id="c", epoch_s=1000.0, onset_s=20.0, tier=high))
    assert [event.id for event in store.events.find(wanted)] == found


def test_an_event_is_named_by_its_id_or_by_a_part_that_only_it_has(store: Store) -> None:
    store.events.save(make_event(id="20261120-aaaa"))
    store.events.save(make_event(id="20261120-bbbb"))
    assert store.events.get("bbbb").id == "20261120-bbbb" == store.events.get("20261120-bbbb").id
    with pytest.raises(UsageError, match="any of 2 events"):
        store.events.get("2026")
    for nothing in ("zzz", "", "%"):
        with pytest.raises(UsageError, match="has no event"):
            store.events.get(nothing)


@pytest.mark.parametrize("wrong", ["", "sqlite://", "sqlite:///:memory:", "mysql://u@h/d", "nonsense://x", "://"])
def test_a_store_that_could_not_keep_anything_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError):
        Store.open(wrong)


def test_a_store_that_is_not_there_is_told_with_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no store at .*none.db; `vigil watch SOURCE"):
        Store.open(tmp_path / "none.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        Store.open(tmp_path / "file" / "deeper" / "events.db")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(tmp_path)


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="damaged or no database; move it away"):
        Store.open(path)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE songs (title TEXT)")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"something else .*'songs'"):
        Store.open(path)
    assert path.read_bytes() == before


def test_text_that_no_database_takes_is_kept_as_far_as_it_goes(store: Store) -> None:
    event = make_event(source="dir/\udcff.mp4", text="half \ud83d and \0 zero")
    store.sessions.start(source=event.source)
    store.events.save(event)
    store.verdicts.add([make_judged(0, source=event.source, text="\udcff")])
    (found,) = store.events.find(EventFilter(source=event.source, text="half \ud83d"))
    assert (found.source, found.text) == ("dir/?.mp4", "half ? and   zero")
    assert store.events.recover(event.source)[0].id == event.id


def test_a_database_of_a_newer_version_is_left_alone(sqlite_store: Store) -> None:
    with sqlite3.connect(sqlite_store.name) as raw:
        raw.execute("INSERT INTO migrations VALUES (99, 'from the future', '9.9', '2030')")
    raw.close()
    with pytest.raises(StoreError, match=r"newer Vigil .*step 99"):
        Store.open(sqlite_store.name)


def test_a_locked_database_is_told_and_works_when_it_is_free(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigil.store.database.BUSY_S", 0.05)
    other = sqlite3.connect(sqlite_store.name, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.open(sqlite_store.name) as patient:
        with pytest.raises(StoreError, match="locked"):
            patient.events.save(make_event())
        other.execute("ROLLBACK")
        patient.events.save(make_event())
    other.close()
    assert len(sqlite_store.events.find()) == 1


def test_migrations_are_numbered_without_gaps_and_recorded(sqlite_store: Store) -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    raw = sqlite3.connect(sqlite_store.name)
    assert raw.execute("SELECT number FROM migrations").fetchall() == [(step.number,) for step in MIGRATIONS]
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_the_migrated_tables_are_those_the_code_knows(store: Store) -> None:
    made = inspect(store.database.engine)
    assert {name for name in made.get_table_names() if "_terms" not in name} == set(metadata.tables)
    for name, table in metadata.tables.items():
        columns = {column["name"]: column["nullable"] for column in made.get_columns(name)}
        columns.pop("terms", None)
        assert columns == {column.name: bool(column.nullable) for column in table.columns}
