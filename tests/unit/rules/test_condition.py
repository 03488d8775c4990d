"""Conditions of several terms: true, false or unknown in a window, and how they are asked about."""

import pytest

from vigil.errors import UsageError
from vigil.events import TierThresholds
from vigil.questions import load_question
from vigil.rules import CountSettings, DurationRule, DurationSettings, SequenceSettings, Term, resolve_questions
from vigil.rules.condition import sight_of
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict

LIGHTS_LEFT_ON = (Term(question="lights", label="on"), Term(question="person", label="present", holds=False))


def seen(lights: float | None, person: float | None, *, window: int = 0) -> JudgedWindow:
    """A window of which the answers to two questions are known, or not."""
    start_s, end_s = window * 2.0, window * 2.0 + 2.5
    verdict = Verdict(outcome=Outcome.NORMAL, p_alarm=0.1, start_s=start_s, end_s=end_s)
    answers = {"lights": answer("lights", "on", lights), "person": answer("person", "present", person)}
    return JudgedWindow(source="hall", window=window, verdict=verdict, answers=answers)


def answer(question: str, label: str, p: float | None) -> Answer:
    if p is None:
        return Answer(question=question, cause=Cause.TIMEOUT)
    return Answer(question=question, probabilities={label: p, "other": 1.0 - p})


@pytest.mark.parametrize(
    ("lights", "person", "holds", "p"),
    [
        (0.9, 0.2, True, 0.8),
        (0.7, 0.2, True, 0.7),
        (0.9, 0.6, False, 0.4),
        (0.3, 0.2, False, 0.3),
        (None, 0.6, False, 0.4),
        (0.3, None, False, 0.3),
        (0.9, None, None, None),
        (None, 0.2, None, None),
        (None, None, None, None),
    ],
)
def test_terms_are_false_if_one_is_else_unknown_if_one_is(
    lights: float | None, person: float | None, holds: bool | None, p: float | None
) -> None:
    sight = sight_of(LIGHTS_LEFT_ON, seen(lights, person), task="fight", tiers=TierThresholds())
    assert sight.holds is holds
    assert sight.p == (None if p is None else pytest.approx(p))


def test_a_word_without_a_probability_makes_the_whole_low() -> None:
    said = Answer(question="lights", stated_label="on")
    window = seen(0.9, 0.02)
    window.answers["lights"] = said  # type: ignore[index]
    tiers = TierThresholds()
    assert sight_of(LIGHTS_LEFT_ON, window, task="fight", tiers=tiers).p == tiers.low


def test_lights_left_on_with_nobody_there_make_an_event_once_it_has_lasted() -> None:
    settings = DurationSettings(name="lights left on", all=LIGHTS_LEFT_ON, for_s=10.0, gap_s=4.0)
    rule = DurationRule(settings, source="hall", task="fight")
    people = [0.9, 0.9, 0.1, 0.1, None, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9]
    changes = [change for i, person in enumerate(people) for change in rule.push(seen(0.95, person, window=i))]
    assert [change.kind for change in changes if change.kind != "grew"] == ["opened", "closed"]
    event = changes[-1].event
    assert (event.onset_s, event.end_s, event.peak) == (4.0, 18.5, pytest.approx(0.9))


def test_the_questions_of_all_terms_are_asked_and_named() -> None:
    fight, fall = load_question("fight"), load_question("fall")
    words = list(fall.words())
    rules = (
        DurationSettings(name="both", all=(Term(label="alarm"), Term(question="fall", label=words[0], holds=False))),
        SequenceSettings(name="after", first=Term(question="fall", label=words[1]), then=Term()),
        CountSettings(name="often"),
    )
    resolved, questions = resolve_questions(rules, own=fight)
    assert [question.name for question in questions] == [fight.name, fall.name]
    asked = [[term.question for term in rule.terms] for rule in resolved if not hasattr(rule, "k")]
    assert asked == [[fight.name, fall.name], [fall.name, fight.name], [fight.name]]


@pytest.mark.parametrize("wrong", [{"label": ""}, {"p_from": 0.0}, {"p_from": 1.5}, {"p_from": float("nan")}], ids=str)
def test_a_term_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Term(**wrong)  # type: ignore[arg-type]


def test_a_duration_rule_has_one_label_or_terms_and_not_both() -> None:
    with pytest.raises(UsageError, match="with all, each of its terms"):
        DurationSettings(name="both", label="normal", all=LIGHTS_LEFT_ON)


def test_a_term_about_a_label_that_its_question_does_not_have_is_told() -> None:
    rule = SequenceSettings(name="after", first=Term(label="smoke"), then=Term())
    with pytest.raises(UsageError, match="the rule after is about a label 'smoke'; the labels of fight are"):
        resolve_questions([rule], own=load_question("fight"))
