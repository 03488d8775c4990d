import os
from pathlib import Path

import pytest

from vigil.dataset.clips import find_clips
from vigil.errors import DatasetError, UsageError
from vigil.file_names import digest
from vigil.questions import load_question

FIGHT = load_question("fight")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_folders_say_the_label_in_any_common_spelling(tmp_path: Path) -> None:
    touch(tmp_path, "Fight/a.mp4", "noFight/b.AVI", "Non-Violence/c.mkv", "打架/d.mp4")
    found = {clip.name: clip.label for clip in find_clips(tmp_path, FIGHT).clips}
    assert found == {
        "Fight/a.mp4": "alarm",
        "noFight/b.AVI": "normal",
        "Non-Violence/c.mkv": "normal",
        "打架/d.mp4": "alarm",
    }


def test_train_and_test_folders_say_the_split_wherever_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "rwf/train/Fight/a.avi", "rwf/val/NonFight/b.avi", "normal/test/c.mp4", "fight/d.mp4")
    found = {clip.path.name: clip.split for clip in find_clips(tmp_path, FIGHT).clips}
    assert found == {"a.avi": "train", "b.avi": "val", "c.mp4": "test", "d.mp4": None}


def test_a_val_folder_is_the_test_where_there_is_no_test_folder(tmp_path: Path) -> None:
    touch(tmp_path, "train/Fight/a.avi", "val/NonFight/b.avi")
    found = {clip.path.name: clip.split for clip in find_clips(tmp_path, FIGHT).clips}
    assert found == {"a.avi": "train", "b.avi": "test"}


def test_a_folder_that_means_nothing_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    touch(tmp_path, "fight/a.mp4", "normal/b.mp4", "kissing/c.mp4", "kissing/d.mp4")
    with pytest.raises(DatasetError, match=r"kissing \(2 clips\).*fight, fights.*--label FOLDER=normal"):
        find_clips(tmp_path, FIGHT)
    found = find_clips(tmp_path, FIGHT, meanings={"Kissing": "normal"}).clips
    assert [clip.label for clip in found if "kissing" in clip.name] == ["normal", "normal"]
    assert len(find_clips(tmp_path, FIGHT, meanings={"kissing": "skip"}).clips) == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no videos"),
        (("fight/notes.txt",), r"1 \.txt files"),
        (("fight/a.mp4",), "no normal clips"),
        (("normal/a.mp4",), "no alarm clips"),
        (("a.mp4", "fight/b.mp4", "normal/c.mp4"), "the folder itself"),
    ],
)
def test_folders_that_cannot_be_learned_from_are_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        find_clips(touch(tmp_path, *names), FIGHT)


def test_a_folder_that_is_not_there_is_a_wrong_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        find_clips(tmp_path / "nowhere", FIGHT)


def test_clips_of_one_name_get_slugs_of_their_own_and_hidden_files_are_no_clips(tmp_path: Path) -> None:
    touch(
        tmp_path, "train/fight/1.mp4", "test/fight/1.mp4", "train/normal/1.mp4", "test/normal/ä ö.mp4", "fight/._1.mp4"
    )
    clips = find_clips(tmp_path, FIGHT).clips
    assert len(clips) == 4
    assert len({(clip.label, clip.slug) for clip in clips}) == 4
    assert next(clip.slug for clip in clips if "ä" in clip.name) == "ä_ö"


def test_names_that_are_no_text_are_read_and_the_files_are_found(tmp_path: Path) -> None:
    night, fight = (os.fsdecode(text.encode("gb18030")) for text in ("夜里", "打架"))
    touch(tmp_path, f"{fight}/{night}.mp4", "打架/夜里.mp4", f"{fight}/a.mp4", "打架/a.mp4", f"normal/{night}.mp4")
    clips = find_clips(tmp_path, FIGHT).clips
    assert {clip.name: clip.label for clip in clips} == {
        "打架/夜里.mp4": "alarm",
        "打架/ҹ\\xc0\\xef.mp4": "alarm",
        "打架/a.mp4": "alarm",
        f"打架/a.mp4 ({digest(f'{fight}/a.mp4')})": "alarm",
        "normal/夜里.mp4": "normal",
    }
    assert all(clip.path.is_file() for clip in clips)
    assert len({(clip.label, clip.slug) for clip in clips}) == 5


def test_a_folder_of_frames_can_be_made_for_any_name(tmp_path: Path) -> None:
    touch(tmp_path, f"fight/{'斗' * 83}.mp4", f"fight/b/{'斗' * 83}.mp4", f"fight/{'x' * 250}.mp4", "normal/a.mp4")
    slugs = {clip.slug for clip in find_clips(tmp_path, FIGHT).clips if clip.label == "alarm"}
    assert len(slugs) == 3 and all(len(slug.encode()) <= 120 for slug in slugs)


def test_links_in_a_circle_are_entered_once(tmp_path: Path) -> None:
    touch(tmp_path, "fight/a.mp4", "normal/b.mp4")
    (tmp_path / "fight/again").symlink_to(tmp_path, target_is_directory=True)
    assert len(find_clips(tmp_path, FIGHT).clips) == 2


def test_the_folder_of_one_class_is_answered_with_the_folder_above(tmp_path: Path) -> None:
    touch(tmp_path, "fight/a.mp4", "normal/b.mp4")
    with pytest.raises(DatasetError, match="give the folder above it"):
        find_clips(tmp_path / "fight", FIGHT)
