"""Full-text search of events: an index over the parts of words, for Chinese and for languages with spaces.

    store.search.find("打架", limit=25)         # ids of events whose description, notes or name contain it
    store.search.index_missing()                # events that an older Vigil wrote into this store

What is searched is a plain substring in any case and width of letters. Chinese words have no spaces between them and
mostly two characters, so text is indexed by its pairs of characters, and by triples where they are ASCII. SQLite keeps
them in an FTS5 table, PostgreSQL in an array with a GIN index, which needs no extension and goes by no locale. The
index yields candidates, and the folded text beside it says which of them really contain what was asked for.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, Select, column, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from vigil.store.database import Database, upsert
from vigil.store.schema import event_search, events, marks

ROWS_AT_ONCE = 500
WORD = re.compile(r"[^\W_]+")
PAIR, TRIPLE = 2, 3

FIND_FTS = "event_search.number IN (SELECT rowid FROM event_terms WHERE event_terms MATCH :terms)"
DELETE_FTS = text("DELETE FROM event_terms WHERE rowid = :number")
INSERT_FTS = text("INSERT INTO event_terms (rowid, terms) VALUES (:number, :terms)")
INSERT_WORDS = event_search.insert()
SET_TERMS = text("UPDATE event_search SET terms = :terms WHERE number = :number")


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


def fold(words: str) -> str:
    """Text as it is compared: in one case, width and spacing, without what no database takes."""
    clean = words.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
    return " ".join(unicodedata.normalize("NFKC", clean).casefold().split())


def terms_of(folded: str) -> set[str]:
    """The parts by which a folded text is indexed."""
    found: set[str] = set()
    for word in WORD.findall(folded):
        found |= {word[i : i + TRIPLE] for i in range(len(word) - TRIPLE + 1) if word[i : i + TRIPLE].isascii()}
        found |= {word[i : i + PAIR] for i in range(len(word) - PAIR + 1)}
        found |= {character for character in word if not character.isascii()}
    return found


def asked_terms(folded: str) -> set[str]:
    """The parts that a text must have to contain a folded text, without those that follow from longer ones.

    Empty if it is too short to be found by the index: a single letter, a sign.
    """
    found = terms_of(folded)
    return {term for term in found if not any(term in other and term != other for other in found)}


def contains(folded: str) -> ColumnElement[bool]:
    """A condition on `event_search`: its text contains a folded text."""
    return event_search.c.words.contains(folded, autoescape=True)


def containing(connection: Connection, words: str) -> "Select[str]":
    """A query of the ids of events that contain a text, by the index where the text is long enough for it."""
    folded = fold(words)
    found = select(event_search.c.event_id).where(contains(folded))
    terms = asked_terms(folded)
    if not terms:
        return found
    if connection.dialect.name == "sqlite":
        return found.where(text(FIND_FTS).bindparams(terms=" ".join(map(_token, sorted(terms)))))
    return found.where(column("terms", ARRAY(Text)).contains(literal(sorted(terms), ARRAY(Text))))


def missing(connection: Connection) -> list[str]:
    """Ids of some events that are not in the index."""
    known = select(event_search.c.event_id).where(event_search.c.event_id == events.c.id).exists()
    return list(connection.execute(select(events.c.id).where(~known).limit(ROWS_AT_ONCE)).scalars())


def index_new(connection: Connection, event_id: str, source: str, described: str) -> None:
    """Indexes an event that was just inserted, and so has no notes, in the caller's transaction."""
    words = _joined(source, described)
    added = connection.execute(INSERT_WORDS, {"event_id": event_id, "words": words})
    key = added.inserted_primary_key
    assert key is not None
    statement, terms = (INSERT_FTS, _tokens) if connection.dialect.name == "sqlite" else (SET_TERMS, _sorted)
    connection.execute(statement, {"number": key[0], "terms": terms(words)})


def index_events(connection: Connection, ids: Sequence[str]) -> None:
    """Brings the index up to date with these events and their notes, in the caller's transaction."""
    if not ids:
        return
    words = _words(connection, ids)
    upsert_words(connection, words)
    numbers = select(event_search.c.event_id, event_search.c.number).where(event_search.c.event_id.in_(words))
    rows = [{"number": number, "words": words[event_id]} for event_id, number in connection.execute(numbers)]
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(DELETE_FTS, [{"number": row["number"]} for row in rows])
        connection.execute(INSERT_FTS, [{"number": row["number"], "terms": _tokens(row["words"])} for row in rows])
    else:
        connection.execute(SET_TERMS, [{"number": row["number"], "terms": _sorted(row["words"])} for row in rows])


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
    return {row.id: _joined(row.source, row.text, *notes[row.id]) for row in rows}


def _joined(*texts: str) -> str:
    return "\n".join(map(fold, texts))


def _token(term: str) -> str:
    # As hex digits a term is a single token, whatever SQLite takes for a letter.
    return term.encode().hex()


def _tokens(folded: str) -> str:
    return " ".join(map(_token, sorted(terms_of(folded))))


def _sorted(folded: str) -> list[str]:
    return sorted(terms_of(folded))
