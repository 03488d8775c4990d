from pathlib import Path

import cv2
import numpy as np
import pytest

from judging import SAMPLING, TASK
from vigil.errors import UsageError
from vigil.score.eval_set import video_clips


def write_video(path: Path, *, frames: int = 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (128, 96))
    for number in range(frames):
        writer.write(np.full((96, 128, 3), 5 * number % 255, np.uint8))
    writer.release()
    return path


def test_video_files_are_cut_and_labelled_by_their_folders(tmp_path: Path) -> None:
    write_video(tmp_path / "test" / "alarm" / "fi1.mp4")
    write_video(tmp_path / "test" / "Normal" / "no1.MP4".lower())
    (tmp_path / "sources.csv").write_text("clip,label,source\nfi1,alarm,s1\n")
    clips = video_clips([tmp_path], TASK, SAMPLING)
    assert {(c.name, c.label, c.group) for c in clips} == {
        ("test/alarm/fi1.mp4", "alarm", "s1"),
        ("test/Normal/no1.mp4", "normal", "test/Normal/no1.mp4"),
    }
    (window,) = clips[0].windows()
    assert len(window.jpegs) == 6 and window.end_s == pytest.approx(2.5, abs=0.11)


def test_a_single_file_takes_its_label_from_its_folder(tmp_path: Path) -> None:
    (clip,) = video_clips([write_video(tmp_path / "alarm" / "x.mp4")], TASK, SAMPLING)
    assert (clip.name, clip.label) == ("alarm/x.mp4", "alarm")


def test_a_clip_without_a_label_is_refused_and_not_left_out(tmp_path: Path) -> None:
    write_video(tmp_path / "things" / "x.mp4")
    write_video(tmp_path / "alarm" / "y.mp4")
    with pytest.raises(UsageError, match=r"1 of 2 clips .* things/x\.mp4"):
        video_clips([tmp_path], TASK, SAMPLING)
    assert len(video_clips([tmp_path / "alarm"], TASK, SAMPLING)) == 1


def test_no_clips_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no video files"):
        video_clips([tmp_path], TASK, SAMPLING)
    with pytest.raises(UsageError, match="neither a folder nor a file"):
        video_clips([tmp_path / "nowhere"], TASK, SAMPLING)


def test_two_clips_of_one_name_would_be_one_and_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_video(tmp_path / folder / "alarm" / "x.mp4")
    with pytest.raises(UsageError, match=r"2 clips are named alarm/x\.mp4"):
        video_clips([tmp_path / "a", tmp_path / "b"], TASK, SAMPLING)
    assert len(video_clips([tmp_path], TASK, SAMPLING)) == 2
