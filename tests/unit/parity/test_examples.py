"""Which examples are compared."""

import json
from pathlib import Path

import pytest

from made_dataset import make_dataset
from vigil.errors import DatasetError
from vigil.parity.examples import entries_in, read_examples, sample_examples


def test_examples_carry_their_frames_and_the_question_without_its_mark(tmp_path: Path) -> None:
    examples = read_examples(make_dataset(tmp_path, examples=4))
    assert [len(example.jpegs) for example in examples] == [6] * 4
    assert examples[0].question.startswith("请分析")
    assert examples[0].name == "normal/clip000.mp4#0"
    assert entries_in(tmp_path) == ["anomaly-train"]


def test_a_sample_is_the_same_each_time_and_in_order(tmp_path: Path) -> None:
    examples = read_examples(make_dataset(tmp_path, examples=12))
    chosen = sample_examples(examples, limit=5)
    assert sample_examples(examples, limit=5) == chosen
    assert len(chosen) == 5
    assert [examples.index(example) for example in chosen] == sorted(examples.index(example) for example in chosen)
    assert sample_examples(examples, limit=None) == sample_examples(examples, limit=99) == examples


def test_a_rare_length_is_always_in_the_sample(tmp_path: Path) -> None:
    make_dataset(tmp_path, examples=40)
    path = tmp_path / "anomaly-train.json"
    rows = json.loads(path.read_text())
    rows[17]["videos"] = [rows[17]["videos"][0][:2]]
    path.write_text(json.dumps(rows))
    assert 2 in {len(example.frames) for example in sample_examples(read_examples(tmp_path), limit=3)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"videos": [["frames/gone.jpg", "frames/gone.jpg"]]}, "frames/gone.jpg is missing"),
        ({"videos": []}, "no window of frames"),
        ({"messages": [{"role": "user", "content": "no mark"}]}, "must begin with one <video>"),
        ({"messages": [{"role": "user", "content": "<video><video>?"}]}, "must begin with one <video>"),
    ],
)
def test_an_example_that_is_no_window_is_told(tmp_path: Path, change: dict[str, object], words: str) -> None:
    make_dataset(tmp_path, examples=1)
    path = tmp_path / "anomaly-train.json"
    path.write_text(json.dumps([json.loads(path.read_text())[0] | change]))
    with pytest.raises(DatasetError, match=words):
        read_examples(tmp_path)


def test_a_folder_without_a_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="vigil dataset build"):
        read_examples(tmp_path)
    (tmp_path / "dataset_info.json").write_text('{"other": {}}')
    with pytest.raises(DatasetError, match="names neither of"):
        read_examples(tmp_path)
