"""The observations table: the lines of the semantic log, by time, by camera, and by what they say.

store.observations.add([observation])                                   # durable when it returns
store.observations.find(ObservationFilter(source="door", text="梯子"))   # oldest first
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from vigil.errors import StoreError, UsageError
from vigil.observation import Observation
from vigil.store.cameras import is_of, names_and_places
from vigil.store.database import Database
from vigil.store.schema import cameras, observations
from vigil.store.term_index import TermIndex, folded_lines
from vigil.store.times import require_order

PAGE = 50
DELETED_AT_ONCE = 500
LONGEST_TEXT = 20_000
"""Characters of a text and of its fields; a model that goes on for ever fills no disk."""

MOST_DEPTH = 8

NEWEST_FIRST = (observations.c.happened_utc.desc(), observations.c.number.desc())

observation_terms = TermIndex(observations, fts="observation_terms", is_contentless=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationFilter:
    """Conditions that must all hold; the default of each matches every observation.

    `since_utc` and `until_utc` are times in the store's format, both included. `source` is the id or name of a camera,
    `place` where it is. `text` is a substring of what was observed, in any case and width of letters. `limit` keeps the
    newest. Raises UsageError for invalid values.
    """

    since_utc: str | None = None
    until_utc: str | None = None
    source: str = ""
    place: str = ""
    text: str = ""
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be at least 1, not {self.limit}")
        require_order(self.since_utc, self.until_utc)


@dataclass(frozen=True, slots=True)
class ObservationsPage:
    """Observations, newest first, and where the next page begins; `next` is empty on the last page."""

    observations: tuple[Observation, ...]
    next: str


class ObservationTable:
    """The observations of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rows: Sequence[Observation]) -> int:
        """Adds observations and returns how many are new; one with an id that is stored already changes nothing.

        So whoever does not know whether they were written adds them again. Raises UsageError for one that is longer
        than 20,000 characters, or whose fields are no JSON.
        """
        if not rows:
            return 0
        values = [_row_of(row) for row in rows]
        with self._database.writing("writing observations") as connection:
            added = _insert(connection, values)
            observation_terms.insert(connection, added)
        return len(added)

    def find(self, wanted: ObservationFilter | None = None) -> list[Observation]:
        """The observations that match a filter (by default all), oldest first."""
        wanted = wanted or ObservationFilter()
        with self._database.reading("reading observations") as connection:
            query = matching(connection, wanted).order_by(*NEWEST_FIRST).limit(wanted.limit)
            return observations_of(connection, connection.execute(query).all())[::-1]

    def page(self, wanted: ObservationFilter | None = None, *, after: str = "", size: int = PAGE) -> ObservationsPage:
        """A page of the observations that match a filter, newest first; `after` is `next` of the page before.

        However far down, a page costs what the first one does. The filter's limit is ignored.
        """
        with self._database.reading("reading observations") as connection:
            query = matching(connection, wanted or ObservationFilter()).order_by(*NEWEST_FIRST).limit(size + 1)
            rows = connection.execute(query.where(_older_than(after)) if after else query).all()
            found = tuple(observations_of(connection, rows[:size]))
        last = rows[size - 1] if len(rows) > size else None
        return ObservationsPage(found, next="" if last is None else f"{last.happened_utc}~{last.number}")

    def count(self, wanted: ObservationFilter | None = None) -> int:
        """The number of observations that match a filter, ignoring its limit."""
        with self._database.reading("counting observations") as connection:
            found = matching(connection, wanted or ObservationFilter())
            counted = found.with_only_columns(func.count(observations.c.number))
            return int(connection.execute(counted).scalar_one())

    def by_ids(self, ids: Sequence[str]) -> list[Observation]:
        """The observations with these ids, in their order; ids without one are left out."""
        with self._database.reading("reading observations") as connection:
            rows = connection.execute(select(observations).where(observations.c.id.in_(ids))).all()
            found = {each.id: each for each in observations_of(connection, rows)}
        return [found[each] for each in ids if each in found]

    def prune(self, *, before_utc: str | None, dry_run: bool = False) -> int:
        """Deletes observations from before a time, in small transactions; returns how many that are."""
        if before_utc is None:
            return 0
        old = observations.c.happened_utc < before_utc
        with self._database.reading("counting observations") as connection:
            count = int(connection.execute(select(func.count()).select_from(observations).where(old)).scalar_one())
        deleted = DELETED_AT_ONCE if count and not dry_run else 0
        while deleted == DELETED_AT_ONCE:
            with self._database.writing("deleting old observations") as connection:
                deleted = _delete_some(connection, old)
        return count


def matching(connection: Connection, wanted: ObservationFilter) -> "Select[*tuple[Any, ...]]":
    """A query of the observations that match a filter, without its order and limit."""
    query = select(observations).where(*conditions(wanted))
    return observation_terms.containing(connection, query, wanted.text) if wanted.text else query


def conditions(wanted: ObservationFilter) -> list[ColumnElement[bool]]:
    """What a filter says, apart from its text and limit."""
    at_place = select(cameras.c.id).where(cameras.c.place == wanted.place)
    found: list[tuple[object, ColumnElement[bool]]] = [
        (wanted.since_utc, observations.c.happened_utc >= (wanted.since_utc or "")),
        (wanted.until_utc, observations.c.happened_utc <= (wanted.until_utc or "")),
        (wanted.source, is_of(wanted.source, observations.c.camera_id, observations.c.source)),
        (wanted.place, observations.c.camera_id.in_(at_place)),
    ]
    return [condition for given, condition in found if given]


def observations_of(connection: Connection, rows: "Sequence[Row[*tuple[Any, ...]]]") -> list[Observation]:
    """The observations of these rows, in their order, under their cameras' present names and places."""
    shown = names_and_places(connection, list({row.camera_id for row in rows}))
    return [_observation(row, *shown.get(row.camera_id, (row.source, ""))) for row in rows]


def _insert(connection: Connection, values: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Inserts rows and returns the texts of the new ones, by number."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(observations).on_conflict_do_nothing(index_elements=["id"])
    added = connection.execute(insert.returning(observations.c.number, observations.c.words), list(values))
    return {int(row.number): str(row.words) for row in added}


def _delete_some(connection: Connection, old: ColumnElement[bool]) -> int:
    some = select(observations.c.number, observations.c.words).where(old).limit(DELETED_AT_ONCE)
    words = {int(row.number): str(row.words) for row in connection.execute(some)}
    observation_terms.remove(connection, words)
    connection.execute(observations.delete().where(observations.c.number.in_(words)))
    return len(words)


def _older_than(cursor: str) -> ColumnElement[bool]:
    happened_utc, _, number = cursor.rpartition("~")
    if not happened_utc or not number.isdecimal() or not number.isascii() or len(number) > 18:
        raise UsageError(f"{cursor!r} is no place in the list of observations; begin again without it")
    return tuple_(observations.c.happened_utc, observations.c.number) < tuple_(happened_utc, int(number))


def _row_of(observation: Observation) -> dict[str, Any]:
    fields = "" if observation.fields is None else _json_of(observation.fields, observation.id)
    longest = max(len(observation.text), len(fields))
    if longest > LONGEST_TEXT:
        raise UsageError(
            f"observation {observation.id} has {longest} characters; the store takes {LONGEST_TEXT}: shorten it"
        )
    return {
        "id": observation.id,
        "camera_id": observation.camera_id,
        "source": observation.source,
        "session_id": observation.session_id,
        "start_s": observation.start_s,
        "end_s": observation.end_s,
        "happened_utc": observation.happened_utc,
        "text": observation.text,
        "fields": fields,
        "question": observation.question,
        "model": observation.model,
        "tokens": observation.tokens,
        "words": folded_lines(observation.text, *_texts_in(observation.fields)),
    }


def _json_of(fields: Mapping[str, Any], observation_id: str) -> str:
    try:
        return json.dumps(dict(fields), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the fields of observation {observation_id} are no JSON: {error}") from error


def _texts_in(value: object, depth: int = 0) -> Iterator[str]:
    """The texts among the values of JSON, however deep; what is deeper than 8 levels is kept and not searched."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple) and depth < MOST_DEPTH:
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(each, depth + 1)


def _observation(row: Row[*tuple[Any, ...]], source: str, place: str) -> Observation:
    return Observation(
        id=row.id,
        camera_id=row.camera_id,
        source=source,
        session_id=row.session_id,
        start_s=row.start_s,
        end_s=row.end_s,
        happened_utc=row.happened_utc,
        text=row.text,
        fields=_fields_from(row.fields, row.id),
        question=row.question,
        model=row.model,
        tokens=row.tokens,
        place=place,
    )


def _fields_from(text: str, observation_id: str) -> Mapping[str, Any] | None:
    if not text:
        return None
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise StoreError(f"the fields of observation {observation_id} cannot be read: {error}") from error
    return dict(fields)
