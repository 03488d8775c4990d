from pathlib import Path

import pytest

from vigil.config import config_root
from vigil.errors import ConfigError
from vigil.questions import Task, list_questions, load_question, read_question


def task(**changes: object) -> Task:
    settings: dict[str, object] = {"name": "t", "question": "Is it?", "alarm_word": "Yes", "normal_word": "No"}
    return Task(**(settings | changes))  # type: ignore[arg-type]


def test_every_shipped_task_loads() -> None:
    paths = sorted((config_root() / "tasks").rglob("*.yaml"))
    assert len(paths) >= 2
    for path in paths:
        assert read_question(path).name == path.stem
        if "alarm_word" in path.read_text(encoding="utf-8"):
            assert load_question(path).name == path.stem


def test_questions_with_a_verdict_come_first_and_each_has_a_twin() -> None:
    questions = list_questions()
    kinds = [question.task is not None for question in questions]
    assert kinds == sorted(kinds, reverse=True)
    names = {question.name: question.language for question in questions}
    assert {"fight", "fall", "intrusion", "actions", "timeline", "describe"} <= names.keys()
    assert all(names[f"{name}_en"] == "en" for name, language in names.items() if language == "zh")


def test_each_task_asks_for_a_description_by_a_question_of_its_own_in_its_language() -> None:
    for question in list_questions():
        if question.task is not None:
            asked = question.task.description_question
            assert asked == question.task.describe and asked.isascii() == (question.language == "en")
            assert not any(word in asked for word in (question.task.alarm_word, question.task.normal_word))


def test_a_task_without_that_question_asks_the_usual_one() -> None:
    assert task(language="en", describe=" ").description_question.startswith("Describe the scene")
    assert task(language="zh").description_question == load_question("fight").describe


def test_a_misspelt_key_names_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: t\nquestion: Is it?\nalarm_word: 'Yes'\nnormal_word: 'No'\ndescibe: What?\n")
    with pytest.raises(ConfigError, match="did you mean 'describe'"):
        load_question(path)


def test_a_question_without_a_verdict_is_no_task() -> None:
    with pytest.raises(ConfigError, match="alarm_word is missing"):
        load_question("timeline")


def test_the_fight_task_asks_the_question_of_the_issue() -> None:
    assert load_question("fight").question == (
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
        ({"question": " "}, "question is empty"),
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
