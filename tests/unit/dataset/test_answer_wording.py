import json
from dataclasses import replace
from pathlib import Path

import pytest

from made_dataset import make_dataset
from vigil.dataset.answers import has_description, taught
from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.check import check_dataset
from vigil.dataset.examples import read_splits, split_path
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.preview import write_preview
from vigil.dataset.previous_answers import ASIDE_NAME
from vigil.frames import FrameSampling
from vigil.manifest import read_manifest
from vigil.questions import load_question
from vigil.training.data import read_training_data

FIGHT = load_question("fight")
EXTRACT = ExtractSettings(sampling=FrameSampling(max_pixels=12288))
BARE = {"是的。", "没有。"}


def plan(clips: Path, out: Path, **more: object) -> BuildSettings:
    return replace(BuildSettings(clips=clips, out=out, task=FIGHT, extract=EXTRACT), **more)


def answers_in(folder: Path) -> list[str]:
    return [example.answer for examples in read_splits(folder, FIGHT).values() for example in examples]


def write_by_hand(folder: Path, answer: str, *, of: str) -> None:
    """Edits the JSON as a person with an editor does: the answers of every window of a clip."""
    for split in ("train", "test"):
        path = split_path(folder, split)  # type: ignore[arg-type]
        rows = json.loads(path.read_text(encoding="utf-8"))
        for row in rows:
            if row["clip"] == of:
                row["messages"][1]["content"] = answer
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def test_nothing_but_the_verdict_is_taught_where_nobody_described_a_clip(clips: Path, tmp_path: Path) -> None:
    report = build_dataset(plan(clips, tmp_path))
    assert set(answers_in(tmp_path)) == BARE
    assert report.manifest.contract.answers == read_manifest(tmp_path).contract.answers == "verdict"
    words = read_manifest(tmp_path).training["dataset"]["words"]
    assert {kind for counts in words.values() for kind in counts} == {"none"}


def test_what_a_person_wrote_stays_and_is_counted(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    write_by_hand(tmp_path, "是的，红衣男子先动手。", of="fight/fi0.mp4")
    build_dataset(plan(clips, tmp_path))
    assert set(answers_in(tmp_path)) == {*BARE, "是的，红衣男子先动手。"}
    facts = check_dataset(tmp_path).splits
    assert sum(split.words.get("human", 0) for split in facts.values()) == 2
    assert sum(split.words["none"] for split in facts.values()) == 16
    page = write_preview(tmp_path, tmp_path / "p.html", limit=None).read_text(encoding="utf-8")
    assert "words from: human 2, none 16" in page


def test_stock_sentences_of_an_earlier_build_go_and_come_only_when_asked_for(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path, answers="words"))
    assert all(has_description(answer, FIGHT) for answer in answers_in(tmp_path))
    assert read_manifest(tmp_path).contract.answers == "words"
    assert set(check_dataset(tmp_path).splits["train"].words) == {"template"}
    build_dataset(plan(clips, tmp_path))
    assert set(answers_in(tmp_path)) == BARE


def test_verdicts_alone_lose_no_words_that_people_wrote(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    write_by_hand(tmp_path, "是的，红衣男子先动手。", of="fight/fi0.mp4")
    report = build_dataset(plan(clips, tmp_path, answers="verdict"))
    assert set(answers_in(tmp_path)) == BARE
    assert any(ASIDE_NAME in note for note in report.notes)
    build_dataset(plan(clips, tmp_path))
    assert "是的，红衣男子先动手。" in answers_in(tmp_path)


def test_a_verdict_that_a_person_corrected_is_theirs_without_any_words(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    write_by_hand(tmp_path, "没有。", of="fight/fi1.mp4")
    build_dataset(plan(clips, tmp_path))
    assert [error.what for error in check_dataset(tmp_path).errors] == ["1 answers say the opposite of the label"]


def test_the_manifest_of_a_model_tells_what_it_was_trained_to_answer_with(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    assert read_training_data(data, ["anomaly-train"]).manifest.contract.answers == "words"
    path = split_path(data, "train")
    rows = json.loads(path.read_text(encoding="utf-8"))
    for row in rows[3:]:
        row["messages"][1]["content"] = row["messages"][1]["content"][:2] + "。"
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert read_training_data(data, ["anomaly-train"]).manifest.contract.answers == "verdict"
    few = [finding.what for finding in check_dataset(data).findings if "described" in finding.what]
    assert few[0].startswith("only 1 of 8 alarm windows of training are described")


@pytest.mark.parametrize(
    ("answers", "taught_to_say"),
    [
        (["是的，有人。", "是的。", "是的，打了。"], "words"),
        (["是的，有人。", "是的。"], "verdict"),
        (["是的", "没有，很平静。", "没有，很平静。"], "verdict"),
        (["没有，很平静。"], "words"),
        ([], "words"),
    ],
)
def test_what_follows_most_alarm_words_is_what_a_model_will_say(answers: list[str], taught_to_say: str) -> None:
    assert taught(answers, "是的") == taught_to_say
