"""Reads the rows that belong to many ids, with one statement whatever their number.

A list that is written into the statement makes another statement for each length, and building one takes longer than
running it. So the ids are one bound value: JSON for SQLite, an array for PostgreSQL.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, String, Table, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql

IDS_AT_ONCE = 5000

Columns = tuple[Table | Column[Any], ...]


def rows_of(
    connection: Connection,
    what: Columns,
    column: Column[Any],
    ids: Sequence[str],
    *,
    order_by: tuple[Column[Any], ...] = (),
) -> "Iterator[Row[*tuple[Any, ...]]]":
    """The rows (of a table, or these columns) in which `column` is one of the ids; ordered among 5000 ids at a time."""
    if not ids:
        return
    dialect = connection.dialect.name
    statement = _statement(dialect, what, column, order_by)
    for i in range(0, len(ids), IDS_AT_ONCE):
        some = list(ids[i : i + IDS_AT_ONCE])
        yield from connection.execute(statement, {"ids": some if dialect == "postgresql" else json.dumps(some)})


@lru_cache(maxsize=64)
def _statement(
    dialect: str, what: Columns, column: Column[Any], order_by: tuple[Column[Any], ...]
) -> "Select[*tuple[Any, ...]]":
    return select(*what).where(_is_among(dialect, column)).order_by(*order_by)


def _is_among(dialect: str, column: Column[Any]) -> ColumnElement[bool]:
    if dialect == "postgresql":
        return column == any_(bindparam("ids", type_=postgresql.ARRAY(String)))
    listed = func.json_each(bindparam("ids", type_=String)).table_valued("value")
    return column.in_(select(listed.c.value))
