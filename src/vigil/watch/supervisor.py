"""Restarts failed work with exponential back-off, so that one unexpected failure stops nothing else.

supervisor = Supervisor()
await supervisor.keep("flush", writer.flush_periodically)   # until it returns or is cancelled
with supervisor.survives("door", "applying the rules to window 7"):      # logged and counted, not retried
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

RETRY_MIN_S = 1.0
RETRY_MAX_S = 60.0

FAULT = "this is a fault in Vigil, please report it"


class Supervisor:
    """Keeps the sources and background tasks of a watcher running. Used in the event loop only.

    `failures` counts failures by name; `clock` returns monotonic seconds; `sleep` waits a number of seconds.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        retry_min_s: float = RETRY_MIN_S,
        retry_max_s: float = RETRY_MAX_S,
    ) -> None:
        self.failures: Counter[str] = Counter()
        self._clock = clock
        self._sleep = sleep
        self._retry_min_s = retry_min_s
        self._retry_max_s = retry_max_s

    async def keep(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        should_retry: Callable[[Exception, float], bool] = lambda error, retry_s: True,
        stopped: asyncio.Event | None = None,
    ) -> None:
        """Runs `work` until it returns or `stopped` is set, and retries it when it fails.

        `should_retry` receives each exception and the seconds until the next try; if it returns False, `work` is not
        retried. After a run of at least `retry_max_s` the delay starts again at `retry_min_s`.
        """
        retry_s = self._retry_min_s
        while True:
            began_s = self._clock()
            try:
                await work()
                return
            except Exception as error:
                if self._clock() - began_s >= self._retry_max_s:
                    retry_s = self._retry_min_s
                self.failures[name] += 1
                log.exception("%s failed (%d so far); %s", name, self.failures[name], FAULT)
                if not should_retry(error, retry_s):
                    return
            await self._pause(retry_s, stopped)
            if stopped is not None and stopped.is_set():
                return
            retry_s = min(2 * retry_s, self._retry_max_s)

    def note(self, name: str, what: str, error: BaseException) -> None:
        """Logs and counts a failure that is not retried."""
        self.failures[name] += 1
        log.error("%s: %s failed (%d so far); %s", name, what, self.failures[name], FAULT, exc_info=error)

    @contextmanager
    def survives(self, name: str, what: str) -> Iterator[None]:
        """Logs and counts an exception raised in the block and suppresses it."""
        try:
            yield
        except Exception:
            self.failures[name] += 1
            log.exception("%s: %s failed (%d so far); %s", name, what, self.failures[name], FAULT)

    async def _pause(self, seconds: float, stopped: asyncio.Event | None) -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._sleep(seconds))]
        if stopped is not None:
            waits.append(asyncio.ensure_future(stopped.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
