"""Places for requests: each request of a source holds one of its own, and one of those that all sources share.

places = RequestPlaces(shared, own=2)
place = await places.take()
...
place.give_back()
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class RequestPlaces:
    """The places of one source: at most `own` requests, and only while `shared` has room; for one event loop."""

    def __init__(self, shared: asyncio.Semaphore, *, own: int) -> None:
        self._shared = shared
        self._own = asyncio.Semaphore(own)

    async def take(self) -> "RequestPlace":
        """Waits for a place and takes it."""
        await self._own.acquire()
        try:
            await self._shared.acquire()
        except BaseException:
            self._own.release()
            raise
        return RequestPlace(self)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Holds a place in the block."""
        place = await self.take()
        try:
            yield
        finally:
            place.give_back()

    def _give_back(self) -> None:
        self._own.release()
        self._shared.release()


class RequestPlace:
    """One place that is taken."""

    def __init__(self, places: RequestPlaces) -> None:
        self._places: RequestPlaces | None = places

    def give_back(self) -> None:
        """Gives the place back; a second call does nothing."""
        places, self._places = self._places, None
        if places is not None:
            places._give_back()
