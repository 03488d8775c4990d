import json
from pathlib import Path

import pytest

from scoring import write_dataset
from vigil.errors import DatasetError
from vigil.score.eval_set import dataset_clips


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
