"""Several rules of one source: each has its events, and none silences another."""

import pytest

from vigil.errors import UsageError
from vigil.events import EventChange
from vigil.rules import DurationSettings, HysteresisRule, HysteresisSettings, RuleSet, build_rules, check_rules
from vigil.rules.rule import label_probability
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

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
            "the rule a is about a label 'present'; there are alarm, normal",
        ),
        ((DurationSettings(name="a", question="people"),), "the rule a asks about 'people', and the question of this"),
    ],
)
def test_rules_that_do_not_fit_the_question_or_each_other_are_refused(
    rules: tuple[HysteresisSettings | DurationSettings, ...], said: str
) -> None:
    with pytest.raises(UsageError) as error:
        check_rules(rules, task="fight")
    assert str(error.value).startswith(said)


def test_rules_that_fit_are_not_refused() -> None:
    check_rules((*BOTH, DurationSettings(name="absent", label="normal", question="fight")), task="fight")


def test_the_probability_of_a_label_is_that_of_the_verdict_or_unknown() -> None:
    known, unknown = judged(0, 0.8), judged(0, None)
    assert label_probability(known, question="", label="alarm") == 0.8
    assert label_probability(known, question="", label="normal") == pytest.approx(0.2)
    assert label_probability(unknown, question="", label="alarm") is None
    assert label_probability(unknown, question="", label="normal") is None
    assert label_probability(known, question="people", label="alarm") is None
    word = JudgedWindow(source="door", window=0, verdict=Verdict(outcome=Outcome.NORMAL))
    assert label_probability(word, question="", label="alarm") == 0.0
    assert label_probability(word, question="", label="normal") == 1.0
