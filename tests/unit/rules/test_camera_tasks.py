"""The questions of one camera: files and sentences, follow-ups, rules of their own, and what does not fit."""

from pathlib import Path
from typing import Any

import pytest

from vigil.errors import ConfigError, UsageError
from vigil.questions import Label, Question, load_question
from vigil.rules import CameraRules, CameraTask, DurationSettings, HysteresisSettings, Term, rules_of_camera
from vigil.rules.camera_rules import checked_rules, stored_rules
from vigil.rules.camera_tasks import resolve_tasks, rounds_of
from vigil.verdict import Answer, Cause

FIGHT = load_question("fight")
CLIMBING = "有人翻越围栏吗"
BRAWL = HysteresisSettings(name="fight")
FALLEN = DurationSettings(name="lying", question="fall", label="alarm", for_s=30.0)


def resolve(*tasks: CameraTask, own: Question = FIGHT) -> Any:
    return resolve_tasks(tasks, own=own, taken=["fight"])


def answer(**probabilities: float) -> Answer:
    return Answer(probabilities=probabilities, raw_probabilities=probabilities)


def test_a_task_is_a_question_of_a_file_or_one_made_of_a_sentence_with_a_rule_of_its_own() -> None:
    found = resolve(
        CameraTask(question="fall"), CameraTask(ask=CLIMBING), CameraTask(ask="Is it on fire?", name="fire")
    )
    assert found.problems == ()
    assert [task.rule.name for task in found.tasks] == ["fall", CLIMBING, "fire"]
    for task in found.tasks:
        assert task.rule == HysteresisSettings(name=task.rule.name, question=task.question.name, labels=("alarm",)), (
            "the usual thresholds"
        )


def test_a_question_that_a_rule_of_the_camera_is_about_has_no_other_rule() -> None:
    chosen = CameraRules(tasks=(CameraTask(question="fall"),))
    assert [rule.name for rule in rules_of_camera((BRAWL, FALLEN), chosen, own=FIGHT).rules] == ["fight", "lying"]
    only = CameraRules(rules=("fight",), tasks=(CameraTask(question="fall"),))
    assert [rule.name for rule in rules_of_camera((BRAWL, FALLEN), only, own=FIGHT).rules] == ["fight", "fall"]


def test_a_camera_may_have_the_rules_of_its_questions_alone_and_thresholds_for_them() -> None:
    chosen = CameraRules.from_data(
        {
            "rules": [CLIMBING],
            "tasks": [{"ask": CLIMBING}],
            "thresholds": [{"rule": CLIMBING, "k": 1, "tiers": {"low": 0.6}}],
        }
    )
    (rule,) = rules_of_camera((BRAWL,), chosen, own=FIGHT).rules
    assert isinstance(rule, HysteresisSettings) and (rule.name, rule.k, rule.tiers.low) == (CLIMBING, 1, 0.6)
    assert checked_rules((BRAWL,), chosen, own=FIGHT) is chosen


def test_tasks_come_back_from_their_text() -> None:
    follow_up = CameraTask(ask="Is he armed?", name="armed", ask_when=Term(question="fall", p_from=0.8, holds=False))
    chosen = CameraRules(tasks=(CameraTask(question="fall"), follow_up))
    assert stored_rules(chosen.to_text()) == (chosen, "")
    assert CameraRules(tasks=()).to_text() == "{}"


def test_follow_ups_are_asked_in_the_round_after_what_they_follow() -> None:
    found = resolve(
        CameraTask(question="fall"),
        CameraTask(ask="Is he armed?", name="armed", ask_when=Term(question="fall")),
        CameraTask(ask="Is it a knife?", ask_when=Term(question="armed")),
        CameraTask(ask="Is it raining?", ask_when=Term()),
        CameraTask(ask="Is it dark?"),
    )
    assert found.problems == ()
    rounds = [[task.question.title for task in each] for each in rounds_of(found.tasks)]
    falls = load_question("fall").title
    assert rounds == [[falls, "Is it raining?", "Is it dark?"], ["Is he armed?"], ["Is it a knife?"]]


def test_a_follow_up_is_called_for_by_a_probability_and_unknown_without_one() -> None:
    (task,) = resolve(CameraTask(question="fall", ask_when=Term(p_from=0.7))).tasks
    questions = {"fight": FIGHT}
    assert task.is_called_for({"fight": answer(alarm=0.7, normal=0.3)}, questions) is True
    assert task.is_called_for({"fight": answer(alarm=0.69, normal=0.31)}, questions) is False
    assert task.is_called_for({"fight": Answer(stated_label="alarm")}, questions) is True
    for unknown in (Answer.unknown(Cause.TIMEOUT), Answer.unknown(Cause.SKIPPED)):
        assert task.is_called_for({"fight": unknown}, questions) is None
    assert task.is_called_for({}, questions) is None
    (other,) = resolve(CameraTask(question="fall", ask_when=Term(holds=False))).tasks
    assert other.is_called_for({"fight": answer(alarm=0.1, normal=0.9)}, questions) is True


def test_what_follows_a_question_that_was_not_asked_is_not_asked() -> None:
    found = resolve(CameraTask(question="fall"), CameraTask(ask="Is he armed?", ask_when=Term(question="fall")))
    assert found.tasks[1].is_called_for({"fall": Answer.unknown(Cause.NOT_ASKED)}, {}) is False


def test_alarm_is_every_alarming_label_of_a_question_with_several() -> None:
    labels = (Label(name="fire", word="A", is_alarm=True), Label(name="smoke", word="B", is_alarm=True))
    own = Question(name="yard", text="A, B or C?", labels=(*labels, Label(name="calm", word="C")))
    any_, smoke = resolve(
        CameraTask(question="fall", ask_when=Term()),
        CameraTask(ask="Is it blue?", ask_when=Term(label="smoke")),
        own=own,
    ).tasks
    answers = {"yard": answer(fire=0.3, smoke=0.3, calm=0.4)}
    assert any_.is_called_for(answers, {"yard": own}) is True
    assert smoke.is_called_for(answers, {"yard": own}) is False


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([{"question": "fall"}, {"question": "fall"}], "the task 'fall': it is there already"),
        ([{"question": "fight"}], "it is the watch's own question"),
        ([{"question": "falls"}], "no tasks configuration 'falls'; there are:"),
        ([{"question": "describe"}], "the question has no labels"),
        ([{"question": "fall", "name": "fight"}], "there is a rule of that name already"),
        ([{"ask": "Dark?", "ask_when": {"question": "fal"}}], "ask_when is about 'fal', which is not asked before it"),
        (
            [{"question": "fall"}, {"ask": "Dark?", "ask_when": {"question": "fal"}}],
            "did you mean 'fall'?",
        ),
        ([{"ask": "Dark?", "ask_when": {"label": "fire"}}], "a label 'fire'; the labels of fight are: alarm, normal"),
    ],
)
def test_what_does_not_fit_is_refused_and_left_out_of_what_is_stored(tasks: list[Any], said: str) -> None:
    chosen = CameraRules.from_data({"tasks": tasks})
    with pytest.raises(UsageError) as refused:
        checked_rules((BRAWL,), chosen, own=FIGHT)
    assert said in str(refused.value)
    held = rules_of_camera((BRAWL,), chosen, own=FIGHT)
    assert held.rules[0] == BRAWL and len(held.tasks) < len(tasks) and said in "; ".join(held.problems)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({}, "either a question"),
        ({"question": "fall", "ask": "Is it dark?"}, "either a question"),
        ({"ask": " "}, "either a question"),
        ({"ask": "x" * 100_000}, "at most 500 characters"),
        ({"ask": "Is <video> dark?"}, "'<video>'"),
        ({"question": "fall", "name": "a\nb"}, "all of them printable"),
        ({"question": "fall", "nmae": "x"}, "unknown key 'nmae' (did you mean 'name'?)"),
        ({"question": "fall", "ask_when": {"p_from": 2}}, "p_from must be above 0 and at most 1"),
        ({"question": 7}, "question must be text"),
    ],
)
def test_what_can_be_no_task_is_refused(task: dict[str, Any], said: str) -> None:
    with pytest.raises((UsageError, ConfigError)) as refused:
        CameraRules.from_data({"tasks": [task]})
    assert said in str(refused.value)


def test_a_camera_has_so_many_questions() -> None:
    with pytest.raises(UsageError, match="at most 16 questions"):
        CameraRules(tasks=tuple(CameraTask(ask=f"Is it {number}?") for number in range(17)))


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "smoke.yaml"
    text = 'name: smoke\nquestion: "{}"\nalarm_word: "Yes"\nnormal_word: "No"\n'
    task = CameraTask(question=str(path))
    for asked in ("Is there smoke? Yes or No", "Is there any smoke at all? Yes or No"):
        path.write_text(text.format(asked))
        assert task.load().text == asked
    path.unlink()
    assert "no tasks configuration" in resolve(task).problems[0]
