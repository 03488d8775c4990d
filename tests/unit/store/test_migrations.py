"""A store of an earlier Vigil, as SQL text under tests/golden, becomes one of this version: all of it, or nothing."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from vigil.store import EventFilter, Store
from vigil.store.migrations import NEWEST

TESTS = Path(__file__).resolve().parents[2]
GOLDEN = TESTS / "golden" / "store_4.sql"
ROWS = {"sessions": 7, "verdicts": 24, "events": 9, "event_windows": 27, "marks": 2, "media": 1}


def golden(folder: Path) -> Path:
    """The store of before, as a file."""
    path = folder / "events.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(GOLDEN.read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return path


def rows(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ROWS}


def dump(path: Path) -> list[str]:
    """What each table is and holds; a virtual one is in the tables behind it."""
    with sqlite3.connect(path) as connection:
        made = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        whole = [sql for _, sql in made]
        for name, sql in made:
            if sql.startswith("CREATE TABLE"):
                whole += [f"{name} {row}" for row in connection.execute(f'SELECT * FROM "{name}"')]
    return whole


def camera_of(store: Store, event: int) -> str:
    return store.events.get(f"0000000{event}").camera_id


def test_every_row_is_there_and_of_the_camera_it_was_of(tmp_path: Path) -> None:
    path = golden(tmp_path)
    assert rows(path) == ROWS
    with Store.open(path) as store:
        cameras = {camera.id: camera for camera in store.cameras.all()}
        names = {number: cameras[camera_of(store, number)].name for number in range(9)}
        assert Counter(camera.name for camera in cameras.values()) == {
            "b/clip.mp4": 1, "clip.mp4": 1, "nobody": 1, "old yard": 1, "webcam 0": 1, "rtsp://10.0.0.7:554/1?***": 1
        }  # fmt: skip
        assert names == {
            0: "nobody", 1: "clip.mp4", 2: "clip.mp4", 3: "b/clip.mp4", 4: "old yard", 5: "rtsp://10.0.0.7:554/1?***",
            6: "webcam 0", 7: "rtsp://10.0.0.7:554/1?***", 8: "b/clip.mp4",
        }  # fmt: skip
        for camera in cameras.values():
            assert {event.source for event in store.events.find(EventFilter(source=camera.id))} == {camera.name}
        for session in store.sessions.of_camera("clip.mp4"):
            judged, events = store.verdicts.of_session(session), store.events.of_session(session)
            assert len(judged) == 4 and len(events) == 1
            assert {each.camera_id for each in [*judged, *events]} == {session.camera_id}
        assert [mark.mark for mark in store.marks.of_event(store.events.get("00000002").id)] == ["false_alarm", "true"]
        assert {event.rule for event in store.events.find()} == {""}
    assert rows(path) == ROWS


def test_what_nobody_was_told_of_before_is_in_the_log_of_changes_and_still_owed(tmp_path: Path) -> None:
    with Store.open(golden(tmp_path)) as store:
        owed = store.changes.unpublished()
        assert [(change.kind, change.event_id[-1]) for change in owed] == [("opened", "7"), ("closed", "8")]
        assert owed == [replace(change, windows=owed[0].windows) for change in store.changes.after(0)]
        assert [change.camera_id for change in owed] == [camera_of(store, 7), camera_of(store, 8)]
        assert owed[0].event.text == "两个人在打架" and len(owed[0].windows) == 3


def test_a_store_that_was_migrated_is_left_as_it_is(tmp_path: Path) -> None:
    path = golden(tmp_path)
    Store.open(path).close()
    once = dump(path)
    Store.open(path).close()
    assert dump(path) == once


KILLED = """
import os, signal, sys
from sqlalchemy import event
from vigil.store import Store, database
from vigil.store.database import make_engine

left = int(sys.argv[2])

def count(connection, cursor, statement, *_):
    global left
    left -= not statement.startswith(("SELECT", "PRAGMA", "BEGIN"))
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def counted(*args):
    engine = make_engine(*args)
    event.listen(engine, "before_cursor_execute", count)
    return engine

database.make_engine = counted
Store.open(sys.argv[1]).close()
"""


@pytest.mark.parametrize("statements", [1, 9, 18, 27, 36])
def test_a_migration_that_is_killed_at_any_statement_leaves_the_old_store_whole(
    tmp_path: Path, statements: int
) -> None:
    path = golden(tmp_path)
    before = dump(path)
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent / "src")}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path), str(statements)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert dump(path) == before
    with Store.open(path) as store:
        assert len(store.cameras.all()) == 6
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT max(number) FROM migrations").fetchone() == (NEWEST,)
