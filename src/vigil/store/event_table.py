"""Events as rows: written by id, as often as one likes; read back as they were."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Row, func, select, text

from vigil.events.event import Event, Evidence, Tier
from vigil.store import camera_table, change_log, session_table
from vigil.store.change_log import StoredChange, StoredKind
from vigil.store.cursors import TOLD, advance
from vigil.store.cursors import get as cursor_of
from vigil.store.filter import EventFilter
from vigil.store.moment import utc, utc_now
from vigil.store.schema import cameras, changes, cursors, event_windows, events, handled_ahead
from vigil.store.upsert import upsert

GOING_ON = "9999-12-31T23:59:59.999Z"
"""The `ended_utc` of an event that goes on: later than any other, so that one comparison finds it."""

TELLABLE: tuple[StoredKind, ...] = ("opened", "raised", "closed")
"""What all who follow a watch are told of, and late where a watch was killed before it could."""

IDS_AT_ONCE = 500


def save(connection: Connection, event: Event, *, session: str | None) -> list[StoredChange]:
    """Inserts or updates an event, adds the windows that are new, and logs what happened to it; returns that.

    One that knows no camera is of its session's, or of the one it was of.
    """
    before = connection.execute(select(events).where(events.c.id == event.id).with_for_update()).one_or_none()
    if not event.camera_id:
        event = replace(event, camera_id=_camera_of(connection, before, session))
    upsert(connection, events, [_row(event, session)], keep=("session_id", "created_utc", "happened_utc"))
    _add_windows(connection, event, is_new=before is None)
    return change_log.add(connection, event, change_log.kinds_between(before, event))


def _camera_of(connection: Connection, before: Row[*tuple[Any, ...]] | None, session: str | None) -> str:
    if before is not None and before.camera_id:
        return str(before.camera_id)
    return session_table.cameras_of(connection, [session]).get(session, "") if session else ""


def _add_windows(connection: Connection, event: Event, *, is_new: bool) -> None:
    last = select(func.max(event_windows.c.window)).where(event_windows.c.event_id == event.id)
    stored = None if is_new else connection.execute(last).scalar()
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
        "camera_id": event.camera_id,
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


def untold(connection: Connection, *, camera_id: str = "") -> list[StoredChange]:
    """The changes (of one camera, or of any) that nobody was told of, in order, with the windows of their events."""
    upto = select(cursors.c.sequence).where(cursors.c.consumer == TOLD, cursors.c.camera_id == changes.c.camera_id)
    ahead = select(handled_ahead.c.sequence).where(handled_ahead.c.consumer == TOLD)
    owed = [
        changes.c.sequence > func.coalesce(upto.scalar_subquery(), 0),
        changes.c.sequence.not_in(ahead),
        changes.c.kind.in_(TELLABLE),
    ]
    if camera_id:
        owed.append(changes.c.camera_id == camera_id)
    found = change_log.read(connection, *owed)
    windows = _windows_of(connection, list({change.event_id for change in found}))
    return [replace(change, windows=tuple(windows.get(change.event_id, ()))) for change in found]


MOVE = text("""INSERT INTO cursors (consumer, camera_id, sequence, moved_utc)
    SELECT :consumer, :camera_id, CAST(:sequence AS BIGINT), :now WHERE NOT EXISTS (
        SELECT 1 FROM changes WHERE camera_id = :camera_id AND sequence < :sequence
        AND sequence > COALESCE((SELECT c.sequence FROM cursors c
            WHERE c.consumer = :consumer AND c.camera_id = :camera_id), 0)
        AND kind IN ('opened', 'raised', 'closed'))
    ON CONFLICT (consumer, camera_id) DO UPDATE SET sequence = excluded.sequence, moved_utc = excluded.moved_utc
    WHERE cursors.sequence < excluded.sequence""")
"""Moves the cursor of what was told to a change, where nothing before it is owed: the usual case, in one statement."""


def note_heard(connection: Connection, happened: Sequence[StoredChange], told: Collection[StoredKind]) -> None:
    """Notes that people have heard already of some of these changes of one event."""
    heard = [change for change in happened if change.kind in told]
    for change in heard:
        values = {"consumer": TOLD, "camera_id": change.camera_id, "sequence": change.sequence, "now": utc_now()}
        if not connection.execute(MOVE, values).rowcount:
            note_told(connection, change.camera_id, [change.sequence])


def note_told(connection: Connection, camera_id: str, sequences: Collection[int]) -> None:
    """Notes that people were told of these changes of a camera; what another watch owes them of it stays owed."""
    upto = cursor_of(connection, TOLD, camera_id)
    own = (handled_ahead.c.consumer == TOLD, handled_ahead.c.camera_id == camera_id)
    ahead = set(connection.execute(select(handled_ahead.c.sequence).where(*own)).scalars())
    later = (changes.c.camera_id == camera_id, changes.c.sequence > upto, changes.c.kind.in_(TELLABLE))
    behind = connection.execute(select(changes.c.sequence).where(*later).order_by(changes.c.sequence)).scalars()
    done = [upto, *takewhile({*sequences, *ahead}.__contains__, behind)][-1]
    if done > upto:
        advance(connection, TOLD, done, camera_id)
    if any(each <= done for each in ahead):
        connection.execute(handled_ahead.delete().where(*own, handled_ahead.c.sequence <= done))
    rows = [{"consumer": TOLD, "sequence": each, "camera_id": camera_id} for each in sequences if each > done]
    upsert(connection, handled_ahead, rows)


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
    windows = _windows_of(connection, [row.id for row in rows])
    names = camera_table.names_of(connection, list({row.camera_id for row in rows}))
    return [_event(row, tuple(windows[row.id]), name=names.get(row.camera_id, row.source)) for row in rows]


def _windows_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[Evidence]]:
    windows: dict[str, list[Evidence]] = {event_id: [] for event_id in ids}
    for i in range(0, len(ids), IDS_AT_ONCE):
        query = select(event_windows).where(event_windows.c.event_id.in_(ids[i : i + IDS_AT_ONCE]))
        for row in connection.execute(query.order_by(event_windows.c.window)):
            evidence = Evidence(window=row.window, start_s=row.start_s, end_s=row.end_s, p_alarm=row.p_alarm)
            windows[row.event_id].append(evidence)
    return windows


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
