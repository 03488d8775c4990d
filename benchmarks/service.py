"""The service under load: what a read costs, how long reads take at a steady rate, and how soon an event is told.

    .venv/bin/python benchmarks/service.py                      200 reads a second for 10 s, 100 clients, 20 changes
    .venv/bin/python benchmarks/service.py --cameras 8          the same beside 8 live cameras
    .venv/bin/python benchmarks/service.py --rate 100 --seconds 5 --clients 500
    .venv/bin/python benchmarks/service.py --cost-only --rounds 3       CPU alone, which neighbours disturb least

It starts `vigil service` as a process of its own on a store with 500 events, and asks it over real connections. The
cost of a read is the CPU time of that process beyond what it uses unasked. Reads at a rate are sent at their due times,
whether or not those before them are answered, and are measured from then on. A change is written to the store by this
process; its delay at a client is from the return of that write. Cameras are 640x360 RTSP streams at 10 pictures a
second, judged by a server that answers after 50 ms.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import aiohttp
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "tests")]

from app.http.connections import raise_limit  # noqa: E402

from api_service import EVENT, Service, event, filled_store, service_at  # noqa: E402
from rtsp_server import running  # noqa: E402
from vigil.store import Store  # noqa: E402
from watching import bright_server, film  # noqa: E402

PATHS = (
    "/events?limit=20",
    f"/events/{EVENT}",
    "/status",
    "/cameras",
    f"/events/{EVENT}/probability",
    "/events?state=alarm&limit=5",
)
MADE_ANEW = ("/events?since=3650d&limit=20",)
"""Reads whose answers are never kept, outside of the mix."""

CONNECTIONS = 4
PAUSE_S = 0.01
"""Between two reads of a connection: the service lets one address ask 500 times a second (docs/service.md)."""

SETTLE_S = 8.0
FILM_S = 20


def main() -> None:
    """Prints all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="reads a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long")
    parser.add_argument("--clients", type=int, default=100, help="clients of the live stream")
    parser.add_argument("--changes", type=int, default=20, help="changes that each of them is told")
    parser.add_argument("--cameras", type=int, default=0, help="live cameras that are watched meanwhile")
    parser.add_argument("--reads", type=int, default=300, help="reads of each kind whose CPU is measured, in a round")
    parser.add_argument("--rounds", type=int, default=1, help="rounds of that")
    parser.add_argument("--cost-only", action="store_true", help="measure the CPU of reads and nothing else")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, bright_server(delay_s=0.05) as endpoint:
        folder = Path(name)
        store = filled_store(folder / "store" / "events.db", events=500)
        raise_limit()
        words = ["--connections-per-address", str(given.clients + 64)]
        with (
            cameras(folder, given.cameras) as watched,
            service_at(endpoint.url, *words, *watched, folder=folder, store=store) as service,
        ):
            time.sleep(SETTLE_S)
            measure_costs(service, reads=given.reads, rounds=given.rounds)
            if given.cost_only:
                return
            # In a process of its own: cameras and endpoint are served by this one.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
                print(apart.submit(reads_at_rate, service.url, rate=given.rate, seconds=given.seconds).result())
            asyncio.run(measure_live(service, clients=given.clients, changes=given.changes))


@contextmanager
def cameras(folder: Path, count: int) -> Iterator[list[str]]:
    """Live cameras; gives the options of a service that watches them."""
    if not count:
        yield []
        return
    films = [film(folder / f"c{i}.mp4", seconds=FILM_S, fps=10, size_wh=(640, 360)) for i in range(count)]
    with running(*films) as server:
        config = folder / "watch.yaml"
        config.write_text(f"sources: {json.dumps([server.address(path.stem) for path in films])}\n")
        yield ["--config", str(config)]


def measure_costs(service: Service, *, reads: int, rounds: int) -> None:
    """Prints the milliseconds of CPU that each kind of read costs, the median of the rounds."""
    found: dict[str, list[float]] = {path: [] for path in (*PATHS, *MADE_ANEW)}
    for _ in range(rounds):
        idle = share_of_idle(service)
        for path in found:
            asyncio.run(read_often(service, path, CONNECTIONS * 4))
            began_s, used_s = time.perf_counter(), cpu_s(service)
            asyncio.run(read_often(service, path, reads))
            took_s = time.perf_counter() - began_s
            found[path].append((cpu_s(service) - used_s - idle * took_s) * 1000.0 / reads)
    for path, costs_ms in found.items():
        print(f"CPU of GET {path}: {statistics.median(costs_ms):.2f} ms ({min(costs_ms):.2f} to {max(costs_ms):.2f})")
    mix_ms = [statistics.mean(costs) for costs in zip(*(found[path] for path in PATHS), strict=True)]
    print(f"CPU of a read of the mix: {statistics.median(mix_ms):.2f} ms ({min(mix_ms):.2f} to {max(mix_ms):.2f})")


def share_of_idle(service: Service, seconds: float = 4.0) -> float:
    """The share of a core that the service uses while nobody asks it."""
    began_s, used_s = time.perf_counter(), cpu_s(service)
    time.sleep(seconds)
    return (cpu_s(service) - used_s) / (time.perf_counter() - began_s)


def cpu_s(service: Service) -> float:
    """Seconds of CPU that the process of the service has used, by Linux' clock of that process."""
    return time.clock_gettime((~service.site.process.pid << 3) | 2)


async def read_often(service: Service, path: str, reads: int) -> None:
    """Reads one path over a few connections, each soon after the read before is answered."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

        async def read_in_turn() -> None:
            for _ in range(reads // CONNECTIONS):
                await read(session, service.url, path, 0.0)
                await asyncio.sleep(PAUSE_S)

        await asyncio.gather(*(read_in_turn() for _ in range(CONNECTIONS)))


def reads_at_rate(url: str, *, rate: float, seconds: float) -> str:
    """Reads at a steady rate; returns percentiles of their times in milliseconds, as a line."""
    used_s = time.process_time()
    took_ms = asyncio.run(times_at_rate(url, rate=rate, seconds=seconds))
    used_ms = (time.process_time() - used_s) * 1000.0 / len(took_ms)
    p50, p95, p99 = np.percentile(took_ms, (50, 95, 99))
    told = f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms"
    return f"{len(took_ms)} reads at {rate:g}/s: {told} (the client itself used {used_ms:.2f} ms of CPU for each)"


async def times_at_rate(url: str, *, rate: float, seconds: float) -> list[float]:
    """Reads at a steady rate; returns how long each took in milliseconds."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        for path in PATHS:
            await read(session, url, path, time.perf_counter())
        start_s = time.perf_counter() + 0.1
        tasks = []
        for number in range(int(rate * seconds)):
            due_s = start_s + number / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            tasks.append(asyncio.create_task(read(session, url, PATHS[number % len(PATHS)], due_s)))
        return list(await asyncio.gather(*tasks))


async def read(session: aiohttp.ClientSession, url: str, path: str, due_s: float) -> float:
    async with session.get(f"{url}{path}") as answer:
        await answer.read()
        assert answer.status == 200, (path, answer.status)
    return (time.perf_counter() - due_s) * 1000.0


async def measure_live(service: Service, *, clients: int, changes: int) -> None:
    """Writes changes while many listen; prints percentiles of how late each client heard of each, in milliseconds."""
    ready = asyncio.Semaphore(0)
    connector = aiohttp.TCPConnector(limit=clients)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        tasks = [asyncio.create_task(listen(session, service, changes, ready)) for _ in range(clients)]
        for _ in tasks:
            await ready.acquire()
        written_s: dict[str, float] = {}
        with Store.open(service.store) as store:
            for number in range(changes):
                made = event(10_000 + number, end_s=None, closed_because="")
                await asyncio.to_thread(store.events.save, made)
                written_s[made.id] = time.perf_counter()
                await asyncio.sleep(0.3)
        heard = await asyncio.gather(*tasks)
    late_ms = [(at_s - written_s[name]) * 1000.0 for each in heard for name, at_s in each.items()]
    p50, p99 = np.percentile(late_ms, (50, 99))
    told = f"{len(late_ms)} of {clients * changes} deliveries"
    print(f"{clients} live clients, {told}: p50 {p50:.0f} ms, p99 {p99:.0f} ms after the write (polled every 500 ms)")


async def listen(
    session: aiohttp.ClientSession, service: Service, changes: int, ready: asyncio.Semaphore
) -> dict[str, float]:
    heard: dict[str, float] = {}
    async with session.get(f"{service.url}/live", params={"kinds": "change"}) as answer:
        async for line in answer.content:
            if line.startswith(b"event: ready"):
                ready.release()
            if line.startswith(b"data: ") and b'"event"' in line:
                heard[json.loads(line[6:])["event"]["event"]] = time.perf_counter()
            if len(heard) == changes:
                break
    return heard


if __name__ == "__main__":
    main()
