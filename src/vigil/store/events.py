"""The events table: saving events by id, finding them by filter, and which of their changes are unpublished.

Saving an event also adds rows to the change log, in the same transaction (`vigil.store.changes`). The cursor of the
consumer `TOLD`, one per camera, says up to which change observers have received everything (`vigil.store.cursors`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, text

from vigil.errors import UsageError
from vigil.events import Event, EventWindow, Tier
from vigil.store import cameras as camera_table
from vigil.store import changes as change_log
from vigil.store import marks, sessions
from vigil.store.changes import StoredChange, StoredKind
from vigil.store.cursors import TOLD, advance
from vigil.store.cursors import get as cursor_of
from vigil.store.database import upsert
from vigil.store.schema import cameras, changes, cursors, event_windows, events, handled_ahead
from vigil.store.times import format_utc, utc_now

TIERS = (Tier.LOW, Tier.MEDIUM, Tier.HIGH)

MarkFilter: TypeAlias = Literal["true", "false_alarm", "unsure", "unmarked"]
"""The newest mark of an event; `unmarked` includes events whose mark was taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Conditions that must all hold; the default of each matches every event.

    `since_utc` and `until_utc` are times in the store's format; an event matches if it overlaps the span. `tier` is the
    lowest tier. `text` is a case-insensitive substring of the description, a note or the camera's name. `source` is a
    camera id or a name, which several cameras may share. With `camera_id`, events of that camera match, and events
    without a known camera if their name is `source`. `limit` keeps the newest events and `offset` skips the newest, for
    paging. Raises UsageError for invalid values.
    """

    since_utc: str | None = None
    until_utc: str | None = None
    source: str | None = None
    camera_id: str = ""
    tier: Tier | None = None
    mark: MarkFilter | None = None
    text: str = ""
    open_only: bool = False
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be at least 1, not {self.limit}")
        if self.offset < 0:
            raise UsageError(f"offset must not be negative: {self.offset}")
        if self.mark not in (None, *get_args(MarkFilter)):
            raise UsageError(f"no event is marked {self.mark!r}; there are {', '.join(get_args(MarkFilter))}")
        if self.since_utc and self.until_utc and self.since_utc > self.until_utc:
            raise UsageError(f"nothing lies between {self.since_utc} and {self.until_utc}: the times are the wrong way")

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter as SQL conditions."""
        at_least = TIERS[TIERS.index(self.tier) :] if self.tier else TIERS
        # LIKE rather than a full-text index: a trigram index cannot find two-character words, which are common in
        # Chinese.
        words = (events.c.text, events.c.source)
        has_text = or_(*(column.icontains(self.text, autoescape=True) for column in words))
        has_text |= camera_table.has_name_like(self.text, events.c.camera_id)
        has_text |= marks.note_contains(self.text)
        marked_so = marks.is_unmarked() if self.mark == "unmarked" else marks.newest_mark_value() == self.mark
        wanted: list[tuple[object, ColumnElement[bool]]] = [
            (self.since_utc, events.c.ended_utc >= (self.since_utc or "")),
            (self.until_utc, events.c.happened_utc <= (self.until_utc or "")),
            (self.source or self.camera_id, self._is_of_camera()),
            (self.tier, events.c.tier.in_([tier.value for tier in at_least])),
            (self.mark, marked_so),
            (self.text, has_text),
            (self.open_only, events.c.end_s.is_(None)),
        ]
        return [condition for given, condition in wanted if given]

    def _is_of_camera(self) -> ColumnElement[bool]:
        """Matches the camera by id, or else by name events whose camera is unknown."""
        if not self.camera_id:
            return camera_table.is_of(self.source or "", events.c.camera_id, events.c.source)
        unknown = and_(camera_table.is_unknown(events.c.camera_id), events.c.source == (self.source or ""))
        return or_(events.c.camera_id == self.camera_id, unknown)


GOING_ON = "9999-12-31T23:59:59.999Z"
"""The `ended_utc` of an open event: later than any real time, so that one comparison covers open events too."""

TELLABLE: tuple[StoredKind, ...] = ("opened", "raised", "closed")
"""The kinds of change that observers receive, late if a watcher was killed before it could publish them."""

IDS_AT_ONCE = 500


def save(connection: Connection, event: Event, *, session: str | None) -> list[StoredChange]:
    """Inserts or updates an event, adds its new windows and logs its changes; returns the changes.

    An event without a camera id keeps the one it was stored with, or else gets its session's.
    """
    before = connection.execute(select(events).where(events.c.id == event.id).with_for_update()).one_or_none()
    if not event.camera_id:
        event = replace(event, camera_id=_camera_of(connection, before, session))
    upsert(connection, events, [_row(event, session)], keep=("session_id", "created_utc", "happened_utc"))
    _add_windows(connection, event, is_new=before is None)
    return change_log.add(connection, event, change_log.kinds_between(before, event))


def _camera_of(connection: Connection, before: Row[*tuple[Any, ...]] | None, session: str | None) -> str:
    """The camera id that an event was stored with, or else that of its session."""
    if before is not None and before.camera_id:
        return str(before.camera_id)
    return sessions.cameras_of(connection, [session]).get(session, "") if session else ""


def _add_windows(connection: Connection, event: Event, *, is_new: bool) -> None:
    """Inserts the windows that follow the last stored one."""
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
    """The events that match a filter, oldest first."""
    newest = select(events).where(*wanted.conditions()).order_by(events.c.happened_utc.desc(), events.c.id.desc())
    page = newest.limit(wanted.limit).offset(wanted.offset or None)
    return _with_windows(connection, connection.execute(page).all()[::-1])


def untold(connection: Connection, *, camera_id: str = "") -> list[StoredChange]:
    """The changes (of one camera, or of all) that were not published yet, in order, with their events' windows."""
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
"""Moves a camera's `TOLD` cursor to a change unless an earlier one is unpublished: the usual case, in one statement."""


def note_heard(connection: Connection, happened: Sequence[StoredChange], told: Collection[StoredKind]) -> None:
    """Records which of these changes of one event observers have already received: those of the kinds in `told`."""
    heard = [change for change in happened if change.kind in told]
    for change in heard:
        values = {"consumer": TOLD, "camera_id": change.camera_id, "sequence": change.sequence, "now": utc_now()}
        if not connection.execute(MOVE, values).rowcount:
            note_told(connection, change.camera_id, [change.sequence])


def note_told(connection: Connection, camera_id: str, sequences: Collection[int]) -> None:
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


def count(connection: Connection, wanted: EventFilter) -> int:
    """The number of events that match a filter, ignoring its limit and offset."""
    return connection.execute(select(func.count()).select_from(events).where(*wanted.conditions())).scalar_one()


def sources(connection: Connection) -> list[str]:
    """The names of the cameras that have events, sorted, without duplicates."""
    name = func.coalesce(cameras.c.name, events.c.source)
    known = select(name).select_from(events).outerjoin(cameras, cameras.c.id == events.c.camera_id)
    return sorted(connection.execute(known.distinct()).scalars())


def by_id(connection: Connection, part: str) -> list[Event]:
    """The event with this id, or else all events whose id starts or ends with `part`."""
    exact = connection.execute(select(events).where(events.c.id == part)).all()
    if exact or not part:
        return _with_windows(connection, exact)
    near = events.c.id.startswith(part, autoescape=True) | events.c.id.endswith(part, autoescape=True)
    return _with_windows(connection, connection.execute(select(events).where(near).order_by(events.c.id)).all())


def of_session(connection: Connection, session: str) -> list[Event]:
    """The events of one session, in order of onset."""
    query = select(events).where(events.c.session_id == session).order_by(events.c.onset_s, events.c.id)
    return _with_windows(connection, connection.execute(query).all())


def _with_windows(connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Event]:
    windows = _windows_of(connection, [row.id for row in rows])
    names = camera_table.names_of(connection, list({row.camera_id for row in rows}))
    return [_event(row, tuple(windows[row.id]), name=names.get(row.camera_id, row.source)) for row in rows]


def _windows_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[EventWindow]]:
    windows: dict[str, list[EventWindow]] = {event_id: [] for event_id in ids}
    for i in range(0, len(ids), IDS_AT_ONCE):
        query = select(event_windows).where(event_windows.c.event_id.in_(ids[i : i + IDS_AT_ONCE]))
        for row in connection.execute(query.order_by(event_windows.c.window)):
            evidence = EventWindow(window=row.window, start_s=row.start_s, end_s=row.end_s, p_alarm=row.p_alarm)
            windows[row.event_id].append(evidence)
    return windows


def _event(row: Row[*tuple[Any, ...]], windows: tuple[EventWindow, ...], *, name: str) -> Event:
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
    )
