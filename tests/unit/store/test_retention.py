"""Retention in small steps: no transaction deletes more than a bounded number of rows, however much is old."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy import event as hooks

from incidents import make_event, make_judged
from vigil.store import PruneReport, RetentionSettings, Store, prune, retention
from vigil.store.retention import DAY_S
from vigil.store.schema import changes, event_windows, events, media, sessions, verdicts

TABLES = (events, event_windows, changes, verdicts, sessions, media)
MOST = 20


@contextmanager
def rows_of_transactions(store: Store) -> Iterator[list[int]]:
    """How many rows fewer there are after each transaction of the block."""
    with store.database.reading("a look") as connection:
        counts = [_rows(connection)]
    fewer: list[int] = []

    def note(connection: Connection) -> None:
        counts.append(_rows(connection))
        fewer.append(counts[-2] - counts[-1])

    hooks.listen(store.database.engine, "commit", note)
    yield fewer
    hooks.remove(store.database.engine, "commit", note)


def _rows(connection: Connection) -> int:
    return sum(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES)


def test_no_transaction_of_retention_deletes_more_than_a_few_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", MOST)
    monkeypatch.setattr(retention, "VERDICTS_AT_ONCE", MOST)
    for number in range(12):
        store.events.save(make_event(id=f"e{number:02d}", epoch_s=1000.0 + number, end_s=9.0, windows=7))
    for number in range(30):
        store.sessions.start(source="door", session_id=f"s{number:02d}")
        store.verdicts.add([make_judged(window) for window in range(3)])
        store.sessions.end("door", because="stopped")
    store.media.keep("e00", "clips", ".mp4", lambda path: path.write_bytes(b"clip") and None)
    store.marks.add("e11", "true", who="lena")
    everything = RetentionSettings(media_days=0, verdict_days=1, event_days=1, unread_days=None)
    with rows_of_transactions(store) as fewer:
        pruned = prune(store, everything, clock=lambda: time.time() + 3 * DAY_S)
    assert pruned == PruneReport(files=1, freed_bytes=4, verdicts=90, events=11, changes=25)
    assert max(fewer) <= MOST and sum(fewer) == 1 + 90 + 11 * 8 + 25 + 30
    assert [event.id for event in store.events.find()] == ["e11"], "what people have marked is kept"


def test_an_event_of_more_windows_than_a_step_may_have_goes_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", MOST)
    for number, windows in enumerate((2, 30, 2)):
        store.events.save(make_event(id=f"e{number}", epoch_s=1000.0 + number, end_s=9.0, windows=windows))
    with rows_of_transactions(store) as fewer:
        prune(store, RetentionSettings(event_days=1))
    assert [count for count in fewer if count] == [3, 31, 3] and store.events.find() == []


def test_old_acts_go_by_age_and_by_number_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigil.store.audit.DELETED_AT_ONCE", 3)
    for number in range(20):
        store.audit.add(f"act {number}", who="ada")
    keep = RetentionSettings(audit_days=None, audit_rows=12)
    assert prune(store, keep, dry_run=True).acts == 8 and len(store.audit.newest()) == 20
    assert prune(store, keep).acts == 8 and prune(store, keep).acts == 0
    assert [each.act for each in store.audit.newest()][-1] == "act 8"
    late_s = time.time() + 10 * 86_400
    assert prune(store, RetentionSettings(audit_days=11), clock=lambda: late_s).acts == 0
    assert prune(store, RetentionSettings(audit_days=9), clock=lambda: late_s).acts == 12
    store.audit.add("another", who="ada")
    assert [each.act for each in store.audit.newest()] == ["another"]
