"""`vigil cameras`: what a person sees of the cameras of a store, and may say of them."""

from pathlib import Path

import pytest

from incidents import make_event
from vigil.cli.main import main
from vigil.store import CameraRecord, EventFilter, Store

DOOR = CameraRecord(
    id="", name="rtsp://10.0.0.7:554/1", identity="d" * 24, kind="stream", address="rtsp://10.0.0.7:554/1"
)


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one camera and one event of it."""
    path = tmp_path / "events.db"
    monkeypatch.setenv("VIGIL_STORE", str(path))
    with Store.open(path) as store:
        session = store.sessions.start(source=DOOR.name, camera=DOOR)
        store.events.save(make_event(source=DOOR.name, camera_id=session.camera_id))
        store.sessions.end(DOOR.name, because="stopped", camera_id=session.camera_id)
    return path


def camera_id(db: Path) -> str:
    with Store.open(db) as store:
        return store.cameras.all()[0].id


def test_cameras_are_listed_with_their_ids_names_and_events(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cameras", "list"]) == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[:5] == [camera_id(db), DOOR.name, "stream", DOOR.address, "1"]


def test_a_store_without_cameras_says_how_to_get_some(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store.open(tmp_path / "e.db").close()
    assert main(["cameras", "list", "--store", str(tmp_path / "e.db")]) == 0
    assert "has no cameras yet" in capsys.readouterr().err


def test_a_camera_is_renamed_by_id_or_name_and_its_events_go_by_the_new_name(
    db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cameras", "rename", camera_id(db), "front door"]) == 0
    assert main(["cameras", "rename", "front door", "porch"]) == 0
    assert f"{camera_id(db)} is now called porch" in capsys.readouterr().err
    assert main(["events", "list", "--source", "porch"]) == 0
    assert "porch" in capsys.readouterr().out
    assert main(["events", "export", "--source", camera_id(db), "--format", "csv"]) == 0
    assert f",porch,{camera_id(db)}," in capsys.readouterr().out


def test_a_camera_that_is_not_there_is_told_with_what_to_do(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cameras", "rename", "yard", "x"]) == 2
    assert "has no camera 'yard'; " in capsys.readouterr().err


def test_a_camera_is_moved_by_what_a_camera_file_says_and_no_password_is_shown(
    db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = camera_id(db)
    (tmp_path / "camera.txt").write_text("rtsp://user:hunter2@10.0.0.8/1\n", encoding="utf-8")
    assert main(["cameras", "move", before, str(tmp_path / "camera.txt")]) == 0
    told = capsys.readouterr()
    assert "is now at rtsp://10.0.0.8" in told.err and "hunter2" not in told.err + told.out
    with Store.open(db) as store:
        [camera] = store.cameras.all()
        assert camera.id == before and camera.name == DOOR.name
        assert len(store.events.find(EventFilter(source=before))) == 1
    assert "hunter2" not in db.read_bytes().decode(errors="replace")


def test_a_camera_that_is_being_watched_is_not_moved(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(db) as watching:
        assert watching.locks.take(camera_id(db))
        assert main(["cameras", "move", camera_id(db), "rtsp://10.0.0.8/1"]) == 2
    assert "is being watched into" in capsys.readouterr().err


def test_the_view_of_a_camera_is_said_to_be_right_with_a_line_in_the_audit_table(tmp_path: Path) -> None:
    db = tmp_path / "views.db"
    with Store.open(db) as store:
        door = store.cameras.register(CameraRecord(id="", name="door", identity="a", kind="stream"))
        store.cameras.register(CameraRecord(id="", name="a.mp4", identity="b", kind="file"))
    assert main(["cameras", "view", "door", "--store", str(db)]) == 0
    assert main(["cameras", "view", "a.mp4", "--store", str(db)]) == 2
    with Store.open(db) as store:
        assert list(store.camera_views.requests()) == [door.id]
        [entry] = store.audit.newest()
        assert entry.act == "accept the view of a camera" and entry.details == {"camera": "door"}
        assert entry.who.endswith("command line)") or entry.who == "command line"
