"""The bell over a store: a page that was away misses no alarm and hears each once, also those of other processes."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from app.web import alarm_log
from app.web import alarm_stream as module
from app.web.alarm_routes import add_route
from app.web.alarm_stream import KEPT, AlarmStream
from fastapi import FastAPI
from fastapi.testclient import TestClient

from incidents import make_event
from vigil.events import EventChange
from vigil.store import Store

TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "events.db") as opened:
        yield opened


def alarm(store: Store, number: int, bell: AlarmStream | None = None, *, told: bool = True) -> None:
    """An alarm that a watch stores and then tells, as it does."""
    event = make_event(id=f"e{number:03d}", camera_id="cam_1")
    [opened] = store.events.save(event, published=())
    if bell is not None:
        bell.on_change(EventChange("opened", event, sequence=opened.sequence))
    if told:
        store.changes.note_published({"cam_1": [opened.sequence]})


def heard(bell: AlarmStream, seen: str) -> tuple[list[str], str]:
    """What a page that has seen this is told until there is no more, and what it has seen then."""
    found: list[str] = []
    while True:
        seen, news = bell.since(seen)
        if not news:
            return found, seen
        found += [each.event.id for each in news]


def test_alarms_of_a_gap_arrive_once_and_in_order_however_many_they_are(store: Store) -> None:
    bell = AlarmStream(store)
    seen, _ = bell.since("")
    for number in range(alarm_log.AT_ONCE + KEPT + 5):
        alarm(store, number, bell)
    found, then = heard(bell, seen)
    assert found == [f"e{number:03d}" for number in range(alarm_log.AT_ONCE + KEPT + 5)]
    assert bell.since(then) == (then, []) and bell.now == then


def test_a_page_that_was_open_over_a_restart_hears_what_came_between(store: Store) -> None:
    alarm(store, 0)
    seen, _ = AlarmStream(store).since("")
    alarm(store, 1)
    bell = AlarmStream(store)
    alarm(store, 2, bell)
    assert heard(bell, seen)[0] == ["e001", "e002"]
    assert heard(bell, "1234abcd.7")[0] == ["e002"], "a page of another store hears what came since the start"


def test_a_page_that_just_opened_begins_behind_what_people_were_told_of(store: Store) -> None:
    alarm(store, 0)
    alarm(store, 1, told=False)
    bell = AlarmStream(store)
    seen, old = bell.since("")
    assert old == [] and heard(bell, seen)[0] == ["e001"], "nobody was told of that yet"
    store.changes.note_published({"cam_1": [2]})
    assert heard(bell, bell.since("")[0])[0] == []


def test_an_alarm_that_could_not_be_stored_rings_at_once_and_not_again_when_it_is(store: Store) -> None:
    bell = AlarmStream(store)
    seen, _ = bell.since("")
    bell.on_change(EventChange("opened", make_event(id="e000", camera_id="cam_1")))
    found, then = heard(bell, seen)
    alarm(store, 0)
    assert found == ["e000"] and heard(bell, then)[0] == []


def test_an_alarm_says_that_it_is_late_when_it_is_told_so_or_old(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bell = AlarmStream(store)
    seen, _ = bell.since("")
    event = make_event(id="e000", camera_id="cam_1")
    for late in (False, True):
        [opened] = store.events.save(make_event(id=f"e{late}", camera_id="cam_1"), published=())
        bell.on_change(EventChange("opened", event, late=late, sequence=opened.sequence))
    assert [each.late for each in bell.since(seen)[1]] == [False, True]
    monkeypatch.setattr(module, "LATE_S", -60.0)
    assert [each.late for each in bell.since(seen)[1]] == [True, True]


WRITER = """
import sys
from incidents import make_event
from vigil.store import Store
with Store.open(sys.argv[1]) as store:
    store.events.save(make_event(id="theirs", camera_id="cam_2"))
"""


def test_a_page_that_waits_hears_an_alarm_of_another_process(store: Store) -> None:
    bell = AlarmStream(store)
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])

    async def run() -> list[str]:
        seen = bell.now
        waiting = asyncio.create_task(bell.wait(seen, hold_s=60))
        await asyncio.sleep(0)
        command = [sys.executable, "-c", textwrap.dedent(WRITER), store.name]
        await asyncio.to_thread(subprocess.run, command, check=True, env=os.environ | {"PYTHONPATH": paths})
        await waiting
        return heard(bell, seen)[0]

    assert asyncio.run(run()) == ["theirs"] and bell.waiting == 0


def test_a_store_that_cannot_be_read_silences_no_page_for_good(store: Store) -> None:
    bell = AlarmStream(store)
    seen, _ = bell.since("")
    alarm(store, 0, bell)
    with store.database.writing("a test") as connection:
        connection.exec_driver_sql("ALTER TABLE changes RENAME TO away")
    assert bell.since(seen) == (seen, [])
    with store.database.writing("a test") as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO changes")
    assert heard(bell, seen)[0] == ["e000"]


def test_a_stream_goes_on_behind_the_number_that_a_browser_was_sent_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.alarm_routes.HOLD_S", 0.5)
    bell, app = AlarmStream(store), FastAPI()
    add_route(app, bell)
    for number in range(3):
        alarm(store, number, bell)
    with TestClient(app) as client:
        wanted = {"Accept": "text/event-stream"}
        told = client.get("/alarms/en", headers=wanted | {"Last-Event-ID": "1"})
        fresh = client.get("/alarms/en", headers=wanted)
        odd = client.get("/alarms/en", headers=wanted | {"Last-Event-ID": "x" * 99})
    assert told.headers["content-type"].startswith("text/event-stream")
    lines = told.text.splitlines()
    assert [line for line in lines if line.startswith("id: ")] == ["id: 2", "id: 3"]
    assert '"id": "e001"' in told.text and '"id": "e000"' not in told.text
    assert fresh.text == odd.text == "retry: 1000\n\n"
