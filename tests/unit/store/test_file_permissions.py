"""What a watch keeps shows people: under the usual umask (022) nobody but its owner can look at it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from incidents import make_event
from vigil.store import Store
from vigil.watch.cameras import CameraList
from watching import bright_server, film


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def open_to_others(folder: Path) -> dict[str, str]:
    """Whatever below a folder, and the folder itself, others can read, write or enter."""
    found = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): oct(mode(path)) for path in found if mode(path) & 0o077}


def test_all_that_a_watch_keeps_is_its_owners_while_it_watches_and_after(tmp_path: Path) -> None:
    store, seen = tmp_path / "kept" / "events.db", dict[str, str]()
    file = film(tmp_path / "a.mp4", seconds=24, bright=[(6, 12)])
    task = tmp_path / "task.yaml"
    task.write_text('name: t\nquestion: Is there a fight?\nalarm_word: "Yes"\nnormal_word: "No"\n')
    words = ["watch", str(file), "--task", str(task), "--max-pixels", "12288", "--keep-frames", "--store", str(store)]
    with bright_server() as server:
        command = [sys.executable, "-m", "vigil", *words, "--url", server.url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, umask=0o022) as watching:
            while watching.poll() is None:
                with suppress(FileNotFoundError):
                    seen |= open_to_others(store.parent)
    assert watching.returncode == 0
    kinds = {path.relative_to(store.parent).parts[0] for path in store.parent.rglob("*") if path.is_file()}
    assert {"events.db", "clips", "snapshots", "frames", ".watched"} <= kinds
    assert open_to_others(store.parent) == {}
    # A medium that is being made lies in a folder that nobody else can enter.
    assert {name for name in seen if ".partial" not in name} == set()


def test_the_log_of_the_database_is_its_owners(tmp_path: Path) -> None:
    with Store.open(tmp_path / "kept" / "events.db") as store:
        store.events.save(make_event())
        assert (tmp_path / "kept" / "events.db-wal").exists()
        assert open_to_others(tmp_path / "kept") == {}


def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    path = folder / "events.db"
    event = make_event()
    with Store.open(path) as store:
        store.events.save(event)
        store.media.keep(event.id, "clips", ".mp4", lambda clip: clip.write_bytes(b"clip") and None)
        store.media.keep_frames(event.id, 3, [b"jpeg"])
    for each in [folder, *folder.rglob("*")]:
        each.chmod(0o755 if each.is_dir() else 0o644)
    Store.open(path, create=False).close()
    assert open_to_others(folder) == {}


def test_a_folder_that_holds_other_things_too_stays_as_it_is_and_so_do_they(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("shared")
    tmp_path.chmod(0o755)
    with Store.open(tmp_path / "events.db") as store:
        event = make_event()
        store.events.save(event)
        store.media.keep(event.id, "clips", ".mp4", lambda clip: clip.write_bytes(b"clip") and None)
    assert (mode(tmp_path), mode(tmp_path / "report.txt")) == (0o755, 0o644)
    assert mode(tmp_path / "events.db") == 0o600
    assert mode(tmp_path / "clips") == 0o700


def test_rights_that_somebody_gave_to_a_group_stay(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "events.db"
    Store.open(path).close()
    path.chmod(0o660)
    path.parent.chmod(0o2770)
    Store.open(path).close()
    assert (mode(path), mode(path.parent)) == (0o660, 0o770)


def test_the_media_of_a_store_elsewhere_are_its_owners_too(tmp_path: Path) -> None:
    event = make_event()
    with Store.open(tmp_path / "db" / "events.db", folder=tmp_path / "media") as store:
        store.events.save(event)
        store.media.keep_frames(event.id, 3, [b"jpeg"])
    assert open_to_others(tmp_path / "media") == {}


def test_a_database_that_is_made_by_others_in_this_moment_is_used(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "events.db"):
        Store.open(tmp_path / "events.db").close()


def test_what_the_watch_room_remembers_is_its_owners(tmp_path: Path) -> None:
    CameraList([], file=tmp_path / "kept" / "room.yaml").add("rtsp://a:secret@10.0.0.7/1")
    assert open_to_others(tmp_path / "kept") == {}
