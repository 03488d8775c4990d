"""The duration rule: a label that holds for a time, seen second by second, within a schedule."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest

from vigil.errors import UsageError
from vigil.events import EventChange, Tier
from vigil.rules.duration import DurationRule, DurationSettings
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict

NOON_UTC_S = 1_795_953_600.0
"""12:00 UTC on a Sunday."""

LOITERING = DurationSettings(name="loitering", for_s=10.0, gap_s=4.0, unknown_timeout_s=20.0)


def judged(window: int, p: float | None, *, text: str | None = None, captured_s: float | None = None) -> JudgedWindow:
    """Windows of the default sampling: 2.5 s from the first frame to the last, one every 2 s."""
    start_s, end_s = window * 2.0, window * 2.0 + 2.5
    if p is None:
        verdict = Verdict.unknown(Cause.DROPPED, start_s=start_s, end_s=end_s)
    else:
        outcome = Outcome.ALARM if p >= 0.5 else Outcome.NORMAL
        verdict = Verdict(outcome=outcome, p_alarm=p, text=text, start_s=start_s, end_s=end_s, latency_ms=300.0)
    return JudgedWindow(source="yard", window=window, verdict=verdict, captured_s=captured_s)


def rule_of(settings: DurationSettings = LOITERING, *, epoch_s: float | None = None) -> DurationRule:
    return DurationRule(settings, source="yard", task="person", model="m", epoch_s=epoch_s, clock=lambda: 0.0)


def push_all(rule: DurationRule, probabilities: Sequence[float | None]) -> list[EventChange]:
    return [change for i, p in enumerate(probabilities) for change in rule.push(judged(i, p))]


def kinds(changes: Sequence[EventChange]) -> list[str]:
    return [change.kind for change in changes]


def test_an_event_opens_when_the_label_has_held_long_enough_and_began_when_it_began_to_hold() -> None:
    """Five windows that overlap show 10.5 s, not five times 2.5 s."""
    rule = rule_of()
    assert push_all(rule, [0.1, 0.6, 0.6, 0.6, 0.6]) == []
    [opened] = rule.push(judged(5, 0.9))
    event = opened.event
    assert opened.kind == "opened" and event.onset_s == 2.0 and event.is_open
    assert (event.rule, event.task, event.tier, event.peak) == ("loitering", "person", Tier.MEDIUM, 0.9)
    assert [evidence.window for evidence in event.windows] == [1, 2, 3, 4, 5]
    assert event.announced_s == pytest.approx(12.5 + 0.3) and rule.open_events == (event,)


def test_a_word_without_probabilities_is_low_whatever_the_verdict_has_and_a_measured_answer_is_shown_as_it_is() -> None:
    """The rule asks about people; what is measured of the task's own question says nothing of that."""
    asks = replace(LOITERING, question="people", label="present")
    said = Answer(question="people", stated_label="present")
    measured = Answer(question="people", probabilities={"present": 0.97, "absent": 0.03})
    peaks = {}
    for answer, p_task in ((said, 0.1), (measured, None)):
        rule = rule_of(asks)
        windows = [replace(judged(i, p_task), answers={"people": answer}) for i in range(6)]
        [opened] = [change for window in windows for change in rule.push(window) if change.kind == "opened"]
        peaks[answer.label, bool(answer.probabilities)] = opened.event.peak
    assert peaks == {("present", False): asks.tiers.low, ("present", True): 0.97}


def test_seconds_that_were_not_seen_do_not_count_and_do_not_break_it() -> None:
    rule = rule_of()
    assert push_all(rule, [0.8, None, None, 0.8, None, 0.8, None, None]) == []
    assert kinds(push_all_from(rule, 8, [0.8, None])) == ["opened"]


def push_all_from(rule: DurationRule, first: int, probabilities: Sequence[float | None]) -> list[EventChange]:
    return [change for i, p in enumerate(probabilities, start=first) for change in rule.push(judged(i, p))]


def test_a_short_gap_is_bridged_and_adds_nothing_and_a_long_one_begins_anew() -> None:
    assert kinds(push_all(rule_of(), [0.8, 0.8, 0.1, 0.8, 0.8, 0.8])) == ["opened"]
    assert push_all(rule_of(), [0.8, 0.8, 0.8, 0.1, 0.1, 0.8, 0.8, 0.8]) == []


def test_an_event_ends_with_the_last_window_in_which_the_label_held() -> None:
    changes = push_all(rule_of(), [0.8] * 6 + [0.1, 0.1, 0.1])
    assert kinds(changes) == ["opened", "grew", "closed"]
    assert (changes[-1].event.end_s, changes[-1].event.closed_because) == (12.5, "quiet")


def test_what_is_unknown_for_too_long_is_lost_from_sight_and_begins_anew() -> None:
    changes = push_all(rule_of(), [0.8] * 6 + [None] * 20)
    assert (changes[-1].kind, changes[-1].event.closed_because, changes[-1].event.end_s) == (
        "closed",
        "lost sight",
        12.5,
    )
    rule = rule_of()
    assert push_all(rule, [0.8] * 4) == [] and rule.tick(1000.0) == []
    assert push_all_from(rule, 500, [0.8] * 2) == []


def test_time_alone_loses_sight_of_an_event_when_no_window_comes() -> None:
    rule = rule_of()
    push_all(rule, [0.8] * 6)
    assert rule.tick(32.0) == []
    assert kinds(rule.tick(32.5)) == ["closed"] and rule.tick(1000.0) == []


def test_a_rest_window_adds_only_what_no_window_before_it_has_shown() -> None:
    rule = rule_of(replace(LOITERING, for_s=5.0))
    assert push_all(rule, [0.8, 0.8]) == []
    last = judged(2, 0.8)
    rest = replace(last, verdict=replace(last.verdict, start_s=2.25, end_s=4.75), rest=True)
    assert rule.push(rest) == []
    assert kinds(rule.push(replace(rest, window=3, verdict=replace(rest.verdict, start_s=2.5, end_s=5.0)))) == [
        "opened"
    ]


def test_an_endless_event_is_split_and_the_next_one_needs_its_time_too() -> None:
    changes = push_all(rule_of(replace(LOITERING, max_event_s=20.0)), [0.8] * 31)
    assert [kind for kind in kinds(changes) if kind != "grew"] == ["opened", "closed", "opened", "closed"]
    events = [change.event for change in changes if change.kind == "closed"]
    assert events[0].closed_because.startswith("split")
    assert events[1].onset_s - events[0].onset_s == 30.0 and events[0].id < events[1].id


def test_an_event_of_the_other_label() -> None:
    """A guard who should be there and is not: nobody is the normal answer."""
    absent = replace(LOITERING, label="normal", p_from=0.7)
    changes = push_all(rule_of(absent), [0.2, 0.2, 0.2, 0.2, 0.35, 0.2, 0.2])
    assert kinds(changes) == ["opened", "grew"] and changes[0].event.peak == pytest.approx(0.8)


def test_words_without_probabilities_hold_and_claim_nothing_that_was_not_measured() -> None:
    rule = rule_of()
    changes: list[EventChange] = []
    for window in range(6):
        word = Verdict(outcome=Outcome.ALARM, start_s=window * 2.0, end_s=window * 2.0 + 2.5)
        changes += rule.push(JudgedWindow(source="yard", window=window, verdict=word))
    assert kinds(changes) == ["opened", "grew"] and changes[0].event.tier is Tier.LOW


def test_a_probability_that_is_no_number_is_unknown() -> None:
    assert push_all(rule_of(), [float("nan")] * 10) == []


def test_words_describe_the_event_whenever_they_come_and_no_run_that_is_none_yet() -> None:
    rule = rule_of()
    push_all(rule, [0.8, 0.8, 0.8])
    assert rule.describe(1, "someone waits") == []
    [opened] = push_all_from(rule, 3, [0.7, 0.7])
    assert opened.event.text == "someone waits"
    [closed] = rule.finish("stopped")
    [late] = rule.describe(2, "a man waits at the gate") or [None]
    assert closed.event.text == "someone waits" and late is None
    [late] = rule.describe(1, "a man waits at the gate")
    assert (late.kind, late.event.end_s, late.event.text) == ("grew", 10.5, "a man waits at the gate")


def test_finishing_drops_what_was_none_yet() -> None:
    rule = rule_of()
    push_all(rule, [0.8] * 4)
    assert rule.finish("paused") == []
    assert push_all(rule, [0.8] * 4) == []


NIGHT = replace(LOITERING, schedule="12:01-12:02", timezone="UTC")


def test_only_windows_within_the_schedule_count_and_its_end_closes_the_event() -> None:
    """The schedule is open from second 60 to second 120."""
    changes = push_all(rule_of(NIGHT, epoch_s=NOON_UTC_S), [0.8] * 70)
    assert [kind for kind in kinds(changes) if kind != "grew"] == ["opened", "closed"]
    event = changes[-1].event
    assert (event.onset_s, event.end_s, event.closed_because) == (60.0, 118.5, "the schedule ended")
    assert changes[0].event.windows[-1].end_s == 70.5 and event.epoch_s == NOON_UTC_S


def test_the_end_of_the_schedule_closes_the_event_of_a_camera_that_is_away_too() -> None:
    rule = rule_of(replace(NIGHT, unknown_timeout_s=600.0), epoch_s=NOON_UTC_S)
    push_all(rule, [0.8] * 40)
    assert rule.tick(119.0) == []
    [closed] = rule.tick(120.0)
    assert closed.event.closed_because == "the schedule ended"


def test_the_schedule_follows_the_clock_when_it_is_set() -> None:
    rule = rule_of(NIGHT, epoch_s=NOON_UTC_S)
    assert push_all(rule, [0.8] * 10) == []
    rule.epoch_s = NOON_UTC_S + 45.0
    [opened] = [change for change in push_all_from(rule, 10, [0.8] * 6) if change.kind == "opened"]
    assert opened.event.onset_s == 20.0 and opened.event.epoch_s == NOON_UTC_S + 45.0


def test_a_rule_with_a_schedule_does_not_run_on_a_file_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert push_all(rule_of(NIGHT), [0.8] * 30) == []
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("yard: the rule loitering has a schedule (12:01-12:02) and does not run here")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "name must not be empty"),
        ({"p_from": 0.0}, "p_from must be above 0"),
        ({"for_s": 0.0}, "for_s must be above 0"),
        ({"gap_s": -1.0}, "gap_s must not be negative"),
        ({"unknown_timeout_s": 0.0}, "unknown_timeout_s must be above 0"),
        ({"max_event_s": 10.0}, "max_event_s must be at least unknown_timeout_s"),
        ({"timezone": "UTC"}, "timezone is that of a schedule"),
        ({"schedule": "at night"}, "has a part 'at night' without times"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replace(LOITERING, **wrong)  # type: ignore[arg-type]
