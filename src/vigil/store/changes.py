"""The change log: one numbered row for each change of an event, written in the same transaction as the event.

    for change in store.changes.after(store.cursors.get("mail")):
        send(change)
        store.cursors.advance("mail", change.sequence)

Sequence numbers increase in commit order, so a consumer that has read up to a number has missed nothing before it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, func, select

from vigil.events import Event, EventWindow, Tier
from vigil.store.cameras import Transactions
from vigil.store.event_record import event_of, event_record
from vigil.store.schema import changes
from vigil.store.times import utc_now

StoredKind: TypeAlias = Literal["opened", "raised", "described", "closed", "marked"]

LOCK = 860_717_302
"""An arbitrary advisory lock key: on PostgreSQL one transaction at a time takes numbers, so they commit in order."""

AT_ONCE = 100
TIERS = tuple(Tier)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChange:
    """One change: its sequence number, its kind, and the event as it was then.

    `record` is the event in the form of JSON lines and exports; for `marked` it includes the mark. `windows` are those
    of the event, if they were requested.
    """

    sequence: int
    kind: StoredKind
    event_id: str
    camera_id: str
    record: Mapping[str, Any]
    written_utc: str
    windows: tuple[EventWindow, ...] = ()

    @property
    def event(self) -> Event:
        """The event as it was after the change."""
        return event_of(self.record, windows=self.windows)


class ChangeLog:
    """The change log of a store; raises StoreError if it cannot be read."""

    def __init__(self, store: Transactions) -> None:
        self._store = store

    def after(
        self, sequence: int, *, limit: int = AT_ONCE, camera_id: str = "", kinds: Collection[StoredKind] = ()
    ) -> list[StoredChange]:
        """The changes after a sequence number, in order, optionally of one camera or of some kinds."""
        wanted = [changes.c.camera_id == camera_id] if camera_id else []
        wanted += [changes.c.kind.in_(kinds)] if kinds else []
        with self._store.reading("reading changes") as connection:
            return read(connection, changes.c.sequence > sequence, *wanted, limit=limit)

    def last(self, *, kinds: Collection[StoredKind] = ()) -> int:
        """The sequence number of the newest change (optionally of some kinds), 0 if there is none."""
        wanted = [changes.c.kind.in_(kinds)] if kinds else []
        newest = select(changes.c.sequence).where(*wanted).order_by(changes.c.sequence.desc()).limit(1)
        with self._store.reading("reading changes") as connection:
            return connection.execute(newest).scalar() or 0


def read(connection: Connection, *conditions: ColumnElement[bool], limit: int | None = None) -> list[StoredChange]:
    """The changes that match all conditions, in order."""
    query = select(changes).where(*conditions).order_by(changes.c.sequence).limit(limit)
    return [_change(row) for row in connection.execute(query)]


def kinds_between(before: Row[*tuple[Any, ...]] | None, event: Event) -> list[StoredKind]:
    """The kinds of change between an event's stored row and its new state, in order."""
    if before is None:
        return ["opened", *(["closed"] if not event.is_open else [])]  # type: ignore[list-item]
    happened: dict[StoredKind, bool] = {
        "raised": TIERS.index(event.tier) > TIERS.index(Tier(before.tier)),
        "described": event.text != before.text,
        "closed": before.end_s is None and not event.is_open,
    }
    return [kind for kind, is_so in happened.items() if is_so]


def add(
    connection: Connection, event: Event, kinds: Sequence[StoredKind], *, said: Mapping[str, Any] | None = None
) -> list[StoredChange]:
    """Logs changes of an event and returns them; `said` holds extra fields of the record."""
    if kinds and connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
    return [_add(connection, _as_of(kind, event, kinds), kind, said or {}) for kind in kinds]


def _as_of(kind: StoredKind, event: Event, kinds: Sequence[StoredKind]) -> Event:
    """The event as it was at a change before it closed, if both are logged together."""
    goes_on = "closed" in kinds and kind != "closed"
    return replace(event, end_s=None, closed_because="") if goes_on else event


def _add(connection: Connection, event: Event, kind: StoredKind, said: Mapping[str, Any]) -> StoredChange:
    record = event_record(event) | dict(said)
    values = {
        "kind": kind,
        "event_id": event.id,
        "camera_id": event.camera_id,
        "event": json.dumps(record, ensure_ascii=False),
        "written_utc": utc_now(),
    }
    done = connection.execute(changes.insert().values(values))
    key = done.inserted_primary_key
    assert key is not None
    return StoredChange(
        sequence=key[0],
        kind=kind,
        event_id=event.id,
        camera_id=event.camera_id,
        record=record,
        written_utc=values["written_utc"],
    )


def _change(row: Row[*tuple[Any, ...]]) -> StoredChange:
    return StoredChange(
        sequence=row.sequence,
        kind=row.kind,
        event_id=row.event_id,
        camera_id=row.camera_id,
        record=json.loads(row.event),
        written_utc=row.written_utc,
    )
