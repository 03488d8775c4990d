"""The deliveries table: what is to be sent to each sink of alerts, what became of it, and every attempt.

    store.deliveries.begin("alerts:mail", at=store.changes.last())    # a new sink starts at the present
    store.deliveries.plan("mail", decide, consumer="alerts:mail", now_utc=utc_now())
    for each in store.deliveries.due("mail", now_s=time.time()):
        ...                                                     # send it
        store.deliveries.record(each, state="delivered")

`plan` makes deliveries of changes and moves the cursor in one transaction. A delivery has a `key` made of sink,
incident and revision, which the receiver gets: however often a message is sent, its key is the same. `scope` is what
may be one incident: a camera or a site, with a rule.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, exists, func, or_, select

from vigil.errors import UsageError
from vigil.store.changes import AT_ONCE, StoredChange, read_changes
from vigil.store.cursors import advance
from vigil.store.cursors import get as cursor_of
from vigil.store.database import Database
from vigil.store.event_record import event_record
from vigil.store.event_rows import read_events
from vigil.store.marks import is_unmarked
from vigil.store.schema import changes, cursors, deliveries, delivery_attempts, events
from vigil.store.times import format_utc, utc_now

DeliveryState: TypeAlias = Literal["waiting", "delivered", "dead", "skipped"]
"""Still to be sent; sent; given up (the dead letters); not sent, for the reason in `detail`."""

LATEST_DUE_S = 3600.0
"""A delivery that is due later than this is due now: the clock was set back."""

LOCK = 860_717_303
"""On PostgreSQL, one process at a time plans deliveries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message of one sink. `event` is the record of the event.

    `happened_utc` is when its change was written, `active_utc` when the newest one was that belongs to it.
    """

    sink: str
    incident_id: str
    revision: int
    event_id: str
    camera_id: str
    scope: str
    kind: str
    sequence: int
    event: Mapping[str, Any]
    happened_utc: str
    active_utc: str
    due_utc: str = ""
    state: DeliveryState = "waiting"
    detail: str = ""
    attempts: int = 0
    created_utc: str = ""
    done_utc: str | None = None
    id: int = 0

    @property
    def key(self) -> str:
        """The same for every attempt, and no other message has it."""
        if self.state == "skipped":
            return f"{self.sink}/{self.event_id}/skipped/{self.kind}/{self.sequence}"
        return f"{self.sink}/{self.incident_id}/{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempt:
    """One attempt to send a delivery: `delivered` or `failed`, and then why."""

    number: int
    outcome: str
    detail: str
    tried_utc: str


class DeliveryHistory:
    """What a sink was sent so far, read in the transaction that plans more."""

    def __init__(self, connection: Connection, sink: str) -> None:
        self._connection = connection
        self._sink = sink

    def of_event(self, event_id: str) -> Delivery | None:
        """The newest delivery about an event."""
        return self._newest(deliveries.c.event_id == event_id)

    def of_scope(self, scope: str) -> Delivery | None:
        """The delivery of a scope with the newest activity."""
        order = deliveries.c.active_utc.desc()
        return self._newest(deliveries.c.scope == scope, deliveries.c.incident_id != "", order=order)

    def first_of(self, incident_id: str) -> Delivery | None:
        """The delivery that began an incident."""
        return self._newest(deliveries.c.incident_id == incident_id, order=deliveries.c.id)

    def revision_of(self, incident_id: str) -> int:
        """The highest revision of an incident that was planned."""
        own = (deliveries.c.sink == self._sink, deliveries.c.incident_id == incident_id)
        return self._connection.execute(select(func.max(deliveries.c.revision)).where(*own)).scalar() or 0

    def is_open(self, event_id: str) -> bool:
        """Whether an event goes on."""
        going_on = select(events.c.id).where(events.c.id == event_id, events.c.end_s.is_(None))
        return self._connection.execute(going_on).one_or_none() is not None

    def touch(self, delivery: Delivery, active_utc: str) -> None:
        """Records that something happened that belongs to a delivery."""
        moved = deliveries.update().where(deliveries.c.id == delivery.id, deliveries.c.active_utc < active_utc)
        self._connection.execute(moved.values(active_utc=active_utc))

    def _newest(self, *conditions: ColumnElement[bool], order: Any = None) -> Delivery | None:
        query = select(deliveries).where(deliveries.c.sink == self._sink, *conditions)
        row = self._connection.execute(
            query.order_by(deliveries.c.id.desc() if order is None else order).limit(1)
        ).one_or_none()
        return None if row is None else _delivery(row)


Decide: TypeAlias = Callable[[StoredChange, DeliveryHistory], Delivery | None]
"""What a sink gets of a change: a delivery (to be sent, or skipped with the reason), or nothing."""


class DeliveryTable:
    """The deliveries of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, consumer: str, *, at: int) -> None:
        """Makes the cursor of a consumer that has none, at a change: it is not sent what is past."""
        with self._database.writing(f"starting {consumer}") as connection:
            known = select(cursors.c.sequence).where(cursors.c.consumer == consumer, cursors.c.camera_id == "")
            if connection.execute(known).one_or_none() is None:
                advance(connection, consumer, at)

    def plan(self, sink: str, decide: Decide, *, consumer: str, now_utc: str) -> list[Delivery] | None:
        """Reads some changes after a cursor, inserts what the sink gets of them and moves the cursor: all, or nothing.

        Returns the new deliveries; None if there were no changes.
        """
        if not self._has_more(consumer):
            return None
        with self._database.writing(f"planning what {sink} is sent") as connection:
            _lock(connection)
            found = read_changes(connection, changes.c.sequence > cursor_of(connection, consumer), limit=AT_ONCE)
            history = DeliveryHistory(connection, sink)
            made = [_insert(connection, each, now_utc) for change in found if (each := decide(change, history))]
            if found:
                advance(connection, consumer, found[-1].sequence)
        return made

    def begin_reports(self, sink: str, report: str, *, now_s: float) -> None:
        """Notes when a report was seen for the first time for a sink: none of before is sent."""
        with self._database.writing(f"starting the report {report}") as connection:
            if not cursor_of(connection, f"alerts:{sink}", f"report:{report}"):
                advance(connection, f"alerts:{sink}", int(now_s), f"report:{report}")

    def plan_reports(
        self, sink: str, report: str, make: Callable[[float], Sequence[Delivery]], *, now_s: float
    ) -> list[Delivery]:
        """Inserts the deliveries of a report that came due since the last call, and notes the time: all, or nothing.

        `make` gets the time up to which they were inserted before, in seconds since 1970.
        """
        consumer, place = f"alerts:{sink}", f"report:{report}"
        with self._database.writing(f"planning the report {report}") as connection:
            _lock(connection)
            due = make(float(cursor_of(connection, consumer, place)))
            made = [_insert(connection, each, format_utc(now_s)) for each in due]
            advance(connection, consumer, int(now_s), place)
        return made

    def _has_more(self, consumer: str) -> bool:
        with self._database.reading("looking for changes") as connection:
            newest = connection.execute(select(func.max(changes.c.sequence))).scalar() or 0
            return newest > cursor_of(connection, consumer)

    def escalate(
        self, sink: str, decide: Decide, *, consumer: str, after_utc: str, before_utc: str, now_utc: str
    ) -> list[Delivery]:
        """Same as `plan` for events that opened between two times and that nobody has marked since."""
        with self._database.reading("looking for events that nobody marked") as connection:
            if not _opened(connection, consumer, before_utc):
                return []
        with self._database.writing(f"planning what {sink} is sent of unmarked events") as connection:
            _lock(connection)
            found = _opened(connection, consumer, before_utc)
            history = DeliveryHistory(connection, sink)
            recent = [change.event_id for change in found if change.written_utc > after_utc]
            now = _unmarked(connection, recent)
            chosen = [replace(change, record=now[change.event_id]) for change in found if change.event_id in now]
            made = [_insert(connection, each, now_utc) for change in chosen if (each := decide(change, history))]
            if found:
                advance(connection, consumer, found[-1].sequence)
        return made

    def due(
        self, sink: str, *, now_s: float, besides: Collection[int] = (), fresh_only: bool = False, limit: int = 1
    ) -> list[Delivery]:
        """The deliveries to send now: first those that begin an incident, and of each incident the lowest revision.

        With `fresh_only`, only those that were not tried yet.
        """
        earlier = deliveries.alias("earlier")
        is_earlier = (earlier.c.sink == sink, earlier.c.state == "waiting")
        same = (earlier.c.incident_id == deliveries.c.incident_id, earlier.c.id < deliveries.c.id)
        late = format_utc(now_s + LATEST_DUE_S)
        is_due = or_(deliveries.c.due_utc <= format_utc(now_s), deliveries.c.due_utc > late)
        query = select(deliveries).where(*_waiting(sink), is_due, ~exists().where(*is_earlier, *same))
        first = case((deliveries.c.revision == 1, 0), else_=1)
        query = query.where(deliveries.c.attempts == 0) if fresh_only else query
        query = query.where(deliveries.c.id.not_in(list(besides))).order_by(first, deliveries.c.id).limit(limit)
        return self._read(query)

    def record(
        self, delivery: Delivery, *, state: DeliveryState, detail: str = "", due_utc: str = "", tried_utc: str = ""
    ) -> None:
        """Records an attempt and what the delivery is now: delivered, dead, or waiting until `due_utc`."""
        now = tried_utc or utc_now()
        outcome = "delivered" if state == "delivered" else "failed"
        values = {"state": state, "detail": detail, "attempts": deliveries.c.attempts + 1}
        values |= {"due_utc": due_utc} if due_utc else {}
        values |= {"done_utc": now} if state != "waiting" else {}
        own = deliveries.c.id == delivery.id
        with self._database.writing(f"recording delivery {delivery.id}") as connection:
            connection.execute(deliveries.update().where(own).values(**values))
            number = connection.execute(select(deliveries.c.attempts).where(own)).scalar_one()
            row = {"delivery_id": delivery.id, "number": number, "outcome": outcome, "detail": detail}
            connection.execute(delivery_attempts.insert().values(row | {"tried_utc": now}))

    def postpone(self, sink: str, *, due_utc: str, delivery_id: int | None = None) -> None:
        """Makes a waiting delivery of a sink, or all of them, due at a time."""
        own = [] if delivery_id is None else [deliveries.c.id == delivery_id]
        with self._database.writing(f"moving deliveries of {sink}") as connection:
            connection.execute(deliveries.update().where(*_waiting(sink), *own).values(due_utc=due_utc))

    def send_again(self, ids: Collection[int] = (), *, sink: str = "", now_utc: str = "") -> list[Delivery]:
        """Makes dead and waiting deliveries (those with these ids, or all of a sink, or all) due now; returns them."""
        wanted = [deliveries.c.state.in_(("dead", "waiting")), *_of(ids, sink)]
        with self._database.writing("sending again") as connection:
            rows = connection.execute(select(deliveries).where(*wanted).order_by(deliveries.c.id)).all()
            due = {"state": "waiting", "due_utc": now_utc or utc_now(), "done_utc": None}
            connection.execute(deliveries.update().where(*wanted).values(**due))
        return [_delivery(row) for row in rows]

    def find(self, *, sink: str = "", state: DeliveryState | None = None, limit: int | None = 50) -> list[Delivery]:
        """The newest deliveries (of one sink, in one state), oldest first."""
        wanted = [*_of((), sink), *([] if state is None else [deliveries.c.state == state])]
        query = select(deliveries).where(*wanted).order_by(deliveries.c.id.desc()).limit(limit)
        return self._read(query)[::-1]

    def get(self, delivery_id: int) -> tuple[Delivery, list[DeliveryAttempt]]:
        """A delivery and its attempts; raises UsageError if there is none of this number."""
        found = self._read(select(deliveries).where(deliveries.c.id == delivery_id))
        if not found:
            raise UsageError(f"there is no delivery {delivery_id}; `vigil alerts list` shows those there are")
        tried = select(delivery_attempts).where(delivery_attempts.c.delivery_id == delivery_id)
        with self._database.reading("reading attempts") as connection:
            rows = connection.execute(tried.order_by(delivery_attempts.c.number)).all()
        return found[0], [_attempt(row) for row in rows]

    def of_event(self, event_id: str) -> list[tuple[Delivery, list[DeliveryAttempt]]]:
        """The deliveries about an event with their attempts, oldest first."""
        found = self._read(select(deliveries).where(deliveries.c.event_id == event_id).order_by(deliveries.c.id))
        tried: dict[int, list[DeliveryAttempt]] = {each.id: [] for each in found}
        own = select(deliveries.c.id).where(deliveries.c.event_id == event_id)
        query = select(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(own))
        with self._database.reading("reading attempts") as connection:
            for row in connection.execute(query.order_by(delivery_attempts.c.delivery_id, delivery_attempts.c.number)):
                tried.setdefault(row.delivery_id, []).append(_attempt(row))
        return [(each, tried[each.id]) for each in found]

    def counts(self) -> dict[tuple[str, str], int]:
        """The number of deliveries, by sink and state."""
        query = select(deliveries.c.sink, deliveries.c.state, func.count()).group_by(
            deliveries.c.sink, deliveries.c.state
        )
        with self._database.reading("counting deliveries") as connection:
            return {(row[0], row[1]): int(row[2]) for row in connection.execute(query)}

    def prune(self, *, before_utc: str) -> None:
        """Deletes deliveries from before a time; those that wait or are dead stay."""
        old = (deliveries.c.created_utc < before_utc, deliveries.c.state.in_(("delivered", "skipped")))
        with self._database.writing("deleting old deliveries") as connection:
            connection.execute(deliveries.delete().where(*old))

    def _read(self, query: "Select[*tuple[Any, ...]]") -> list[Delivery]:
        with self._database.reading("reading deliveries") as connection:
            return [_delivery(row) for row in connection.execute(query)]


def _attempt(row: Row[*tuple[Any, ...]]) -> DeliveryAttempt:
    return DeliveryAttempt(**{name: getattr(row, name) for name in DeliveryAttempt.__slots__})


def _waiting(sink: str) -> tuple[ColumnElement[bool], ...]:
    return (deliveries.c.sink == sink, deliveries.c.state == "waiting")


def _of(ids: Collection[int], sink: str) -> list[ColumnElement[bool]]:
    return [*([deliveries.c.id.in_(list(ids))] if ids else []), *([deliveries.c.sink == sink] if sink else [])]


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def _opened(connection: Connection, consumer: str, before_utc: str) -> list[StoredChange]:
    """The events that opened after a consumer's cursor and before a time, as their first change says."""
    wanted = and_(changes.c.kind == "opened", changes.c.written_utc < before_utc)
    return read_changes(connection, changes.c.sequence > cursor_of(connection, consumer), wanted, limit=AT_ONCE)


def _unmarked(connection: Connection, event_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The records, as they are now, of those events that have no mark."""
    query = select(events).where(events.c.id.in_(event_ids), is_unmarked())
    return {event.id: event_record(event) for event in read_events(connection, query)}


def _insert(connection: Connection, delivery: Delivery, now_utc: str) -> Delivery:
    left_out = ("id", "event", "due_utc", "created_utc", "done_utc")
    values = {name: getattr(delivery, name) for name in Delivery.__slots__ if name not in left_out}
    values |= {"key": delivery.key, "event": json.dumps(dict(delivery.event), ensure_ascii=False)}
    values |= {"due_utc": delivery.due_utc or now_utc, "created_utc": now_utc}
    values |= {"done_utc": now_utc if delivery.state != "waiting" else None}
    key = connection.execute(deliveries.insert().values(values)).inserted_primary_key
    assert key is not None
    [made] = connection.execute(select(deliveries).where(deliveries.c.id == key[0]))
    return _delivery(made)


def _delivery(row: Row[*tuple[Any, ...]]) -> Delivery:
    fields = {name: value for name, value in row._mapping.items() if name != "key"}
    return Delivery(**fields | {"event": json.loads(row.event)})
