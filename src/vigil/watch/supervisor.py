"""A supervisor: what fails unexpectedly is logged, counted and done again, later each time, and ends nothing else.

supervisor = Supervisor()
await supervisor.keep("flush", keeper.flush_for_ever)       # until it ends by itself, or is cancelled
with supervisor.survives("door", "settling window 7"):      # what cannot be done again is given up
    ...
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0

FAULT = "this is a fault in Vigil, please report it"


class Supervisor:
    """Keeps the sources and the chores of a watch going; `failures` counts by name what failed. For the loop alone.

    `clock` tells seconds that never go back; `sleep` waits some.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        first_retry_s: float = FIRST_RETRY_S,
        longest_retry_s: float = LONGEST_RETRY_S,
    ) -> None:
        self.failures: Counter[str] = Counter()
        self._clock = clock
        self._sleep = sleep
        self._first_retry_s = first_retry_s
        self._longest_retry_s = longest_retry_s

    async def keep(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        is_tried_again: Callable[[Exception, float], bool] = lambda error, retry_s: True,
        left: asyncio.Event | None = None,
    ) -> None:
        """Does some work until it ends by itself or somebody has `left`, again and again where it fails.

        `is_tried_again` is told of each failure, with the seconds until the next try; with False it is given up. Work
        that went well for as long as the longest wait begins with the shortest again.
        """
        retry_s = self._first_retry_s
        while True:
            began_s = self._clock()
            try:
                await work()
                return
            except Exception as error:
                if self._clock() - began_s >= self._longest_retry_s:
                    retry_s = self._first_retry_s
                self.failures[name] += 1
                log.exception("%s failed (%d so far); %s", name, self.failures[name], FAULT)
                if not is_tried_again(error, retry_s):
                    return
            await self._pause(retry_s, left)
            if left is not None and left.is_set():
                return
            retry_s = min(2 * retry_s, self._longest_retry_s)

    def note(self, name: str, what: str, error: BaseException) -> None:
        """Logs and counts something that failed and is not done again."""
        self.failures[name] += 1
        log.error("%s: %s failed (%d so far); %s", name, what, self.failures[name], FAULT, exc_info=error)

    @contextmanager
    def survives(self, name: str, what: str) -> Iterator[None]:
        """Gives up what fails in its block, logged and counted; what comes after it goes on."""
        try:
            yield
        except Exception:
            self.failures[name] += 1
            log.exception("%s: %s failed (%d so far); %s", name, what, self.failures[name], FAULT)

    async def _pause(self, seconds: float, left: asyncio.Event | None) -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._sleep(seconds))]
        if left is not None:
            waits.append(asyncio.ensure_future(left.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
