"""The judge and its breaker before a real vLLM that is frozen; killed it is in `test_watch_faults.py`."""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge import CircuitBreaker, Endpoint, Judge
from vigil.questions import Question
from vigil.serving.server import RunningServer
from vigil.verdict import Cause, Verdict
from waiting import HANG_S, until_async

pytestmark = pytest.mark.e2e

CAMERAS = 8
STRIDE_S = 0.5
DEADLINE_S = 4.0


def _window(number: int, *, height: int = 96) -> list[bytes]:
    shades = [(number * 7 + frame * 31) % 256 for frame in range(6)]
    return [encode_jpeg(np.full((height, 128, 3), shade, np.uint8), quality=90) for shade in shades]


@dataclass(slots=True)
class Load:
    """Cameras that ask for a verdict every half second, whatever became of the one before."""

    breaker: CircuitBreaker
    asked: int = 0
    answered: list[Verdict] = field(default_factory=list)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def run(self) -> None:
        await asyncio.gather(*(self._camera(number) for number in range(CAMERAS)))

    async def _camera(self, camera: int) -> None:
        await asyncio.sleep(camera * STRIDE_S / CAMERAS)
        while True:
            self.asked += 1
            task = asyncio.create_task(self._ask(_window(self.asked)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(STRIDE_S)

    async def _ask(self, window: Sequence[bytes]) -> None:
        self.answered.append(await self.breaker.verdict(window))

    async def finish(self) -> None:
        await asyncio.gather(*self._tasks)

    async def wait_for_good(self, *, since: int) -> None:
        """Waits until one of the answers from this one on is a good verdict."""
        await until_async(lambda: any(verdict.cause is None for verdict in self.answered[since:]))


async def _judge(endpoint: Endpoint, task: Question, sampling: FrameSampling, *, deadline_s: float = HANG_S) -> Judge:
    return await Judge.connect(endpoint, task, sampling, deadline_s=deadline_s, retries=0, min_label_probability=0.0)


def test_a_server_that_is_frozen_times_out_and_is_used_again_when_it_goes_on(
    server: RunningServer, endpoint: Endpoint, task: Question, sampling: FrameSampling
) -> None:
    async def scene() -> None:
        async with await _judge(endpoint, task, sampling, deadline_s=DEADLINE_S) as judge:
            breaker = CircuitBreaker(judge)
            load = Load(breaker)
            asking = asyncio.create_task(load.run())
            await load.wait_for_good(since=0)
            os.killpg(server.pid, signal.SIGSTOP)
            try:
                await until_async(lambda: breaker.times_opened >= 1)
                opened = len(load.answered)
                await until_async(lambda: len(load.answered) > opened + 20 and breaker.state == "probing")
            finally:
                os.killpg(server.pid, signal.SIGCONT)
            back = len(load.answered)
            await load.wait_for_good(since=back)
            asking.cancel()
            await load.finish()
            assert {verdict.cause for verdict in load.answered[opened:back]} == {Cause.TIMEOUT}
            # Most of them were told so unasked: the server has not been given each.
            assert breaker.rejected > 10
            assert breaker.state == "closed"
            assert len(load.answered) == load.asked

    asyncio.run(scene())


def test_damaged_pictures_are_rejected_and_do_not_open_the_breaker(
    endpoint: Endpoint, task: Question, sampling: FrameSampling
) -> None:
    whole = _window(1)
    damaged = ([b"no picture"] * 6, [jpeg[: len(jpeg) // 2] for jpeg in whole], [*whole[:5], b""], [b""] * 6, [])

    async def scene() -> None:
        async with await _judge(endpoint, task, sampling) as judge:
            breaker = CircuitBreaker(judge)
            for window in damaged * 2:
                assert (await breaker.verdict(window)).cause is Cause.REJECTED
                assert (await breaker.describe(window)).cause is Cause.REJECTED
            assert breaker.state == "closed"
            assert (await breaker.verdict(whole)).cause is None

    asyncio.run(scene())


def test_the_words_of_a_window_carry_its_verdict(endpoint: Endpoint, task: Question, sampling: FrameSampling) -> None:
    # Not a window of the frozen server's: vLLM may take one that was given up for known, and answers 500 once.
    window = _window(3, height=64)

    async def scene() -> tuple[Verdict, Verdict]:
        async with await _judge(endpoint, task, sampling) as judge:
            first = await judge.verdict(window)
            return first, await judge.describe(window, max_tokens=20, describe_normal=True)

    first, described = asyncio.run(scene())
    assert (first.cause, described.cause) == (None, None)
    assert described.p_alarm == pytest.approx(first.p_alarm, abs=0.02)
    assert described.text and described.tokens > first.tokens > 0
