"""The log of changes: written with the event or not at all, numbered in the order of commits, read by cursors."""

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from databases import another
from incidents import make_event
from vigil.errors import StoreError
from vigil.events import Tier
from vigil.store import RetentionSettings, Store, prune
from vigil.store.changes import TELLABLE
from vigil.store.retention import DAY_S

TESTS = Path(__file__).resolve().parents[2]
KILLS = 50


def kinds(store: Store, after: int = 0) -> list[str]:
    return [change.kind for change in store.changes.after(after)]


def test_each_thing_that_happens_to_an_event_is_a_row_with_the_event_as_it_was_then(store: Store) -> None:
    event = make_event(tier=Tier.LOW, text="", epoch_s=1000.0, camera_id="cam_0123abcd")
    states = [
        event,
        replace(event, windows=make_event(windows=3).windows),
        replace(event, tier=Tier.HIGH, peak=0.95),
        replace(event, tier=Tier.HIGH, peak=0.95, text="打架"),
        replace(event, tier=Tier.HIGH, peak=0.95, text="打架", end_s=6.5, closed_because="quiet"),
    ]
    for state in states:
        store.events.save(state)
    store.marks.add(event.id, "true", who="lena", note="seen")
    changes = store.changes.after(0)
    assert [change.kind for change in changes] == ["opened", "raised", "described", "closed", "marked"]
    assert [change.sequence for change in changes] == [1, 2, 3, 4, 5] and store.changes.last() == 5
    assert {(change.event_id, change.camera_id) for change in changes} == {(event.id, "cam_0123abcd")}
    for change, state in zip(changes, [states[0], *states[2:]], strict=False):
        assert change.event == replace(state, windows=())
    assert changes[-1].record["mark"] == "true" and changes[-1].record["marked_by"] == "lena"
    store.events.save(states[-1])
    assert store.changes.last() == 5, "nothing happened"


def test_an_event_that_comes_closed_has_opened_too(store: Store) -> None:
    store.events.save(make_event(end_s=5.0, closed_because="quiet"))
    opened, closed = store.changes.after(0)
    assert (opened.kind, opened.event.is_open, closed.kind, closed.event.end_s) == ("opened", True, "closed", 5.0)


TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER refuse BEFORE INSERT ON changes WHEN NEW.kind = 'closed' "
        "BEGIN SELECT RAISE(ABORT, 'never'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON changes FOR EACH ROW WHEN (NEW.kind = 'closed') "
        "EXECUTE FUNCTION refuse()",
    ],
}


def test_an_event_whose_row_cannot_be_written_leaves_no_change_and_the_other_way_round(store: Store) -> None:
    with store.database.writing("a test's trigger") as connection:
        for statement in TRIGGERS[connection.dialect.name]:
            connection.exec_driver_sql(statement)
    event = make_event(id="e1")
    store.events.save(event)
    with pytest.raises(StoreError, match="never"):
        store.events.save(replace(event, end_s=5.0))
    assert store.events.get("e1").is_open and kinds(store) == ["opened"]


def test_changes_are_read_by_camera_kind_and_page(store: Store) -> None:
    for number in range(10):
        store.events.save(make_event(camera_id=f"cam_{number % 2}", end_s=5.0))
    assert [change.sequence for change in store.changes.after(4, limit=3)] == [5, 6, 7]
    assert len(store.changes.after(0, camera_id="cam_1")) == 10
    assert len(store.changes.after(0, kinds=["closed"], camera_id="cam_1")) == 5
    assert store.changes.after(20) == []


def test_a_cursor_goes_on_after_a_restart_and_never_back(store: Store) -> None:
    assert store.cursors.get("mail") == 0
    store.cursors.advance("mail", 7)
    store.cursors.advance("mail", 3)
    store.cursors.advance("mail", 2, camera_id="cam_1")
    with another(store) as again:
        assert (again.cursors.get("mail"), again.cursors.get("mail", camera_id="cam_1")) == (7, 2)
        assert again.cursors.all() == {("mail", ""): 7, ("mail", "cam_1"): 2}
        again.cursors.forget("mail")
    assert store.cursors.all() == {}


def test_a_consumer_that_fails_in_its_own_transaction_has_not_moved(store: Store) -> None:
    store.events.save(make_event())
    with pytest.raises(StoreError), store.database.writing("a consumer's row") as connection:
        store.cursors.advance("mail", 1, connection=connection)
        assert store.cursors.get("mail", connection=connection) == 1
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")
    assert store.cursors.get("mail") == 0


def test_what_one_watch_owes_stays_owed_when_another_tells_what_came_later(store: Store) -> None:
    opened = [store.events.save(make_event(id=f"e{n}", camera_id="cam_1"), published=())[0] for n in range(4)]
    store.changes.note_published({"cam_1": [opened[1].sequence, opened[3].sequence]})
    assert [change.event_id for change in store.changes.unpublished()] == ["e0", "e2"]
    store.changes.note_published({"cam_1": [opened[0].sequence]})
    assert store.cursors.get("told", camera_id="cam_1") == 2 and [c.event_id for c in store.changes.unpublished()] == [
        "e2"
    ]
    store.changes.note_published({"cam_1": [opened[2].sequence]})
    assert store.changes.unpublished() == [] and store.cursors.get("told", camera_id="cam_1") == 4
    with store.database.reading("a look") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM handled_ahead").scalar() == 0


WRITER = """
import sys
from pathlib import Path
from incidents import make_event
from vigil.store import Store
with Store.open(sys.argv[1], folder=Path(sys.argv[4])) as store:
    for number in range(int(sys.argv[3])):
        event = make_event(id=f"{sys.argv[2]}{number:04d}", camera_id=f"cam_{sys.argv[2]}")
        [opened] = store.events.save(event, published=())
        print(opened.sequence, flush=True)
"""


def process(code: str, *words: object) -> "subprocess.Popen[str]":
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )


def test_who_reads_while_two_processes_write_misses_nothing(store: Store) -> None:
    writers = [process(WRITER, store.name, name, 150, store.folder) for name in "ab"]
    seen: list[int] = []
    while any(writer.poll() is None for writer in writers) or store.changes.last() > (seen or [0])[-1]:
        # A number that is committed after a higher one was read would be missing here for ever.
        seen += [change.sequence for change in store.changes.after((seen or [0])[-1], limit=7)]
    told = [[int(line) for line in writer.communicate()[0].split()] for writer in writers]
    assert seen == list(range(1, 301)) and sorted(told[0] + told[1]) == seen
    assert all(numbers == sorted(numbers) and len(numbers) == 150 for numbers in told)


KILLED = """
import itertools, os, random, signal, sys, time
from dataclasses import replace
from incidents import make_event
from vigil.store import Store

def write(number, told):
    with Store.open(sys.argv[1]) as store:
        for count in itertools.count():
            os.write(told, b"1")
            event = make_event(id=f"{number}-{count:05d}", camera_id="cam_1")
            store.events.save(event, published=())
            store.events.save(replace(event, end_s=5.0, closed_because="quiet"), published=())

chance = random.Random(20261129)
for number in range(int(sys.argv[2])):
    heard, told = os.pipe()
    writer = os.fork()
    if not writer:
        write(number, told)
    os.read(heard, 1)
    began_s = time.monotonic()
    for _ in range(2):
        os.read(heard, 1)
    # It has written two events, and is killed in one of the next two or so, however fast this host is.
    time.sleep(chance.uniform(0.0, time.monotonic() - began_s))
    os.kill(writer, signal.SIGKILL)
    assert os.waitpid(writer, 0)[1] == signal.SIGKILL
"""


def test_an_event_and_its_change_are_there_together_whenever_the_writer_is_killed(tmp_path: Path) -> None:
    """50 writers, each killed at a random moment of its work: of no event is there less or more than of its changes."""
    path = tmp_path / "e.db"
    Store.open(path).close()
    with process(KILLED, path, KILLS) as killer:
        killer.communicate()
    assert killer.returncode == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        events = dict(connection.execute("SELECT id, end_s IS NOT NULL FROM events"))
        rows = connection.execute("SELECT sequence, event_id, kind, event FROM changes ORDER BY sequence").fetchall()
    connection.close()
    happened: dict[str, list[str]] = {event: [] for event in events}
    for _, event, kind, record in rows:
        happened[event].append(kind)
        assert json.loads(record)["event"] == event
    assert happened == {event: ["opened", "closed"][: 1 + closed] for event, closed in events.items()}
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1)) and len(events) >= 2 * KILLS


def test_changes_go_with_the_events_age_but_not_before_every_consumer_has_read_them(store: Store) -> None:
    now_s = time.time()
    for number in range(3):
        store.events.save(make_event(id=f"e{number}", camera_id="cam_1", epoch_s=now_s, end_s=5.0))
    keeping = RetentionSettings(event_days=10, unread_days=30)
    assert prune(store, RetentionSettings(), clock=lambda: now_s + 400 * DAY_S).changes == 0, "events are kept for ever"
    store.cursors.advance("mail", 2)
    at_20_days = prune(store, keeping, dry_run=True, clock=lambda: now_s + 20 * DAY_S)
    assert (at_20_days.changes, at_20_days.unread_changes) == (2, 0)
    assert prune(store, keeping, clock=lambda: now_s + 20 * DAY_S).changes == 2
    assert [change.sequence for change in store.changes.after(0)] == [3, 4, 5, 6]
    at_50_days = prune(store, keeping, clock=lambda: now_s + 50 * DAY_S)
    assert (at_50_days.changes, at_50_days.unread_changes) == (4, 4) and store.changes.after(0) == []
    store.events.save(make_event(id="later"))
    assert store.changes.last() == 7, "a number is never given twice"


def test_changes_that_nobody_was_told_of_wait_for_the_next_watch_of_that_camera_only(store: Store) -> None:
    now_s = time.time()
    for camera in ("cam_1", "cam_2"):
        store.events.save(make_event(camera_id=camera, epoch_s=now_s, end_s=5.0), published=TELLABLE)
    store.events.save(make_event(camera_id="cam_1", epoch_s=now_s, end_s=5.0), published=())
    pruned = prune(store, RetentionSettings(event_days=10), clock=lambda: now_s + 20 * DAY_S)
    assert (pruned.changes, [change.camera_id for change in store.changes.after(0)]) == (4, ["cam_1"] * 2)


def test_whatever_the_clock_of_the_machine_does_no_change_and_no_page_is_missed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = time.time()
    for number, step_s in enumerate((0, -7 * DAY_S, 9 * 365 * DAY_S, -3600, 0)):
        monkeypatch.setattr(time, "time", lambda step_s=step_s: now_s + step_s)
        store.events.save(make_event(id=f"e{number}"))
        store.cursors.advance("mail", store.changes.after(store.cursors.get("mail"))[-1].sequence)
    monkeypatch.undo()
    assert [change.event_id for change in store.changes.after(0)] == [f"e{number}" for number in range(5)]
    assert store.cursors.get("mail") == 5
    shown, place = [], ""
    for _ in range(3):
        page = store.events.page(after=place, size=2)
        shown += [event.id for event in page.events]
        place = page.next
    assert place == "" and shown == ["e2", "e4", "e0", "e3", "e1"]
