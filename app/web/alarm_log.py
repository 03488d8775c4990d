"""Reads alarms from the store's change log for the alarm stream; store errors are logged, never raised."""

import logging

from vigil.errors import StoreError
from vigil.store import Store, StoredChange
from vigil.store.changes import StoredKind

log = logging.getLogger(__name__)

ALARMS: tuple[StoredKind, ...] = ("opened", "raised")
AT_ONCE = 100
"""The most alarms returned by one call of `after`; a page that was away fetches the rest with its next requests."""


class AlarmLog:
    """Reads alarms by sequence number. `scope` identifies the store across restarts; it is empty without a store."""

    def __init__(self, store: Store | None) -> None:
        self.scope = ""
        self._store = store
        self._newest = 0
        self._began = 0
        try:
            if store is not None:
                self._began = self._first(store)
                self.scope = store.cameras.fingerprint()
        except StoreError as error:
            log.warning("the pages announce alarms of this process only: %s", error)
            self._store = None

    def newest(self) -> int:
        """Returns the sequence number of the newest alarm; the last known one if the store cannot be read."""
        try:
            if self._store is not None:
                self._newest = max(self._newest, self._store.changes.last(kinds=ALARMS))
        except StoreError as error:
            log.debug("the log of changes cannot be read now: %s", error)
        return self._newest

    def beginning(self) -> int:
        """Returns where a newly opened page starts to read: every alarm up to that number was already announced."""
        try:
            return 0 if self._store is None else self._first(self._store)
        except StoreError as error:
            log.debug("the log of changes cannot be read now: %s", error)
            return self._newest

    def after(self, sequence: int | None) -> tuple[int, list[StoredChange]]:
        """Returns the number up to which the result is complete, and the alarms after `sequence`.

        If `sequence` is None, these are the alarms since this process started.
        """
        upto = self._began if sequence is None else sequence
        if self._store is None:
            return upto, []
        try:
            # Read before the alarms, so that an alarm written in between is returned by the next call.
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
        pending = [change.sequence - 1 for change in store.changes.unpublished() if change.kind in ALARMS]
        return min([newest, *pending])
