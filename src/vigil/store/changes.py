"""The change log: one numbered row for each change of an event, written in the same transaction as the event.

    for change in store.changes.after(store.cursors.get("mail")):
        send(change)
        store.cursors.advance("mail", change.sequence)

Sequence numbers increase in commit order, so a consumer that has read up to a number has missed nothing before it.
The cursor of the consumer `TOLD`, one per camera, says up to which change observers have received everything
(`vigil.store.cursors`).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, func, select, text

from vigil.events import Event, EventWindow, Tier
from vigil.store.cursors import TOLD, advance
from vigil.store.cursors import get as cursor_of
from vigil.store.database import Database, upsert
from vigil.store.event_record import event_of, event_record
from vigil.store.event_rows import windows_of
from vigil.store.schema import changes, cursors, handled_ahead
from vigil.store.times import utc_now

StoredKind: TypeAlias = Literal["opened", "raised", "described", "closed", "marked", "acknowledged"]

TELLABLE: tuple[StoredKind, ...] = ("opened", "raised", "closed")
"""The kinds of change that observers receive, late if a watcher was killed before it could publish them."""

LOCK = 860_717_302
"""An arbitrary advisory lock key: on PostgreSQL one transaction at a time takes numbers, so they commit in order."""

INSERT = changes.insert()

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
    """The change log of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def after(
        self, sequence: int, *, limit: int = AT_ONCE, camera_id: str = "", kinds: Collection[StoredKind] = ()
    ) -> list[StoredChange]:
        """The changes after a sequence number, in order, optionally of one camera or of some kinds."""
        wanted = [changes.c.camera_id == camera_id] if camera_id else []
        wanted += [changes.c.kind.in_(kinds)] if kinds else []
        with self._database.reading("reading changes") as connection:
            return read_changes(connection, changes.c.sequence > sequence, *wanted, limit=limit)

    def of_event(self, event_id: str) -> list[StoredChange]:
        """The changes of an event that are still in the log, in order."""
        with self._database.reading("reading changes") as connection:
            return read_changes(connection, changes.c.event_id == event_id)

    def last(self, *, kinds: Collection[StoredKind] = ()) -> int:
        """The sequence number of the newest change (optionally of some kinds), 0 if there is none."""
        wanted = [changes.c.kind.in_(kinds)] if kinds else []
        newest = select(changes.c.sequence).where(*wanted).order_by(changes.c.sequence.desc()).limit(1)
        with self._database.reading("reading changes") as connection:
            return connection.execute(newest).scalar() or 0

    def unpublished(self, *, camera_id: str = "") -> list[StoredChange]:
        """The changes (of one camera, or of all) not published yet, in order, with their events' windows."""
        owed = [*_is_owed(), *([changes.c.camera_id == camera_id] if camera_id else [])]
        with self._database.reading("looking for unpublished changes") as connection:
            found = read_changes(connection, *owed)
            windows = windows_of(connection, list({change.event_id for change in found}))
        return [replace(change, windows=windows[change.event_id]) for change in found]

    def note_published(self, published: Mapping[str, Collection[int]]) -> None:
        """Records changes as published: their sequence numbers, by camera id."""
        with self._database.writing("noting published changes") as connection:
            for camera_id, sequences in published.items():
                _note_published(connection, camera_id, sequences)


def _is_owed() -> list[ColumnElement[bool]]:
    """Conditions: a change is of a kind that observers receive, and beyond what they have received of its camera."""
    upto = select(cursors.c.sequence).where(cursors.c.consumer == TOLD, cursors.c.camera_id == changes.c.camera_id)
    ahead = select(handled_ahead.c.sequence).where(handled_ahead.c.consumer == TOLD)
    beyond = changes.c.sequence > func.coalesce(upto.scalar_subquery(), 0)
    return [beyond, changes.c.sequence.not_in(ahead), changes.c.kind.in_(TELLABLE)]


def read_changes(
    connection: Connection, *conditions: ColumnElement[bool], limit: int | None = None
) -> list[StoredChange]:
    """The changes that meet conditions, in order, in the caller's transaction."""
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


def log_changes(
    connection: Connection, event: Event, kinds: Sequence[StoredKind], *, said: Mapping[str, Any] | None = None
) -> list[StoredChange]:
    """Logs changes of an event in the transaction that made them, and returns them.

    `said` holds extra fields of the record.
    """
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
    done = connection.execute(INSERT, values)
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


# PostgreSQL has to be told the types of the parameters.
MOVE = text("""INSERT INTO cursors (consumer, camera_id, sequence, moved_utc)
    SELECT CAST(:consumer AS VARCHAR), CAST(:camera_id AS VARCHAR), CAST(:sequence AS BIGINT), CAST(:now AS VARCHAR)
    WHERE NOT EXISTS (
        SELECT 1 FROM changes WHERE camera_id = CAST(:camera_id AS VARCHAR) AND sequence < CAST(:first AS BIGINT)
        AND sequence > COALESCE((SELECT c.sequence FROM cursors c
            WHERE c.consumer = CAST(:consumer AS VARCHAR) AND c.camera_id = CAST(:camera_id AS VARCHAR)), 0)
        AND kind IN ('opened', 'raised', 'closed'))
    ON CONFLICT (consumer, camera_id) DO UPDATE SET sequence = excluded.sequence, moved_utc = excluded.moved_utc
    WHERE cursors.sequence < excluded.sequence""")
"""Moves a camera's `TOLD` cursor over the changes from `first` to `sequence`, unless one before them is unpublished."""


def note_published_kinds(
    connection: Connection, happened: Sequence[StoredChange], published: Collection[StoredKind]
) -> None:
    """Records, in the transaction that made these changes of one event, which kinds of them were published."""
    owed = [change for change in happened if change.kind in TELLABLE]
    done = [change for change in happened if change.kind in published]
    if not done:
        return
    camera_id, sequences = done[0].camera_id, [change.sequence for change in done]
    values = {"consumer": TOLD, "camera_id": camera_id, "first": sequences[0], "sequence": sequences[-1]}
    # The usual case, in one statement.
    if done != owed or not connection.execute(MOVE, values | {"now": utc_now()}).rowcount:
        _note_published(connection, camera_id, sequences)


def _note_published(connection: Connection, camera_id: str, sequences: Collection[int]) -> None:
    """Records that these changes of a camera were published.

    The cursor moves up to the first change that is still unpublished, as another watcher of the same camera may have to
    publish it. Published changes beyond it go into `handled_ahead`.
    """
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
