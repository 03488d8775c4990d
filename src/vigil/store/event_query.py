"""The SQL of an `EventFilter`: a query whose plan goes by an index however large the store is.

The list is ordered by time, newest first, so most filters are answered by walking down an index of times that holds
what they ask about. What is rare is found the other way round: up to `FEW` events with a text or a mark are looked up
by their own index first, and only those are sorted. Which of the two it is, is told by that index alone: what it counts
more often than `FEW` fills a page within the next `NEAR` events, as a rule, and is looked up only where it does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)

from vigil.errors import UsageError
from vigil.events import Tier
from vigil.store import acknowledgements, marks
from vigil.store.cameras import CAMERA_ID
from vigil.store.event_filter import TIERS, EventFilter
from vigil.store.event_record import EventState
from vigil.store.schema import cameras, event_search, events
from vigil.store.schema import marks as mark_rows
from vigil.store.search import containing, event_terms
from vigil.store.term_index import fold

FEW = 1000
"""So many events are fetched and sorted in a few milliseconds; what more events match is met soon on the way down."""

NEAR = 400
"""So many events are walked through before what is common is looked up: the cost of looking up a few dozen."""

NEWEST_FIRST = (events.c.happened_utc.desc(), events.c.id.desc())

CAMERAS_OF_EVENTS = text("""WITH RECURSIVE found (camera_id) AS (
    SELECT min(camera_id) FROM events UNION ALL
    SELECT (SELECT min(camera_id) FROM events WHERE camera_id > found.camera_id) FROM found
    WHERE found.camera_id IS NOT NULL)
    SELECT camera_id FROM found WHERE camera_id IS NOT NULL""")
"""The camera ids that occur among events, each by one step in an index, not by reading all events."""


EventRows: TypeAlias = "Sequence[Row[*tuple[Any, ...]]]"


def page_rows(connection: Connection, wanted: EventFilter, *, after: str, size: int) -> EventRows:
    """The rows of a page, newest first, from the place `after` on, and the one behind it if there is one."""
    place = [older_than(after)] if after else []
    if _is_common(connection, wanted):
        near = _walking(connection, wanted).where(*place, *_near(connection, place))
        rows = connection.execute(near.order_by(*NEWEST_FIRST).limit(size + 1)).all()
        if len(rows) > size:
            return rows
    query = matching(connection, wanted).where(*place).order_by(*NEWEST_FIRST)
    return connection.execute(query.limit(size + 1)).all()


def _is_common(connection: Connection, wanted: EventFilter) -> bool:
    """Whether more than a few events may have both the mark and the text that are asked for, by their indexes alone."""
    mark = wanted.mark if wanted.mark and wanted.mark != "unmarked" else ""
    if not mark and not wanted.text:
        return False
    if mark and not _are_many(connection, marks.events_ever_marked(mark)):
        return False
    candidates = event_terms.candidates(connection, wanted.text) if wanted.text else None
    return candidates is None or _are_many(connection, candidates)


def _are_many(connection: Connection, query: "Select[*tuple[Any, ...]]") -> bool:
    some = query.limit(FEW + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() > FEW


def _near(connection: Connection, place: Sequence[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """A condition: an event is among the next `NEAR` from a place on; none if there are fewer."""
    last = select(events.c.happened_utc).where(*place).order_by(*NEWEST_FIRST).offset(NEAR).limit(1)
    happened_utc = connection.execute(last).scalar()
    return [] if happened_utc is None else [events.c.happened_utc >= happened_utc]


def _walking(connection: Connection, wanted: EventFilter) -> "Select[*tuple[Any, ...]]":
    """The same query as `matching`, for walking down the list: each event is looked at, and no index asked."""
    conditions = _conditions(connection, replace(wanted, mark=None))
    if wanted.mark:
        conditions.append(_mark_is(wanted.mark))
    query = select(events).where(*conditions)
    return _looked_through(query, wanted.text, _cameras_called(connection, wanted.text)) if wanted.text else query


def matching(connection: Connection, wanted: EventFilter) -> "Select[*tuple[Any, ...]]":
    """A query of the events that match a filter, without its order, limit and offset."""
    few = _few_marked(connection, wanted)
    if few is None:
        query = select(events).where(*_conditions(connection, wanted))
        return _with_text(connection, query, wanted.text) if wanted.text else query
    query = select(events).where(events.c.id.in_(few), *_conditions(connection, replace(wanted, mark=None)))
    # So few are read faster than the index of texts.
    return _looked_through(query, wanted.text, _cameras_called(connection, wanted.text)) if wanted.text else query


def counting(connection: Connection, wanted: EventFilter) -> "Select[*tuple[Any, ...]]":
    """A query of the number of events that match a filter, ignoring its limit and offset."""
    conditions = _conditions(connection, wanted)
    query = select(func.count()).select_from(events).where(*conditions)
    if not wanted.text:
        return query
    # All of them are needed, so the index is the shortest way even to what is common.
    found = containing(connection, wanted.text)
    named = _cameras_called(connection, wanted.text)
    if not conditions and not named:
        return select(func.count()).select_from(found.subquery())
    has_text = events.c.id.in_(found)
    return query.where(or_(has_text, events.c.camera_id.in_(named)) if named else has_text)


def _conditions(connection: Connection, wanted: EventFilter) -> list[ColumnElement[bool]]:
    """What a filter says, apart from its text."""
    conditions = [*_plain_conditions(wanted)]
    if wanted.source or wanted.camera_id:
        conditions.append(_is_of_camera(connection, wanted))
    if wanted.mark:
        few = _few_marked(connection, wanted)
        conditions.append(_mark_is(wanted.mark) if few is None else events.c.id.in_(few))
    return conditions


def newest(connection: Connection, wanted: EventFilter) -> "Select[*tuple[Any, ...]]":
    """A query of the events that match a filter, newest first, from its offset on and up to its limit."""
    query = matching(connection, wanted).order_by(*NEWEST_FIRST)
    return query.limit(wanted.limit).offset(wanted.offset or None)


def older_than(cursor: str) -> ColumnElement[bool]:
    """A condition: an event comes after the last one of a page; raises UsageError for what is no cursor."""
    happened_utc, mark, event_id = cursor.partition("~")
    if not mark:
        raise UsageError(f"{cursor!r} is no place in the list of events; begin again without it")
    return tuple_(events.c.happened_utc, events.c.id) < tuple_(happened_utc, event_id)


def cursor_of(happened_utc: str, event_id: str) -> str:
    """The place of an event in the list, for `older_than`."""
    return f"{happened_utc}~{event_id}"


LABELS_OF_EVENTS = text("""WITH RECURSIVE found (label) AS (
    SELECT min(label) FROM events UNION ALL
    SELECT (SELECT min(label) FROM events WHERE label > found.label) FROM found WHERE found.label IS NOT NULL)
    SELECT label FROM found WHERE label IS NOT NULL AND label <> ''
    UNION SELECT label FROM marks WHERE label <> ''""")
"""The classes that occur among events, each by one step in an index, and those that users corrected them to."""


def camera_names(connection: Connection) -> list[str]:
    """The names of the cameras that have events, sorted; for events of unknown cameras the names they came with."""
    among = [row.camera_id for row in connection.execute(CAMERAS_OF_EVENTS)]
    known = select(cameras.c.id, cameras.c.name).where(cameras.c.id.in_(among))
    names = {row.id: row.name for row in connection.execute(known)}
    strangers = [camera_id for camera_id in among if camera_id not in names]
    unknown = select(events.c.source).where(events.c.camera_id.in_(strangers)).distinct()
    return sorted({*names.values(), *(connection.execute(unknown).scalars() if strangers else ())})


def _plain_conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    """Only what is asked for is built, which takes longer than running it."""
    at_least = TIERS[TIERS.index(wanted.tier) :] if wanted.tier else TIERS
    found: list[tuple[object, Callable[[], ColumnElement[bool]]]] = [
        (wanted.since_utc, lambda: events.c.ended_utc >= (wanted.since_utc or "")),
        (wanted.until_utc, lambda: events.c.happened_utc <= (wanted.until_utc or "")),
        (wanted.tier, lambda: events.c.tier.in_([tier.value for tier in at_least])),
        (wanted.rule, lambda: events.c.rule == wanted.rule),
        (wanted.label, lambda: _is_of_class(wanted.label)),
        (wanted.open_only, lambda: events.c.end_s.is_(None)),
        (wanted.closed_only, lambda: events.c.end_s.is_not(None)),
        (wanted.place, lambda: events.c.camera_id.in_(select(cameras.c.id).where(cameras.c.place == wanted.place))),
        (wanted.state, lambda: _is_in_state(wanted.state)),
    ]
    return [condition() for given, condition in found if given]


def _is_of_class(label: str) -> ColumnElement[bool]:
    """Matches by the valid class, among the few events where it can be this one."""
    corrected = select(mark_rows.c.event_id).where(mark_rows.c.label == label)
    # The index holds events of some class alone, so that others cost nothing; SQLite uses it where that is said.
    has_label = and_(events.c.label == label, events.c.label != literal_column("''"))
    return and_(or_(has_label, events.c.id.in_(corrected)), marks.valid_label() == label)


def _is_in_state(state: EventState | None) -> ColumnElement[bool]:
    """Matches the events whose `event_record.state_of` is the state."""
    if state == "reviewed":
        return func.coalesce(marks.newest_mark_value(), "") != ""
    is_acknowledged = acknowledgements.is_acknowledged()
    if state == "acknowledged":
        return and_(marks.is_unmarked(), is_acknowledged)
    is_alarm = events.c.tier == Tier.HIGH.value
    return and_(marks.is_unmarked(), ~is_acknowledged, is_alarm if state == "alarm" else ~is_alarm)


def _is_of_camera(connection: Connection, wanted: EventFilter) -> ColumnElement[bool]:
    """Matches the camera by id or name, or else by name the events whose camera is unknown."""
    word = wanted.source or ""
    if not wanted.camera_id and CAMERA_ID.fullmatch(word):
        return events.c.camera_id == word
    named = select(cameras.c.id).where(cameras.c.name == word)
    ids = [wanted.camera_id] if wanted.camera_id else list(connection.execute(named).scalars())
    strangers = _strangers(connection) if word else []
    of_ids = events.c.camera_id.in_(ids) if ids else false()
    return or_(of_ids, and_(events.c.source == word, events.c.camera_id.in_(strangers))) if strangers else of_ids


def _strangers(connection: Connection) -> list[str]:
    """The camera ids among events that no camera has."""
    among = [row.camera_id for row in connection.execute(CAMERAS_OF_EVENTS)]
    known = set(connection.execute(select(cameras.c.id).where(cameras.c.id.in_(among))).scalars())
    return [camera_id for camera_id in among if camera_id not in known]


def _mark_is(mark: str) -> ColumnElement[bool]:
    """Matches by the valid mark, each event on its own."""
    return marks.is_unmarked() if mark == "unmarked" else func.coalesce(marks.newest_mark_value(), "") == mark


def _few_marked(connection: Connection, wanted: EventFilter) -> Sequence[str] | None:
    """The ids of the events with the mark that is asked for, or None if there are many or none is asked for."""
    if not wanted.mark or wanted.mark == "unmarked":
        return None
    return _few(connection, marks.events_marked(wanted.mark))


def _with_text(connection: Connection, query: "Select[*tuple[Any, ...]]", words: str) -> "Select[*tuple[Any, ...]]":
    ids = _cameras_called(connection, words)
    few = None if ids else _few(connection, containing(connection, words))
    return query.where(events.c.id.in_(few)) if few is not None else _looked_through(query, words, ids)


def _looked_through(
    query: "Select[*tuple[Any, ...]]", words: str, cameras_called: Sequence[str]
) -> "Select[*tuple[Any, ...]]":
    """Narrows a query to events that contain a text, or are of these cameras; each is looked at."""
    found = event_terms.contains(fold(words))
    is_so = or_(found, events.c.camera_id.in_(cameras_called)) if cameras_called else found
    return query.join(event_search, event_search.c.event_id == events.c.id).where(is_so)


def _cameras_called(connection: Connection, words: str) -> list[str]:
    """The ids of the cameras whose name contains a text."""
    named = select(cameras.c.id).where(cameras.c.name.icontains(words, autoescape=True))
    return list(connection.execute(named).scalars())


def _few(connection: Connection, query: "Select[str]") -> Sequence[str] | None:
    """The ids that a query finds, or None if there are many."""
    found = connection.execute(query.limit(FEW + 1)).scalars().all()
    return found if len(found) <= FEW else None
