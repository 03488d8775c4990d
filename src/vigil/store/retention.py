"""Retention: deletes media by age and total size, verdicts and observations by age, and events only if configured.

The watcher calls `prune` regularly; users call `vigil events prune`. Open events are never touched, and marked events
only on request.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Table,
    and_,
    delete,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from vigil.errors import UsageError
from vigil.store import marks, orphaned_media
from vigil.store.changes import TELLABLE
from vigil.store.cursors import TOLD
from vigil.store.database import translate_errors, vacuum_free_pages
from vigil.store.media import MediaFile
from vigil.store.schema import changes, cursors, event_windows, events, media, sessions, verdicts
from vigil.store.store import Store
from vigil.store.times import format_utc

log = logging.getLogger(__name__)

DAY_S = 86_400.0

PARTIAL_S = 3600.0
"""A temporary file that has not changed for this long has no writer any more."""

ROWS_AT_ONCE = 500
VERDICTS_AT_ONCE = 5000
MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """How long data is kept; None keeps it forever.

    `media_days` counts from the end of an event, `verdict_days` and `observation_days` from the time of a verdict
    or an observation. `media_mb` limits the total size of media (in 10^6 bytes); media of the oldest events are
    deleted first. `event_days` deletes whole events, rows and media. Marked events are exempt, and their media do
    not count towards `media_mb`. Changes are deleted after `event_days` once every consumer has read them, and
    after another `unread_days` even if one has not. Of the audit table, acts of the last `audit_days` are kept, and
    the newest `audit_rows` at most. Raises UsageError for negative values.
    """

    media_days: float | None = 30.0
    media_mb: float | None = 10_000.0
    verdict_days: float | None = 30.0
    observation_days: float | None = 30.0
    event_days: float | None = None
    unread_days: float | None = 90.0
    audit_days: float | None = 365.0
    audit_rows: int | None = 1_000_000

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in self.__slots__}
        problems = [f"{name} must not be negative" for name, value in values.items() if value is not None and value < 0]
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What was deleted; `unread_changes` counts deleted changes that a consumer had not read yet."""

    files: int = 0
    freed_bytes: int = 0
    verdicts: int = 0
    events: int = 0
    changes: int = 0
    unread_changes: int = 0
    acts: int = 0
    observations: int = 0


def prune(
    store: Store,
    retention: RetentionSettings,
    *,
    dry_run: bool = False,
    also_marked: bool = False,
    clock: Callable[[], float] = time.time,
) -> PruneReport:
    """Deletes what the settings no longer keep; raises StoreError, after which it can be called again.

    Files are deleted before their rows, so that a full disk gets free space first and a kill leaves no file without a
    row. With `dry_run` it only counts. Events that users have marked are kept unless `also_marked`; an event whose mark
    was taken back loses only its media.
    """
    now_s = clock()
    if not dry_run:
        orphaned_media.adopt_orphans(store, before_s=now_s - PARTIAL_S)
        store.search.index_missing()
    media_may_go = true() if also_marked else marks.is_unmarked()
    events_may_go = true() if also_marked else marks.has_no_history()
    files = _too_old(store, retention, media_may_go, now_s=now_s)
    files += _too_much(store, retention, media_may_go, spared={file.key for file in files})
    old_verdicts = _old_verdicts(retention.verdict_days, now_s=now_s)
    old_events = and_(_old_events(retention.event_days, now_s=now_s), events_may_go)
    old_changes = _old_changes(retention, now_s=now_s)
    acts = store.audit.prune(
        before_utc=None if retention.audit_days is None else _before(retention.audit_days, now_s),
        most_rows=retention.audit_rows,
        dry_run=dry_run,
    )
    old_observations = store.observations.prune(
        before_utc=None if retention.observation_days is None else _before(retention.observation_days, now_s),
        dry_run=dry_run,
    )
    counted_changes = _count(store, changes, old_changes)
    pruned = PruneReport(
        files=len(files),
        freed_bytes=sum(file.size_bytes for file in files),
        verdicts=_count(store, verdicts, old_verdicts),
        events=_count(store, events, old_events),
        changes=counted_changes,
        unread_changes=_count(store, changes, and_(old_changes, _is_unread())) if counted_changes else 0,
        acts=acts,
        observations=old_observations,
    )
    if dry_run:
        return pruned
    _delete_files(store, files, media_may_go)
    _delete_partials(store, now_s=now_s)
    if pruned.verdicts:
        _delete_verdicts(store, old_verdicts)
    if pruned.events:
        _delete_events(store, old_events)
    if pruned.changes:
        _delete_changes(store, old_changes)
    _delete_empty_sessions(store, retention.verdict_days, now_s=now_s)
    if pruned.unread_changes:
        log.warning("%d changes are deleted that a consumer has not read for too long", pruned.unread_changes)
    if pruned.verdicts or pruned.events or pruned.changes or pruned.acts or pruned.observations:
        with translate_errors("shrinking", store.name):
            vacuum_free_pages(store.database.engine)
    return pruned


def _before(days: float, now_s: float) -> str:
    return format_utc(max(0.0, now_s - days * DAY_S))


def _closed_media(store: Store, *conditions: ColumnElement[bool]) -> list[MediaFile]:
    """Media of closed events, those of the oldest events first."""
    query = select(media).join(events, events.c.id == media.c.event_id)
    oldest_first = query.order_by(events.c.happened_utc, media.c.path)
    with store.database.reading("looking for old media") as connection:
        rows = connection.execute(oldest_first.where(events.c.end_s.is_not(None), *conditions))
        return [store.media.file_of(row) for row in rows]


def _too_old(
    store: Store, retention: RetentionSettings, may_go: ColumnElement[bool], *, now_s: float
) -> list[MediaFile]:
    days = [days for days in (retention.media_days, retention.event_days) if days is not None]
    return _closed_media(store, events.c.ended_utc < _before(min(days), now_s), may_go) if days else []


def _too_much(
    store: Store, retention: RetentionSettings, may_go: ColumnElement[bool], *, spared: set[str]
) -> list[MediaFile]:
    """The oldest media to delete until the rest fits; `spared` holds keys that are deleted anyway."""
    if retention.media_mb is None:
        return []
    # Media of marked events do not count: if there were many, new events would lose theirs at once.
    summed = select(func.coalesce(func.sum(media.c.size_bytes), 0)).join(events, events.c.id == media.c.event_id)
    with store.database.reading("adding up media") as connection:
        total_bytes = int(connection.execute(summed.where(may_go)).scalar() or 0)
    if total_bytes <= retention.media_mb * MB:
        return []
    candidates = _closed_media(store, may_go)
    over_bytes = total_bytes - retention.media_mb * MB - sum(f.size_bytes for f in candidates if f.key in spared)
    chosen: list[MediaFile] = []
    for file in candidates:
        if over_bytes <= 0:
            break
        if file.key not in spared:
            chosen.append(file)
            over_bytes -= file.size_bytes
    return chosen


def _delete_files(store: Store, files: Sequence[MediaFile], may_go: ColumnElement[bool]) -> None:
    for i in range(0, len(files), ROWS_AT_ONCE):
        some = _still_to_go(store, files[i : i + ROWS_AT_ONCE], may_go)
        with translate_errors("deleting old media", store.name):
            for file in some:
                store.media.files.delete(file.key)
        with store.database.writing("forgetting old media") as connection:
            connection.execute(delete(media).where(media.c.path.in_([file.key for file in some])))


def _still_to_go(store: Store, files: Sequence[MediaFile], may_go: ColumnElement[bool]) -> list[MediaFile]:
    """Leaves out files of events marked in the meantime, as deleting thousands of files takes a while."""
    ids = {file.event_id for file in files}
    with store.database.reading("looking for marks") as connection:
        unmarked = set(connection.execute(select(events.c.id).where(events.c.id.in_(ids), may_go)).scalars())
    return [file for file in files if file.event_id in unmarked]


def _delete_partials(store: Store, *, now_s: float) -> None:
    with translate_errors("deleting half-written media", store.name):
        for name in store.media.files.clean(before_s=now_s - PARTIAL_S):
            log.info("deleted %s, which a watcher that was killed left half written", name)


def _old_verdicts(days: float | None, *, now_s: float) -> ColumnElement[bool]:
    return false() if days is None else verdicts.c.created_utc < _before(days, now_s)


def _old_events(days: float | None, *, now_s: float) -> ColumnElement[bool]:
    if days is None:
        return false()
    return and_(events.c.end_s.is_not(None), events.c.ended_utc < _before(days, now_s))


def _old_changes(retention: RetentionSettings, *, now_s: float) -> ColumnElement[bool]:
    if retention.event_days is None:
        return false()
    old = changes.c.written_utc < _before(retention.event_days, now_s)
    if retention.unread_days is None:
        return and_(old, not_(_is_unread()))
    far_too_old = changes.c.written_utc < _before(retention.event_days + retention.unread_days, now_s)
    return and_(old, or_(far_too_old, not_(_is_unread())))


def _is_unread() -> ColumnElement[bool]:
    """A condition: a consumer has not read a change yet; for `TOLD`, only published kinds of the same camera count."""
    behind = cursors.c.sequence < changes.c.sequence
    of_others = exists().where(cursors.c.consumer != TOLD, cursors.c.camera_id.in_(["", changes.c.camera_id]), behind)
    of_watches = exists().where(cursors.c.consumer == TOLD, cursors.c.camera_id == changes.c.camera_id, behind)
    return or_(of_others, and_(changes.c.kind.in_(TELLABLE), of_watches))


def _count(store: Store, table: Table, old: ColumnElement[bool]) -> int:
    with store.database.reading("counting") as connection:
        return connection.execute(select(func.count()).select_from(table).where(old)).scalar_one()


def _delete_verdicts(store: Store, old: ColumnElement[bool]) -> None:
    # Where a row lies is found without a look into the primary key, which holds long session ids.
    place: ColumnElement[Any] = literal_column("ctid" if store.database.engine.name == "postgresql" else "rowid")
    chosen = select(place).select_from(verdicts).where(old).limit(VERDICTS_AT_ONCE)
    _delete_in_steps(store, "deleting old verdicts", delete(verdicts).where(place.in_(chosen)), VERDICTS_AT_ONCE)


def _delete_events(store: Store, old: ColumnElement[bool]) -> None:
    """Deletes in small transactions; an event goes with its windows, marks and media at once."""
    for ids in _batches(store, old):
        with store.database.writing("deleting old events") as connection:
            # An event may have been marked in the meantime.
            connection.execute(delete(events).where(events.c.id.in_(ids), old))


def _batches(store: Store, old: ColumnElement[bool]) -> Iterator[list[str]]:
    """Ids of old events, so many at a time that with their windows they are at most `ROWS_AT_ONCE` rows.

    An event that alone has more is alone.
    """
    weight = select(func.count()).where(event_windows.c.event_id == events.c.id).scalar_subquery()
    with store.database.reading("looking for old events") as connection:
        found = connection.execute(select(events.c.id, weight).where(old).order_by(events.c.ended_utc)).all()
    batch: list[str] = []
    rows = 0
    for event_id, windows in found:
        if batch and rows + 1 + windows > ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(event_id)
        rows += 1 + windows
    if batch:
        yield batch


def _delete_changes(store: Store, old: ColumnElement[bool]) -> None:
    chosen = select(changes.c.sequence).where(old).limit(VERDICTS_AT_ONCE)
    _delete_in_steps(
        store, "deleting old changes", delete(changes).where(changes.c.sequence.in_(chosen)), VERDICTS_AT_ONCE
    )


def _delete_in_steps(store: Store, action: str, some: Delete, most: int) -> None:
    """Runs a deletion of at most `most` rows again and again, each a transaction, so that a watcher hardly waits."""
    deleted = most
    while deleted == most:
        with store.database.writing(action) as connection:
            deleted = connection.execute(some).rowcount


def _delete_empty_sessions(store: Store, days: float | None, *, now_s: float) -> None:
    """Deletes sessions that ended long ago and have neither verdicts nor events."""
    if days is None:
        return
    has_verdicts = exists().where(verdicts.c.session_id == sessions.c.id)
    has_events = exists().where(events.c.session_id == sessions.c.id)
    ended = sessions.c.ended_utc < _before(days, now_s)
    chosen = select(sessions.c.id).where(ended, ~has_verdicts, ~has_events).limit(ROWS_AT_ONCE)
    _delete_in_steps(store, "deleting old watches", delete(sessions).where(sessions.c.id.in_(chosen)), ROWS_AT_ONCE)
