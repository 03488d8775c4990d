"""The marks table: marks are only ever added, so the history of who said what is kept; the newest mark counts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, exists, func, select

from vigil.errors import UsageError
from vigil.events import MARK_WORDS, Mark, MarkValue
from vigil.store.schema import events, marks
from vigil.store.times import utc_now

LONGEST_NOTE = 4000
LONGEST_WHO = 200
IDS_AT_ONCE = 500


def add(connection: Connection, event_id: str, mark: MarkValue, *, who: str, note: str) -> Mark:
    """Adds a mark; raises UsageError if there is no such event, or the mark, name or note is invalid."""
    _check(mark, who=who.strip(), note=note)
    # Locks the event: two concurrent transactions would otherwise give two marks the same number.
    known = connection.execute(select(events.c.id).where(events.c.id == event_id).with_for_update()).scalar()
    if known is None:
        raise UsageError(f"there is no event {event_id!r} to mark")
    last = connection.execute(select(func.max(marks.c.number)).where(marks.c.event_id == event_id)).scalar() or 0
    values = {"event_id": event_id, "number": last + 1, "mark": mark, "who": who.strip(), "note": note}
    connection.execute(marks.insert().values(values | {"marked_utc": utc_now()}))
    return of_event(connection, event_id)[-1]


def _check(mark: str, *, who: str, note: str) -> None:
    problems = (
        (mark not in MARK_WORDS, f"{mark!r} is no mark; there are true, false_alarm, unsure, and nothing"),
        (not who, "say who marks the event"),
        (len(who) > LONGEST_WHO, f"the name is longer than {LONGEST_WHO} characters"),
        (len(note) > LONGEST_NOTE, f"the note is longer than {LONGEST_NOTE} characters ({len(note)}); shorten it"),
    )
    found = [message for wrong, message in problems if wrong]
    if found:
        raise UsageError("; ".join(found))


def of_event(connection: Connection, event_id: str) -> list[Mark]:
    """The marks of an event, oldest first."""
    query = select(marks).where(marks.c.event_id == event_id).order_by(marks.c.number)
    return [_mark(row) for row in connection.execute(query)]


def newest(connection: Connection, event_ids: Sequence[str]) -> dict[str, Mark]:
    """The newest mark of each of these events; events without a mark, or with one taken back, are left out."""
    found: dict[str, Mark] = {}
    for i in range(0, len(event_ids), IDS_AT_ONCE):
        query = select(marks).where(marks.c.event_id.in_(event_ids[i : i + IDS_AT_ONCE])).order_by(marks.c.number)
        found |= {row.event_id: _mark(row) for row in connection.execute(query)}
    return {event_id: mark for event_id, mark in found.items() if mark.mark}


def newest_mark_value() -> ScalarSelect[str]:
    """A subquery: the newest mark of the enclosing query's event, NULL if there is none."""
    own = select(marks.c.mark).where(marks.c.event_id == events.c.id)
    return own.order_by(marks.c.number.desc()).limit(1).correlate(events).scalar_subquery()


def is_unmarked() -> ColumnElement[bool]:
    """A condition: the enclosing query's event has no mark, or it was taken back."""
    return func.coalesce(newest_mark_value(), "") == ""


def has_no_history() -> ColumnElement[bool]:
    """A condition: the enclosing query's event has never been marked."""
    return ~exists().where(marks.c.event_id == events.c.id).correlate(events)


def note_contains(text: str) -> ColumnElement[bool]:
    """A condition: a note of the enclosing query's event contains a text, ignoring case."""
    inside = marks.c.note.icontains(text, autoescape=True)
    return exists().where(marks.c.event_id == events.c.id, inside).correlate(events)


def _mark(row: Row[*tuple[Any, ...]]) -> Mark:
    return Mark(**row._mapping)
