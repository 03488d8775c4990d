"""Cursors: how far each consumer of the changes has come, so that it goes on there after a restart."""

from contextlib import AbstractContextManager, nullcontext

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from vigil.store.cameras import Transactions
from vigil.store.schema import cursors, handled_ahead
from vigil.store.times import utc_now

TOLD = "told"
"""The consumer that all who follow a watch are together; it has a cursor for each camera, which its watch moves.

Where two watches have one camera, one may tell what is behind something that the other owes: it is `handled_ahead`.
"""


class ConsumerCursors:
    """The cursors of a store. A consumer has one, or one for each camera; a cursor never goes back.

    A consumer that keeps rows of its own moves its cursor in the transaction that writes them (`connection`): then none
    is handled twice, whatever happens.
    """

    def __init__(self, store: Transactions) -> None:
        self._store = store

    def get(self, consumer: str, *, camera_id: str = "", connection: Connection | None = None) -> int:
        """The number of the last change that a consumer has handled, 0 for one that never did."""
        with self._reading(connection) as reading:
            return get(reading, consumer, camera_id)

    def advance(
        self, consumer: str, sequence: int, *, camera_id: str = "", connection: Connection | None = None
    ) -> None:
        """Says that a consumer has handled everything up to a number."""
        with self._writing(connection) as writing:
            advance(writing, consumer, sequence, camera_id)

    def all(self) -> dict[tuple[str, str], int]:
        """Every cursor, by consumer and camera."""
        with self._reading(None) as reading:
            return {(row.consumer, row.camera_id): row.sequence for row in reading.execute(select(cursors))}

    def forget(self, consumer: str) -> None:
        """Drops a consumer that will not come back: what it has not read holds nothing up any more."""
        with self._writing(None) as writing:
            for table in (cursors, handled_ahead):
                writing.execute(table.delete().where(table.c.consumer == consumer))

    def _reading(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return self._store.reading("reading cursors") if connection is None else nullcontext(connection)

    def _writing(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return self._store.writing("moving a cursor") if connection is None else nullcontext(connection)


def get(connection: Connection, consumer: str, camera_id: str = "") -> int:
    """As `ConsumerCursors.get`, in the caller's transaction."""
    own = (cursors.c.consumer == consumer, cursors.c.camera_id == camera_id)
    return connection.execute(select(cursors.c.sequence).where(*own)).scalar() or 0


def advance(connection: Connection, consumer: str, sequence: int, camera_id: str = "") -> None:
    """As `ConsumerCursors.advance`, in the caller's transaction."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(cursors).values(
        consumer=consumer, camera_id=camera_id, sequence=sequence, moved_utc=utc_now()
    )
    moved = insert.on_conflict_do_update(
        index_elements=["consumer", "camera_id"],
        set_={"sequence": insert.excluded.sequence, "moved_utc": insert.excluded.moved_utc},
        where=cursors.c.sequence < insert.excluded.sequence,
    )
    connection.execute(moved)
