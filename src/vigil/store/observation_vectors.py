"""The vectors of observations: what each means, as numbers; `vigil.history.meaning` makes them.

They are plain rows of both databases: the SQLite of most Pythons loads no extension, and an index of an extension like
sqlite-vec reads every vector as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, Select, func, select

from vigil.store.database import Database, upsert
from vigil.store.ranked_search import HistorySpan, observation_conditions
from vigil.store.schema import observation_vectors, observations

READ_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class VectorBatch:
    """Some observations with their words and their vectors, which follow one another in `vectors`."""

    ids: tuple[str, ...]
    happened_utc: tuple[str, ...]
    words: tuple[str, ...]
    vectors: bytes


class ObservationVectorTable:
    """The vectors of a store's observations; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def missing(self, span: HistorySpan, *, limit: int) -> dict[int, str]:
        """The texts of observations of a span that have no vector yet, by number, the newest first."""
        known = select(observation_vectors.c.number).where(observation_vectors.c.number == observations.c.number)
        query = select(observations.c.number, observations.c.words).where(*observation_conditions(span))
        newest = query.where(~known.exists()).order_by(observations.c.happened_utc.desc()).limit(limit)
        with self._database.reading("looking for observations without vectors") as connection:
            return {int(row.number): str(row.words) for row in connection.execute(newest)}

    def count_missing(self, span: HistorySpan) -> int:
        """How many observations of a span have no vector yet."""
        known = select(observation_vectors.c.number).where(observation_vectors.c.number == observations.c.number)
        query = select(func.count()).select_from(observations).where(*observation_conditions(span), ~known.exists())
        with self._database.reading("counting observations without vectors") as connection:
            return int(connection.execute(query).scalar_one())

    def add(self, vectors: Mapping[int, bytes]) -> None:
        """Writes vectors, by the number of their observation; those of deleted observations are left out."""
        with self._database.writing("writing vectors") as connection:
            there = select(observations.c.number).where(observations.c.number.in_(vectors))
            rows = [{"number": n, "vector": vectors[n]} for n in connection.execute(there).scalars()]
            upsert(connection, observation_vectors, rows)

    def count(self) -> int:
        """How many observations have a vector."""
        with self._database.reading("counting vectors") as connection:
            return int(connection.execute(select(func.count()).select_from(observation_vectors)).scalar_one())

    def sample(self, most: int) -> VectorBatch:
        """At most so many of all observations with vectors, spread evenly over the store."""
        step = max(1, -(-self.count() // max(1, most)))
        rows = _with_vectors().where(observation_vectors.c.number % step == 0).limit(most)
        with self._database.reading("reading vectors") as connection:
            return _batch(connection.execute(rows).all())

    def batches(self, span: HistorySpan) -> Iterator[VectorBatch]:
        """All vectors of a span, a few thousand at a time."""
        query = _with_vectors().where(*observation_conditions(span))
        with self._database.reading("reading vectors") as connection:
            for rows in connection.execute(query).partitions(READ_AT_ONCE):
                yield _batch(rows)


def _with_vectors() -> "Select[tuple[str, str, str, bytes]]":
    """The observations that have a vector."""
    columns = (observations.c.id, observations.c.happened_utc, observations.c.words, observation_vectors.c.vector)
    return select(*columns).join(observation_vectors, observation_vectors.c.number == observations.c.number)


def _batch(rows: Sequence[Row[tuple[str, str, str, bytes]]]) -> VectorBatch:
    ids, times, words, vectors = zip(*rows, strict=True) if rows else ((), (), (), ())
    return VectorBatch(ids, times, words, b"".join(vectors))
