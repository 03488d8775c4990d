import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx2
import pytest

from vigil.judge.wire import Wire, http_client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def served(replies: Iterable[bytes | None], ask: Callable[[httpx2.AsyncClient, str], Awaitable[Any]]) -> Any:
    """What `ask` gets of a server that sends these bytes, one after another; None ends the connection."""
    waiting = iter(replies)
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            reply = next(waiting)
            if reply is None:
                break
            writer.write(reply)
            if b"Content-Length" not in reply:
                break
        writer.close()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (EOFError, OSError):
            writer.close()

    async def run() -> tuple[Any, int]:
        server = await asyncio.start_server(quietly, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            async with httpx2.AsyncClient(transport=Wire(), timeout=1.0, trust_env=False) as client:
                return await ask(client, url), connections
        finally:
            server.close()
            # Both ends of every connection take a turn of the loop to close.
            for _ in range(5):
                await asyncio.sleep(0)

    return asyncio.run(run())


async def post(client: httpx2.AsyncClient, url: str) -> str:
    return (await client.post(url, json={"question": "是的"})).text


def test_a_body_of_known_length_is_read() -> None:
    assert served([OK], post) == ("ok", 1)


def test_one_connection_serves_many_requests() -> None:
    async def three(client: httpx2.AsyncClient, url: str) -> list[str]:
        return [await post(client, url) for _ in range(3)]

    assert served([OK] * 3, three) == (["ok"] * 3, 1)


def test_a_connection_that_the_server_closed_is_replaced() -> None:
    async def twice(client: httpx2.AsyncClient, url: str) -> list[str]:
        first = await post(client, url)
        await asyncio.sleep(0)
        return [first, await post(client, url)]

    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert served([closing, OK], twice) == (["ok", "ok"], 2)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", ""),
    ],
    ids=["chunked", "closed", "empty"],
)
def test_bodies_of_other_forms_are_read(reply: bytes, text: str) -> None:
    assert served([reply], post)[0] == text


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab",
    ],
    ids=["hung up", "no HTTP", "no status", "no chunk", "half a chunk"],
)
def test_a_broken_reply_is_a_transport_error(reply: bytes | None) -> None:
    with pytest.raises(httpx2.TransportError):
        served([reply], post)


def test_a_body_that_never_comes_is_a_timeout() -> None:
    with pytest.raises(httpx2.ReadTimeout):
        served([OK[:-1]], post)


def test_nobody_there_is_a_connect_error() -> None:
    async def ask() -> None:
        async with httpx2.AsyncClient(transport=Wire(), trust_env=False) as client:
            await post(client, "http://127.0.0.1:9/v1")

    with pytest.raises(httpx2.ConnectError):
        asyncio.run(ask())


def test_only_plain_http_without_a_proxy_takes_the_lean_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert http_client("https://api.example.org/v1", timeout_s=1) is None
    assert http_client("http://127.0.0.1:8000/v1", timeout_s=1) is not None
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert http_client("http://gpu-box:8000/v1", timeout_s=1) is None
    monkeypatch.setenv("no_proxy", "gpu-box")
    assert http_client("http://gpu-box:8000/v1", timeout_s=1) is not None
