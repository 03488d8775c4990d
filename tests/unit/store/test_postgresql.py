"""What only a PostgreSQL server does: it is away, restarted, full, locked, slow; and many open a new store at once."""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from databases import another
from incidents import make_event, make_judged
from postgresql import PostgresServer
from vigil.errors import StoreError, UsageError
from vigil.serving.server import free_port
from vigil.store import DatabaseTimeouts, Store
from vigil.store.changes import log_changes
from vigil.store.migrations import MIGRATIONS
from vigil.store.postgresql import connect_args
from waiting import until

pytestmark = pytest.mark.postgresql

MB = 1_000_000


@pytest.fixture
def store(postgresql_server: PostgresServer, tmp_path: Path) -> Iterator[Store]:
    with Store.open(postgresql_server.new_database(), folder=tmp_path) as opened:
        yield opened


def test_a_server_that_is_away_is_told_with_what_to_do(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://vigil:secret@127.0.0.1:{free_port()}/vigil"
    with pytest.raises(StoreError, match="opening failed: the PostgreSQL server is away; check that it runs") as told:
        Store.open(url, folder=tmp_path)
    assert "secret" not in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"database": "nowhere"}, "refuses this connection; check"),
        ({"username": "nobody"}, "refuses this connection; check"),
    ],
)
def test_a_database_or_user_that_is_not_there_is_told(
    store: Store, tmp_path: Path, change: dict[str, str], told: str
) -> None:
    with pytest.raises(StoreError, match=told):
        Store.open(make_url(store.name).set(**change).render_as_string(), folder=tmp_path)  # type: ignore[arg-type]


def test_a_store_goes_on_after_the_server_was_restarted(store: Store, postgresql_server: PostgresServer) -> None:
    store.events.save(make_event(id="before"))
    postgresql_server.stop()
    try:
        with pytest.raises(StoreError, match="the PostgreSQL server is away"):
            store.events.save(make_event(id="lost"))
    finally:
        postgresql_server.start()
    store.events.save(make_event(id="after"))
    assert {event.id for event in store.events.find()} == {"before", "after"}


def test_waits_for_connections_statements_and_locks_end(store: Store, tmp_path: Path) -> None:
    timeouts = DatabaseTimeouts(statement_s=0.3, lock_s=0.1)
    store.events.save(make_event(id="e1"))
    with Store.open(store.name, folder=tmp_path, timeouts=timeouts) as impatient:
        with pytest.raises(StoreError, match="longer than the statement timeout"), impatient.database.reading("x") as c:
            c.execute(text("SELECT pg_sleep(3600)"))
        with store.database.writing("holding the event") as connection:
            connection.execute(text("SELECT * FROM events FOR UPDATE"))
            with pytest.raises(StoreError, match="another program holds it locked"):
                impatient.events.save(make_event(id="e1"))
        impatient.events.save(make_event(id="e1"))


def test_what_the_url_says_wins_over_the_timeouts_of_the_store() -> None:
    url = make_url("postgresql+psycopg://u@h/d?options=-c%20lock_timeout=7&connect_timeout=9")
    given = connect_args(url, DatabaseTimeouts(statement_s=2), lock_s=1)
    assert given["options"].endswith("-c lock_timeout=7") and "statement_timeout=2000" in given["options"]
    assert "connect_timeout" not in given
    with pytest.raises(UsageError, match="statement_s must be more than 0"):
        DatabaseTimeouts(statement_s=0)


def test_several_that_open_a_new_store_at_once_migrate_it_in_turn(
    postgresql_server: PostgresServer, tmp_path: Path
) -> None:
    url, together = postgresql_server.new_database(), threading.Barrier(5)

    def open_and_save(number: int) -> None:
        together.wait()
        with Store.open(url, folder=tmp_path) as store:
            store.events.save(make_event(id=f"e{number}"))

    with ThreadPoolExecutor(5) as openers:
        list(openers.map(open_and_save, range(5)))
    with Store.open(url, folder=tmp_path) as store, store.database.reading("a look") as connection:
        assert len(store.events.find()) == 5 == store.changes.last()
        applied = connection.execute(text("SELECT number FROM migrations ORDER BY number")).scalars().all()
    assert applied == [step.number for step in MIGRATIONS]


def test_a_change_gets_its_number_only_when_the_one_before_is_committed(store: Store) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    first = make_event(id="first")
    with ThreadPoolExecutor(1) as thread, another(store) as other:
        with store.database.writing("a slow writer") as connection:
            log_changes(connection, first, ["opened"])
            saving = thread.submit(other.events.save, make_event(id="second"))
            with store.database.reading("a look") as looking:
                until(lambda: looking.execute(waiting).scalar())
            assert not saving.done() and store.changes.last() == 0
        [second] = saving.result()
    assert [(change.sequence, change.event_id) for change in store.changes.after(0)] == [(1, "first"), (2, "second")]
    assert second.sequence == 2


def test_who_closes_several_events_does_not_deadlock_with_who_marks_one_of_them(store: Store) -> None:
    for name in ("e1", "e2"):
        store.events.save(make_event(id=name))
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with ThreadPoolExecutor(1) as thread, another(store) as other:
        with store.database.writing("a slow mark") as connection:
            connection.execute(text("SELECT * FROM events WHERE id = 'e2' FOR UPDATE"))
            closing = thread.submit(other.events.recover)
            with store.database.reading("a look") as looking:
                until(lambda: looking.execute(waiting).scalar())
            log_changes(connection, make_event(id="e2"), ["marked"])
        assert len(closing.result()) == 2
    assert [change.kind for change in store.changes.after(2)] == ["marked", "closed", "closed"]


@contextmanager
def no_room(server: PostgresServer, most_bytes: int) -> Iterator[None]:
    """Restarts the server so that no file of it grows beyond a size, as on a full disk, while the block lasts."""
    server.stop()
    server.start(most_bytes=most_bytes)
    try:
        yield
    finally:
        server.stop()
        server.start()


def test_a_server_without_room_keeps_what_was_acknowledged_and_takes_more_when_there_is_some(
    store: Store, postgresql_server: PostgresServer
) -> None:
    store.sessions.start(source="door")
    kept: list[int] = []
    # More than a file of the server's write-ahead log has.
    with (
        no_room(postgresql_server, 20 * MB),
        pytest.raises(StoreError, match=r"writing verdicts failed: .*could not extend file"),
    ):
        for window in range(100):
            store.verdicts.add([make_judged(window, text=secrets.token_hex(MB))])
            kept.append(window)
    store.verdicts.add([make_judged(200)])
    [session] = store.sessions.of_camera("door")
    assert [judged.window for judged in store.verdicts.of_session(session)] == [*kept, 200] and kept
