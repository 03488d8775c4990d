"""Ranks events and observations by how much of what is asked each of them contains.

    store.ranked.observations("white van", HistorySpan(since_utc=...), limit=50)

A row scores the share of the question that it has: each word (or pair of Chinese characters) counts for as much as it
is rare, by the inverse document frequency of BM25 (Robertson and Zaragoza 2009, section 3.1). A word that no row has
counts as well, so that a row with one of three words has a low score. Lengths do not count: an observation is short.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, func, select

from vigil.store.database import Database
from vigil.store.observations import observation_terms
from vigil.store.schema import event_search, events, observations
from vigil.store.search import event_terms
from vigil.store.term_index import TermIndex, asked_units, fold
from vigil.store.times import require_order

MOST_UNITS = 32
"""The rarest words of a question that are looked for; the others say little and are in many rows."""

SINGLE = 0.25
"""A single Chinese character counts a quarter: it is a verb like 拿, or what is left of a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySpan:
    """From when until when (None: open), in the store's format, and of which cameras (none: of all).

    Raises UsageError if the times are the wrong way.
    """

    since_utc: str | None = None
    until_utc: str | None = None
    camera_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_order(self.since_utc, self.until_utc)


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A row by its id; `score` is the share of the question that it contains, from 0 to 1."""

    id: str
    score: float
    happened_utc: str


class RankedSearch:
    """Ranked full-text search in a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def events(self, words: str, span: HistorySpan, *, limit: int) -> list[RankedRow]:
        """The events that contain most of these words, best first, then the newest."""
        with self._database.reading("searching events") as connection:
            query = select(events.c.id, events.c.happened_utc).where(*event_conditions(span))
            joined = query.join(event_search, event_search.c.event_id == events.c.id)
            return _ranked(connection, event_terms, joined, words, newest=events.c.happened_utc, limit=limit)

    def observations(self, words: str, span: HistorySpan, *, limit: int) -> list[RankedRow]:
        """The observations that contain most of these words, best first, then the newest."""
        with self._database.reading("searching observations") as connection:
            query = select(observations.c.id, observations.c.happened_utc).where(*observation_conditions(span))
            newest = observations.c.happened_utc
            return _ranked(connection, observation_terms, query, words, newest=newest, limit=limit)

    def count_events(self, span: HistorySpan) -> int:
        """The number of events of a span."""
        return self._count(events, event_conditions(span))

    def count_observations(self, span: HistorySpan) -> int:
        """The number of observations of a span."""
        return self._count(observations, observation_conditions(span))

    def newest_events(self, span: HistorySpan, *, limit: int, undescribed_only: bool = False) -> list[RankedRow]:
        """The newest events of a span; with `undescribed_only` those without a text, which no word finds."""
        query = select(events.c.id, events.c.happened_utc).where(*event_conditions(span))
        query = query.where(events.c.text == "") if undescribed_only else query
        with self._database.reading("reading events") as connection:
            rows = connection.execute(query.order_by(events.c.happened_utc.desc()).limit(limit))
            return [RankedRow(row.id, 1.0, row.happened_utc) for row in rows]

    def spread_observations(self, span: HistorySpan, *, limit: int) -> list[RankedRow]:
        """At most so many observations of a span, spread evenly over it, newest first."""
        step = max(1, -(-self.count_observations(span) // max(1, limit)))
        query = select(observations.c.id, observations.c.happened_utc)
        query = query.where(*observation_conditions(span), observations.c.number % step == 0)
        with self._database.reading("reading observations") as connection:
            rows = connection.execute(query.order_by(observations.c.happened_utc.desc()).limit(limit))
            return [RankedRow(row.id, 1.0, row.happened_utc) for row in rows]

    def _count(self, table: Table, conditions: Sequence[ColumnElement[bool]]) -> int:
        query = select(func.count()).select_from(table).where(*conditions)
        with self._database.reading("counting") as connection:
            return int(connection.execute(query).scalar_one())


def event_conditions(span: HistorySpan) -> list[ColumnElement[bool]]:
    """Conditions: an event overlaps the span and is of one of its cameras."""
    since = [events.c.ended_utc >= span.since_utc] if span.since_utc else []
    until = [events.c.happened_utc <= span.until_utc] if span.until_utc else []
    return [*since, *until, *_of_cameras(events, span.camera_ids)]


def observation_conditions(span: HistorySpan) -> list[ColumnElement[bool]]:
    """Conditions: an observation is within the span and of one of its cameras."""
    since = [observations.c.happened_utc >= span.since_utc] if span.since_utc else []
    until = [observations.c.happened_utc <= span.until_utc] if span.until_utc else []
    return [*since, *until, *_of_cameras(observations, span.camera_ids)]


def _of_cameras(table: Table, camera_ids: Sequence[str]) -> list[ColumnElement[bool]]:
    return [table.c.camera_id.in_(camera_ids)] if camera_ids else []


def _ranked(
    connection: Connection,
    index: TermIndex,
    query: "Select[*tuple[Any, ...]]",
    words: str,
    *,
    newest: ColumnElement[str],
    limit: int,
) -> list[RankedRow]:
    weights, whole = _weights(connection, index, words)
    if not weights:
        return []
    scores = index.scores(connection, weights)
    found = query.add_columns(scores.c.score).join(scores, scores.c.number == index.table.c.number)
    rows = connection.execute(found.order_by(scores.c.score.desc(), newest.desc()).limit(limit))
    return [RankedRow(row.id, min(1.0, row.score / whole), row.happened_utc) for row in rows]


def _weights(connection: Connection, index: TermIndex, words: str) -> tuple[dict[str, float], float]:
    """The weight of each term that is in some row, and the weight of the whole question."""
    units = asked_units(fold(words))
    rows = _size(connection, index)
    counts = {term: index.count(connection, term) for term in {term for terms in units.values() for term in terms}}
    rarity = {
        unit: _idf([counts[term] for term in terms], rows) * (1.0 if len(unit) > 1 else SINGLE)
        for unit, terms in units.items()
    }
    kept = sorted(units, key=lambda unit: -rarity[unit])[:MOST_UNITS]
    weights: dict[str, float] = {}
    for unit in kept:
        for term in units[unit]:
            if counts[term]:
                weights[term] = weights.get(term, 0.0) + rarity[unit] / len(units[unit])
    return weights, sum(rarity[unit] for unit in kept)


def _idf(counts: Sequence[int], rows: int) -> float:
    """How rare a word is, by the rarest of its terms."""
    fewest = min(counts)
    return math.log(1 + (max(rows, fewest) - fewest + 0.5) / (fewest + 0.5))


def _size(connection: Connection, index: TermIndex) -> int:
    """About how many rows a table has, without counting them."""
    number = index.table.c.number
    first, last = connection.execute(select(func.min(number), func.max(number))).one()
    return 0 if last is None else int(last) - int(first) + 1
