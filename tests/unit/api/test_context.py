"""What the routes share of the store: its version, which opens nothing, and what is read again only after a commit."""

from pathlib import Path

from app.api.cameras import WatchedCameras
from app.api.context import ApiContext
from app.api.health import WaitingCounts

from rooms import CAMERA, context_of, event, with_events
from vigil.rules import CameraRules
from vigil.sources.address import find_sources
from vigil.sources.source_identity import identity_of
from vigil.store import CameraRecord, Store

NAMED = f"door={CAMERA}"


def test_the_version_is_known_once_the_store_is_open_and_opens_none(tmp_path: Path) -> None:
    with_events(tmp_path).close()
    context = ApiContext(context_of(tmp_path))
    assert context.store_version() is None
    assert context.store.changes.last() == 0
    before = context.store_version()
    assert before is not None and context.store_version() == before
    with_events(tmp_path, event(1)).close()
    assert context.store_version() not in (None, before)


def test_what_another_process_says_of_a_camera_shows_at_the_next_look(tmp_path: Path) -> None:
    [address] = find_sources([NAMED])
    with Store.open(tmp_path / "events.db") as elsewhere:
        record = CameraRecord(id="", name="door", identity=identity_of(address), kind="stream")
        camera = elsewhere.cameras.register(record)
        context = ApiContext(context_of(tmp_path, sources=(NAMED,)))
        [before] = WatchedCameras(context).all()
        elsewhere.cameras.set_place(camera.id, "north gate")
        chosen = CameraRules(schedule="22:00-06:00", timezone="Asia/Shanghai")
        elsewhere.cameras.set_rules(camera.id, chosen.to_text())
        [after] = WatchedCameras(context).all()
    assert (before.place, before.schedule) == ("", "")
    assert (after.place, after.schedule, after.timezone) == ("north gate", "22:00-06:00", "Asia/Shanghai")
    assert after.id == camera.id and "secret" not in after.address


def test_configured_cameras_that_are_not_watched_are_spare(tmp_path: Path) -> None:
    context = ApiContext(context_of(tmp_path, sources=(NAMED, "yard=rtsp://10.0.0.8:554/yard")))
    assert WatchedCameras(context).spare() == []
    context.watcher.remove("yard")
    assert WatchedCameras(context).spare() == ["yard"]


def test_a_folder_of_films_is_looked_into_each_time(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.mp4").write_bytes(b"")
    context = ApiContext(context_of(tmp_path, sources=(str(films),)))
    assert WatchedCameras(context).spare() == []
    (films / "b.mp4").write_bytes(b"")
    assert WatchedCameras(context).spare() == ["b.mp4"]


def test_what_waits_for_somebody_is_counted_again_after_a_change_alone(tmp_path: Path) -> None:
    with with_events(tmp_path, event(1), event(2)) as elsewhere:
        counts = WaitingCounts(ApiContext(context_of(tmp_path)))
        assert [counts.now(), counts.now()] == [(2, 0), (2, 0)]
        elsewhere.marks.add("e0001", "true", who="lena")
        assert counts.now() == (1, 0)
