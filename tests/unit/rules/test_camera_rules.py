"""The rules of a camera: a choice among those of the watch, own thresholds, a schedule; changed while it runs."""

import logging
from collections.abc import Sequence

import pytest

from vigil.errors import ConfigError, UsageError
from vigil.events import EventChange
from vigil.rules import (
    CameraRules,
    DurationSettings,
    HeldRules,
    HysteresisSettings,
    RuleSet,
    RuleSettings,
    checked_rules,
)
from vigil.rules.build import RuleMaker
from vigil.rules.camera_rules import OwnThresholds, OwnTiers, rules_of_camera, stored_rules
from vigil.verdict import JudgedWindow, Outcome, Verdict

NOON_UTC_S = 1_795_953_600.0
"""12:00 UTC on a Sunday."""

BRAWL = HysteresisSettings(name="brawl", quiet_s=6.0)
LONG = DurationSettings(name="long", for_s=10.0, gap_s=4.0)
BOTH: tuple[RuleSettings, ...] = (BRAWL, LONG)
MAKER = RuleMaker(source="door", task="fight")
ALL = CameraRules()
MINUTE = CameraRules(schedule="12:01-12:02", timezone="UTC")


def judged(window: int, p: float) -> JudgedWindow:
    outcome = Outcome.ALARM if p >= 0.5 else Outcome.NORMAL
    verdict = Verdict(outcome=outcome, p_alarm=p, start_s=window * 2.0, end_s=window * 2.0 + 2.0)
    return JudgedWindow(source="door", window=window, verdict=verdict)


def rule_set(chosen: CameraRules = ALL, rules: Sequence[RuleSettings] = BOTH) -> RuleSet:
    settings = rules_of_camera(rules, chosen).rules
    made = [MAKER.make(each, epoch_s=NOON_UTC_S) for each in settings]
    return RuleSet(made, schedule=chosen.weekly())


def change(running: RuleSet, chosen: CameraRules, rules: Sequence[RuleSettings] = BOTH) -> list[EventChange]:
    settings = rules_of_camera(rules, chosen).rules
    return MAKER.change(running, settings, schedule=chosen.weekly())


def push(running: RuleSet, windows: range, p: float) -> list[tuple[str, str, str]]:
    changes = [each for window in windows for each in running.push(judged(window, p))]
    return [(each.event.rule, each.kind, each.event.closed_because) for each in changes if each.kind != "grew"]


def test_a_camera_has_all_rules_unless_it_chooses_some_and_thresholds_of_its_own() -> None:
    assert rules_of_camera(BOTH, CameraRules()) == HeldRules(BOTH)
    own = OwnThresholds(rule="brawl", k=1, n=1, tiers=OwnTiers(high=0.99), quiet_s=3.0)
    held = rules_of_camera(BOTH, CameraRules(rules=("brawl",), thresholds=(own,)))
    (only,) = held.rules
    assert isinstance(only, HysteresisSettings) and held.problems == ()
    assert (only.k, only.n, only.quiet_s, only.tiers.high, only.tiers.low) == (1, 1, 3.0, 0.99, BRAWL.tiers.low)
    longer = OwnThresholds(rule="long", for_s=300.0, p_from=0.6, gap_s=20.0)
    _, changed = rules_of_camera(BOTH, CameraRules(thresholds=(longer,))).rules
    assert isinstance(changed, DurationSettings) and (changed.for_s, changed.p_from, changed.gap_s) == (300, 0.6, 20)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"rules": ["brwl"]}, "there is no rule 'brwl'; did you mean 'brawl'?"),
        ({"rules": ["fire"]}, "there is no rule 'fire'; there are: brawl, long"),
        ({"thresholds": [{"rule": "lng", "for_s": 3}]}, "there is no rule 'lng'; did you mean 'long'?"),
        ({"thresholds": [{"rule": "long", "k": 1}]}, "a duration rule has no k; it has tiers, p_from, for_s, gap_s"),
        ({"thresholds": [{"rule": "brawl", "for_s": 9}]}, "a hysteresis rule has no for_s; it has tiers, k, n"),
        ({"thresholds": [{"rule": "brawl", "k": 9}]}, "k must be from 1 to n, not 9 of 3"),
        ({"thresholds": [{"rule": "brawl", "tiers": {"low": 0.99}}]}, "tiers must rise"),
        ({"rules": ["long"], "thresholds": [{"rule": "brawl", "k": 9}]}, "k must be from 1 to n"),
    ],
)
def test_what_does_not_fit_the_rules_of_the_watch_is_refused(chosen: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked_rules(BOTH, CameraRules.from_data(chosen))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"rule": ["brawl"]}, "unknown key 'rule' (did you mean 'rules'?)"),
        ({"thresholds": [{"rule": "brawl", "quiets": 3}]}, "unknown key 'quiets' (did you mean 'quiet_s'?)"),
        ({"thresholds": [{"rule": "brawl", "tiers": {"hight": 1}}]}, "unknown key 'hight' (did you mean 'high'?)"),
        ({"thresholds": [{"k": 1}]}, "rule is missing"),
        ({"rules": "brawl"}, "rules must be a list"),
        ({"schedule": "at night"}, "a part 'at night' without times"),
        ({"schedule": "mno 22:00-06:00"}, "did you mean mon?"),
        ({"schedule": "22:00-06:00", "timezone": "Asia/Shangai"}, "did you mean Asia/Shanghai?"),
        ({"timezone": "UTC"}, "timezone is that of a schedule, and there is none"),
        ({"rules": ["a", "a"]}, "the rule 'a' is named twice"),
        ({"rules": [""]}, "1 to 200 characters"),
        ({"rules": [str(number) for number in range(65)]}, "at most 64 rules"),
    ],
)
def test_what_fits_no_watch_is_refused(chosen: dict[str, object], said: str) -> None:
    with pytest.raises((UsageError, ConfigError)) as refused:
        CameraRules.from_data(chosen)
    assert said in str(refused.value)


def test_rules_come_back_from_their_text() -> None:
    own = OwnThresholds(rule="brawl", k=1, tiers=OwnTiers(high=0.99))
    for chosen in (CameraRules(), MINUTE, CameraRules(rules=("brawl",), thresholds=(own,), schedule="fri 22:00-06:00")):
        assert CameraRules.from_text(chosen.to_text()) == chosen == stored_rules(chosen.to_text())[0]
    assert CameraRules().to_text() == "{}" and CameraRules.from_text("") == CameraRules()


@pytest.mark.parametrize("text", ["[]", "{", '{"rules": 3}', '{"schedule": "never"}', '{"colour": "red"}'])
def test_a_camera_whose_kept_rules_are_damaged_has_all(text: str) -> None:
    chosen, problem = stored_rules(text)
    assert chosen == CameraRules() and "so all rules hold" in problem


def test_a_camera_whose_rules_are_gone_is_not_silent() -> None:
    held = rules_of_camera((LONG,), CameraRules(rules=("brawl",)))
    assert held.rules == (LONG,) and held.problems == ("there is no rule 'brawl'; there are: long",)


def test_outside_of_the_schedule_nothing_opens_and_its_end_closes_what_is_open() -> None:
    """The schedule is open from second 60 to second 120."""
    rules = rule_set(MINUTE, (BRAWL,))
    assert push(rules, range(30), 0.95) == []
    assert push(rules, range(30, 59), 0.95) == [("brawl", "opened", "")]
    assert push(rules, range(59, 65), 0.95) == [("brawl", "closed", "the schedule ended")]
    assert rules.finish("stopped") == [], "what was seen outside of the schedule makes no event at the end"


def test_a_vote_before_the_schedule_began_does_not_count() -> None:
    rules = rule_set(MINUTE, (BRAWL,))
    push(rules, range(30), 0.95)
    assert push(rules, range(30, 31), 0.95) == []
    assert push(rules, range(31, 32), 0.95) == [("brawl", "opened", "")]
    assert rules.open_events[0].onset_s == 60.0


def test_a_lost_camera_has_its_event_closed_when_the_schedule_ends() -> None:
    rules = rule_set(MINUTE, (HysteresisSettings(name="brawl", unknown_timeout_s=300.0),))
    push(rules, range(30, 59), 0.95)
    assert rules.tick(119.0) == []
    assert [each.event.closed_because for each in rules.tick(120.0)] == ["the schedule ended"]


def test_a_schedule_does_not_run_on_a_file_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    rules = rule_set(MINUTE)
    rules.epoch_s = None
    with caplog.at_level(logging.WARNING):
        assert push(rules, range(6), 0.95) == []
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("the rules brawl, long do not run here")


def test_an_open_event_goes_on_under_other_thresholds() -> None:
    rules = rule_set(ALL, (BRAWL,))
    assert push(rules, range(2), 0.8) == [("brawl", "opened", "")]
    [event] = rules.open_events
    quick = OwnThresholds(rule="brawl", quiet_s=2.0, tiers=OwnTiers(low=0.95, medium=0.95, high=0.95))
    assert change(rules, CameraRules(thresholds=(quick,)), (BRAWL,)) == []
    assert [each.id for each in rules.open_events] == [event.id]
    assert push(rules, range(2, 3), 0.6) == [] and rules.open_events[0].windows[-1].window == 2
    assert push(rules, range(3, 4), 0.1) == [("brawl", "closed", "quiet")], "it closes by its new seconds"
    assert push(rules, range(4, 6), 0.8) == [], "the next one opens by its new tiers"


def test_the_event_of_a_rule_that_is_taken_away_is_closed_and_the_other_goes_on() -> None:
    rules = rule_set()
    assert push(rules, range(6), 0.8) == [("brawl", "opened", ""), ("long", "opened", "")]
    [closed] = change(rules, CameraRules(rules=("long",)))
    assert (closed.event.rule, closed.event.closed_because) == ("brawl", "the rule was taken from the camera")
    assert [each.rule for each in rules.open_events] == ["long"]
    assert change(rules, CameraRules()) == [] and [each.name for each in rules.rules] == ["brawl", "long"]
    assert push(rules, range(6, 8), 0.8) == [("brawl", "opened", "")]


def test_a_schedule_that_is_set_while_an_event_is_open_closes_it_unless_it_is_open_now() -> None:
    rules = rule_set(CameraRules(), (BRAWL,))
    push(rules, range(31, 34), 0.95)
    change(rules, MINUTE, (BRAWL,))
    assert push(rules, range(34, 35), 0.95) == [] and len(rules.open_events) == 1
    change(rules, CameraRules(schedule="13:00-14:00", timezone="UTC"), (BRAWL,))
    assert push(rules, range(35, 36), 0.95) == [("brawl", "closed", "the schedule ended")]
