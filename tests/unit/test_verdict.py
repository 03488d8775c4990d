import pytest

from vigil.questions import load_question
from vigil.verdict import CAUSE_MEANINGS, Answer, Cause, Outcome, Verdict


def test_an_unknown_verdict_needs_a_cause() -> None:
    with pytest.raises(ValueError, match="cause exactly when"):
        Verdict(outcome=Outcome.UNKNOWN)


def test_a_known_verdict_has_no_cause() -> None:
    with pytest.raises(ValueError, match="cause exactly when"):
        Verdict(outcome=Outcome.NORMAL, cause=Cause.TIMEOUT)


def test_every_cause_has_a_meaning_for_people() -> None:
    assert set(CAUSE_MEANINGS) == set(Cause)


NINE = load_question("anomaly9")


def test_a_verdict_of_several_labels_adds_those_that_alarm_and_names_the_likeliest_of_them() -> None:
    p = dict.fromkeys(NINE.words(), 0.02) | {"烟雾": 0.34, "跌倒": 0.1, "正常": 0.42}
    verdict = Answer(probabilities=p, raw_probabilities=p).verdict(NINE, alarm_from=0.5)
    assert verdict.p_alarm == pytest.approx(0.58) and verdict.outcome is Outcome.ALARM
    assert (verdict.alarm_label, verdict.probabilities) == ("烟雾", p)


def test_a_server_without_probabilities_states_the_class() -> None:
    verdict = Answer(stated_label="跌倒").verdict(NINE, alarm_from=0.5)
    assert (verdict.outcome, verdict.p_alarm, verdict.alarm_label) == (Outcome.ALARM, None, "跌倒")
    calm = Answer(stated_label="正常").verdict(NINE, alarm_from=0.5)
    assert (calm.outcome, calm.alarm_label, calm.probabilities) == (Outcome.NORMAL, "", {"正常": 1.0})


def test_an_unknown_answer_and_one_of_two_labels_have_no_class() -> None:
    assert Answer.unknown(Cause.OUTSIDE).verdict(NINE, alarm_from=0.5).alarm_label == ""
    p = {"alarm": 0.9, "normal": 0.1}
    two = Answer(probabilities=p, raw_probabilities=p).verdict(load_question("fight"), alarm_from=0.5)
    assert (two.alarm_label, two.probabilities, two.raw_probabilities) == ("", {}, {})
