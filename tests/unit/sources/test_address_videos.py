from pathlib import Path

import pytest

from vigil.dataset.clips import find_clips
from vigil.errors import SourceError
from vigil.questions import load_question
from vigil.sources.address import find_videos, is_video


def test_videos_are_found_at_any_depth_in_order(tmp_path: Path) -> None:
    names = ["b/2.MP4", "a.avi", "b/1.mkv", ".hidden.mp4", ".trash/c.mp4", "notes.txt", "b/._2.MP4", "d.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in find_videos(tmp_path)]
    assert found == ["a.avi", "b/1.mkv", "b/2.MP4"]


def test_a_folder_below_a_hidden_one_is_searched(tmp_path: Path) -> None:
    folder = tmp_path / ".cache" / "clips"
    folder.mkdir(parents=True)
    (folder / "a.mp4").touch()
    assert find_videos(folder) == [folder / "a.mp4"]


def test_links_are_followed_and_a_loop_is_entered_once(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store/a.mp4").touch()
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/fight").symlink_to(tmp_path / "store")
    (tmp_path / "store/loop").symlink_to(tmp_path / "store")
    assert find_videos(tmp_path / "clips") == [tmp_path / "clips/fight/a.mp4"]


def test_datasets_and_watches_know_the_same_endings(tmp_path: Path) -> None:
    for name in ("fight/a.dav", "fight/b.264", "normal/c.vob", "normal/d.hevc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [tmp_path / clip.name for clip in find_clips(tmp_path, load_question("fight")).clips]
    assert found == find_videos(tmp_path) and len(found) == 4


def test_the_name_decides_what_is_a_video() -> None:
    assert is_video(Path("A.MpG"))
    assert not is_video(Path("mp4"))
    assert not is_video(Path("a.json"))


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a folder"):
        find_videos(tmp_path / "gone")
