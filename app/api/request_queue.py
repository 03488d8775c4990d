"""A queue for requests that keep the model busy: a few at a time, a few more that wait, and others are refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..problems import BusyError

AT_ONCE = 2
MOST_WAITING = 4


class RequestQueue:
    """A few requests at a time; a few more wait, and others are refused with the text `told`."""

    def __init__(self, *, told: str, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING) -> None:
        self._told = told
        self._places = asyncio.Semaphore(at_once)
        self._left = at_once + most_waiting

    def refuse_if_full(self) -> None:
        """Raises BusyError if too many wait."""
        if self._left <= 0:
            raise BusyError(self._told)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Waits for a place; raises BusyError if too many wait."""
        self.refuse_if_full()
        self._left -= 1
        try:
            async with self._places:
                yield
        finally:
            self._left += 1
