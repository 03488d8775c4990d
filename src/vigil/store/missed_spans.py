"""The missed_spans table: incidents that raised no event, as people reported them: a camera, from when until when.

    span = store.missed_spans.add("door", from_utc=..., to_utc=..., who="lena", note="two people push")
    store.missed_spans.take_back(span.id, who="lena")
    store.missed_spans.find(MissedFilter(since_utc=...))        # those that count, newest first

A span that was taken back stays in the table and counts no more. Retention deletes none.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select, tuple_

from vigil.errors import UsageError
from vigil.events import new_id
from vigil.store.cameras import CAMERA_ID, is_of, is_unknown
from vigil.store.database import Database
from vigil.store.schema import cameras, missed_spans
from vigil.store.times import require_order, utc_now

LONGEST_NOTE = 4000
LONGEST_WHO = 200
LONGEST_S = 3600.0
"""A longer span is none that somebody watched; more than one incident is more than one span."""

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedSpan:
    """One missed incident; `camera_id` is empty if only the name of the camera is known.

    `taken_back_by` and `taken_back_utc` are empty while it counts.
    """

    id: str
    camera_id: str
    source: str
    from_utc: str
    to_utc: str
    note: str
    who: str
    marked_utc: str
    taken_back_by: str = ""
    taken_back_utc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedFilter:
    """Conditions that must all hold; a span matches if it overlaps the time from `since_utc` to `until_utc`.

    `source` is the id or name of a camera, `place` where it is, `text` a part of the note or of the camera's name.
    Raises UsageError if the times are the wrong way.
    """

    since_utc: str | None = None
    until_utc: str | None = None
    source: str = ""
    place: str = ""
    text: str = ""
    also_taken_back: bool = False

    def __post_init__(self) -> None:
        require_order(self.since_utc, self.until_utc)


@dataclass(frozen=True, slots=True)
class MissedPage:
    """Missed spans, newest first, and where the next page begins; `next` is empty on the last page."""

    spans: tuple[MissedSpan, ...]
    next: str


class MissedSpanTable:
    """The missed incidents of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, camera: str, *, from_utc: str, to_utc: str, who: str, note: str = "") -> MissedSpan:
        """Adds a span of a camera, given by id or name; the times are in the store's format.

        Raises UsageError if the store knows no such camera, the span is empty, longer than an hour or not over yet,
        `who` is empty or too long, or the note exceeds 4000 characters.
        """
        who = who.strip()
        now = utc_now()
        _check(from_utc, to_utc, now_utc=now, who=who, note=note)
        with self._database.writing(f"noting a missed incident of {camera}") as connection:
            camera_id, name = _camera(connection, camera, where=self._database.name)
            row = {"id": new_id(), "camera_id": camera_id, "source": name, "from_utc": from_utc, "to_utc": to_utc}
            row |= {"note": note, "who": who, "marked_utc": now, "taken_back_by": "", "taken_back_utc": ""}
            connection.execute(missed_spans.insert().values(row))
            return _read(connection, missed_spans.c.id == row["id"])[0]

    def take_back(self, span_id: str, *, who: str) -> MissedSpan:
        """Takes a span back, which stays in the table; the first to do so stays. Raises UsageError if there is none."""
        who = who.strip()
        _check_who(who)
        own = missed_spans.c.id == span_id
        with self._database.writing(f"taking back missed incident {span_id}") as connection:
            first = missed_spans.update().where(own, missed_spans.c.taken_back_utc == "")
            connection.execute(first.values(taken_back_by=who, taken_back_utc=utc_now()))
            found = _read(connection, own)
        if not found:
            raise UsageError(f"there is no missed incident {span_id!r} to take back")
        return found[0]

    def get(self, span_id: str) -> MissedSpan | None:
        """The span with this id; None if there is none."""
        with self._database.reading("reading missed incidents") as connection:
            return next(iter(_read(connection, missed_spans.c.id == span_id)), None)

    def find(self, wanted: MissedFilter | None = None, *, limit: int | None = None) -> list[MissedSpan]:
        """The spans that match a filter (by default all that count), newest first."""
        with self._database.reading("reading missed incidents") as connection:
            return _read(connection, *_conditions(wanted or MissedFilter()), limit=limit)

    def page(self, wanted: MissedFilter | None = None, *, after: str = "", size: int = PAGE) -> MissedPage:
        """A page of the spans that match a filter, newest first; `after` is `next` of the page before."""
        conditions = [*_conditions(wanted or MissedFilter()), *([_older_than(after)] if after else [])]
        with self._database.reading("reading missed incidents") as connection:
            found = _read(connection, *conditions, limit=size + 1)
        last = found[size - 1] if len(found) > size else None
        return MissedPage(tuple(found[:size]), next="" if last is None else f"{last.from_utc}~{last.id}")

    def count(self, wanted: MissedFilter | None = None) -> int:
        """The number of spans that match a filter."""
        query = select(func.count()).select_from(missed_spans).where(*_conditions(wanted or MissedFilter()))
        with self._database.reading("counting missed incidents") as connection:
            return int(connection.execute(query).scalar_one())


def missed_record(span: MissedSpan) -> dict[str, Any]:
    """The fields of a missed incident in exports and answers, named like those of an event and its mark."""
    return {
        "missed": span.id,
        "source": span.source,
        "camera_id": span.camera_id,
        "from_utc": span.from_utc,
        "to_utc": span.to_utc,
        "note": span.note,
        "marked_by": span.who,
        "marked_utc": span.marked_utc,
        "taken_back_by": span.taken_back_by,
        "taken_back_utc": span.taken_back_utc,
    }


def _check(from_utc: str, to_utc: str, *, now_utc: str, who: str, note: str) -> None:
    _check_who(who)
    if from_utc >= to_utc:
        raise UsageError(f"nothing lies between {from_utc} and {to_utc}: the times are the wrong way")
    if to_utc > now_utc:
        raise UsageError(f"{to_utc} is yet to come; a missed incident is over")
    if _seconds(to_utc) - _seconds(from_utc) > LONGEST_S:
        raise UsageError(f"{from_utc} to {to_utc} is longer than {LONGEST_S:g} s; give the time of the incident itself")
    if len(note) > LONGEST_NOTE:
        raise UsageError(f"the note is longer than {LONGEST_NOTE} characters ({len(note)}); shorten it")


def _check_who(who: str) -> None:
    if not 0 < len(who) <= LONGEST_WHO:
        raise UsageError(f"say who it is, in at most {LONGEST_WHO} characters")


def _seconds(utc: str) -> float:
    return datetime.fromisoformat(utc).timestamp()


def _camera(connection: Connection, word: str, *, where: str) -> tuple[str, str]:
    """Id and name of a camera that the store knows."""
    is_meant = cameras.c.id == word if CAMERA_ID.fullmatch(word) else cameras.c.name == word
    found = connection.execute(select(cameras.c.id, cameras.c.name).where(is_meant)).all()
    if not found:
        raise UsageError(f"{where} has no camera {word!r}; `vigil cameras list` shows those it has")
    if len(found) > 1:
        ids = ", ".join(str(row.id) for row in found)
        raise UsageError(f"{len(found)} cameras are called {word!r}; give an id: {ids}")
    return str(found[0].id), str(found[0].name)


def _conditions(wanted: MissedFilter) -> list[ColumnElement[bool]]:
    at_place = select(cameras.c.id).where(cameras.c.place == wanted.place)
    called = select(cameras.c.id).where(cameras.c.name.icontains(wanted.text, autoescape=True))
    noted = missed_spans.c.note.icontains(wanted.text, autoescape=True)
    found: list[tuple[object, ColumnElement[bool]]] = [
        (wanted.since_utc, missed_spans.c.to_utc >= (wanted.since_utc or "")),
        (wanted.until_utc, missed_spans.c.from_utc <= (wanted.until_utc or "")),
        (wanted.source, is_of(wanted.source, missed_spans.c.camera_id, missed_spans.c.source)),
        (wanted.place, missed_spans.c.camera_id.in_(at_place)),
        (wanted.text, or_(noted, missed_spans.c.camera_id.in_(called), _named(wanted.text))),
        (not wanted.also_taken_back, missed_spans.c.taken_back_utc == ""),
    ]
    return [condition for given, condition in found if given]


def _named(text: str) -> ColumnElement[bool]:
    """A condition: the camera of a span is unknown by now, and its name contains a text."""
    return and_(missed_spans.c.source.icontains(text, autoescape=True), is_unknown(missed_spans.c.camera_id))


def _older_than(cursor: str) -> ColumnElement[bool]:
    from_utc, mark, span_id = cursor.partition("~")
    if not mark:
        raise UsageError(f"{cursor!r} is no place in the list of missed incidents; begin again without it")
    return tuple_(missed_spans.c.from_utc, missed_spans.c.id) < tuple_(from_utc, span_id)


def _read(connection: Connection, *conditions: ColumnElement[bool], limit: int | None = None) -> list[MissedSpan]:
    """The spans under their cameras' present names, newest first."""
    name = func.coalesce(cameras.c.name, missed_spans.c.source)
    query: Select[Any] = select(missed_spans, name.label("called")).outerjoin(
        cameras, cameras.c.id == missed_spans.c.camera_id
    )
    query = query.where(*conditions).order_by(missed_spans.c.from_utc.desc(), missed_spans.c.id.desc()).limit(limit)
    return [_span(row) for row in connection.execute(query)]


def _span(row: Row[Any]) -> MissedSpan:
    told = {str(name): value for name, value in row._mapping.items()}
    values = {name: told[name] for name in MissedSpan.__slots__}
    return MissedSpan(**values | {"source": told["called"]})
