"""The verdicts of a watcher that are not in the store yet: buffered and written in batches; the oldest drop out."""

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from vigil.store import Store
from vigil.verdict import JudgedWindow
from vigil.watch.write_queue import QueuedWrites, StoreWrite

MOST_WAITING = 20_000
"""Verdicts buffered while the store is unavailable, about three hours of one camera; beyond that the oldest is lost."""

VerdictRow: TypeAlias = tuple[tuple[str, str, int], JudgedWindow]
"""A verdict with its key: session, source and window."""


class VerdictBuffer:
    """Buffers at most `MOST_WAITING` verdicts; `lost` counts those dropped. Used in the event loop only."""

    def __init__(self, store: Store) -> None:
        self.lost = 0
        self._store = store
        self._queue: QueuedWrites[tuple[str, str, int], JudgedWindow] = QueuedWrites()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, session: str, judged: JudgedWindow) -> None:
        """Adds a verdict of a session, or replaces that of the same window."""
        self._queue.put((session, judged.source, judged.window), judged)
        while len(self._queue) > MOST_WAITING:
            self._queue.drop_oldest()
            self.lost += 1

    def writes(self) -> list[StoreWrite]:
        """The writes for everything that is buffered."""
        rows = self._queue.states()
        # Verdicts without a session go to the newest session of their source.
        parts = [row for row in rows if row[0][0]], [row for row in rows if not row[0][0]]
        return [self._write(part) for part in parts if part]

    def _write(self, rows: Sequence[VerdictRow]) -> StoreWrite:
        half = len(rows) // 2
        (session, source, window), judged = rows[0]
        return StoreWrite(
            what=f"window {window} of {source} in session {session}",
            act=partial(self._save, rows),
            settled=partial(self._queue.discard_all, rows),
            row=judged,
            parts=lambda: [self._write(part) for part in (rows[:half], rows[half:]) if half],
        )

    def _save(self, rows: Sequence[VerdictRow]) -> None:
        sessions = [session for (session, _, _), _ in rows]
        self._store.verdicts.add([judged for _, judged in rows], sessions=sessions if all(sessions) else ())
