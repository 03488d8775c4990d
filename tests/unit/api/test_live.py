"""Server-sent events on a service that runs: nothing is missed, and many listen at once."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from app.api import live
from app.api.live import LiveHub, LiveMessage, Subscription
from app.problems import BusyError

from api_service import Service, event
from vigil.store import Store
from waiting import HANG_S, until


class Reader:
    """Reads a stream in a thread, until it has heard of so many changes."""

    def __init__(self, service: Service, *, changes: int, **params: Any) -> None:
        self._wanted = changes
        self.heard: list[tuple[str, str, dict[str, Any]]] = []
        self._client = service.client(headers=params.pop("headers", {}))
        self._params = params
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        number, kind = "", ""
        with self._client.stream("GET", "/live", params=self._params) as answer:
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    number = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    self.heard.append((number, kind, json.loads(value)))
                    number = ""
                if len(self.changes()) >= self._wanted:
                    return

    def changes(self) -> list[int]:
        return [int(told["sequence"]) for _, kind, told in list(self.heard) if kind == "change"]

    def wait(self) -> None:
        """Waits until it has heard them all."""
        self._thread.join(HANG_S)
        self._client.close()
        assert len(self.changes()) >= self._wanted


def save(service: Service, *numbers: int) -> None:
    with Store.open(service.store) as store:
        for number in numbers:
            store.events.save(event(number))


def test_a_change_of_another_process_is_heard_with_its_number(service: Service) -> None:
    reader = Reader(service, changes=2, kinds="change")
    until(lambda: reader.heard)
    save(service, 901)
    reader.wait()
    number, _, told = reader.heard[1]
    assert told["kind"] == "opened" and told["event"]["event"] == "e0901" and number == str(told["sequence"])


def test_who_comes_back_misses_nothing(service: Service) -> None:
    with Store.open(service.store) as store:
        seen = store.changes.last()
    save(service, *range(910, 930))
    reader = Reader(service, changes=80, kinds="change", headers={"Last-Event-ID": str(seen)})
    save(service, *range(930, 950))
    with Store.open(service.store) as store:
        written = [change.sequence for change in store.changes.after(seen, limit=1000)]
    reader.wait()
    assert reader.changes() == written and len(written) == 80


@pytest.mark.parametrize("word", ["x", "-1", "99999999999999999999999", "1.5", "²"])
def test_a_last_event_id_of_somebody_else_begins_now(service: Service, word: str) -> None:
    with service.client(headers={"Last-Event-ID": word.encode()}) as client:
        answer = client.get("/live", params={"lasts_s": 0.1})
    assert answer.status_code == 200 and "event: ready" in answer.text


def test_a_hundred_clients_hear_the_same(service: Service) -> None:
    async def listen(client: httpx.AsyncClient, ready: asyncio.Semaphore) -> list[str]:
        async with client.stream("GET", "/live", params={"kinds": "change", "lasts_s": HANG_S}) as answer:
            heard = []
            async for line in answer.aiter_lines():
                if line == "event: ready":
                    ready.release()
                if line.startswith("id: "):
                    heard.append(line)
                if len(heard) == 5:
                    return heard[1:]
        return heard

    async def everybody() -> list[list[str]]:
        limits = httpx.Limits(max_connections=100)
        ready = asyncio.Semaphore(0)
        async with httpx.AsyncClient(base_url=service.url, timeout=HANG_S, limits=limits) as client:
            tasks = [asyncio.create_task(listen(client, ready)) for _ in range(100)]
            for _ in tasks:
                await ready.acquire()
            await asyncio.to_thread(save, service, 960, 961)
            return list(await asyncio.gather(*tasks))

    heard = asyncio.run(everybody())
    assert len(heard) == 100 and len({tuple(each) for each in heard}) == 1
    with service.client() as client:
        until(lambda: client.get("/status").json()["live_clients"] == 0)


@pytest.fixture
def hub() -> Iterator[LiveHub]:
    yield LiveHub(lambda: None)


def test_a_client_that_does_not_keep_up_is_marked_and_the_others_go_on(hub: LiveHub) -> None:
    async def run() -> None:
        slow, quick = (Subscription(frozenset({"change"}), "") for _ in range(2))
        await hub.join(slow)
        await hub.join(quick)
        for number in range(live.QUEUE + 1):
            hub.hand_out(LiveMessage("change", "", b"x", number))
            quick.queue.get_nowait()
        assert slow.is_behind and not quick.is_behind
        hub.leave(slow)
        hub.leave(quick)
        assert hub.clients == 0

    asyncio.run(run())


def test_five_hundred_hear_everything_and_one_more_is_refused(hub: LiveHub) -> None:
    async def run() -> None:
        clients = [Subscription(frozenset({"change"}), "") for _ in range(500)]
        for client in clients:
            await hub.join(client)
        with pytest.raises(BusyError, match="500 clients listen already"):
            await hub.join(Subscription(frozenset(), ""))
        message = LiveMessage("change", "", b"x", 1)
        hub.hand_out(message)
        assert all(client.queue.get_nowait() is message for client in clients)
        for client in clients:
            hub.leave(client)
        assert hub.clients == 0

    asyncio.run(run())
