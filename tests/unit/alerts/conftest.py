from collections.abc import Iterator
from pathlib import Path

import pytest

from postgresql import PostgresServer
from vigil.store import Store


@pytest.fixture
def engine() -> str:
    """The database of `store`; a module whose tests run on both overrides it."""
    return "sqlite"


@pytest.fixture
def store(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A new store: a SQLite file, or an empty database of a real PostgreSQL server."""
    url = str(tmp_path / "kept" / "events.db")
    if engine == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgresql_server")
        url = server.new_database()
    with Store.open(url, folder=tmp_path / "kept") as opened:
        yield opened


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """A new store in a SQLite file, for what only that can do."""
    with Store.open(tmp_path / "kept" / "events.db") as opened:
        yield opened
