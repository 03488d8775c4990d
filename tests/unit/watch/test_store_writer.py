import asyncio
import itertools
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from vigil.errors import StoreError
from vigil.events import Event, EventChange, EventWindow, Tier
from vigil.store import RetentionSettings, Store, database
from vigil.verdict import JudgedWindow, Outcome, Verdict
from vigil.watch import store_writer, verdict_buffer
from vigil.watch.store_writer import StoreWriter
from waiting import HANG_S

KEEPING = ("watch/store_writer.py", "watch/write_queue.py")


def event(number: int) -> Event:
    evidence = EventWindow(window=number, start_s=1.0, end_s=3.5, p_alarm=0.9)
    return Event(
        id=f"e{number}", source="door", onset_s=1.0, peak=0.9, peak_s=2.0, tier=Tier.MEDIUM, windows=(evidence,)
    )


def verdict(number: int) -> JudgedWindow:
    return JudgedWindow(source="door", window=number, verdict=Verdict(outcome=Outcome.NORMAL, p_alarm=0.1))


def fill_disk(store: Store, path: Path) -> None:
    """Lets the database grow no further, as a full disk would."""
    with store.database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    _cap(store, pages)


def _cap(store: Store, pages: int | None) -> None:
    from sqlalchemy import event as hooks

    def cap(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages or 1 << 30}")

    store.database.engine.dispose()
    hooks.listen(store.database.engine, "connect", cap)


def test_an_event_is_in_the_store_when_the_keeper_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = StoreWriter(store)
            assert await keeping.save_event(event(1))
            assert [found.id for found in store.events.find()] == ["e1"]
            await keeping.close()

    asyncio.run(run())


def test_a_full_disk_costs_nothing_once_there_is_room_again(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = StoreWriter(store)
            fill_disk(store, tmp_path / "e.db")
            stored = [await keeping.save_event(event(number)) for number in range(200)]
            assert not stored[-1] and "full" in keeping.error and keeping.waiting > 0
            keeping.queue_verdict(verdict(1))
            _cap(store, None)
            assert await keeping.flush() and keeping.waiting == 0 and keeping.error == ""
            assert len(store.events.find()) == 200
            await keeping.close()
            assert keeping.lost == 0

    asyncio.run(run())


def test_a_change_that_was_stored_without_an_answer_is_not_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a server crashes between the commit and its answer."""

    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = StoreWriter(store)
            await _begin(keeping)
            really_save = store.events.save

            def break_off(*words: Any, **options: Any) -> None:
                really_save(*words, **options)
                raise StoreError("the server broke off")

            with monkeypatch.context() as broken:
                broken.setattr(store.events, "save", break_off)
                assert not await keeping.save_event(event(1), unpublished="opened")
            keeping.count_published(EventChange("opened", event(1)))
            assert await keeping.flush()
            assert await keeping.flush() and keeping.waiting == 0
            assert [change.kind for change in store.changes.after(0)] == ["opened"]
            assert store.changes.unpublished() == []
            await keeping.close()

    asyncio.run(run())


def test_verdicts_beyond_what_memory_may_hold_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_buffer, "MOST_WAITING", 3)

    async def run() -> StoreWriter:
        with Store.open(tmp_path / "e.db") as store:
            keeping = StoreWriter(store)
            for number in range(5):
                keeping.queue_verdict(verdict(number))
            await keeping.close()
            return keeping

    assert asyncio.run(run()).lost == 2


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program that holds the database while the block lasts."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_no_alarm_waits_for_a_store_that_another_program_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever waited for the store, or each for their own turn, would wait here for ever.
    monkeypatch.setattr(database, "BUSY_S", 3600.0)
    monkeypatch.setattr(store_writer, "SAVE_TIMEOUT_S", 0.1)

    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = StoreWriter(store)
            with locked(tmp_path / "e.db"):
                async with asyncio.timeout(HANG_S):
                    assert not await keeping.save_event(event(0))
                    monkeypatch.setattr(store_writer, "SAVE_TIMEOUT_S", 3600.0)
                    assert not any([await keeping.save_event(event(number)) for number in range(1, 5)])
                assert keeping.waiting == 5 and "longer" in keeping.error
            assert await keeping.flush() and keeping.error == ""
            assert len(store.events.find()) == 5
            await keeping.close()

    asyncio.run(run())


def test_a_watch_that_could_not_be_noted_at_its_start_is_noted_later_and_overwrites_no_other(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = StoreWriter(store)
            await _begin(keeping)
            for number in range(3):
                keeping.queue_verdict(verdict(number))
            await keeping.flush()
            await keeping.end_session("door", because="paused")
            fill_disk(store, tmp_path / "e.db")
            await _begin(keeping, model="m" * 100_000)
            assert keeping.error
            keeping.queue_verdict(verdict(0))
            await keeping.save_event(event(0))
            _cap(store, None)
            await keeping.close()
            newest, oldest = store.sessions.of_camera("door")
            assert [len(store.verdicts.of_session(session)) for session in (oldest, newest)] == [3, 1]
            assert [found.id for found in store.events.of_session(newest)] == ["e0"]
            assert keeping.lost == 0

    asyncio.run(run())


def test_verdicts_that_wait_belong_to_the_watch_they_came_from(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = StoreWriter(store)
            for windows in (3, 2):
                await _begin(keeping)
                for number in range(windows):
                    keeping.queue_verdict(verdict(number))
                await keeping.end_session("door", because="paused")
            await keeping.close()
            assert [len(store.verdicts.of_session(session)) for session in store.sessions.of_camera("door")] == [2, 3]

    asyncio.run(run())


def test_what_another_watch_of_the_same_source_has_open_stays_open(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store, Store.open(tmp_path / "e.db") as other:
            running, second = StoreWriter(store), StoreWriter(other)
            await _begin(running)
            assert await running.save_event(event(1))
            await _begin(second)
            assert [found.id for found in store.events.find_open("door")] == ["e1"]
            await running.end_session("door", because="the source ended")
            await second.end_session("door", because="the source ended")
            await _begin(second)
            assert store.events.find_open("door") == [], "nobody watches it any more"
            for each in (running, second):
                await each.close()

    asyncio.run(run())


def test_old_media_go_at_the_start_of_a_watch_too(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            store.events.save(replace(event(1), end_s=3.5, epoch_s=1000.0))
            clip = store.media.keep("e1", "clips", ".mp4", lambda path: path.write_bytes(b"a clip"))
            keeping = StoreWriter(store)
            pruning = asyncio.create_task(keeping.prune_periodically(RetentionSettings(media_days=1.0)))
            async with asyncio.timeout(HANG_S):
                while clip.exists():
                    await asyncio.sleep(0.02)
            pruning.cancel()
            await keeping.close()

    asyncio.run(run())


async def _begin(keeping: StoreWriter, model: str = "m") -> None:
    await keeping.start_session("door", epoch_s=1000.0, model=model, task="fight", contract="c")


def put_at_step(folder: Path, step: int) -> tuple[Event, bool]:
    """Saves an event while its last state comes just before the `step`-th line that the store's thread runs in keeping.

    Returns the event as the store has it at the end, and whether there was such a line.
    """
    folder.mkdir()
    opened = event(1)
    closed = replace(opened, end_s=3.5, closed_because="quiet")
    lines, put = itertools.count(1), threading.Event()

    async def run() -> Event:
        loop = asyncio.get_running_loop()
        with Store.open(folder / "e.db") as store:
            keeping = StoreWriter(store)

            def come() -> None:
                keeping.queue_event(closed)
                put.set()

            def trace(frame: FrameType, what: str, _: object) -> Any:
                if not frame.f_code.co_filename.endswith(KEEPING):
                    return None
                if what == "line" and next(lines) == step:
                    loop.call_soon_threadsafe(come)
                    assert put.wait(HANG_S)
                return trace

            threading.settrace(trace)
            try:
                assert await keeping.save_event(opened)
            finally:
                threading.settrace(None)  # type: ignore[arg-type]
            await keeping.close()
            assert keeping.lost == 0
            return store.events.get("e1")

    return asyncio.run(run()), put.is_set()


def test_a_state_that_comes_at_any_moment_of_a_write_is_written_too(tmp_path: Path) -> None:
    for step in itertools.count(1):
        stored, came = put_at_step(tmp_path / str(step), step)
        if not came:
            break
        assert stored.closed_because == "quiet", f"lost before line {step} of the store's thread"
    assert step > 2


REFUSAL = "CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN {condition} BEGIN SELECT RAISE(ABORT, 'never'); END"


def refuse(store: Store, table: str, condition: str) -> None:
    """Has the database refuse rows, whatever is done about it."""
    with store.database.writing("a test's trigger") as connection:
        connection.exec_driver_sql(REFUSAL.format(table=table, condition=condition))


def test_an_event_that_the_database_refuses_is_set_aside_and_the_later_ones_are_stored(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            refuse(store, "events", "NEW.id = 'e1'")
            keeping = StoreWriter(store)
            poison = replace(event(2), onset_s=10**400)
            told = [await keeping.save_event(each) for each in (event(0), event(1), poison, event(3))]
            assert told == [True, False, False, True] and keeping.error == ""
            assert not await keeping.save_event(replace(event(1), end_s=3.5)), "its later states are no new loss"
            await keeping.close()
            assert [found.id for found in store.events.find()] == ["e0", "e3"]
            assert keeping.lost == keeping.refused == 2 and keeping.waiting == 0
            kept = [json.loads(line) for line in (tmp_path / "refused.jsonl").read_text().splitlines()]
            assert [line["row"]["id"] for line in kept] == ["e1", "e2", "e1"] and "never" in kept[0]["why"]
            assert (tmp_path / "refused.jsonl").stat().st_mode & 0o077 == 0

    asyncio.run(run())


def test_a_verdict_that_the_database_refuses_costs_none_of_its_batch(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            refuse(store, "verdicts", 'NEW."window" IN (3, 40)')
            keeping = StoreWriter(store)
            keeping.start_session("door", epoch_s=None, model="m", task="fight", contract="c")
            for number in range(60):
                keeping.queue_verdict(verdict(number))
            assert await keeping.flush() and keeping.error == "" and keeping.refused == 2
            [session] = store.sessions.of_camera("door")
            assert {each.window for each in store.verdicts.of_session(session)} == {*range(60)} - {3, 40}
            await keeping.close()

    asyncio.run(run())


def test_a_watch_whose_beginning_is_refused_keeps_its_events_outside_any_watch(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = StoreWriter(store)
            refuse(store, "sessions", "1")
            keeping.start_session("door", epoch_s=None, model="m", task="fight", contract="c")
            assert await keeping.save_event(event(1))
            assert store.sessions.of_event("e1") is None and keeping.refused == 1
            await keeping.close()

    asyncio.run(run())
