"""Cursors: the position of each consumer in the change log, so that it continues there after a restart."""

from contextlib import AbstractContextManager, nullcontext

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from vigil.store.database import Database
from vigil.store.schema import cursors, handled_ahead
from vigil.store.times import utc_now

TOLD = "told"
"""The consumer that stands for all observers of a watcher; it has one cursor per camera.

If two watchers watch one camera, one may publish a change while the other still has to publish an earlier one; the
later change is then in `handled_ahead`.
"""


class ConsumerCursors:
    """The cursors of a store: one per consumer, or one per consumer and camera. A cursor never moves back.

    A consumer that writes to the same database moves its cursor in the transaction of its own rows (`connection`); then
    no change is handled twice.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, consumer: str, *, camera_id: str = "", connection: Connection | None = None) -> int:
        """The sequence number of the last change that a consumer has handled, 0 if none."""
        with self._reading(connection) as reading:
            return get(reading, consumer, camera_id)

    def advance(
        self, consumer: str, sequence: int, *, camera_id: str = "", connection: Connection | None = None
    ) -> None:
        """Records that a consumer has handled everything up to a sequence number."""
        with self._writing(connection) as writing:
            advance(writing, consumer, sequence, camera_id)

    def all(self) -> dict[tuple[str, str], int]:
        """All cursors, by consumer and camera id."""
        with self._reading(None) as reading:
            return {(row.consumer, row.camera_id): row.sequence for row in reading.execute(select(cursors))}

    def forget(self, consumer: str) -> None:
        """Deletes a consumer that will not return; changes it has not read are no longer kept for it."""
        with self._writing(None) as writing:
            for table in (cursors, handled_ahead):
                writing.execute(table.delete().where(table.c.consumer == consumer))

    def _reading(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return self._database.reading("reading cursors") if connection is None else nullcontext(connection)

    def _writing(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return self._database.writing("moving a cursor") if connection is None else nullcontext(connection)


def get(connection: Connection, consumer: str, camera_id: str = "") -> int:
    """Same as `ConsumerCursors.get`, in the caller's transaction."""
    own = (cursors.c.consumer == consumer, cursors.c.camera_id == camera_id)
    return connection.execute(select(cursors.c.sequence).where(*own)).scalar() or 0


def advance(connection: Connection, consumer: str, sequence: int, camera_id: str = "") -> None:
    """Same as `ConsumerCursors.advance`, in the caller's transaction."""
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
