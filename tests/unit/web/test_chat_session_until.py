import asyncio
from collections.abc import AsyncIterator

import pytest
from app.web.chat_session import stream_until, unless_stopped

from waiting import HANG_S


async def counting(closed: list[bool], *, pause_after: int = 10**9) -> AsyncIterator[int]:
    try:
        for number in range(1, 100):
            if number > pause_after:
                await asyncio.Event().wait()
            yield number
    finally:
        closed.append(True)


def test_everything_comes_when_nobody_stops() -> None:
    async def run() -> list[int]:
        return [piece async for piece in stream_until(counting([]), asyncio.Event())]

    assert asyncio.run(run()) == list(range(1, 100))


def test_stop_ends_it_even_while_the_next_piece_is_awaited() -> None:
    closed: list[bool] = []

    async def run() -> list[int]:
        stop, seen = asyncio.Event(), []
        async for piece in stream_until(counting(closed, pause_after=3), stop):
            seen.append(piece)
            if piece == 3:
                # Soon the next piece is waited for, in vain.
                asyncio.get_running_loop().call_later(0.05, stop.set)
        return seen

    assert asyncio.run(asyncio.wait_for(run(), HANG_S)) == [1, 2, 3]
    assert closed == [True]


def test_an_error_of_the_stream_passes_through() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("gone")

    async def run() -> None:
        async for _ in stream_until(broken(), asyncio.Event()):
            pass

    with pytest.raises(ValueError, match="gone"):
        asyncio.run(run())


def test_work_is_not_waited_for_any_longer_than_until_it_is_stopped() -> None:
    async def run(*, takes_s: float, is_stopped: bool) -> str | None:
        stop = asyncio.Event()
        if is_stopped:
            asyncio.get_running_loop().call_later(0.05, stop.set)
        return await unless_stopped(asyncio.sleep(takes_s, "done"), stop)

    assert asyncio.run(asyncio.wait_for(run(takes_s=0.01, is_stopped=False), HANG_S)) == "done"
    assert asyncio.run(asyncio.wait_for(run(takes_s=3600.0, is_stopped=True), HANG_S)) is None
