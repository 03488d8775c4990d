"""The marks table: marks are only ever added, so the history of who said what is kept; the newest mark counts.

store.marks.add(event.id, "false_alarm", who="lena", note="two boys play")
store.marks.of_event(event.id)      # the history, oldest first
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, exists, func, select

from vigil.errors import UsageError
from vigil.events import MARK_WORDS, Mark, MarkValue
from vigil.store.changes import log_changes
from vigil.store.database import Database
from vigil.store.event_rows import read_events
from vigil.store.rows_of import rows_of
from vigil.store.schema import event_windows, events, marks
from vigil.store.search import index_events
from vigil.store.times import utc_now

LONGEST_NOTE = 4000
LONGEST_WHO = 200
LONGEST_LABEL = 200
IDS_AT_ONCE = 500


class MarkTable:
    """The marks that users gave to events; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event_id: str, mark: MarkValue, *, who: str, note: str = "", label: str = "") -> Mark:
        """Adds a user's mark to an event; `""` takes the previous mark back, which stays in the history.

        `label` corrects the class of a true alarm. Also logs it as a change of the event. Raises UsageError if the
        event does not exist, the mark is unknown, `who` is empty or too long, the note exceeds 4000 characters, or a
        class is given with another mark than `true`.
        """
        who = who.strip()
        _check(mark, who=who, note=note, label=label)
        with self._database.writing(f"marking event {event_id}") as connection:
            if not _lock(connection, [event_id]):
                raise UsageError(f"there is no event {event_id!r} to mark")
            return _add(connection, event_id, mark, who=who, note=note, label=label)

    def add_to_all(
        self, event_ids: Sequence[str], mark: MarkValue, *, who: str, note: str = "", label: str = ""
    ) -> list[Mark]:
        """Adds the same mark to several events in one transaction; ids of no event are left out.

        Returns the marks in the order of the ids. Raises UsageError like `add`, apart from missing events.
        """
        who = who.strip()
        _check(mark, who=who, note=note, label=label)
        with self._database.writing(f"marking {len(event_ids)} events") as connection:
            known = _lock(connection, event_ids)
            wanted = [event_id for event_id in dict.fromkeys(event_ids) if event_id in known]
            return [_add(connection, event_id, mark, who=who, note=note, label=label) for event_id in wanted]

    def of_event(self, event_id: str) -> list[Mark]:
        """All marks of an event, oldest first; the last one counts."""
        with self._database.reading("reading marks") as connection:
            return _of_event(connection, event_id)

    def of_events(self, event_ids: Sequence[str]) -> dict[str, list[Mark]]:
        """All marks of these events, oldest first, by event id; events that were never marked are left out."""
        found: dict[str, list[Mark]] = {}
        with self._database.reading("reading marks") as connection:
            for row in rows_of(connection, (marks,), marks.c.event_id, event_ids, order_by=(marks.c.number,)):
                found.setdefault(row.event_id, []).append(_mark(row))
        return found

    def newest(self, event_ids: Sequence[str]) -> dict[str, Mark]:
        """The newest mark of each of these events; events without a mark, or with one taken back, are left out."""
        found: dict[str, Mark] = {}
        with self._database.reading("reading marks") as connection:
            rows = rows_of(connection, (marks,), marks.c.event_id, event_ids, order_by=(marks.c.number,))
            found |= {row.event_id: _mark(row) for row in rows}
        return {event_id: mark for event_id, mark in found.items() if mark.mark}

    def of_question(self, question: str, *, model: str) -> dict[str, bool]:
        """Which events that a model's answers to a question made are marked as true (True) or as false alarms (False).

        By event id; events whose newest mark says neither are left out.
        """
        query = select(marks.c.event_id, marks.c.mark).join(events, events.c.id == marks.c.event_id)
        own = query.where(events.c.task == question, events.c.model == model).order_by(marks.c.number)
        with self._database.reading("reading the marks of a question") as connection:
            newest = {row.event_id: row.mark for row in connection.execute(own)}
        return {event_id: mark == "true" for event_id, mark in newest.items() if mark in ("true", "false_alarm")}

    def uncalibrated(self, event_ids: Sequence[str]) -> dict[str, tuple[float, ...]]:
        """What the model itself said of the windows of these events, by event id; older stores do not know it."""
        columns = event_windows.c
        found: dict[str, tuple[float, ...]] = {}
        with self._database.reading("reading the windows of marked events") as connection:
            for row in rows_of(connection, (columns.event_id, columns.p_raw), columns.event_id, event_ids):
                if row.p_raw is not None:
                    found[row.event_id] = (*found.get(row.event_id, ()), row.p_raw)
        return found


def _check(mark: str, *, who: str, note: str, label: str) -> None:
    problems = (
        (mark not in MARK_WORDS, f"{mark!r} is no mark; there are true, false_alarm, unsure, and nothing"),
        (not who, "say who marks the event"),
        (len(who) > LONGEST_WHO, f"the name is longer than {LONGEST_WHO} characters"),
        (len(note) > LONGEST_NOTE, f"the note is longer than {LONGEST_NOTE} characters ({len(note)}); shorten it"),
        (bool(label) and mark != "true", "a class goes with the mark true: it says what the alarm really shows"),
        (len(label) > LONGEST_LABEL, f"the class is longer than {LONGEST_LABEL} characters"),
    )
    found = [message for wrong, message in problems if wrong]
    if found:
        raise UsageError("; ".join(found))


def _lock(connection: Connection, event_ids: Sequence[str]) -> set[str]:
    """Locks those of the events that exist, in one order, before anything is logged; returns their ids.

    Two concurrent transactions would otherwise give two marks the same number, or wait for each other.
    """
    found: set[str] = set()
    ordered = sorted(set(event_ids))
    for i in range(0, len(ordered), IDS_AT_ONCE):
        some = select(events.c.id).where(events.c.id.in_(ordered[i : i + IDS_AT_ONCE])).order_by(events.c.id)
        found |= set(connection.execute(some.with_for_update()).scalars())
    return found


def _add(connection: Connection, event_id: str, mark: MarkValue, *, who: str, note: str, label: str) -> Mark:
    """Adds a mark to an event that is locked, and logs it as a change of it."""
    last = connection.execute(select(func.max(marks.c.number)).where(marks.c.event_id == event_id)).scalar() or 0
    values = {"event_id": event_id, "number": int(last) + 1, "mark": mark, "who": who, "note": note, "label": label}
    connection.execute(marks.insert().values(values | {"marked_utc": utc_now()}))
    added = _of_event(connection, event_id)[-1]
    [event] = read_events(connection, select(events).where(events.c.id == event_id))
    said = {"mark": added.mark, "note": note, "marked_by": added.who, "marked_utc": added.marked_utc}
    said |= {"marked_label": added.label} if added.label else {}
    log_changes(connection, event, ["marked"], said=said)
    if note:
        index_events(connection, [event_id])
    return added


def _of_event(connection: Connection, event_id: str) -> list[Mark]:
    query = select(marks).where(marks.c.event_id == event_id).order_by(marks.c.number)
    return [_mark(row) for row in connection.execute(query)]


def newest_mark_value() -> ScalarSelect[str]:
    """A subquery: the newest mark of the enclosing query's event, NULL if there is none."""
    own = select(marks.c.mark).where(marks.c.event_id == events.c.id)
    return own.order_by(marks.c.number.desc()).limit(1).correlate(events).scalar_subquery()


def valid_label() -> ColumnElement[str]:
    """The class of the enclosing query's event: that of its newest mark if it corrects it, else the event's own."""
    own = select(marks.c.label).where(marks.c.event_id == events.c.id)
    corrected = own.order_by(marks.c.number.desc()).limit(1).correlate(events).scalar_subquery()
    return func.coalesce(func.nullif(corrected, ""), events.c.label)


def is_unmarked() -> ColumnElement[bool]:
    """A condition: the enclosing query's event has no mark, or it was taken back."""
    return func.coalesce(newest_mark_value(), "") == ""


def has_no_history() -> ColumnElement[bool]:
    """A condition: the enclosing query's event has never been marked."""
    return ~exists().where(marks.c.event_id == events.c.id).correlate(events)


def events_marked(mark: str) -> "Select[str]":
    """A query of the ids of events whose newest mark is this one."""
    later = marks.alias()
    newest = select(func.max(later.c.number)).where(later.c.event_id == marks.c.event_id).scalar_subquery()
    return select(marks.c.event_id).where(marks.c.mark == mark, marks.c.number == newest)


def events_ever_marked(mark: str) -> "Select[str]":
    """A query of the ids of events that bore this mark at some time: what `events_marked` chooses from."""
    return select(marks.c.event_id).where(marks.c.mark == mark)


def _mark(row: Row[*tuple[Any, ...]]) -> Mark:
    return Mark(**row._mapping)
