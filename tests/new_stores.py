"""New stores on each database, as fixtures: a conftest takes them from here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from postgresql import PostgresServer
from vigil.store import Store

ENGINES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store belongs, on each of the databases in turn."""
    return url_of(request.param, request, tmp_path)


def url_of(engine: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Where a new store belongs: a SQLite file, or an empty database of a real PostgreSQL server."""
    if engine == "sqlite":
        return str(folder / "kept" / "events.db")
    server: PostgresServer = request.getfixturevalue("postgresql_server")
    return server.new_database()


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """A new store, on each of the databases in turn."""
    with Store.open(url, folder=tmp_path / "kept") as opened:
        yield opened


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """A new store in a SQLite file, for what only that can do."""
    with Store.open(tmp_path / "kept" / "events.db") as opened:
        yield opened
