"""A lean wire below the openai package for servers of one's own: plain HTTP/1.1, connections kept open.

On a machine that serves and asks, the client's own work is taken from the server. The package's ordinary
HTTP stack costs about as much CPU as the rest of the request; this does the same in two awaits, and is used
for `http://` addresses only. Retries, errors, streams and parsing stay the package's.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
import openai

Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

READ_LIMIT = 1 << 20
FAULTS = (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError)
"""What reading a response can raise; a TimeoutError is an OSError, a broken head a ValueError or IndexError."""

NO_BODY = frozenset({204, 304})


def http_client(url: str, *, timeout_s: float) -> httpx2.AsyncClient | None:
    """The client for a plain http address that no proxy stands before; None (the package's own) for any other."""
    parts = urlsplit(url)
    behind_proxy = bool(getproxies().keys() & {"http", "all"}) and not proxy_bypass(parts.hostname or "")
    if parts.scheme != "http" or behind_proxy:
        return None
    return openai.DefaultAsyncHttpxClient(transport=Wire(), timeout=timeout_s, trust_env=False)


class Wire(httpx2.AsyncBaseTransport):
    """Connections to the servers asked, kept open between requests."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[Connection]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends one request and returns its response, the body read unless it comes in chunks."""
        address = (request.url.host, request.url.port or 80)
        limits_s = request.extensions.get("timeout", {})
        connection = await self._connection(address, limit_s=limits_s.get("connect"))
        try:
            async with asyncio.timeout(limits_s.get("read")):
                return await self._exchange(request, connection, address)
        except FAULTS as error:
            connection[1].close()
            raise _translated(error, request) from error
        except BaseException:
            connection[1].close()
            raise

    async def _connection(self, address: tuple[str, int], *, limit_s: float | None) -> Connection:
        idle = self._idle.setdefault(address, [])
        while idle:
            reader, writer = idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.open_connection(*address, limit=READ_LIMIT)
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"no connection to {address[0]}:{address[1]} in time") from error
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error

    async def _exchange(
        self, request: httpx2.Request, connection: Connection, address: tuple[str, int]
    ) -> httpx2.Response:
        reader, writer = connection
        writer.write(_head(request) + await request.aread())
        head = await _read_head(reader)
        if head.length is None and head.status not in NO_BODY:
            stream = Body(reader, writer, chunked=head.chunked, request=request)
            return httpx2.Response(head.status, headers=head.headers, stream=stream)
        body = await reader.readexactly(head.length or 0)
        if head.keep_open:
            self._idle[address].append(connection)
        else:
            writer.close()
        return httpx2.Response(head.status, headers=head.headers, content=body)

    async def aclose(self) -> None:
        """Closes the connections that are kept open."""
        writers = [writer for connections in self._idle.values() for _, writer in connections]
        self._idle.clear()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The beginning of a response; `length` is None where the body ends by chunks or by the connection."""

    status: int
    headers: list[tuple[bytes, bytes]]
    length: int | None
    chunked: bool
    keep_open: bool


def _head(request: httpx2.Request) -> bytes:
    lines = [request.method.encode() + b" " + request.url.raw_path + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _read_head(reader: asyncio.StreamReader) -> Head:
    first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    known = {name.lower(): value.lower() for name, value in headers}
    length = known.get(b"content-length")
    return Head(
        status=int(first.split(b" ", 2)[1]),
        headers=headers,
        length=None if length is None else int(length),
        chunked=b"chunked" in known.get(b"transfer-encoding", b""),
        keep_open=first.startswith(b"HTTP/1.1") and known.get(b"connection") != b"close",
    )


class Body(httpx2.AsyncByteStream):
    """A response body that arrives piece by piece; its connection ends with it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, chunked: bool, request: httpx2.Request
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._request = request
        self._pieces = _chunks(reader) if chunked else _until_closed(reader)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._pieces:
                yield piece
        except FAULTS as error:
            raise _translated(error, self._request) from error

    async def aclose(self) -> None:
        """Closes the connection: the rest of a stream that is no longer wanted is not read."""
        self._writer.close()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")


async def _until_closed(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(READ_LIMIT):
        yield piece


def _translated(error: Exception, request: httpx2.Request) -> httpx2.TransportError:
    """The error as the openai package knows it."""
    text = str(error) or "the connection was closed"
    if isinstance(error, TimeoutError):
        return httpx2.ReadTimeout(text, request=request)
    if isinstance(error, OSError):
        return httpx2.ReadError(text, request=request)
    return httpx2.RemoteProtocolError(text, request=request)
