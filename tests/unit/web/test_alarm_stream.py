import asyncio
import threading
from pathlib import Path

from app.language import translator
from app.web import notifications
from app.web.alarm_routes import add_route
from app.web.alarm_stream import KEPT, AlarmStream
from app.web.site import heads
from fastapi import FastAPI
from fastapi.testclient import TestClient

from rooms import EVIL, context_of, event
from vigil.events import ChangeKind, EventChange
from waiting import HANG_S, until_async


def rung(bell: AlarmStream, number: int = 1, *, kind: ChangeKind = "opened", text: str = "") -> None:
    bell.on_change(EventChange(kind, event(number, text=text)))


def test_an_alarm_is_an_event_that_opens_or_rises_and_not_one_that_grows_or_closes() -> None:
    bell = AlarmStream()
    before = bell.now
    for kind in ("opened", "grew", "raised", "closed"):
        rung(bell, kind=kind)  # type: ignore[arg-type]
    _, alarms = bell.since(before)
    assert [(alarm.number, alarm.event.id) for alarm in alarms] == [(1, "e0001"), (2, "e0001")]


def test_a_page_that_just_opened_is_told_of_no_old_alarm_and_of_each_new_one_once() -> None:
    bell = AlarmStream()
    rung(bell, 1)
    seen, old = bell.since("")
    rung(bell, 2)
    then, new = bell.since(seen)
    assert old == [] and [alarm.event.id for alarm in new] == ["e0002"] and bell.since(then) == (then, [])


def test_a_page_from_before_a_start_is_told_of_every_alarm_since() -> None:
    seen = AlarmStream().now
    bell = AlarmStream()
    rung(bell, 1)
    assert [alarm.event.id for alarm in bell.since(seen)[1]] == ["e0001"]
    for odd in ("x", ".", "a.b.c", "9" * 99, f"{bell.now}x"):
        assert len(bell.since(odd)[1]) == 1, odd


def test_a_page_that_could_not_ask_for_long_is_told_of_the_last_ones_only() -> None:
    bell = AlarmStream()
    seen = bell.now
    for number in range(KEPT + 5):
        rung(bell, number)
    assert len(bell.since(seen)[1]) == KEPT


def test_a_page_that_waits_is_woken_by_an_alarm_from_any_thread_and_leaves_nothing_behind() -> None:
    bell = AlarmStream()

    async def run() -> None:
        waiting = [asyncio.create_task(bell.wait(bell.now, hold_s=3600)) for _ in range(3)]
        await until_async(lambda: bell.waiting == 3)
        assert not any(task.done() for task in waiting)
        threading.Thread(target=rung, args=(bell,)).start()
        async with asyncio.timeout(HANG_S):
            await asyncio.gather(*waiting)

    asyncio.run(run())
    assert bell.waiting == 0


def test_a_wait_without_alarms_ends_after_a_while_and_one_with_news_at_once() -> None:
    bell = AlarmStream()
    asyncio.run(bell.wait(bell.now, hold_s=0.05))
    asyncio.run(asyncio.wait_for(bell.wait("another", hold_s=3600), HANG_S))
    assert bell.waiting == 0


def test_a_page_is_told_in_its_language_and_as_text() -> None:
    bell, app = AlarmStream(), FastAPI()
    add_route(app, bell)
    seen = bell.now
    rung(bell, 1, text=EVIL)
    with TestClient(app) as client:
        english = client.get("/alarms/en", params={"seen": seen})
        chinese = client.get("/alarms/zh", params={"seen": seen}).json()
        unknown = client.get("/alarms/../etc", params={"seen": ""})
        assert client.get("/alarms/xx", params={"seen": ""}).json() == {"seen": bell.now, "alarms": []}
    told = english.json()["alarms"][0]
    assert told == {"key": bell.now, "id": "e0001", "title": "Alarm (high): door", "text": EVIL}
    assert english.headers["cache-control"] == "no-store" and unknown.status_code == 404
    assert chinese["alarms"][0]["title"] != told["title"]


def test_words_of_an_alarm_are_shortened() -> None:
    told = notifications.payload(event(3, text="x" * 999), translator("zh"), key="a.1")
    assert "door" in told["title"] and len(told["text"]) == notifications.LONGEST


def test_every_page_listens_from_its_head_on_and_where_nothing_is_watched_none_does(tmp_path: Path) -> None:
    assert any('vigilBell.listen("zh")' in head for head in heads(context_of(tmp_path), "zh"))
    assert not any("vigilBell" in head for head in heads(context_of(tmp_path, service=None), "zh"))
