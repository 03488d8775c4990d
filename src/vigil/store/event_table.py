"""Events as rows: written by id, as often as one likes; read back as they were."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from vigil.events.change import ChangeKind
from vigil.events.event import Event, Evidence, Tier
from vigil.store import camera_table, session_table
from vigil.store.filter import EventFilter
from vigil.store.moment import utc, utc_now
from vigil.store.schema import cameras, event_windows, events
from vigil.store.upsert import upsert

GOING_ON = "9999-12-31T23:59:59.999Z"
"""The `ended_utc` of an event that goes on: later than any other, so that one comparison finds it."""


IDS_AT_ONCE = 500


def save(connection: Connection, event: Event, *, session: str | None, untold: str = "") -> None:
    """Inserts or updates an event and adds the windows that are new; `untold` is the change nobody heard of yet.

    One that knows no camera is of its session's.
    """
    camera_id = event.camera_id
    if not camera_id and session:
        camera_id = session_table.cameras_of(connection, [session]).get(session, "")
    upsert(
        connection,
        events,
        [_row(event, session) | {"untold": untold, "camera_id": camera_id}],
        keep=("session_id", "created_utc", "happened_utc", *(() if camera_id else ("camera_id",))),
    )
    stored = connection.execute(
        select(func.max(event_windows.c.window)).where(event_windows.c.event_id == event.id)
    ).scalar()
    fresh = [e for e in event.windows if stored is None or e.window > stored]
    rows = [
        {"event_id": event.id, "window": e.window, "start_s": e.start_s, "end_s": e.end_s, "p_alarm": e.p_alarm}
        for e in fresh
    ]
    upsert(connection, event_windows, rows)


def _row(event: Event, session: str | None) -> dict[str, Any]:
    now = utc_now()
    happened = now if event.epoch_s is None else utc(event.epoch_s + event.onset_s)
    ended = now if event.epoch_s is None or event.end_s is None else utc(event.epoch_s + event.end_s)
    return {
        "id": event.id,
        "session_id": session,
        "source": event.source,
        "task": event.task,
        "model": event.model,
        "epoch_s": event.epoch_s,
        "onset_s": event.onset_s,
        "end_s": event.end_s,
        "peak": event.peak,
        "peak_s": event.peak_s,
        "tier": event.tier.value,
        "announced_s": event.announced_s,
        "text": event.text,
        "closed_because": event.closed_because,
        "happened_utc": happened,
        "ended_utc": GOING_ON if event.is_open else ended,
        "created_utc": now,
        "updated_utc": now,
    }


def find(connection: Connection, wanted: EventFilter) -> list[Event]:
    """The events that a filter lets through, the oldest first."""
    newest = select(events).where(*wanted.conditions()).order_by(events.c.happened_utc.desc(), events.c.id.desc())
    page = newest.limit(wanted.limit).offset(wanted.offset or None)
    return _with_windows(connection, connection.execute(page).all()[::-1])


def untold(connection: Connection, source: str | None = None, *, camera_id: str = "") -> list[tuple[Event, ChangeKind]]:
    """The events (of one camera, or of any) with a change that nobody was told of, the oldest first."""
    wanted = EventFilter(source=source, camera_id=camera_id).conditions()
    rows = connection.execute(select(events).where(events.c.untold != "", *wanted).order_by(events.c.id)).all()
    return list(zip(_with_windows(connection, rows), (row.untold for row in rows), strict=True))


def note_told(connection: Connection, event_ids: Sequence[str]) -> None:
    """Notes that people were told of all that is stored of these events."""
    for i in range(0, len(event_ids), IDS_AT_ONCE):
        some = events.c.id.in_(event_ids[i : i + IDS_AT_ONCE])
        connection.execute(events.update().where(some).values(untold=""))


def count(connection: Connection, wanted: EventFilter) -> int:
    """How many events a filter lets through, its limit and offset left aside."""
    return connection.execute(select(func.count()).select_from(events).where(*wanted.conditions())).scalar_one()


def sources(connection: Connection) -> list[str]:
    """The names of the cameras that have events, each once."""
    name = func.coalesce(cameras.c.name, events.c.source)
    known = select(name).select_from(events).outerjoin(cameras, cameras.c.id == events.c.camera_id)
    return sorted(connection.execute(known.distinct()).scalars())


def by_id(connection: Connection, part: str) -> list[Event]:
    """The event of an id, or those whose ids begin or end with a part of one."""
    exact = connection.execute(select(events).where(events.c.id == part)).all()
    if exact or not part:
        return _with_windows(connection, exact)
    near = events.c.id.startswith(part, autoescape=True) | events.c.id.endswith(part, autoescape=True)
    return _with_windows(connection, connection.execute(select(events).where(near).order_by(events.c.id)).all())


def of_session(connection: Connection, session: str) -> list[Event]:
    """The events of one watch, in order."""
    query = select(events).where(events.c.session_id == session).order_by(events.c.onset_s, events.c.id)
    return _with_windows(connection, connection.execute(query).all())


def _with_windows(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Event]:
    windows: dict[str, list[Evidence]] = {row.id: [] for row in rows}
    ids = list(windows)
    for i in range(0, len(ids), IDS_AT_ONCE):
        query = select(event_windows).where(event_windows.c.event_id.in_(ids[i : i + IDS_AT_ONCE]))
        for row in connection.execute(query.order_by(event_windows.c.window)):
            evidence = Evidence(window=row.window, start_s=row.start_s, end_s=row.end_s, p_alarm=row.p_alarm)
            windows[row.event_id].append(evidence)
    names = camera_table.names_of(connection, list({row.camera_id for row in rows}))
    return [_event(row, tuple(windows[row.id]), name=names.get(row.camera_id, row.source)) for row in rows]


def _event(row: Row[*tuple[Any, ...]], windows: tuple[Evidence, ...], *, name: str) -> Event:
    return Event(
        id=row.id,
        source=name,
        camera_id=row.camera_id,
        onset_s=row.onset_s,
        end_s=row.end_s,
        peak=row.peak,
        peak_s=row.peak_s,
        tier=Tier(row.tier),
        windows=windows,
        announced_s=row.announced_s,
        epoch_s=row.epoch_s,
        text=row.text,
        task=row.task,
        model=row.model,
        closed_because=row.closed_because,
    )
