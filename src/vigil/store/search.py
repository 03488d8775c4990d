"""Full-text search of events: the index of their descriptions, notes and names.

store.search.find("打架", limit=25)         # ids of events whose description, notes or name contain it
store.search.index_missing()                # events that an older Vigil wrote into this store
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Select, select

from vigil.store.database import Database, upsert
from vigil.store.schema import event_search, events, marks
from vigil.store.term_index import TermIndex, folded_lines

ROWS_AT_ONCE = 500
INSERT_WORDS = event_search.insert()

event_terms = TermIndex(event_search, fts="event_terms")


class SearchIndex:
    """The full-text index of a store's events; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, words: str, *, limit: int) -> list[str]:
        """The ids of events that contain a text, in no order, at most `limit`."""
        with self._database.reading("searching events") as connection:
            return list(connection.execute(containing(connection, words).limit(limit)).scalars())

    def index_missing(self) -> int:
        """Indexes events that are not in the index, as an older Vigil may write into the store; returns how many."""
        done = 0
        while True:
            with self._database.writing("indexing events") as connection:
                some = missing(connection)
                index_events(connection, some)
            done += len(some)
            if len(some) < ROWS_AT_ONCE:
                return done


def containing(connection: Connection, words: str) -> "Select[str]":
    """A query of the ids of events that contain a text, by the index where the text is long enough for it."""
    return event_terms.containing(connection, select(event_search.c.event_id), words)


def missing(connection: Connection) -> list[str]:
    """Ids of some events that are not in the index."""
    known = select(event_search.c.event_id).where(event_search.c.event_id == events.c.id).exists()
    return list(connection.execute(select(events.c.id).where(~known).limit(ROWS_AT_ONCE)).scalars())


def index_new(connection: Connection, event_id: str, source: str, described: str) -> None:
    """Indexes an event that was just inserted, and so has no notes, in the caller's transaction."""
    words = folded_lines(source, described)
    added = connection.execute(INSERT_WORDS, {"event_id": event_id, "words": words})
    key = added.inserted_primary_key
    assert key is not None
    event_terms.insert(connection, {key[0]: words})


def index_events(connection: Connection, ids: Sequence[str]) -> None:
    """Brings the index up to date with these events and their notes, in the caller's transaction."""
    if not ids:
        return
    words = _words(connection, ids)
    upsert_words(connection, words)
    numbers = select(event_search.c.event_id, event_search.c.number).where(event_search.c.event_id.in_(words))
    numbered = {int(number): words[event_id] for event_id, number in connection.execute(numbers)}
    event_terms.remove(connection, numbered)
    event_terms.insert(connection, numbered)


def upsert_words(connection: Connection, words: dict[str, str]) -> None:
    """Writes the folded texts of events, by id."""
    rows = [{"event_id": event_id, "words": folded} for event_id, folded in words.items()]
    upsert(connection, event_search, rows, key=("event_id",))


def _words(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """The folded text of each event: its source, its description and its notes, a line each."""
    notes: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(select(marks.c.event_id, marks.c.note).where(marks.c.event_id.in_(ids))):
        notes[row.event_id].append(row.note)
    rows = connection.execute(select(events.c.id, events.c.source, events.c.text).where(events.c.id.in_(ids)))
    return {row.id: folded_lines(row.source, row.text, *notes[row.id]) for row in rows}
