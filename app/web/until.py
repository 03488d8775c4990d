"""A stream that ends at once when it is told to, even while the next piece is still awaited."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TypeVar

T = TypeVar("T")


async def stream_until(pieces: AsyncIterator[T], stop: asyncio.Event) -> AsyncGenerator[T, None]:
    """The pieces until `stop` is set; what is awaited then is cancelled, which closes its connection."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            coming = asyncio.ensure_future(_next(pieces))
            try:
                await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    await _end(coming)
            piece = None if coming.cancelled() else coming.result()
            if piece is None:
                return
            yield piece
    finally:
        stopped.cancel()


async def unless_stopped(work: Awaitable[T], stop: asyncio.Event) -> T | None:
    """What the work gives, or None as soon as `stop` is set; the work is cancelled then, which no thread hears."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() else await working
    finally:
        for future in (working, stopped):
            future.cancel()


async def _end(future: "asyncio.Future[T | None]") -> None:
    future.cancel()
    await asyncio.wait({future})


async def _next(pieces: AsyncIterator[T]) -> T | None:
    return await anext(pieces, None)


async def coalesce(pieces: AsyncIterator[str], *, every_s: float) -> AsyncIterator[str]:
    """The pieces put together so that none comes sooner than `every_s` after the last."""
    waiting, painted_s = "", 0.0
    async for piece in pieces:
        waiting += piece
        if time.monotonic() - painted_s >= every_s:
            yield waiting
            waiting, painted_s = "", time.monotonic()
    if waiting:
        yield waiting
