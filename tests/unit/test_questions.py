from pathlib import Path

import pytest

from vigil.config import config_root
from vigil.errors import ConfigError
from vigil.questions import Question, list_questions, load_question, read_question


def task(**changes: object) -> Question:
    settings: dict[str, object] = {"name": "t", "text": "Is it?", "alarm_word": "Yes", "normal_word": "No"}
    return Question.with_two_labels(**(settings | changes))  # type: ignore[arg-type]


def test_every_shipped_task_loads() -> None:
    paths = sorted((config_root() / "tasks").rglob("*.yaml"))
    assert len(paths) >= 2
    for path in paths:
        assert read_question(path).name == path.stem
        if "alarm_word" in path.read_text(encoding="utf-8"):
            assert load_question(path).name == path.stem


def test_questions_with_a_verdict_come_first_and_each_has_a_twin() -> None:
    questions = list_questions()
    kinds = [bool(question.labels) for question in questions]
    assert kinds == sorted(kinds, reverse=True)
    names = {question.name: question.language for question in questions}
    assert {"fight", "fall", "intrusion", "actions", "timeline", "describe"} <= names.keys()
    # The classes of anomaly9 are Chinese words: the task for other words is a copy of its file.
    chinese = [name for name, language in names.items() if language == "zh" and name != "anomaly9"]
    assert all(names[f"{name}_en"] == "en" for name in chinese)


def test_each_task_asks_for_a_description_by_a_question_of_its_own_in_its_language() -> None:
    for question in list_questions():
        if question.labels:
            asked = question.description_question
            assert asked == question.describe and asked.isascii() == (question.language == "en")
            assert not any(word in asked for word in question.words().values())


def test_a_task_without_that_question_asks_the_usual_one() -> None:
    assert task(language="en", describe=" ").description_question.startswith("Describe the scene")
    assert task(language="zh").description_question == load_question("fight").describe


def test_a_misspelt_key_names_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: t\nquestion: Is it?\nalarm_word: 'Yes'\nnormal_word: 'No'\ndescibe: What?\n")
    with pytest.raises(ConfigError, match="did you mean 'describe'"):
        load_question(path)


def test_a_question_without_a_verdict_is_no_task() -> None:
    with pytest.raises(ConfigError, match="has no labels"):
        load_question("timeline")


def test_the_fight_task_asks_the_question_of_the_issue() -> None:
    assert load_question("fight").text == (
        "请分析这个视频,是否有打架斗殴等异常行为。如果有,请回答“是的”,如果没有,请回答“没有”,然后对视频进行描述和分析"
    )


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("fight", "alarm"),
        ("Fight", "alarm"),
        ("Violence", "alarm"),
        ("noFight", "normal"),
        ("NonFight", "normal"),
        ("non-violence", "normal"),
        ("Non Violence", "normal"),
        ("cats", None),
    ],
)
def test_folder_names_of_public_sets_mean_labels(folder: str, label: str | None) -> None:
    assert load_question("fight").label_of(folder) == label


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": " "}, "question is empty"),
        ({"alarm_word": ""}, "must both be given"),
        ({"normal_word": "Yes"}, "are the same"),
        ({"normal_folders": ("ALARM",)}, "listed as alarm and as normal"),
    ],
)
def test_a_task_that_cannot_work_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task(**changes)


def test_a_label_has_its_word() -> None:
    assert (task().word("alarm"), task().word("normal")) == ("Yes", "No")


TEN = """
name: nine
question: 画面里发生了什么?
labels:
  - {name: fence, word: 周界翻越, is_alarm: true, folders: [fence, 翻越]}
  - {name: fall, word: 跌倒, is_alarm: true, folders: [fall]}
  - {name: normal, word: 正常, folders: [normal]}
"""


def test_a_question_with_several_labels_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "nine.yaml"
    path.write_text(TEN)
    question = load_question(path)
    assert question.words() == {"fence": "周界翻越", "fall": "跌倒", "normal": "正常"}
    assert question.alarm_labels == ("fence", "fall") and not question.has_two_labels


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("word: 跌倒", "word: 正常", "several have the word '正常'"),
        ("name: fall", "name: fence", "several have the name 'fence'"),
        ("[fall]", "[Normal]", "folder 'normal' is listed for several labels"),
        (", is_alarm: true", "", "no label is an alarm"),
        ("word: 跌倒", "word: ' '", "label 'fall' has no word"),
        ("is_alarm: true, folders: [fall]", "is_alrm: true", "did you mean 'is_alarm'"),
        ("name: nine", "name: nine\nalarm_word: 是的", "two ways of saying the same"),
    ],
)
def test_labels_that_cannot_work_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "nine.yaml"
    path.write_text(TEN.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_question(path)


def test_a_label_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="no label 'fire'; its labels are: alarm, normal"):
        task().word("fire")


def test_another_text_keeps_the_labels_only_if_it_names_their_words() -> None:
    assert task().reworded("Is there a fire? Yes or No.").labels == task().labels
    assert task().reworded("Count the cars.").labels == ()
