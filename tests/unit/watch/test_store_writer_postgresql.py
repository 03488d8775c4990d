"""A watch whose store is a PostgreSQL server that is restarted under load: it goes on, and writes later."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from incidents import make_event, make_judged
from postgresql import PostgresServer
from vigil.events import EventChange
from vigil.store import Store
from vigil.watch import store_writer
from vigil.watch.store_writer import StoreWriter
from waiting import HANG_S, until_async

pytestmark = pytest.mark.postgresql


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_a_server_that_is_restarted_under_load_costs_nothing(
    postgresql_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    monkeypatch.setattr(store_writer, "RETRY_S", 0.05)
    monkeypatch.setattr(store_writer, "SAVE_TIMEOUT_S", HANG_S)

    async def run() -> None:
        with Store.open(postgresql_server.new_database(), folder=tmp_path) as store:
            writer = StoreWriter(store)
            await writer.start_session("door", epoch_s=1000.0, model="m", task="fight", contract="c")
            flushing = asyncio.create_task(writer.flush_periodically())
            told: list[bool] = []

            async def work(numbers: range) -> None:
                for number in numbers:
                    event = make_event(id=f"e{number:03d}", windows=2)
                    told.append(await writer.save_event(event, unpublished="opened"))
                    writer.count_published(EventChange("opened", event))
                    writer.queue_verdict(make_judged(number))
                    await writer.save_event(replace(event, end_s=5.0, closed_because="quiet"), unpublished="closed")
                    writer.count_published(EventChange("closed", event))

            async with asyncio.timeout(HANG_S):
                loaded = [asyncio.create_task(work(range(start, start + 30))) for start in (0, 30)]
                await until_async(lambda: len(told) > 10)
                await asyncio.to_thread(postgresql_server.stop, how=how)
                await asyncio.gather(*loaded)
                assert "the PostgreSQL server is away" in writer.error and writer.waiting > 0 and told[0]
                await asyncio.to_thread(postgresql_server.start)
                await until_async(lambda: writer.waiting == 0 and not writer.error)
            await writer.end_session("door", because="stopped")
            flushing.cancel()
            await writer.close()
            assert writer.lost == 0 == writer.refused
            events = store.events.find()
            assert sorted(event.id for event in events) == [f"e{number:03d}" for number in range(60)]
            assert {(event.end_s, len(event.windows)) for event in events} == {(5.0, 2)}
            [session] = store.sessions.of_camera("door")
            assert [each.window for each in store.verdicts.of_session(session)] == list(range(60))
            changes = store.changes.after(0, limit=1000)
            assert len({(change.event_id, change.kind) for change in changes}) == len(changes) == 120
            assert store.changes.unpublished() == [] and session.ended_because == "stopped"

    asyncio.run(run())
