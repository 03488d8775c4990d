"""The store under a real kill -9 and under writes that the system really refuses."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from vigil.events import new_id
from vigil.store import PruneReport, RetentionSettings, Store, prune
from vigil.store.database import translate_errors
from waiting import HANG_S

TESTS = Path(__file__).resolve().parents[2]


def start(code: str, *words: object) -> "subprocess.Popen[str]":
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )


def test_every_event_that_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    writer = start(
        """
        import itertools, sys
        from incidents import make_event, make_judged
        from vigil.store import Store
        store = Store.open(sys.argv[1])
        for number in itertools.count():
            event = make_event(id=f"{number:06d}", windows=20, text="x" * 2000)
            store.verdicts.add([make_judged(number * 50 + i) for i in range(50)])
            store.events.save(event)
            print(event.id, flush=True)
            store.media.keep(event.id, "clips", ".mp4", lambda path: path.write_bytes(bytes(200_000)))
        """,
        tmp_path / "events.db",
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(40)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += writer.stdout.read().split()
    writer.stdout.close()
    assert writer.wait(timeout=HANG_S) == -signal.SIGKILL
    with Store.open(tmp_path / "events.db") as store:
        assert_sound(store)
        stored = {event.id: event for event in store.events.find()}
        assert set(acknowledged) <= set(stored) and all(len(event.windows) == 20 for event in stored.values())
        assert len(store.events.recover()) == len(stored) and store.events.find_open() == []
        for name in stored:
            assert all(file.path.stat().st_size == 200_000 for file in store.media.of_event(name))


def test_writes_that_the_system_refuses_cost_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    writer = start(
        """
        import resource, sys
        from incidents import make_event
        from vigil.errors import StoreError
        from vigil.store import Store
        store = Store.open(sys.argv[1])
        store.events.save(make_event(id="first"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
        refused = 0
        for number in range(300):
            try:
                store.events.save(make_event(id=f"{number:06d}", text="x" * 2000))
            except StoreError as error:
                refused, told = refused + 1, str(error)
            else:
                print(f"{number:06d}", flush=True)
        assert refused > 10 and "failed: " in told and "events.db" in told, told
        try:
            store.media.keep("first", "clips", ".mp4", lambda path: path.write_bytes(bytes(200_000)))
        except StoreError:
            print("clip-refused")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.events.save(make_event(id="again"))
        print("again")
        store.media.keep("first", "clips", ".mp4", lambda path: path.write_bytes(bytes(200_000)))
        """,
        tmp_path / "events.db",
    )
    said, _ = writer.communicate(timeout=HANG_S)
    assert writer.returncode == 0
    words = set(said.split())
    assert {"clip-refused", "again"} <= words
    with Store.open(tmp_path / "events.db") as store:
        assert_sound(store)
        assert {event.id for event in store.events.find()} == (words - {"clip-refused"}) | {"first"}
        assert [file.size_bytes for file in store.media.of_event("first")] == [200_000]
    assert list(tmp_path.rglob("*.partial*")) == []


def assert_sound(store: Store) -> None:
    with translate_errors("checking", store.name), store.database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


@pytest.mark.parametrize("kind", ["clips", "frames"])
def test_a_file_whose_writer_was_killed_before_it_was_noted_is_known_again(tmp_path: Path, kind: str) -> None:
    writer = start(
        """
        import os, signal, sys
        from incidents import make_event
        from vigil.store import Store, media
        store = Store.open(sys.argv[1])
        store.events.save(make_event(id="e1", epoch_s=1000.0, end_s=5.0))
        media.insert_media = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        if sys.argv[2] == "clips":
            store.media.keep("e1", "clips", ".mp4", lambda path: path.write_bytes(bytes(1000)))
        store.media.keep_frames("e1", 7, [bytes(500), bytes(500)])
        """,
        tmp_path / "events.db",
        kind,
    )
    assert writer.stdout is not None
    writer.stdout.close()
    assert writer.wait(timeout=HANG_S) == -signal.SIGKILL
    with Store.open(tmp_path / "events.db") as store:
        assert store.media.of_event("e1") == []
        assert (
            prune(store, RetentionSettings(media_days=None), dry_run=True) == PruneReport()
            and store.media.of_event("e1") == []
        )
        assert prune(store, RetentionSettings(media_days=None)) == PruneReport()
        assert [(file.kind, file.size_bytes) for file in store.media.of_event("e1")] == [(kind, 1000)]
        assert prune(store, RetentionSettings(media_days=1)) == PruneReport(files=1, freed_bytes=1000)
    assert [path for path in tmp_path.rglob("*") if path.suffix in {".mp4", ".jpg"}] == []


def test_a_file_of_an_event_that_is_gone_goes_and_what_vigil_did_not_write_stays(tmp_path: Path) -> None:
    with Store.open(tmp_path / "events.db") as store:
        folder = tmp_path / "clips"
        folder.mkdir()
        ours, young = folder / f"{new_id()}.mp4", folder / f"{new_id()}.mp4"
        theirs = [folder / "holiday.mp4", folder / f"{new_id()}.txt", folder / "notes"]
        for path in (ours, young, *theirs):
            path.write_bytes(b"x")
        for path in (ours, *theirs):
            os.utime(path, (1000.0, 1000.0))
        prune(store, RetentionSettings())
        assert not ours.exists() and young.exists() and all(path.exists() for path in theirs)
