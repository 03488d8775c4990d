"""Very many rules, and rules about questions that there are not."""

import time

import pytest

from vigil.errors import UsageError
from vigil.questions import load_question
from vigil.rules import CountSettings, DurationSettings, HysteresisSettings, build_rules, resolve_questions
from vigil.verdict import JudgedWindow, Outcome, Verdict

FIGHT = load_question("fight")
MANY = 10_000


def window(number: int) -> JudgedWindow:
    verdict = Verdict(outcome=Outcome.ALARM, p_alarm=0.9, start_s=2.0 * number, end_s=2.0 * number + 2.5)
    return JudgedWindow(source="door", window=number, verdict=verdict)


def test_ten_thousand_rules_are_checked_and_each_makes_its_event_within_the_time_of_a_window() -> None:
    rules, questions = resolve_questions(
        [DurationSettings(name=f"r{n}", for_s=2.0 + n % 3) for n in range(MANY)], own=FIGHT
    )
    assert questions == (FIGHT,)
    running = build_rules(rules, source="door", task="fight")
    began_s = time.process_time()
    changes = [change for number in range(3) for change in running.push(window(number))]
    spent_s = time.process_time() - began_s
    assert [change.kind for change in changes].count("opened") == MANY and len(running.open_events) == MANY
    # Windows come every two seconds; the processor's time, since the machine may be busy with other things.
    assert spent_s / 3 < 2.0


def test_two_of_many_rules_with_one_name_are_told_by_that_name() -> None:
    rules = [*(DurationSettings(name=f"r{n}") for n in range(MANY)), CountSettings(name="r77")]
    with pytest.raises(UsageError, match="two rules are called 'r77'"):
        resolve_questions(rules, own=FIGHT)


def test_a_rule_about_a_question_that_there_is_not_names_the_nearest() -> None:
    with pytest.raises(UsageError) as told:
        resolve_questions([HysteresisSettings(), DurationSettings(name="fence", question="intrusionn")], own=FIGHT)
    assert "intrusionn" in str(told.value) and "intrusion" in str(told.value).replace("intrusionn", "")
