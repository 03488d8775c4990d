import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from judging import SAMPLING, TASK
from scoring import write_dataset
from vigil.errors import DatasetError, UsageError
from vigil.score.groups import groups_beside, read_groups
from vigil.score.items import dataset_clips, video_clips


def write_video(path: Path, *, frames: int = 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (128, 96))
    for number in range(frames):
        writer.write(np.full((96, 128, 3), 5 * number % 255, np.uint8))
    writer.release()
    return path


def test_a_dataset_gives_its_clips_with_the_stored_pictures(tmp_path: Path) -> None:
    data = write_dataset(tmp_path, {"alarm/a": [10, 20], "normal/b": [30]})
    clips = dataset_clips(data, "test")
    assert [(c.name, c.label, c.group) for c in clips] == [
        ("alarm/a", "alarm", "alarm/a"),
        ("normal/b", "normal", "normal/b"),
    ]
    first, second = clips[0].windows()
    assert len(first.jpegs) == 6 and first.jpegs[0] == (tmp_path / "frames/alarm/a/000-0.jpg").read_bytes()
    assert (second.window, second.start_s) == (1, 2.0) and first.digest != second.digest


def test_all_is_every_split(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"alarm/a": [10]}, split="train")
    write_dataset(tmp_path, {"normal/b": [10]}, split="test")
    assert {clip.name for clip in dataset_clips(tmp_path, "all")} == {"alarm/a", "normal/b"}


def test_a_folder_that_is_no_dataset_says_what_makes_one(tmp_path: Path) -> None:
    for split in ("test", "all"):
        with pytest.raises(DatasetError, match="vigil dataset build"):
            dataset_clips(tmp_path, split)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["{", "{}", '[{"clip": "a"}]', "[1]"])
def test_a_damaged_dataset_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "anomaly-test.json").write_text(text)
    with pytest.raises(DatasetError, match=r"anomaly-test\.json"):
        dataset_clips(tmp_path, "test")


def test_an_empty_split_cannot_be_scored(tmp_path: Path) -> None:
    (tmp_path / "anomaly-test.json").write_text("[]")
    with pytest.raises(DatasetError, match="empty"):
        dataset_clips(tmp_path, "test")


def test_a_missing_frame_is_an_error_and_not_an_unknown(tmp_path: Path) -> None:
    data = write_dataset(tmp_path, {"alarm/a": [10]})
    (data / "frames/alarm/a/000-3.jpg").unlink()
    with pytest.raises(DatasetError, match=r"000-3\.jpg"):
        dataset_clips(data, "test")[0].windows()


def test_windows_of_one_clip_must_agree(tmp_path: Path) -> None:
    data = write_dataset(tmp_path, {"alarm/a": [10, 20]})
    examples = json.loads((data / "anomaly-test.json").read_text())
    examples[1]["label"] = "normal"
    (data / "anomaly-test.json").write_text(json.dumps(examples))
    with pytest.raises(DatasetError, match="different labels"):
        dataset_clips(data, "test")


def test_video_files_are_cut_and_labelled_by_their_folders(tmp_path: Path) -> None:
    write_video(tmp_path / "test" / "alarm" / "fi1.mp4")
    write_video(tmp_path / "test" / "Normal" / "no1.MP4".lower())
    (tmp_path / "sources.csv").write_text("clip,label,source\nfi1,alarm,s1\n")
    clips = video_clips([tmp_path], TASK, SAMPLING, groups=groups_beside([tmp_path]))
    assert {(c.name, c.label, c.group) for c in clips} == {
        ("test/alarm/fi1.mp4", "alarm", "s1"),
        ("test/Normal/no1.mp4", "normal", "test/Normal/no1.mp4"),
    }
    (window,) = clips[0].windows()
    assert len(window.jpegs) == 6 and window.end_s == pytest.approx(2.5, abs=0.11)


def test_a_single_file_takes_its_label_from_its_folder(tmp_path: Path) -> None:
    (clip,) = video_clips([write_video(tmp_path / "alarm" / "x.mp4")], TASK, SAMPLING)
    assert (clip.name, clip.label) == ("x.mp4", "alarm")


def test_clips_without_labels_cannot_be_scored(tmp_path: Path) -> None:
    write_video(tmp_path / "things" / "x.mp4")
    with pytest.raises(UsageError, match="1 video files, none in a folder"):
        video_clips([tmp_path / "things"], TASK, SAMPLING)
    with pytest.raises(UsageError, match="neither a folder nor a file"):
        video_clips([tmp_path / "nowhere"], TASK, SAMPLING)


def test_a_csv_without_the_columns_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match="columns clip and source"):
        read_groups(tmp_path / "s.csv")
