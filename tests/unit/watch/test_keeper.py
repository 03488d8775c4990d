import asyncio
import sqlite3
from pathlib import Path

import pytest

from vigil.events.event import Event, Evidence, Tier
from vigil.events.judged import Judged
from vigil.store import Store
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
