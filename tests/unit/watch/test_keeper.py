import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pace import PACE
from vigil.events.event import Event, Evidence, Tier
from vigil.events.judged import Judged
from vigil.store import Retention, Store
from vigil.verdict import Outcome, Verdict
from vigil.watch import keeper
from vigil.watch.keeper import Keeper


def event(number: int) -> Event:
    evidence = Evidence(window=number, start_s=1.0, end_s=3.5, p_alarm=0.9)
    return Event(
        id=f"e{number}", source="door", onset_s=1.0, peak=0.9, peak_s=2.0, tier=Tier.MEDIUM, windows=(evidence,)
    )


def verdict(number: int) -> Judged:
    return Judged(source="door", window=number, verdict=Verdict(outcome=Outcome.NORMAL, p_alarm=0.1))


def fill_disk(store: Store, path: Path) -> None:
    """Lets the database grow no further, as a full disk would."""
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    _cap(store, pages)


def _cap(store: Store, pages: int | None) -> None:
    from sqlalchemy import event as hooks

    def cap(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages or 1 << 30}")

    store.engine.dispose()
    hooks.listen(store.engine, "connect", cap)


def test_an_event_is_in_the_store_when_the_keeper_says_so(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = Keeper(store)
            assert await keeping.event(event(1))
            assert [found.id for found in store.find_events()] == ["e1"]
            await keeping.close()

    asyncio.run(run())


def test_a_full_disk_costs_nothing_once_there_is_room_again(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = Keeper(store)
            fill_disk(store, tmp_path / "e.db")
            stored = [await keeping.event(event(number)) for number in range(200)]
            assert not stored[-1] and "full" in keeping.trouble and keeping.waiting > 0
            keeping.verdict(verdict(1))
            _cap(store, None)
            assert await keeping.flush() and keeping.waiting == 0 and keeping.trouble == ""
            assert len(store.find_events()) == 200
            await keeping.close()
            assert keeping.losses == 0

    asyncio.run(run())


def test_verdicts_beyond_what_memory_may_hold_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "MOST_WAITING", 3)

    async def run() -> Keeper:
        with Store.open(tmp_path / "e.db") as store:
            keeping = Keeper(store)
            for number in range(5):
                keeping.verdict(verdict(number))
            await keeping.close()
            return keeping

    assert asyncio.run(run()).losses == 2


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
    monkeypatch.setattr(keeper, "PATIENCE_S", 0.3)

    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = Keeper(store)
            with locked(tmp_path / "e.db"):
                began_s = time.monotonic()
                assert not any([await keeping.event(event(number)) for number in range(5)])
                assert time.monotonic() - began_s < 2 * PACE and keeping.waiting == 5 and "longer" in keeping.trouble
            assert await keeping.flush() and keeping.trouble == ""
            assert len(store.find_events()) == 5
            await keeping.close()

    asyncio.run(run())


def test_a_watch_that_could_not_be_noted_at_its_start_is_noted_later_and_overwrites_no_other(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = Keeper(store)
            await _begin(keeping)
            for number in range(3):
                keeping.verdict(verdict(number))
            await keeping.flush()
            await keeping.end("door", because="paused")
            fill_disk(store, tmp_path / "e.db")
            await _begin(keeping, model="m" * 100_000)
            assert keeping.trouble
            keeping.verdict(verdict(0))
            await keeping.event(event(0))
            _cap(store, None)
            await keeping.close()
            newest, oldest = store.sessions("door")
            assert [len(store.session_log(session)[0]) for session in (oldest, newest)] == [3, 1]
            assert [found.id for found in store.session_log(newest)[1]] == ["e0"]
            assert keeping.losses == 0

    asyncio.run(run())


def test_verdicts_that_wait_belong_to_the_watch_they_came_from(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            keeping = Keeper(store)
            for windows in (3, 2):
                await _begin(keeping)
                for number in range(windows):
                    keeping.verdict(verdict(number))
                await keeping.end("door", because="paused")
            await keeping.close()
            assert [len(store.session_log(session)[0]) for session in store.sessions("door")] == [2, 3]

    asyncio.run(run())


def test_what_another_watch_of_the_same_source_has_open_stays_open(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store, Store.open(tmp_path / "e.db") as other:
            running, second = Keeper(store), Keeper(other)
            await _begin(running)
            assert await running.event(event(1))
            await _begin(second)
            assert [found.id for found in store.open_events("door")] == ["e1"]
            await running.end("door", because="the source ended")
            await second.end("door", because="the source ended")
            await _begin(second)
            assert store.open_events("door") == [], "nobody watches it any more"
            for each in (running, second):
                await each.close()

    asyncio.run(run())


def test_old_media_go_at_the_start_of_a_watch_too(tmp_path: Path) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as store:
            store.save_event(replace(event(1), end_s=3.5, epoch_s=1000.0))
            clip = store.keep("e1", "clips", ".mp4", lambda path: path.write_bytes(b"a clip"))
            keeping = Keeper(store)
            pruning = asyncio.create_task(keeping.prune_for_ever(Retention(media_days=1.0)))
            async with asyncio.timeout(10):
                while clip.exists():
                    await asyncio.sleep(0.02)
            pruning.cancel()
            await keeping.close()

    asyncio.run(run())


async def _begin(keeping: Keeper, model: str = "m") -> None:
    await keeping.begin("door", epoch_s=1000.0, model=model, task="fight", contract="c")
