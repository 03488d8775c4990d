"""Rows of the events table and its windows, made of `Event`s and read as such, in the caller's transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from vigil.events import Event, EventWindow, Tier
from vigil.store.cameras import names_and_places
from vigil.store.database import upsert
from vigil.store.rows_of import rows_of
from vigil.store.schema import event_windows
from vigil.store.times import format_utc, utc_now

GOING_ON = "9999-12-31T23:59:59.999Z"
"""The `ended_utc` of an open event: later than any real time, so that one comparison covers open events too."""

LAST_WINDOW = select(func.max(event_windows.c.window)).where(event_windows.c.event_id == bindparam("event_id"))
"""The number of an event's last stored window; kept, as building it takes longer than its execution."""


def row_of(event: Event, session: str | None) -> dict[str, Any]:
    """The row of an event; `session_id`, `created_utc` and `happened_utc` of a row that exists already are kept."""
    now = utc_now()
    happened = now if event.epoch_s is None else format_utc(event.epoch_s + event.onset_s)
    ended = now if event.epoch_s is None or event.end_s is None else format_utc(event.epoch_s + event.end_s)
    return {
        "id": event.id,
        "session_id": session,
        "source": event.source,
        "camera_id": event.camera_id,
        "task": event.task,
        "model": event.model,
        "rule": event.rule,
        "label": event.label,
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


def insert_new_windows(connection: Connection, event: Event, *, is_new: bool) -> None:
    """Inserts the windows of an event that follow its last stored one."""
    stored = None if is_new else connection.execute(LAST_WINDOW, {"event_id": event.id}).scalar()
    fresh = [e for e in event.windows if stored is None or e.window > stored]
    rows = [
        {
            "event_id": event.id,
            "window": e.window,
            "start_s": e.start_s,
            "end_s": e.end_s,
            "p_alarm": e.p_alarm,
            "label": e.label,
            "p_raw": e.p_raw,
        }
        for e in fresh
    ]
    upsert(connection, event_windows, rows)


def read_events(connection: Connection, query: "Select[*tuple[Any, ...]]") -> list[Event]:
    """The events that a query of the events table finds, in its order; see `events_of`."""
    return events_of(connection, connection.execute(query).all())


def events_of(connection: Connection, rows: "Sequence[Row[*tuple[Any, ...]]]") -> list[Event]:
    """The events of these rows, in their order, with their windows and their cameras' names and places."""
    windows = windows_of(connection, [row.id for row in rows])
    shown = names_and_places(connection, list({row.camera_id for row in rows}))
    return [_event(row, windows[row.id], *shown.get(row.camera_id, (row.source, ""))) for row in rows]


def windows_of(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[EventWindow, ...]]:
    """The windows of each of these events, in order."""
    windows: dict[str, list[EventWindow]] = {event_id: [] for event_id in ids}
    columns = event_windows.c
    found = rows_of(connection, (event_windows,), columns.event_id, ids, order_by=(columns.event_id, columns.window))
    for row in found:
        evidence = EventWindow(
            window=row.window,
            start_s=row.start_s,
            end_s=row.end_s,
            p_alarm=row.p_alarm,
            label=row.label,
            p_raw=row.p_raw,
        )
        windows[row.event_id].append(evidence)
    return {event_id: tuple(found) for event_id, found in windows.items()}


def last_window_end_s(event: Event) -> float:
    """The end of the last window of an event; its onset if it has none."""
    return max((evidence.end_s for evidence in event.windows), default=event.onset_s)


def _event(row: Row[*tuple[Any, ...]], windows: tuple[EventWindow, ...], name: str, place: str) -> Event:
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
        rule=row.rule,
        label=row.label,
        place=place,
    )
