"""500 clients, each with a socket, listen to one service: each hears a change, and reads are answered meanwhile."""

import asyncio
import json
import re
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api_service import Service, event, filled_store, service_at
from scripted_server import ScriptedServer
from vigil.store import Store
from waiting import HANG_S

CLIENTS = 500
SPARE_FILES = 200
LARGEST_GROWTH_BYTES = 150_000_000
"""What 500 listeners may add to the memory of the service: 300 kB each, sockets' buffers of the process included."""


@pytest.fixture(scope="module")
def clients() -> int:
    """500, or as many as half of the connections that a service may have here (a quarter of the files)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < CLIENTS + SPARE_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CLIENTS + SPARE_FILES), hard))
    most = min(CLIENTS, hard // 8, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES)
    assert most >= 100, f"{hard} files are too few to try anything here"
    return most


@pytest.fixture(scope="module")
def crowded(clients: int, endpoint: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that lets that many clients of this machine listen."""
    folder = tmp_path_factory.mktemp("crowded")
    store = filled_store(folder / "store" / "events.db")
    words = ("--connections", str(2 * clients), "--connections-per-address", str(2 * clients))
    with service_at(endpoint.url, *words, folder=folder, store=store, is_prestarted=False) as service:
        yield service


@asynccontextmanager
async def request(service: Service, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """What a socket of its own is answered, its head included."""
    place = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(f"GET {place.path}{path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.close()


async def ask(service: Service, path: str) -> tuple[int, bytes]:
    """Status and body of an answer."""
    async with request(service, path) as reader:
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def memory_bytes(service: Service) -> int:
    """The memory of the service's process that is not given back."""
    status = Path(f"/proc/{service.site.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


class Crowd:
    """Clients that listen, each with its own socket."""

    def __init__(self, service: Service, count: int) -> None:
        self._service = service
        self._count = count
        self._ready = asyncio.Semaphore(0)
        self.heard: list[int] = []
        self._told = asyncio.Semaphore(0)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """All of them listen until the end of the block."""
        tasks = [asyncio.create_task(self._listen()) for _ in range(self._count)]
        try:
            async with asyncio.timeout(HANG_S):
                for _ in tasks:
                    await self._ready.acquire()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def all_heard(self) -> None:
        """Waits until each has heard one change."""
        async with asyncio.timeout(HANG_S):
            for _ in range(self._count):
                await self._told.acquire()

    async def _listen(self) -> None:
        async with request(self._service, "/live?kinds=change") as reader:
            await reader.readuntil(b"event: ready")
            self._ready.release()
            await reader.readuntil(b"event: change\ndata: ")
            self.heard.append(int(json.loads(await reader.readline())["sequence"]))
            self._told.release()
            await reader.read()


async def listeners(service: Service) -> int:
    """How many listen, by the service's own count."""
    _, body = await ask(service, "/metrics")
    found = re.search(rb"^vigil_live_clients (\d+)", body, re.MULTILINE)
    assert found is not None, body
    return int(found[1])


async def scene(service: Service, clients: int) -> None:
    assert await ask(service, "/events?limit=5")
    before = memory_bytes(service)
    crowd = Crowd(service, clients)
    async with crowd.listening():
        status, body = await ask(service, "/live?lasts_s=1")
        assert status == 429 and json.loads(body)["type"].endswith(":busy"), "one more is told to come later"
        with Store.open(service.store) as store:
            known = store.changes.last()
            await asyncio.to_thread(store.events.save, event(77))
            first = store.changes.after(known)[0].sequence
        reads = [asyncio.create_task(ask(service, "/events?limit=5")) for _ in range(10)]
        await crowd.all_heard()
        assert [status for status, _ in await asyncio.gather(*reads)] == [200] * len(reads)
        assert crowd.heard == [first] * clients
        assert memory_bytes(service) - before < LARGEST_GROWTH_BYTES
    async with asyncio.timeout(HANG_S):
        while await listeners(service):
            await asyncio.sleep(0.05)


def test_each_of_many_listeners_hears_a_change_and_reads_are_answered(crowded: Service, clients: int) -> None:
    asyncio.run(scene(crowded, clients))
