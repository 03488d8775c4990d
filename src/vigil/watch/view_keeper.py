"""Keeps the usual views of cameras in the store, and takes note of views that people said are the right ones."""

import asyncio
import logging
from collections.abc import Iterable

from vigil.errors import StoreError
from vigil.store import Store
from vigil.watch.source_set import ManagedSource

log = logging.getLogger(__name__)

POLL_S = 2.0
ENDS_WITHIN_S = 2.0
"""How long the end of a watch waits for the store: a locked database may take forever."""


class ViewKeeper:
    """Follows the sources of a watch, which iterates over them; used in the event loop. Files have no usual view."""

    def __init__(self, store: Store, sources: Iterable[ManagedSource]) -> None:
        self._store = store
        self._sources = sources

    async def follow(self) -> None:
        """Keeps what is new, and looks for what people said, every `POLL_S` until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            await self.look()

    async def look(self) -> None:
        """Does so once; trouble with the store is logged, and what is new is kept the next time."""
        try:
            requests = await asyncio.to_thread(self._store.camera_views.requests)
            for managed in self._cameras():
                if (request := requests.get(managed.state.camera_id, "")) != "":
                    managed.views.accept(request)
            await self._keep()
        except StoreError as error:
            log.warning("the usual views of cameras could not be kept: %s", error)

    async def close(self) -> None:
        """Keeps what is new, unless the store takes too long."""
        await asyncio.wait([asyncio.create_task(self.look())], timeout=ENDS_WITHIN_S)

    async def _keep(self) -> None:
        for managed in self._cameras():
            news = managed.views.news()
            if news is None:
                continue
            keep = self._store.camera_views.keep
            try:
                await asyncio.to_thread(keep, managed.state.camera_id, news.views, request=news.request)
            except StoreError:
                managed.views.keep_again()
                raise

    def _cameras(self) -> list[ManagedSource]:
        return [each for each in self._sources if each.address.is_live and each.state.camera_id]
