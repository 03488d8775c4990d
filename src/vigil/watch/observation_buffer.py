"""The observations of a watcher that are not in the store yet: buffered, written in batches; the oldest drop out."""

from functools import partial

from vigil.observation import Observation
from vigil.store import Store
from vigil.watch.write_queue import QueuedWrites, StoreWrite

MOST_OBSERVATIONS = 5000
"""Observations buffered while the store is unavailable; beyond that the oldest is lost."""


class ObservationBuffer:
    """Buffers at most `MOST_OBSERVATIONS`; `lost` counts those dropped. Used in the event loop only."""

    def __init__(self, store: Store) -> None:
        self.lost = 0
        self._store = store
        self._queue: QueuedWrites[str, Observation] = QueuedWrites()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, observation: Observation) -> None:
        """Adds an observation."""
        self._queue.put(observation.id, observation)
        while len(self._queue) > MOST_OBSERVATIONS:
            self._queue.drop_oldest()
            self.lost += 1

    def writes(self) -> list[StoreWrite]:
        """The writes for everything that is buffered: one for all, in parts if that is rejected."""
        rows = [observation for _, observation in self._queue.states()]
        if not rows:
            return []
        parts = [self._write([row]) for row in rows]
        whole = StoreWrite(
            what=f"{len(rows)} observations",
            act=partial(self._store.observations.add, rows),
            settled=partial(self._queue.discard_all, [(row.id, row) for row in rows]),
            parts=lambda: parts,
        )
        return [whole] if len(rows) > 1 else parts

    def _write(self, rows: list[Observation]) -> StoreWrite:
        return StoreWrite(
            what=f"observation {rows[0].id} of {rows[0].source}",
            act=partial(self._store.observations.add, rows),
            settled=partial(self._queue.discard_all, [(row.id, row) for row in rows]),
            row=rows[0],
        )
