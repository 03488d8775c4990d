"""Answers without an end, from a real server, to each of the requests that are not questions about windows."""

import asyncio
import contextlib
import os
import resource
import socket
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from app.endpoint_monitor import EndpointMonitor

from judging import TASK
from vigil.errors import EndpointBusy, EndpointError
from vigil.judge import Endpoint
from vigil.judge.discovery import (
    find_model,
    list_models,
    open_openai_client,
    supported_media,
)
from vigil.judge.endpoint_http import EndpointHttp
from vigil.judge.error_pages import not_json
from vigil.judge.label_token_lookup import find_label_tokens
from vigil.judge.model_client import MAX_BYTES
from vigil.parity.served import TokenizeClient
from vigil.serving.command import ServerCommand
from vigil.serving.server import start_server
from vigil.watch import WatchSettings
from waiting import HANG_S

SPACES = b" " * 65_536
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
ALLOWED_KB = 100_000
SOON_S = 1.5

How = Callable[[socket.socket], None]


def endless(client: socket.socket) -> None:
    """Sends a body for ever."""
    client.sendall(OK)
    while True:
        client.sendall(SPACES)


def endless_head(client: socket.socket) -> None:
    """Sends headers for ever."""
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        client.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def dripping(client: socket.socket) -> None:
    """Sends a byte now and then, faster than any wait for the next one ends."""
    client.sendall(OK)
    while not threading.Event().wait(0.1):
        client.sendall(b" ")


def failing(client: socket.socket) -> None:
    """Sends an error for ever."""
    client.sendall(b"HTTP/1.1 500 Oh\r\n\r\n")
    while True:
        client.sendall(SPACES)


@cache
def packed() -> bytes:
    """200 MB in 200 kB; made when it is needed, as every worker reads this file, and never held unpacked."""
    packer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(200)) + packer.flush()


def bomb(client: socket.socket) -> None:
    """Sends a little that stands for a lot."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    client.sendall(head % len(packed()) + packed())


@contextmanager
def serving(how: How) -> Iterator[str]:
    """A server that answers everything so; gives its URL."""

    def answer(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.recv(65_536)
            how(client)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=answer, args=(client,), daemon=True).start()

    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)


async def models(url: str) -> None:
    endpoint = Endpoint(url=url)
    async with open_openai_client(endpoint, timeout_s=SOON_S, retries=0) as client:
        with pytest.raises(EndpointError):
            await list_models(client, endpoint)
        with pytest.raises(EndpointError):
            await find_model(client, endpoint)


async def probe(url: str) -> None:
    async with open_openai_client(Endpoint(url=url), timeout_s=SOON_S, retries=0) as client:
        with contextlib.suppress(EndpointError):
            await supported_media(client, "m")


async def tokens(url: str) -> None:
    try:
        words = await find_label_tokens(Endpoint(url=url), TASK.words(), "m")
    except EndpointBusy as error:
        # An error of its own tells nothing of what the server can do, however long it is.
        assert "500" in str(error)
        return
    assert words.method == "top" and not words.ids


async def parity(url: str) -> None:
    async with TokenizeClient(Endpoint(url=url)) as asker:
        with pytest.raises(EndpointError):
            await asker.find_model()


async def metrics(url: str) -> None:
    async with EndpointHttp(Endpoint(url=url), deadline_s=SOON_S) as http:
        assert await EndpointMonitor(Endpoint(url=url), WatchSettings(url=url)).load(http) is None


@pytest.mark.parametrize("how", [endless, endless_head, failing, bomb])
@pytest.mark.parametrize("ask", [models, probe, tokens, parity, metrics])
def test_an_endless_answer_neither_fills_the_memory_nor_holds_anybody(
    ask: Callable[[str], Awaitable[None]], how: How
) -> None:
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(how) as url:
        asyncio.run(asyncio.wait_for(ask(url), HANG_S))  # type: ignore[arg-type]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < ALLOWED_KB


@pytest.mark.parametrize("ask", [models, probe, metrics])
def test_an_answer_that_drips_is_given_up_at_its_deadline(ask: Callable[[str], Awaitable[None]]) -> None:
    with serving(dripping) as url:
        asyncio.run(asyncio.wait_for(ask(url), HANG_S))  # type: ignore[arg-type]


def test_the_status_line_goes_on_and_says_what_is_wrong() -> None:
    async def watch(url: str) -> str:
        board = EndpointMonitor(Endpoint(url=url), WatchSettings(url=url))
        following = asyncio.create_task(board.follow())
        while not board.now.polled:
            await asyncio.sleep(0.01)
        following.cancel()
        return board.now.problem or ""

    with serving(endless) as url:
        assert "longer than 4194304 bytes" in asyncio.run(asyncio.wait_for(watch(url), HANG_S))


def test_an_error_is_told_by_its_status_and_a_sound_answer_comes_whole() -> None:
    def sound(client: socket.socket) -> None:
        client.sendall(b'HTTP/1.1 404 No\r\nContent-Length: 12\r\n\r\n{"detail":1}')

    async def ask(url: str) -> tuple[int, bytes]:
        async with EndpointHttp(Endpoint(url=url), deadline_s=HANG_S) as http:
            answer = await http.get(url)
            return answer.status, answer.body

    with serving(sound) as url:
        assert asyncio.run(ask(url)) == (404, b'{"detail":1}')


@pytest.mark.parametrize("head", [b"Content-Encoding: gzip\r\n", b""])
def test_an_error_keeps_its_status_however_its_body_is_sent(head: bytes) -> None:
    def busy(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 503 Busy\r\n" + head + b"\r\n")
        while True:
            client.sendall(SPACES)

    async def ask(url: str) -> int:
        async with EndpointHttp(Endpoint(url=url), deadline_s=HANG_S) as http:
            return (await http.get(url)).status

    with serving(busy) as url:
        assert asyncio.run(ask(url)) == 503


def test_a_page_that_is_made_to_be_slow_to_read_costs_no_time() -> None:
    """All of it would take minutes, in which nobody else is answered; the test's own time limit would end it."""
    for begun in ("<h1>", "<script>", "<title", "<"):
        assert "HTML page" in not_json("<html>" + begun * (MAX_BYTES // len(begun)))


def test_a_server_that_starts_is_asked_for_its_status_only(tmp_path: Path) -> None:
    command = ServerCommand(argv=("sleep", "60"), variables={})
    server = start_server(command, log=tmp_path / "log", variables=dict(os.environ))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with serving(endless) as url:
            server.wait_until_ready(url.removesuffix("/v1"), timeout_s=HANG_S)
    finally:
        server.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < ALLOWED_KB
