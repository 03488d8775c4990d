import pytest

from vigil.dataset.answers import contradiction
from vigil.questions import load_question

ZH, EN = load_question("fight"), load_question("fight_en")


@pytest.mark.parametrize(
    ("text", "task", "label"),
    [
        ("没有，一切正常", ZH, "alarm"),
        ("画面中未发现任何打架斗殴行为。", ZH, "alarm"),
        ("两人站立，并不构成暴力。", ZH, "alarm"),
        ("是的，两人打架", ZH, "normal"),
        ("人群中没有人走动，两名男子正在打架。", ZH, "normal"),
        ("Yes, they hit each other", EN, "normal"),
        ("There is no sign of any fighting here.", EN, "alarm"),
        ("Two men are fighting near the door.", EN, "normal"),
        ("They walk calmly, but then a brawl starts.", EN, "normal"),
    ],
)
def test_what_says_the_opposite_of_the_label_is_found(text, task, label) -> None:
    assert contradiction(text, label, task)


@pytest.mark.parametrize(
    ("text", "task", "label"),
    [
        ("两名男子互相推搡、挥拳，现场发生打斗。", ZH, "alarm"),
        ("画面平稳，没有发现打架斗殴的迹象。", ZH, "normal"),
        ("现场秩序正常，人与人之间没有攻击性的动作。", ZH, "normal"),
        ("Two men punch each other; nobody else is near.", EN, "alarm"),
        ("People walk by; there is no pushing, hitting or fighting.", EN, "normal"),
        ("Nobody acts aggressively.", EN, "normal"),
    ],
)
def test_what_agrees_with_the_label_is_left_alone(text, task, label) -> None:
    assert contradiction(text, label, task) == ""


@pytest.mark.parametrize("task", [ZH, EN])
def test_the_tasks_own_sentences_agree_with_their_labels(task) -> None:
    assert not [each for each in task.label("alarm").descriptions if contradiction(each, "alarm", task)]
    assert not [each for each in task.label("normal").descriptions if contradiction(each, "normal", task)]
