"""The events table: an event, its windows and its row in the change log are saved in one transaction.

store.events.save(event)                                    # durable when it returns
store.events.find(EventFilter(tier=Tier.HIGH, limit=20))    # oldest first
store.events.get("20261120T115033123Z-9f3c21ab")            # or the start or end of the id
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, select

from vigil.errors import UsageError
from vigil.events import Event
from vigil.store.changes import TELLABLE, StoredChange, StoredKind, kinds_between, log_changes, note_published_kinds
from vigil.store.database import Database, upsert
from vigil.store.event_filter import EventFilter
from vigil.store.event_query import (
    LABELS_OF_EVENTS,
    camera_names,
    counting,
    cursor_of,
    newest,
    page_rows,
)
from vigil.store.event_rows import events_of, insert_new_windows, last_window_end_s, read_events, row_of
from vigil.store.rows_of import rows_of
from vigil.store.schema import events
from vigil.store.search import index_events, index_new
from vigil.store.sessions import SessionTable, WatchSession, cameras_of, end_all

STOPPED = "the watcher stopped"
PAGE = 50

LOCK_ROW = select(events).where(events.c.id == bindparam("event_id")).with_for_update()
"""The row of an event, locked where the database locks rows; kept, as building it takes longer than its execution."""


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Events, newest first, and where the next page begins; `next` is empty on the last page."""

    events: tuple[Event, ...]
    next: str


class EventTable:
    """The events of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database, sessions: SessionTable) -> None:
        self._database = database
        self._sessions = sessions

    def save(
        self, event: Event, *, session: str | None = "", published: Collection[StoredKind] = TELLABLE
    ) -> list[StoredChange]:
        """Saves an event, or its new state, with what changed; durable on return. Returns the changes.

        It belongs to the current session of its source, or to `session` (None: to none). The changes are logged in the
        same transaction, and those of the kinds in `published` count as published. A watcher, which publishes them
        afterwards, names none and calls `store.changes.note_published` then.
        """
        if session == "":
            session = self._sessions.current(event)
        if session and not event.camera_id:
            event = replace(event, camera_id=self._sessions.camera_of(session))
        with self._database.writing(f"saving event {event.id}") as connection:
            happened = _save(connection, event, session=session)
            note_published_kinds(connection, happened, published)
        return happened

    def find(self, wanted: EventFilter | None = None) -> list[Event]:
        """The events that match a filter (by default all), oldest first."""
        with self._database.reading("reading events") as connection:
            return _find(connection, wanted or EventFilter())

    def ids(self, wanted: EventFilter | None = None) -> list[str]:
        """The ids of the events that match a filter, oldest first; a thousandth of the events themselves in memory."""
        with self._database.reading("reading events") as connection:
            query = newest(connection, wanted or EventFilter()).with_only_columns(events.c.id)
            return [*connection.execute(query).scalars()][::-1]

    def by_ids(self, ids: Sequence[str]) -> list[Event]:
        """The events with these ids, in their order; ids without an event are left out."""
        with self._database.reading("reading events") as connection:
            rows = {row.id: row for row in rows_of(connection, (events,), events.c.id, ids)}
            return events_of(connection, [rows[event_id] for event_id in ids if event_id in rows])

    def find_open(self, source: str | None = None) -> list[Event]:
        """The open events (of one camera, or of all), including those that a killed watcher left open."""
        return self.find(EventFilter(source=source, open_only=True))

    def count(self, wanted: EventFilter | None = None) -> int:
        """The number of events that match a filter, ignoring its limit and offset."""
        with self._database.reading("counting events") as connection:
            return int(connection.execute(counting(connection, wanted or EventFilter())).scalar_one())

    def page(self, wanted: EventFilter | None = None, *, after: str = "", size: int = PAGE) -> EventsPage:
        """A page of the events that match a filter, newest first; `after` is `next` of the page before.

        However far down, a page costs what the first one does, and none is shown twice or left out when events arrive
        in the meantime. The filter's limit and offset are ignored.
        """
        with self._database.reading("reading events") as connection:
            rows = page_rows(connection, wanted or EventFilter(), after=after, size=size)
            found = tuple(events_of(connection, rows[:size]))
        last = rows[size - 1] if len(rows) > size else None
        return EventsPage(found, next="" if last is None else cursor_of(last.happened_utc, last.id))

    def by_id(self, event_id: str) -> Event | None:
        """The event with exactly this id; None if there is none."""
        with self._database.reading("reading an event") as connection:
            return next(iter(read_events(connection, select(events).where(events.c.id == event_id))), None)

    def get(self, part: str) -> Event:
        """The event with this id, or the only one whose id starts or ends with it; else raises UsageError."""
        with self._database.reading("reading an event") as connection:
            found = _by_id(connection, part)
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"{self._database.name} has no event {part!r}; `vigil events list` shows those it has")
        raise UsageError(f"{part!r} may be any of {len(found)} events: {', '.join(event.id for event in found[:5])}")

    def of_session(self, session: WatchSession) -> list[Event]:
        """The events of one session, in order of onset."""
        query = select(events).where(events.c.session_id == session.id).order_by(events.c.onset_s, events.c.id)
        with self._database.reading("reading events") as connection:
            return read_events(connection, query)

    def sources(self) -> list[str]:
        """The names of the cameras that have events, sorted, without duplicates."""
        with self._database.reading("reading sources") as connection:
            return camera_names(connection)

    def labels(self) -> list[str]:
        """The classes that events have or were corrected to, sorted; none if their questions have two labels."""
        with self._database.reading("reading classes") as connection:
            return sorted(connection.execute(LABELS_OF_EVENTS).scalars())

    def recover(
        self,
        source: str | None = None,
        *,
        camera_id: str = "",
        because: str = STOPPED,
        kept: Collection[str] = (),
    ) -> list[Event]:
        """Closes events of a source (or of all) that a killed watcher left open, each at the end of its last window.

        Ends the sessions that were left unfinished, too. Call it before watching a source. With a `camera_id`, other
        cameras of that name are left alone; so are the events `kept`, which go on. Returns the events, now closed. The
        changes still have to be published.
        """
        with self._database.writing("recovering") as connection:
            found = _find(connection, EventFilter(source=source, camera_id=camera_id, open_only=True))
            left = [event for event in found if event.id not in kept]
            _lock(connection, [event.id for event in left])
            closed = [replace(event, end_s=last_window_end_s(event), closed_because=because) for event in left]
            for event in closed:
                _save(connection, event, session=None)
            end_all(connection, source, camera_id=camera_id, because=because)
        return closed


def _save(connection: Connection, event: Event, *, session: str | None) -> list[StoredChange]:
    """Inserts or updates an event, adds its new windows and logs its changes; returns the changes."""
    before = connection.execute(LOCK_ROW, {"event_id": event.id}).one_or_none()
    if not event.camera_id and before is not None:
        event = replace(event, camera_id=before.camera_id)
    if not event.camera_id and session:
        event = replace(event, camera_id=cameras_of(connection, [session]).get(session, ""))
    upsert(connection, events, [row_of(event, session)], keep=("session_id", "created_utc", "happened_utc"))
    insert_new_windows(connection, event, is_new=before is None)
    if before is None:
        index_new(connection, event.id, event.source, event.text)
    elif (before.text, before.source) != (event.text, event.source):
        index_events(connection, [event.id])
    return log_changes(connection, event, kinds_between(before, event))


def _lock(connection: Connection, ids: Sequence[str]) -> None:
    """Locks events before any change is logged, for transactions that save several.

    Others lock one event and then wait for their turn to log; whoever had the turn and waited for an event would
    deadlock with them.
    """
    some = select(events.c.id).where(events.c.id.in_(ids)).order_by(events.c.id)
    connection.execute(some.with_for_update()).all()


def _find(connection: Connection, wanted: EventFilter) -> list[Event]:
    return read_events(connection, newest(connection, wanted))[::-1]


def _by_id(connection: Connection, part: str) -> list[Event]:
    """The event with this id, or else all events whose id starts or ends with `part`."""
    exact = read_events(connection, select(events).where(events.c.id == part))
    if exact or not part:
        return exact
    near = events.c.id.startswith(part, autoescape=True) | events.c.id.endswith(part, autoescape=True)
    return read_events(connection, select(events).where(near).order_by(events.c.id))
