"""Events as rows: written by id, as often as one likes; read back as they were.

Which events are wanted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from vigil.errors import UsageError
from vigil.events import ChangeKind, Event, EventWindow, Tier
from vigil.store import marks, sessions
from vigil.store.database import upsert
from vigil.store.schema import event_windows, events
from vigil.store.times import format_utc, utc_now

TIERS = (Tier.LOW, Tier.MEDIUM, Tier.HIGH)

MarkFilter: TypeAlias = Literal["true", "false_alarm", "unsure", "unmarked"]
"""The mark that counts; `unmarked` also where it was taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Conditions that all hold; what is left out does not matter.

    `since_utc` and `until_utc` are moments as the store writes them and include events that only reach into the span;
    `tier` is the least; `text` is looked for anywhere in the description, in notes and in the camera's name, in any
    letter case. `identity` leaves out what is known to be of another source of the same name. `limit` keeps the newest,
    `offset` leaves out the newest of all: page after page of a long history.
    """

    since_utc: str | None = None
    until_utc: str | None = None
    source: str | None = None
    identity: str = ""
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
        """The same as SQL."""
        at_least = TIERS[TIERS.index(self.tier) :] if self.tier else TIERS
        # LIKE rather than a full-text index: trigrams miss the two-character words that Chinese is made of.
        words = (events.c.text, events.c.source)
        has_text = or_(*(column.icontains(self.text, autoescape=True) for column in words))
        has_text |= marks.note_contains(self.text)
        marked_so = marks.is_unmarked() if self.mark == "unmarked" else marks.newest_mark_value() == self.mark
        wanted: list[tuple[object, ColumnElement[bool]]] = [
            (self.since_utc, events.c.ended_utc >= (self.since_utc or "")),
            (self.until_utc, events.c.happened_utc <= (self.until_utc or "")),
            (self.source, events.c.source == self.source),
            (self.identity, sessions.may_be_of(self.identity)),
            (self.tier, events.c.tier.in_([tier.value for tier in at_least])),
            (self.mark, marked_so),
            (self.text, has_text),
            (self.open_only, events.c.end_s.is_(None)),
        ]
        return [condition for given, condition in wanted if given]


GOING_ON = "9999-12-31T23:59:59.999Z"
"""The `ended_utc` of an event that goes on: later than any other, so that one comparison finds it."""


IDS_AT_ONCE = 500


def save(connection: Connection, event: Event, *, session: str | None, untold: str = "") -> None:
    """Inserts or updates an event and adds the windows that are new; `untold` is the change nobody heard of yet."""
    upsert(
        connection,
        events,
        [_row(event, session) | {"untold": untold}],
        keep=("session_id", "created_utc", "happened_utc"),
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
    happened = now if event.epoch_s is None else format_utc(event.epoch_s + event.onset_s)
    ended = now if event.epoch_s is None or event.end_s is None else format_utc(event.epoch_s + event.end_s)
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


def untold(connection: Connection, source: str | None = None, *, identity: str = "") -> list[tuple[Event, ChangeKind]]:
    """The events (of one source, or of any) with a change that nobody was told of, the oldest first."""
    wanted = EventFilter(source=source, identity=identity).conditions()
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
    """The sources that have events, by name."""
    return list(connection.execute(select(events.c.source).distinct().order_by(events.c.source)).scalars())


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
    windows: dict[str, list[EventWindow]] = {row.id: [] for row in rows}
    ids = list(windows)
    for i in range(0, len(ids), IDS_AT_ONCE):
        query = select(event_windows).where(event_windows.c.event_id.in_(ids[i : i + IDS_AT_ONCE]))
        for row in connection.execute(query.order_by(event_windows.c.window)):
            evidence = EventWindow(window=row.window, start_s=row.start_s, end_s=row.end_s, p_alarm=row.p_alarm)
            windows[row.event_id].append(evidence)
    return [_event(row, tuple(windows[row.id])) for row in rows]


def _event(row: Row[*tuple[Any, ...]], windows: tuple[EventWindow, ...]) -> Event:
    return Event(
        id=row.id,
        source=row.source,
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
