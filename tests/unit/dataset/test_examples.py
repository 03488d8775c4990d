import json
from pathlib import Path

import pytest

from vigil.dataset.answers import TargetAnswer, is_template, label_of_answer, parse_answer, template_answer
from vigil.dataset.examples import TrainingExample, read_examples, write_examples
from vigil.dataset.folder import write_dataset_info
from vigil.errors import DatasetError
from vigil.questions import load_question

ZH, EN = load_question("fight"), load_question("fight_en")
EXAMPLE = TrainingExample(
    question=ZH.text,
    answer="是的，有人打架。",
    frames=("frames/alarm/a/000-0.jpg", "frames/alarm/a/000-1.jpg"),
    clip="fight/a.mp4",
    label="alarm",
    group="s1",
    window=2,
    start_s=4.0,
    end_s=4.5,
    described_by="model:vl",
)


def test_an_example_survives_its_json(tmp_path: Path) -> None:
    write_examples(tmp_path / "e.json", [EXAMPLE])
    assert read_examples(tmp_path / "e.json", ZH) == [EXAMPLE]
    assert json.loads((tmp_path / "e.json").read_text())[0]["messages"][0]["content"] == f"<video>{ZH.text}"


def test_an_edited_answer_is_a_humans_whatever_is_written_beside_it(tmp_path: Path) -> None:
    row = EXAMPLE.to_json()
    row["messages"][1]["content"] = "是的，我改过了。"
    (tmp_path / "e.json").write_text(json.dumps([row]))
    assert read_examples(tmp_path / "e.json", ZH)[0].described_by == "human"


def test_an_example_written_by_hand_needs_messages_and_videos_only(tmp_path: Path) -> None:
    row = {key: value for key, value in EXAMPLE.to_json().items() if key in ("messages", "videos")}
    (tmp_path / "e.json").write_text(json.dumps([row]))
    (read,) = read_examples(tmp_path / "e.json", ZH)
    assert (read.label, read.clip, read.group, read.described_by) == (
        "alarm",
        "frames/alarm/a",
        "frames/alarm/a",
        "human",
    )


@pytest.mark.parametrize(
    "row",
    [
        {},
        [],
        {"messages": [], "videos": []},
        EXAMPLE.to_json() | {"videos": ["clip.mp4"]},
        EXAMPLE.to_json() | {"videos": [[]]},
        EXAMPLE.to_json() | {"label": "fight"},
        EXAMPLE.to_json() | {"messages": EXAMPLE.to_json()["messages"][::-1]},
    ],
)
def test_what_is_no_example_is_refused_by_number(tmp_path: Path, row: object) -> None:
    (tmp_path / "e.json").write_text(json.dumps([EXAMPLE.to_json(), row]))
    with pytest.raises(DatasetError, match="example 1"):
        read_examples(tmp_path / "e.json", ZH)


@pytest.mark.parametrize(
    ("text", "task", "label"),
    [
        ("是的，有人", ZH, "alarm"),
        ("没有。", ZH, "normal"),
        ("有人打架", ZH, None),
        ("No, all calm", EN, "normal"),
        ("Nobody fights", EN, None),
        ("", EN, None),
    ],
)
def test_the_verdict_is_the_word_an_answer_begins_with(text, task, label) -> None:
    assert label_of_answer(text, task) == label
    parsed = parse_answer(text, task)
    assert (parsed and parsed.label) == label


def test_answers_are_joined_as_the_language_does_and_read_back() -> None:
    assert TargetAnswer("alarm", "有人打架。").text(ZH) == "是的，有人打架。"
    assert TargetAnswer("normal", "all is calm.").text(EN) == "No, all is calm."
    assert TargetAnswer("normal", "").text(EN) == "No."
    assert parse_answer("No, all is calm.", EN) == TargetAnswer("normal", "all is calm.")


def test_a_clip_always_gets_the_same_sentence_and_clips_differ() -> None:
    sentences = {template_answer(ZH, "alarm", f"fight/{number}.mp4").description for number in range(50)}
    assert sentences == set(ZH.label("alarm").descriptions)
    assert template_answer(ZH, "alarm", "a") == template_answer(ZH, "alarm", "a")
    assert is_template(template_answer(ZH, "alarm", "a").text(ZH), ZH, "alarm")


def test_a_registry_keeps_what_others_entered(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text('{"theirs": {"hf_hub_url": "a/b"}, "anomaly-test": {}}')
    write_dataset_info(tmp_path, ["train"])
    entries = json.loads((tmp_path / "dataset_info.json").read_text())
    assert list(entries) == ["theirs", "anomaly-train"]
    (tmp_path / "dataset_info.json").write_text("[]")
    with pytest.raises(DatasetError, match="JSON object"):
        write_dataset_info(tmp_path, ["train"])
