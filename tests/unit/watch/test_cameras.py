from pathlib import Path

import pytest

from vigil.errors import StoreError, UsageError
from vigil.sources.address import SourceEntry
from vigil.watch.cameras import CameraList
from watching import film


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    return film(tmp_path / "a.mp4", seconds=1, size_wh=(64, 64))


def test_a_source_that_is_away_is_told_and_keeps_no_other_from_being_watched(tmp_path: Path, bright: Path) -> None:
    roster = CameraList([str(tmp_path / "away.mp4"), str(bright)], file=None)
    assert [address.name for address in roster.addresses] == ["a.mp4"]
    assert "away.mp4" in roster.warnings[0]


def test_what_is_remembered_makes_way_for_a_configuration_that_names_it_by_now(tmp_path: Path) -> None:
    file = tmp_path / "room.yaml"
    first = CameraList([], file=file)
    first.add("rtsp://10.0.0.7/1")
    first.add("rtsp://10.0.0.8/1", name="rtsp://10.0.0.9/1")
    first.remove("rtsp://10.0.0.7/1")
    first.add("rtsp://10.0.0.7/1")
    again = CameraList(["rtsp://10.0.0.7/1", "rtsp://10.0.0.9/1"], file=file)
    assert {address.name: address.location for address in again.addresses} == {
        "rtsp://10.0.0.7/1": "rtsp://10.0.0.7/1",
        "rtsp://10.0.0.9/1": "rtsp://10.0.0.9/1",
        "rtsp://10.0.0.9/1 (2)": "rtsp://10.0.0.8/1",
    }


def test_a_remembered_file_that_is_away_today_is_not_forgotten(tmp_path: Path, bright: Path) -> None:
    file = tmp_path / "room.yaml"
    CameraList([], file=file).add(str(bright))
    bright.rename(tmp_path / "elsewhere.mp4")
    today = CameraList([], file=file)
    assert today.addresses == [] and "a.mp4" in today.warnings[0]
    today.add("rtsp://10.0.0.7/1")
    (tmp_path / "elsewhere.mp4").rename(bright)
    assert [address.name for address in CameraList([], file=file).addresses] == ["rtsp://10.0.0.7/1", "a.mp4"]


def test_a_memory_that_cannot_be_written_is_told_and_the_camera_is_watched_anyway(tmp_path: Path) -> None:
    (tmp_path / "room.yaml.partial").mkdir()
    roster = CameraList([], file=tmp_path / "room.yaml")
    with pytest.raises(StoreError, match="cannot be saved"):
        roster.add("rtsp://10.0.0.7/1")
    assert len(roster.addresses) == 1


def test_a_camera_too_many_is_refused_also_under_another_query(tmp_path: Path, bright: Path) -> None:
    roster = CameraList(["rtsp://10.0.0.7/1"], file=tmp_path / "room.yaml", most_cameras=3)
    roster.add("rtsp://10.0.0.8/1?a=1")
    roster.add("rtsp://10.0.0.8/1?a=2")
    with pytest.raises(UsageError, match=r"3 cameras are watched, and 3 are the most.*most_cameras"):
        roster.add("rtsp://10.0.0.8/1?a=3")
    roster.add(str(bright))
    roster.remove("rtsp://10.0.0.7/1")
    roster.add("rtsp://10.0.0.8/1?a=3")


def test_those_of_the_configuration_are_watched_however_many_they_are() -> None:
    roster = CameraList([f"rtsp://10.0.0.{number}/1" for number in range(1, 6)], file=None, most_cameras=3)
    assert len(roster.addresses) == 5
    with pytest.raises(UsageError, match="5 cameras are watched"):
        roster.add("rtsp://10.0.0.9/1")


def test_a_camera_that_may_lead_nowhere_else_stays_so_over_a_start(tmp_path: Path) -> None:
    file = tmp_path / "room.yaml"
    CameraList([], file=file).add("http://10.0.0.7/1", confined=True)
    assert [address.confined for address in CameraList([], file=file).addresses] == [True]


def test_a_name_that_looks_like_an_id_is_no_name() -> None:
    with pytest.raises(UsageError, match="looks like the id of a camera"):
        CameraList([], file=None).add("rtsp://10.0.0.7/1", name="cam_0123abcd")


def test_a_folder_that_cannot_be_added_whole_is_not_added_at_all(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / "films").mkdir(exist_ok=True)
        film(tmp_path / "films" / name, seconds=1, size_wh=(64, 64))
    roster = CameraList([], file=tmp_path / "room.yaml")
    roster.add(str(tmp_path / "films" / "b.mp4"))
    with pytest.raises(UsageError, match="being watched already"):
        roster.add(str(tmp_path / "films"))
    assert [address.name for address in roster.addresses] == ["b.mp4"]
    assert [address.name for address in CameraList([], file=tmp_path / "room.yaml").addresses] == ["b.mp4"]


def test_a_folder_that_fails_midway_takes_nothing_back_that_was_removed(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "films").mkdir(exist_ok=True)
        film(tmp_path / "films" / name, seconds=1, size_wh=(64, 64))
    roster = CameraList([str(tmp_path / "films")], file=tmp_path / "room.yaml")
    roster.remove("a.mp4")
    with pytest.raises(UsageError, match="being watched already"):
        roster.add(str(tmp_path / "films"))
    assert [address.name for address in roster.addresses] == ["b.mp4"]


def test_the_names_an_older_version_remembered_show_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "room.yaml"
    file.write_text(
        "added: [{name: 'http://10.0.0.7/v?psw=hunter2 (2)', location: 'http://10.0.0.7/v?psw=hunter2'}]\n"
        "removed: ['rtsp://10.0.0.8/passwd/hunter2/']\n",
        encoding="utf-8",
    )
    file.chmod(0o600)
    roster = CameraList(["rtsp://10.0.0.8/passwd/hunter2/", "rtsp://10.0.0.9/1"], file=file)
    assert [address.name for address in roster.addresses] == ["rtsp://10.0.0.9/1", "http://10.0.0.7/v?*** (2)"]


def test_pauses_survive_a_restart_a_new_name_and_the_removal_of_another_camera(tmp_path: Path) -> None:
    file = tmp_path / "room.yaml"
    first = CameraList(["rtsp://10.0.0.7/1", "rtsp://10.0.0.8/1"], file=file)
    first.add("rtsp://ada:s3cret@10.0.0.9/1", name="yard")
    for name in ("rtsp://10.0.0.7/1", "yard"):
        first.pause(name)
    first.rename("yard", "garden")
    first.remove("rtsp://10.0.0.8/1")
    again = CameraList([SourceEntry(url="rtsp://10.0.0.7/1", name="door"), "rtsp://10.0.0.8/1"], file=file)
    assert again.paused == {"door", "garden"}
    again.resume("door")
    assert CameraList(["rtsp://10.0.0.7/1"], file=file).paused == {"garden"}
    assert "s3cret" not in file.read_text().partition("paused:")[2]


def test_a_pause_of_a_camera_that_is_away_today_is_not_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "room.yaml"
    CameraList(["rtsp://10.0.0.7/1"], file=file).pause("rtsp://10.0.0.7/1")
    today = CameraList([], file=file)
    today.add("rtsp://10.0.0.8/1")
    assert today.paused == frozenset()
    assert CameraList(["rtsp://10.0.0.7/1"], file=file).paused == {"rtsp://10.0.0.7/1"}


def test_a_removed_camera_is_not_paused_when_it_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "room.yaml"
    first = CameraList(["rtsp://10.0.0.7/1"], file=file)
    first.pause("rtsp://10.0.0.7/1")
    first.remove("rtsp://10.0.0.7/1")
    first.add("rtsp://10.0.0.7/1")
    assert CameraList(["rtsp://10.0.0.7/1"], file=file).paused == frozenset()
