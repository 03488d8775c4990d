"""Full-text indexes over the parts of words, for Chinese and for languages with spaces, on SQLite and PostgreSQL.

What is searched is a plain substring in any case and width of letters. Chinese words have no spaces between them and
mostly two characters, so text is indexed by its pairs of characters, and by triples where they are ASCII. SQLite keeps
them in an FTS5 table, PostgreSQL in an array with a GIN index, which needs no extension and goes by no locale. The
index yields candidates, and the folded text beside it says which of them really contain what was asked for.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Select,
    Subquery,
    Table,
    TextClause,
    bindparam,
    column,
    func,
    literal,
    select,
    table,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

WORD = re.compile(r"[^\W_]+")
RUN = re.compile(r"[\x00-\x1f\x21-\x7f]+|[^\x00-\x7f]+")
"""Neighbours that are all ASCII, or none of them."""

PAIR, TRIPLE = 2, 3


def fold(words: str) -> str:
    """Text as it is compared: in one case, width and spacing, without what no database takes."""
    clean = words.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
    return " ".join(unicodedata.normalize("NFKC", clean).casefold().split())


def folded_lines(*texts: str) -> str:
    """Several texts, folded, a line each, so that no word goes from one into the next."""
    return "\n".join(map(fold, texts))


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


def asked_units(folded: str) -> dict[str, tuple[str, ...]]:
    """What a question asks for, and the terms of each: its words, or pairs of characters where none are divided.

    A word of ASCII letters has the triples in it, so that `fighting` is found where `fight` is asked for. Single
    letters are left out.
    """
    units: dict[str, tuple[str, ...]] = {}
    for run in RUN.findall(" ".join(WORD.findall(folded))):
        if not run.isascii():
            units |= {run[i : i + PAIR]: (run[i : i + PAIR],) for i in range(max(1, len(run) - 1))}
        elif len(run) >= PAIR:
            length = min(TRIPLE, len(run))
            units[run] = tuple(dict.fromkeys(run[i : i + length] for i in range(len(run) - length + 1)))
    return units


@dataclass(frozen=True, slots=True)
class TermIndex:
    """The index of a table with a numeric key `number` and the folded text of each row in `words`.

    `fts` is its FTS5 table in SQLite, on PostgreSQL the table has a column `terms`. An FTS5 table that `is_contentless`
    does not keep the terms, which is most of its size, and has to be told them again to forget them.
    """

    table: Table
    fts: str
    is_contentless: bool = False

    def contains(self, folded: str) -> ColumnElement[bool]:
        """A condition: the text of a row contains a folded text."""
        return self.table.c.words.contains(folded, autoescape=True)

    def containing(
        self, connection: Connection, query: "Select[*tuple[Any, ...]]", words: str
    ) -> "Select[*tuple[Any, ...]]":
        """Narrows a query to rows that contain a text, by the index where the text is long enough for it."""
        folded = fold(words)
        found = query.where(self.contains(folded))
        terms = sorted(asked_terms(folded))
        if not terms:
            return found
        if connection.dialect.name == "sqlite":
            indexed = f"{self.table.name}.number IN (SELECT rowid FROM {self.fts} WHERE {self.fts} MATCH :terms)"
            return found.where(text(indexed).bindparams(terms=" ".join(map(_token, terms))))
        return found.where(column("terms", ARRAY(Text)).contains(literal(terms, ARRAY(Text))))

    def candidates(self, connection: Connection, words: str) -> "Select[*tuple[Any, ...]] | None":
        """A query of the numbers of rows that may contain a text, by the index alone; None if it is too short for it.

        All rows that contain the text are among them.
        """
        terms = sorted(asked_terms(fold(words)))
        if not terms:
            return None
        if connection.dialect.name != "sqlite":
            has_all = column("terms", ARRAY(Text)).contains(literal(terms, ARRAY(Text)))
            return select(self.table.c.number).where(has_all)
        matching = text(f"{self.fts} MATCH :terms").bindparams(terms=" ".join(map(_token, terms)))
        return select(column("rowid", BigInteger)).select_from(table(self.fts)).where(matching)

    def count(self, connection: Connection, term: str) -> int:
        """In how many rows a term is."""
        having = self._having(connection, term)
        return int(connection.execute(select(func.count()).select_from(having)).scalar_one())

    def scores(self, connection: Connection, weights: Mapping[str, float]) -> Subquery:
        """A subquery of `number` and `score`: the rows with any of the terms, and the sum of the weights of those."""
        having = [(self._having(connection, term), weight) for term, weight in weights.items()]
        parts = [select(rows.c.number, literal(weight, Double).label("weight")) for rows, weight in having]
        every = union_all(*parts).subquery()
        return select(every.c.number, func.sum(every.c.weight).label("score")).group_by(every.c.number).subquery()

    def insert(self, connection: Connection, words: Mapping[int, str]) -> None:
        """Indexes the folded texts of new rows, by their numbers, in the caller's transaction."""
        if words:
            is_sqlite = connection.dialect.name == "sqlite"
            terms_for = _tokens if is_sqlite else _sorted_terms
            rows = [{"number": number, "terms": terms_for(folded)} for number, folded in words.items()]
            connection.execute(self._fts_insert() if is_sqlite else self._array_update(), rows)

    def remove(self, connection: Connection, words: Mapping[int, str]) -> None:
        """Forgets rows, given with the texts they were indexed with, in the caller's transaction."""
        if not words or connection.dialect.name != "sqlite":
            return
        rows = [{"number": number, "terms": _tokens(folded)} for number, folded in words.items()]
        connection.execute(self._fts_delete(), rows)

    def _having(self, connection: Connection, term: str) -> Subquery:
        """A subquery of the numbers of the rows with a term."""
        if connection.dialect.name != "sqlite":
            holds = column("terms", ARRAY(Text)).contains(literal([term], ARRAY(Text)))
            return select(self.table.c.number).where(holds).subquery()
        found = text(f"SELECT rowid AS number FROM {self.fts} WHERE {self.fts} MATCH :term")
        bound = found.bindparams(bindparam("term", _token(term), unique=True))
        return bound.columns(column("number", BigInteger)).subquery()

    def _fts_insert(self) -> TextClause:
        return text(f"INSERT INTO {self.fts} (rowid, terms) VALUES (:number, :terms)")

    def _fts_delete(self) -> TextClause:
        if self.is_contentless:
            return text(f"INSERT INTO {self.fts} ({self.fts}, rowid, terms) VALUES ('delete', :number, :terms)")
        return text(f"DELETE FROM {self.fts} WHERE rowid = :number AND :terms IS NOT NULL")

    def _array_update(self) -> TextClause:
        return text(f"UPDATE {self.table.name} SET terms = :terms WHERE number = :number")


def _token(term: str) -> str:
    # As hex digits a term is a single token, whatever SQLite takes for a letter.
    return term.encode().hex()


def _tokens(folded: str) -> str:
    return " ".join(map(_token, sorted(terms_of(folded))))


def _sorted_terms(folded: str) -> list[str]:
    return sorted(terms_of(folded))
