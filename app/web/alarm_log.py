"""The alarms in the store's log of changes, as the bell reads them: a store in trouble silences no page for good."""

import logging

from vigil.errors import StoreError
from vigil.store import Store, StoredChange
from vigil.store.changes import StoredKind

log = logging.getLogger(__name__)

ALARMS: tuple[StoredKind, ...] = ("opened", "raised")
AT_ONCE = 100
"""Alarms that a page which was away is told at once; the rest when it asks again."""


class AlarmLog:
    """Reads alarms by their numbers; `scope` tells this store from others at every start, and is empty without one."""

    def __init__(self, store: Store | None) -> None:
        self.scope = ""
        self._store = store
        self._newest = 0
        self._began = 0
        try:
            if store is not None:
                self._began = self._first(store)
                self.scope = store.fingerprint()
        except StoreError as error:
            log.warning("the pages ring for alarms of this process only: %s", error)
            self._store = None

    def newest(self) -> int:
        """The number of the newest alarm, as far as it is known."""
        try:
            if self._store is not None:
                self._newest = max(self._newest, self._store.changes.last(kinds=ALARMS))
        except StoreError as error:
            log.debug("the log of changes cannot be read now: %s", error)
        return self._newest

    def beginning(self) -> int:
        """Where a page begins that just opened: behind all that people were told of."""
        try:
            return 0 if self._store is None else self._first(self._store)
        except StoreError as error:
            log.debug("the log of changes cannot be read now: %s", error)
            return self._newest

    def after(self, sequence: int | None) -> tuple[int, list[StoredChange]]:
        """The alarms behind a number (None: since this start), and up to which number that is all."""
        upto = self._began if sequence is None else sequence
        if self._store is None:
            return upto, []
        try:
            # First: what comes while the alarms are read is read the next time.
            newest = self._store.changes.last(kinds=ALARMS)
            found = self._store.changes.after(upto, limit=AT_ONCE, kinds=ALARMS)
        except StoreError as error:
            log.debug("the log of changes cannot be read now: %s", error)
            return upto, []
        if len(found) == AT_ONCE:
            return found[-1].sequence, found
        return max(upto, newest, *(change.sequence for change in found)), found

    @staticmethod
    def _first(store: Store) -> int:
        newest = store.changes.last(kinds=ALARMS)
        owed = [change.sequence - 1 for change in store.untold() if change.kind in ALARMS]
        return min([newest, *owed])
