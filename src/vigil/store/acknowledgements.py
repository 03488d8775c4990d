"""The acknowledgements table: who has seen an alarm first, and when. An acknowledged alarm rings no more.

store.acknowledgements.add(event.id, who="lena")
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select

from vigil.errors import UsageError
from vigil.store.changes import log_changes
from vigil.store.database import Database
from vigil.store.event_rows import read_events
from vigil.store.rows_of import rows_of
from vigil.store.schema import acknowledgements, events
from vigil.store.times import utc_now

LONGEST_WHO = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Who acknowledged an event, and when."""

    event_id: str
    who: str
    acknowledged_utc: str


class AcknowledgementTable:
    """The acknowledgements of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event_id: str, *, who: str) -> Acknowledgement:
        """Acknowledges an event and logs that as a change of it; the first one to do so stays.

        Raises UsageError if the event does not exist, or `who` is empty or too long.
        """
        who = who.strip()
        if not 0 < len(who) <= LONGEST_WHO:
            raise UsageError(f"say who acknowledges the event, in at most {LONGEST_WHO} characters")
        with self._database.writing(f"acknowledging event {event_id}") as connection:
            # Locks the event, so that two concurrent calls agree on who was first.
            found = read_events(connection, select(events).where(events.c.id == event_id).with_for_update())
            if not found:
                raise UsageError(f"there is no event {event_id!r} to acknowledge")
            row = connection.execute(select(acknowledgements).where(acknowledgements.c.event_id == event_id)).first()
            if row is not None:
                return Acknowledgement(**row._mapping)
            values = {"event_id": event_id, "who": who, "acknowledged_utc": utc_now()}
            connection.execute(acknowledgements.insert().values(values))
            said = {"acknowledged_by": who, "acknowledged_utc": values["acknowledged_utc"]}
            log_changes(connection, found[0], ["acknowledged"], said=said)
        return Acknowledgement(**values)

    def of_events(self, event_ids: Sequence[str]) -> dict[str, Acknowledgement]:
        """The acknowledgements of these events, by event id; events without one are left out."""
        found: dict[str, Acknowledgement] = {}
        with self._database.reading("reading acknowledgements") as connection:
            rows = rows_of(connection, (acknowledgements,), acknowledgements.c.event_id, event_ids)
            found |= {row.event_id: Acknowledgement(**row._mapping) for row in rows}
        return found


def is_acknowledged() -> ColumnElement[bool]:
    """A condition: the enclosing query's event is acknowledged."""
    return exists().where(acknowledgements.c.event_id == events.c.id).correlate(events)
