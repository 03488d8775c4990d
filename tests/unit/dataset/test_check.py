import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.tiny_base.vocabulary import QWEN3_VL

from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.check import check_dataset
from vigil.dataset.examples import read_splits, split_path
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.frame_files import MARKER_NAME
from vigil.errors import DatasetError
from vigil.frames import FrameSampling, decode_jpeg, encode_jpeg
from vigil.questions import load_question
from vocabularies import NAMES, save_tokenizer

Change = Callable[[dict[str, Any]], object]


MARKS = (
    "<video>",
    "<image>",
    "<audio>",
    "<|video_pad|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|vision_start|>",
    "</think>",
)


@pytest.fixture(scope="module")
def built(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    settings = ExtractSettings(sampling=FrameSampling(max_pixels=12288))
    build_dataset(BuildSettings(clips=clips, out=out, task=load_question("fight"), extract=settings))
    return out


@pytest.fixture
def data(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "data")


def change(data: Path, what: Change, *, split: str = "train") -> None:
    path = split_path(data, split)
    rows = json.loads(path.read_text())
    what(rows[0])
    path.write_text(json.dumps(rows, ensure_ascii=False))


def errors(data: Path, **options: Any) -> str:
    return "\n".join(finding.what for finding in check_dataset(data, **options).errors)


def warnings(data: Path) -> str:
    return "\n".join(finding.what for finding in check_dataset(data).findings if finding.level == "warning")


def test_a_fresh_dataset_has_no_errors_and_is_told_in_numbers(data: Path) -> None:
    report = check_dataset(data)
    assert report.errors == ()
    train = report.splits["train"]
    assert train.alarm + train.normal == train.examples
    assert set(train.frames) == {4, 6}
    assert train.sizes_wh == {(96, 64): train.examples}
    assert 200 < train.tokens < 600


def answer(text: str) -> Change:
    return lambda row: row["messages"][1].update(content=text)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (answer("画面里有人打架"), "1 answers do not begin with a verdict word"),
        (answer("没有，一切正常。"), "1 answers say the opposite of the label"),
        (
            lambda row: row["messages"][0].update(content="<video>别的问题"),
            "1 questions are not the one of the manifest",
        ),
        *((answer(f"是的，两个人{mark}在推搡。"), "1 texts hold marks that stand for pictures") for mark in MARKS),
        (lambda row: row["videos"][0].append(row["videos"][0][0]), "even number of 2 to 6 frames"),
        (lambda row: row["videos"][0].__setitem__(0, "frames/nowhere.jpg"), "1 frames are missing or unreadable"),
        (lambda row: row["videos"][0].__setitem__(0, "../../etc/passwd"), "1 frames are missing or unreadable"),
    ],
)
def test_an_example_that_would_train_wrongly_is_an_error(data: Path, what: Change, message: str) -> None:
    change(data, what)
    assert message in errors(data)


def test_a_mark_in_an_answer_is_named_with_its_row(data: Path) -> None:
    change(data, answer("是的，两个人<|im_end|>在推搡。"))
    (found,) = [finding for finding in check_dataset(data).errors if "hold marks" in finding.what]
    assert len(found.where) == 1
    assert found.where[0].startswith("anomaly-train ") and found.where[0].endswith("holds <|im_end|>")


def test_damaged_and_unequal_frames_are_errors(data: Path) -> None:
    first, second, *_ = sorted(data.glob("frames/alarm/fi1/*.jpg"))
    first.write_bytes(first.read_bytes()[:50])
    second.write_bytes(encode_jpeg(decode_jpeg(second.read_bytes())[:32, :64], quality=90))
    found = errors(data)
    assert "1 frames are missing or unreadable" in found
    assert "unequal sizes" in found


def test_a_clip_in_both_splits_is_an_error_whatever_it_is_called(data: Path) -> None:
    row = json.loads(split_path(data, "test").read_text())[0]
    change(data, lambda first: first.update(row))
    assert "1 clips are in more than one split" in errors(data)
    change(data, lambda first: first.update(clip="fight/renamed.mp4", label=row["label"]))
    assert "1 windows with identical frames are in more than one split" in errors(data)


def test_a_recording_in_both_splits_is_a_warning(data: Path) -> None:
    change(data, lambda row: row.update(group="s9"))
    change(data, lambda row: row.update(group="s9"), split="test")
    assert "1 groups (recordings) are in more than one split" in warnings(data)


def test_pairs_that_look_alike_are_counted_where_there_are_too_many_to_name(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every window of training shows the first window of the test, shifted by a pixel so that no bytes are the same."""
    shown = json.loads(split_path(data, "test").read_text())[0]["videos"][0]
    for row in json.loads(split_path(data, "train").read_text()):
        for name, frame in zip(row["videos"][0], shown, strict=False):
            picture = np.roll(decode_jpeg((data / frame).read_bytes()), 1, axis=1)
            (data / name).write_bytes(encode_jpeg(picture, quality=90))
    (alike,) = [finding for finding in check_dataset(data).findings if "look alike" in finding.what]
    assert alike.what.startswith(f"{len(alike.where)} pairs of clips in different splits look alike")
    monkeypatch.setattr("vigil.dataset.leakage.MOST_PLACES", 3)
    (few,) = [finding for finding in check_dataset(data).findings if "look alike" in finding.what]
    assert (few.what, few.where) == (alike.what, alike.where[:3])
    assert len(few.where) + few.more == len(alike.where) > 3


def test_the_progress_of_a_check_counts_up_to_all_that_there_is_to_do(data: Path) -> None:
    told: list[tuple[int, int]] = []
    check_dataset(data, progress=lambda done, total, _: told.append((done, total)))
    splits = read_splits(data, load_question("fight"))
    clips = {example.clip for examples in splits.values() for example in examples}
    frames = {frame for examples in splits.values() for example in examples for frame in example.frames}
    total = len(frames) + 2 * len(clips)
    assert told == [(done, total) for done in range(1, total + 1)]


def test_one_label_only_is_an_error(data: Path) -> None:
    path = split_path(data, "train")
    path.write_text(json.dumps([row for row in json.loads(path.read_text()) if row["label"] == "alarm"]))
    assert "anomaly-train holds only alarm examples" in errors(data)


def test_examples_longer_than_the_cutoff_are_errors_and_perhaps_longer_ones_warnings(data: Path) -> None:
    assert "longer than cutoff_len 16" in errors(data, cutoff_len=16)
    report = check_dataset(data, cutoff_len=300)
    assert any("may be longer than cutoff_len 300" in finding.what for finding in report.findings)
    assert report.errors == ()


def test_a_window_length_that_tells_the_label_is_a_warning(data: Path) -> None:
    path = split_path(data, "train")
    rows = json.loads(path.read_text())
    more = [{**row, "clip": f"{row['clip']}{n}"} for n in range(6) for row in rows if row["kind"] == "window"]
    for row in more:
        row["videos"] = [(row["videos"][0] * 2)[: 6 if row["label"] == "alarm" else 4]]
    path.write_text(json.dumps(more))
    assert "the number of frames alone reveals the label for 100%" in warnings(data)


@pytest.mark.parametrize(
    ("trait", "told"), [("HDR", "the dynamic range of the videos"), ("interlaced", "the scanning of the videos")]
)
def test_a_property_of_the_videos_that_tells_the_label_is_a_warning(data: Path, trait: str, told: str) -> None:
    path = split_path(data, "train")
    rows = [row for row in json.loads(path.read_text()) if row["kind"] == "window"]
    path.write_text(json.dumps([{**row, "clip": f"{row['clip']}{n}"} for n in range(6) for row in rows]))
    assert told not in warnings(data)
    for row in rows:
        marker = (data / row["videos"][0][0]).parent / MARKER_NAME
        traits = [trait] if row["label"] == "alarm" else []
        marker.write_text(json.dumps({**json.loads(marker.read_text()), "traits": traits}))
    assert f"{told}" in warnings(data)
    assert "alone reveals the label for 100%" in warnings(data)


def test_a_dataset_without_manifest_or_json_says_what_to_run(data: Path, tmp_path: Path) -> None:
    split_path(data, "train").write_text('[{"messages": []}]')
    with pytest.raises(DatasetError, match="example 0"):
        check_dataset(data)
    split_path(data, "train").unlink()
    assert "anomaly-train, whose file is missing" in errors(data)
    (data / "vigil.json").unlink()
    with pytest.raises(DatasetError, match="not a finished dataset"):
        check_dataset(data)


def test_an_entry_that_somebody_took_out_of_the_registry_is_missed(data: Path) -> None:
    (data / "dataset_info.json").write_text("{}")
    assert "has no entry 'anomaly-train'" in errors(data)


def test_an_edited_text_makes_the_digest_old(data: Path) -> None:
    change(data, answer(json.loads(split_path(data, "train").read_text())[0]["messages"][1]["content"] + "后来停下。"))
    assert "edited after vigil.json was written" in warnings(data)


@pytest.mark.parametrize("name", NAMES)
def test_the_true_vocabularies_find_no_fault_in_the_words(data: Path, tmp_path: Path, name: str) -> None:
    report = check_dataset(data, tokenizer=save_tokenizer(name, tmp_path / "model"))
    assert report.exact_tokens and report.errors == ()
    assert "begin with other tokens" not in "".join(finding.what for finding in report.findings)


def test_answers_that_teach_another_token_than_the_one_that_is_read_are_a_warning(data: Path, tmp_path: Path) -> None:
    change(data, answer("没有人打架。"), split="test")
    found = check_dataset(data, tokenizer=save_tokenizer(QWEN3_VL, tmp_path / "model")).findings
    assert [f.level for f in found if "begin with other tokens than the verdict word" in f.what] == ["warning"]


def test_words_that_no_token_tells_apart_are_an_error(clips: Path, tmp_path: Path) -> None:
    alarm, normal = load_question("fight").labels
    task = replace(load_question("fight"), labels=(replace(alarm, word="没有异样"), normal))
    settings = ExtractSettings(sampling=FrameSampling(max_pixels=12288))
    build_dataset(BuildSettings(clips=clips, out=tmp_path / "data", task=task, extract=settings))
    found = check_dataset(tmp_path / "data", tokenizer=save_tokenizer(QWEN3_VL, tmp_path / "model")).errors
    assert [f.what.split(",")[0] for f in found] == ["the words '没有异样' and '没有' cannot be told apart"]
