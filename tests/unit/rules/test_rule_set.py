"""Several rules of one source: each has its events, and none silences another."""

from dataclasses import replace
from pathlib import Path

import pytest

from vigil.errors import UsageError
from vigil.events import EventChange
from vigil.questions import load_question
from vigil.rules import DurationSettings, HysteresisRule, HysteresisSettings, RuleSet, build_rules, resolve_questions
from vigil.rules.rule import label_probability
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict

BOTH = (HysteresisSettings(), DurationSettings(name="long", for_s=10.0))


def judged(window: int, p: float | None) -> JudgedWindow:
    start_s, end_s = window * 2.0, window * 2.0 + 2.5
    if p is None:
        return JudgedWindow(source="door", window=window, verdict=Verdict.unknown(Cause.TIMEOUT))
    outcome = Outcome.ALARM if p >= 0.5 else Outcome.NORMAL
    verdict = Verdict(outcome=outcome, p_alarm=p, start_s=start_s, end_s=end_s)
    return JudgedWindow(source="door", window=window, verdict=verdict)


def told(changes: list[EventChange]) -> list[tuple[str, str]]:
    return [(change.event.rule, change.kind) for change in changes]


def test_each_rule_opens_and_closes_its_own_event() -> None:
    rules = build_rules(BOTH, source="door", task="fight", epoch_s=7.0)
    changes = [change for window in range(8) for change in rules.push(judged(window, 0.8))]
    assert [each for each in told(changes) if each[1] != "grew"] == [("fight", "opened"), ("long", "opened")]
    assert [event.rule for event in rules.open_events] == ["fight", "long"]
    assert {event.epoch_s for event in rules.open_events} == {7.0} and rules.name == "fight, long"
    assert told(rules.describe(7, "two people")) == [("fight", "grew"), ("long", "grew")]
    assert told(rules.tick(1000.0)) == [("fight", "closed"), ("long", "closed")]
    assert rules.finish("stopped") == [] and rules.open_events == ()


class Failing(HysteresisRule):
    """A rule that fails at one window."""

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        if judged.window == 1:
            raise ZeroDivisionError("never seen before")
        return super().push(judged)


def test_a_rule_that_fails_silences_no_other_and_goes_on_itself(caplog: pytest.LogCaptureFixture) -> None:
    rules = RuleSet(
        [Failing(HysteresisSettings(name="odd"), source="door"), HysteresisRule(HysteresisSettings(), source="door")]
    )
    changes = [change for window in range(4) for change in rules.push(judged(window, 0.8))]
    assert [each for each in told(changes) if each[1] == "opened"] == [("", "opened"), ("odd", "opened")]
    [failure] = caplog.records
    assert failure.getMessage().startswith("the rule odd failed") and failure.exc_info


def test_the_clock_is_set_for_all_rules() -> None:
    rules = build_rules(BOTH, source="door")
    assert rules.epoch_s is None
    rules.epoch_s = 5.0
    assert [rule.epoch_s for rule in rules.rules] == [5.0, 5.0] and rules.epoch_s == 5.0


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((HysteresisSettings(), HysteresisSettings(k=1)), "two rules are called 'fight'"),
        ((HysteresisSettings(), DurationSettings(name="fight")), "two rules are called 'fight'"),
        (
            (DurationSettings(name="a", label="present"),),
            "the rule a is about a label 'present'; the labels of fight are: alarm, normal",
        ),
        ((DurationSettings(name="a", question="people"),), "no tasks configuration 'people'; there are: "),
    ],
)
def test_rules_that_do_not_fit_the_question_or_each_other_are_refused(
    rules: tuple[HysteresisSettings | DurationSettings, ...], said: str
) -> None:
    with pytest.raises(UsageError) as error:
        resolve_questions(rules, own=load_question("fight"))
    assert str(error.value).startswith(said)


def test_a_rule_without_a_question_is_about_the_watchs_own() -> None:
    fight = load_question("fight")
    rules = (*BOTH, DurationSettings(name="absent", label="normal", question="fight"))
    resolved, questions = resolve_questions(rules, own=fight)
    assert questions == (fight,)
    assert [rule.question for rule in resolved if isinstance(rule, DurationSettings)] == ["fight", "fight"]


def test_a_rule_about_another_question_has_it_asked_by_name_or_file(tmp_path: Path) -> None:
    fight, fall = load_question("fight"), load_question("fall")
    file = tmp_path / "people-at-the-gate.yaml"
    file.write_text("name: people\nquestion: Is there somebody?\nalarm_word: 'Yes'\nnormal_word: 'No'\n")
    rules = (DurationSettings(name="lying", question="fall"), DurationSettings(name="standing", question=str(file)))
    resolved, questions = resolve_questions(rules, own=fight)
    assert [question.name for question in questions] == ["fight", "fall", "people"] and questions[1] == fall
    assert [rule.question for rule in resolved if isinstance(rule, DurationSettings)] == ["fall", "people"]


def test_the_probability_of_a_label_is_that_of_the_verdict_or_unknown() -> None:
    known, unknown = judged(0, 0.8), judged(0, None)
    assert label_probability(known, question="", label="alarm") == 0.8
    assert label_probability(known, question="", label="normal") == pytest.approx(0.2)
    assert label_probability(unknown, question="", label="alarm") is None
    assert label_probability(unknown, question="", label="normal") is None
    assert label_probability(known, question="people", label="alarm") is None
    people = replace(
        known, answers={"people": Answer(question="people", probabilities={"present": 0.7, "absent": 0.3})}
    )
    assert label_probability(people, question="people", label="present") == 0.7
    assert label_probability(people, question="people", label="elsewhere") is None
    lost = replace(known, answers={"people": Answer.unknown(Cause.TIMEOUT)})
    assert label_probability(lost, question="people", label="present") is None
    stated = replace(known, answers={"people": Answer(question="people", stated_label="present")})
    assert [label_probability(stated, question="people", label=each) for each in ("present", "absent")] == [
        1.0,
        0.0,
    ]
    word = JudgedWindow(source="door", window=0, verdict=Verdict(outcome=Outcome.NORMAL))
    assert label_probability(word, question="", label="alarm") == 0.0
    assert label_probability(word, question="", label="normal") == 1.0
