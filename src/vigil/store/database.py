"""A database: opened by its URL, with transactions whose errors say what a user can do; and upserts."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import tenacity
from sqlalchemy import URL, Connection, Dialect, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from vigil.errors import RowRefused, StoreError, UsageError
from vigil.store.data_version import DataVersion
from vigil.store.postgresql import DatabaseTimeouts, connect_args, remedy_of

log = logging.getLogger(__name__)


BUSY_S = 10.0
"""How long a write waits for another process's transaction."""

FREE_PAGES = 20_000
"""Pages (of 4 KiB) returned to the file system at a time, which limits how long a writer waits."""

WRITES = "vigil_writes"


class Database:
    """A SQLite or PostgreSQL database, handed to every table of a store, which opens its transactions here.

    `name` is the path or the URL without its password, for messages; `data_version` tells whether anything was
    committed. Raises StoreError if the driver is not installed.
    """

    def __init__(self, url: URL, timeouts: DatabaseTimeouts | None = None) -> None:
        self.name = display_url(url)
        self.engine = make_engine(url, timeouts)
        self._writer = self.engine.execution_options(**{WRITES: True})
        self._shared = threading.local()
        self.data_version = DataVersion(sqlite_path(url))

    @contextmanager
    def sharing(self, action: str) -> Iterator[None]:
        """Makes all that this thread reads in the block one transaction, so that it costs one and fits together."""
        with self.reading(action) as connection:
            before = getattr(self._shared, "connection", None)
            self._shared.connection = connection
            try:
                yield
            finally:
                self._shared.connection = before

    @contextmanager
    def reading(self, action: str) -> Iterator[Connection]:
        """A read transaction with a consistent view of the database; errors are StoreErrors that name the action."""
        shared: Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            with translate_errors(action, self.name):
                yield shared
            return
        with translate_errors(action, self.name), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, action: str) -> Iterator[Connection]:
        """A write transaction: durable once the block ends, rolled back if it raises; errors as in `reading`."""
        with translate_errors(action, self.name), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Closes all connections; a later transaction opens a new one."""
        self.data_version.close()
        self.engine.dispose()


def parse_url(store: str | Path) -> URL:
    """The URL of a store given as a URL or as the path of a SQLite file; raises UsageError if it cannot be used."""
    text = str(store)
    if "://" not in text:
        if not text:
            raise UsageError("the store has no name; give a path (vigil-store/vigil.db) or a database URL")
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise UsageError("the store's URL cannot be read; write sqlite:///PATH or DIALECT://USER@HOST/NAME") from error
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise UsageError("a store in memory would lose every event; give a path: sqlite:///vigil-store/vigil.db")
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise UsageError(f"the store cannot be kept in {url.get_backend_name()}; SQLite and PostgreSQL are known")
    return url


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite database; None for other databases."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def display_url(url: URL) -> str:
    """A store's name for display: the path, or the URL without its password."""
    path = sqlite_path(url)
    return str(path) if path is not None else url.render_as_string(hide_password=True)


def make_engine(url: URL, timeouts: DatabaseTimeouts | None = None) -> Engine:
    """Creates an engine with durable writes; raises StoreError if the database's driver is not installed."""
    timeouts = timeouts or DatabaseTimeouts()
    lock_s = timeouts.lock_s or BUSY_S
    try:
        if url.get_backend_name() != "sqlite":
            # After a server restart, a new connection is opened instead of an event being lost.
            return create_engine(url, pool_pre_ping=True, connect_args=connect_args(url, timeouts, lock_s=lock_s))
        engine = create_engine(url, connect_args={"timeout": lock_s})
    except (NoSuchModuleError, ImportError) as error:
        raise StoreError(
            f"{display_url(url)} needs a driver that is not installed ({error}); "
            "install Vigil's extra `postgresql`, and write postgresql+psycopg://USER@HOST/NAME"
        ) from error
    event.listen(engine, "connect", partial(_prepare_sqlite, busy_s=lock_s))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: Any, *, busy_s: float) -> None:
    """Sets up a connection; `synchronous = FULL`, as a published event must survive a power failure."""
    # Without this the driver would begin transactions late, and run migrations outside any.
    connection.isolation_level = None
    for pragma in ("foreign_keys = ON", "synchronous = FULL", f"busy_timeout = {int(busy_s * 1000)}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts with a read cannot wait for another writer when it writes later: SQLite fails it at
    # once.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def enable_wal(engine: Engine) -> None:
    """Turns on SQLite's write-ahead log, so that readers and the writer do not block each other."""
    raw = engine.raw_connection()
    try:
        if raw.execute("PRAGMA page_count").fetchone()[0] == 0:
            raw.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _switch_journal(raw)
    finally:
        raw.close()


@tenacity.retry(
    # Two processes may open a new file at once, and the switch of the journal mode does not wait by itself.
    retry=tenacity.retry_if_exception_message(match=".*locked.*"),
    wait=tenacity.wait_random(0.01, 0.1),
    stop=tenacity.stop_after_delay(BUSY_S),
    reraise=True,
)
def _switch_journal(raw: Any) -> None:
    mode = raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        log.warning("the store's file system has no write-ahead log (journal mode %s): writers wait for readers", mode)


def vacuum_free_pages(engine: Engine) -> None:
    """Shrinks a SQLite file by its unused pages; does nothing for other databases."""
    if engine.dialect.name != "sqlite":
        return
    raw = engine.raw_connection()
    try:
        # Each step of this statement frees one page; only `executescript` runs all of them.
        raw.executescript(f"PRAGMA incremental_vacuum({FREE_PAGES})")
    finally:
        raw.close()


@contextmanager
def translate_errors(action: str, where: str) -> Iterator[None]:
    """Turns database errors into StoreErrors with a remedy, or into RowRefused if only the row is at fault."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        kind = RowRefused if _is_about_the_row(error, cause) else StoreError
        raise kind(f"{where}: {action} failed: {_explain(cause, where)}") from error


def _is_about_the_row(error: BaseException, cause: BaseException) -> bool:
    """Whether the row is at fault, and not the database, its disk or its connection."""
    if isinstance(error, IntegrityError | DataError):
        return True
    # Values that the driver cannot bind never reach the database; these errors have no class of their own.
    unbound = isinstance(error, ProgrammingError | InterfaceError) and "binding parameter" in str(cause)
    return unbound or (isinstance(error, StatementError) and not isinstance(error, DBAPIError))


_REMEDIES = {
    "SQLITE_FULL": "the disk is full; free some space (vigil events prune), what is written later will be kept",
    "SQLITE_BUSY": "another program holds it locked; end that one, or name another store",
    "SQLITE_NOTADB": "it is damaged or no database; move it away, or name another store",
    "SQLITE_CORRUPT": "it is damaged; move it away (`sqlite3 FILE .recover` may save what is in it)",
    "SQLITE_READONLY": "it cannot be written; check the permissions of the file and its folder",
    "SQLITE_CANTOPEN": "it cannot be opened; check that the folder is there and can be written",
    "SQLITE_IOERR": "the disk does not read or write; check it and the space on it",
}


def _explain(error: BaseException, where: str) -> str:
    if remedy := remedy_of(error):
        return f"{remedy} ({_in_one_line(error)})"
    name = getattr(error, "sqlite_errorname", "")
    for prefix, remedy in _REMEDIES.items():
        if name.startswith(prefix):
            return f"{remedy} ({error})"
    return _in_one_line(error).removeprefix(where).strip()


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    key: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> None:
    """Inserts rows; rows whose key (the primary one, unless named) exists are updated, except for columns in `keep`."""
    if not rows:
        return
    keys = tuple(key) or tuple(column.name for column in table.primary_key)
    fresh = tuple(name for name in rows[0] if name not in {*keys, *keep})
    bulk = _bulk_upsert(connection.dialect, table, keys, fresh, tuple(rows[0]))
    connection.exec_driver_sql(bulk.sql, bulk.parameters(rows))


@dataclass(frozen=True, slots=True)
class BulkStatement:
    """A statement in the driver's own form: SQLAlchemy takes longer to bind a row than SQLite to write it.

    `names` are its parameters in their order; `processors` convert the values of columns whose type says so.
    """

    sql: str
    names: tuple[str, ...]
    is_positional: bool
    processors: Mapping[str, Callable[[Any], Any]]

    def parameters(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """The rows as the driver takes them."""
        if self.processors:
            rows = [{**row, **{name: to(row[name]) for name, to in self.processors.items()}} for row in rows]
        return [tuple(row[name] for name in self.names) for row in rows] if self.is_positional else list(rows)


@lru_cache(maxsize=256)
def _bulk_upsert(
    dialect: Dialect, table: Table, keys: tuple[str, ...], fresh: tuple[str, ...], names: tuple[str, ...]
) -> BulkStatement:
    """The statement of an upsert, kept because building it takes longer than its execution."""
    insert = (postgresql if dialect.name == "postgresql" else sqlite).insert(table)
    values = {name: insert.excluded[name] for name in fresh}
    statement = insert.on_conflict_do_update(index_elements=keys, set_=values)
    compiled = statement.compile(dialect=dialect, column_keys=names)
    binding = {name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}
    return BulkStatement(
        sql=str(compiled),
        names=tuple(compiled.positiontup or names),
        is_positional=bool(dialect.positional),
        processors={name: to for name, to in binding.items() if to is not None},
    )
