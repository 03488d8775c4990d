"""The version of what a store holds, which tells whether what was read of it still holds."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from api_service import event
from databases import another
from vigil.store import Store
from vigil.store.data_version import DataVersion, KeptReading


def test_it_stays_while_nothing_is_committed(sqlite_store: Store) -> None:
    version = sqlite_store.database.data_version
    before = version.now()
    sqlite_store.events.find()
    sqlite_store.changes.last()
    assert before is not None and version.now() == before


def test_every_commit_changes_it_whoever_makes_it(sqlite_store: Store) -> None:
    version, seen = sqlite_store.database.data_version, []
    seen.append(version.now())
    sqlite_store.events.save(event(1))
    seen.append(version.now())
    with another(sqlite_store) as other:
        other.marks.add("e0001", "true", who="lena")
    seen.append(version.now())
    with closing(sqlite3.connect(sqlite_store.name)) as connection, connection:
        connection.execute("UPDATE events SET text = 'changed behind its back'")
    seen.append(version.now())
    assert None not in seen and len(set(seen)) == 4


def test_what_is_rolled_back_changes_nothing(sqlite_store: Store) -> None:
    before = sqlite_store.database.data_version.now()
    with closing(sqlite3.connect(sqlite_store.name, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM settings")
        connection.execute("ROLLBACK")
    assert sqlite_store.database.data_version.now() == before


def test_it_waits_for_no_writer(sqlite_store: Store) -> None:
    before = sqlite_store.database.data_version.now()
    with closing(sqlite3.connect(sqlite_store.name, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert sqlite_store.database.data_version.now() == before
        connection.execute("ROLLBACK")


def test_a_version_of_before_it_was_closed_is_never_told_again(sqlite_store: Store) -> None:
    version = sqlite_store.database.data_version
    before = version.now()
    sqlite_store.close()
    assert version.now() not in (None, before)


@pytest.mark.parametrize("name", ["missing.db", "with ? and # and 100% and 空格.db"])
def test_it_is_not_known_of_a_file_that_is_not_there_and_makes_none(tmp_path: Path, name: str) -> None:
    version = DataVersion(tmp_path / name)
    assert version.now() is None and not [*tmp_path.iterdir()]
    Store.open(tmp_path / name).close()
    assert version.now() is not None
    version.close()


def test_it_is_not_known_of_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"this is no database" * 100)
    assert DataVersion(tmp_path / "events.db").now() is None


def test_other_databases_have_none() -> None:
    assert DataVersion(None).now() is None


def test_what_was_read_is_read_again_once_something_is_committed(sqlite_store: Store) -> None:
    asked = []

    def read() -> int:
        asked.append(1)
        return sqlite_store.events.count()

    kept = KeptReading(sqlite_store.database.data_version.now, read)
    assert [kept.now(), kept.now()] == [0, 0] and len(asked) == 1
    sqlite_store.events.save(event(1))
    assert [kept.now(), kept.now()] == [1, 1] and len(asked) == 2


def test_what_is_committed_while_it_is_read_is_read_the_next_time(sqlite_store: Store) -> None:
    def read() -> int:
        found = sqlite_store.events.count()
        if not found:
            sqlite_store.events.save(event(1))
        return found

    kept = KeptReading(sqlite_store.database.data_version.now, read)
    assert [kept.now(), kept.now()] == [0, 1]


def test_nothing_is_kept_where_no_version_is_known() -> None:
    numbers = iter(range(3))
    kept = KeptReading(lambda: None, lambda: next(numbers))
    assert [kept.now(), kept.now(), kept.now()] == [0, 1, 2]
