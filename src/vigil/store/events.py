"""The events table: an event, its windows and its row in the change log are saved in one transaction.

store.events.save(event)                                    # durable when it returns
store.events.find(EventFilter(tier=Tier.HIGH, limit=20))    # oldest first
store.events.get("20261120T115033123Z-9f3c21ab")            # or the start or end of the id
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from vigil.errors import UsageError
from vigil.events import Event
from vigil.store.changes import TELLABLE, StoredChange, StoredKind, kinds_between, log_changes, note_published_kinds
from vigil.store.database import Database, upsert
from vigil.store.event_filter import EventFilter, EventKey
from vigil.store.event_rows import insert_new_windows, last_window_end_s, read_events, row_of
from vigil.store.schema import cameras, events
from vigil.store.sessions import SessionTable, WatchSession, cameras_of, end_all

STOPPED = "the watcher stopped"

PAGE = 50


@dataclass(frozen=True, slots=True)
class EventSlice:
    """Events, latest first, and the key after which the next page begins; None if there is none."""

    events: tuple[Event, ...]
    next: EventKey | None


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

    def page(self, wanted: EventFilter) -> "EventSlice":
        """The newest events that match a filter, latest first, at most `limit` of them; `before` of the filter goes on.

        Pages stay the same while newer events arrive, since each begins at an event rather than at a number.
        """
        limit = wanted.limit or PAGE
        newest = select(events).where(*wanted.conditions())
        newest = newest.order_by(events.c.happened_utc.desc(), events.c.id.desc()).limit(limit + 1)
        with self._database.reading("reading events") as connection:
            found = read_events(connection, newest)
            has_more = len(found) > limit
            last = select(events.c.happened_utc).where(events.c.id == found[limit - 1].id) if has_more else None
            key = None if last is None else (connection.execute(last).scalar_one(), found[limit - 1].id)
        return EventSlice(tuple(found[:limit]), key)

    def find_open(self, source: str | None = None) -> list[Event]:
        """The open events (of one camera, or of all), including those that a killed watcher left open."""
        return self.find(EventFilter(source=source, open_only=True))

    def count(self, wanted: EventFilter | None = None) -> int:
        """The number of events that match a filter, ignoring its limit and offset."""
        conditions = (wanted or EventFilter()).conditions()
        with self._database.reading("counting events") as connection:
            return connection.execute(select(func.count()).select_from(events).where(*conditions)).scalar_one()

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
        name = func.coalesce(cameras.c.name, events.c.source)
        known = select(name).select_from(events).outerjoin(cameras, cameras.c.id == events.c.camera_id)
        with self._database.reading("reading sources") as connection:
            return sorted(connection.execute(known.distinct()).scalars())

    def recover(self, source: str | None = None, *, camera_id: str = "", because: str = STOPPED) -> list[Event]:
        """Closes events of a source (or of all) that a killed watcher left open, each at the end of its last window.

        Ends the sessions that were left unfinished, too. Call it before watching a source. With a `camera_id`, other
        cameras of that name are left alone. Returns the events, now closed. The changes still have to be published.
        """
        with self._database.writing("recovering") as connection:
            left = _find(connection, EventFilter(source=source, camera_id=camera_id, open_only=True))
            closed = [replace(event, end_s=last_window_end_s(event), closed_because=because) for event in left]
            for event in closed:
                _save(connection, event, session=None)
            end_all(connection, source, camera_id=camera_id, because=because)
        return closed


def _save(connection: Connection, event: Event, *, session: str | None) -> list[StoredChange]:
    """Inserts or updates an event, adds its new windows and logs its changes; returns the changes."""
    before = connection.execute(select(events).where(events.c.id == event.id).with_for_update()).one_or_none()
    if not event.camera_id and before is not None:
        event = replace(event, camera_id=before.camera_id)
    if not event.camera_id and session:
        event = replace(event, camera_id=cameras_of(connection, [session]).get(session, ""))
    upsert(connection, events, [row_of(event, session)], keep=("session_id", "created_utc", "happened_utc"))
    insert_new_windows(connection, event, is_new=before is None)
    return log_changes(connection, event, kinds_between(before, event))


def _find(connection: Connection, wanted: EventFilter) -> list[Event]:
    newest = select(events).where(*wanted.conditions()).order_by(events.c.happened_utc.desc(), events.c.id.desc())
    return read_events(connection, newest.limit(wanted.limit).offset(wanted.offset or None))[::-1]


def _by_id(connection: Connection, part: str) -> list[Event]:
    """The event with this id, or else all events whose id starts or ends with `part`."""
    exact = read_events(connection, select(events).where(events.c.id == part))
    if exact or not part:
        return exact
    near = events.c.id.startswith(part, autoescape=True) | events.c.id.endswith(part, autoescape=True)
    return read_events(connection, select(events).where(near).order_by(events.c.id))
