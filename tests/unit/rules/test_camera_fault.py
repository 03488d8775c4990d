"""Rules about the camera: settings, names and tiers, and events that say that they are about the camera."""

import pytest

from vigil.errors import ConfigError, UsageError
from vigil.events import Tier
from vigil.questions import Question
from vigil.rules import (
    CameraFaultSettings,
    CameraRules,
    DurationSettings,
    Fault,
    HysteresisSettings,
    build_rules,
    checked_rules,
    resolve_questions,
)
from vigil.rules.build import RuleMaker
from vigil.rules.camera_fault import fault_answer, fault_question
from vigil.rules.camera_rules import OwnThresholds, OwnTiers
from vigil.verdict import Cause, JudgedWindow, Verdict
from vigil.watch.settings import load_watch_settings

FIGHT = Question.with_two_labels(name="fight", text="?", alarm_word="Yes", normal_word="No")


def looked(number: int, shown: bool | None, *, fault: Fault = Fault.DARK) -> JudgedWindow:
    """A window that the model never judged, with what its pixels say of the camera."""
    verdict = Verdict.unknown(Cause.DROPPED, start_s=2.0 * number, end_s=2.0 * number + 2.0)
    return JudgedWindow(
        source="door", window=number, verdict=verdict, answers={fault_question(fault): fault_answer(fault, shown)}
    )


def test_a_rule_is_called_after_its_fault_and_lasts_as_long_as_is_usual_for_it() -> None:
    assert [CameraFaultSettings(fault=fault).name for fault in Fault] == [f"camera {fault}" for fault in Fault]
    assert CameraFaultSettings(fault=Fault.COVERED).for_s < CameraFaultSettings(fault=Fault.BLURRED).for_s
    own = CameraFaultSettings(fault=Fault.DARK, name="lights out", for_s=5.0)
    assert (own.name, own.for_s) == ("lights out", 5.0)


@pytest.mark.parametrize("tier", list(Tier))
def test_an_event_is_about_the_camera_has_the_tier_that_was_set_and_no_model(tier: Tier) -> None:
    rules = build_rules([CameraFaultSettings(fault=Fault.DARK, tier=tier)], source="door", task="fight", model="m")
    [opened] = [each for n in range(16) for each in rules.push(looked(n, True)) if each.kind == "opened"]
    event = opened.event
    assert (event.rule, event.task, event.model, event.tier) == ("camera dark", "camera", "", tier)
    assert event.onset_s == 0.0 and (event.announced_s or 0.0) == pytest.approx(30.0, abs=0.1)


def test_what_the_pictures_do_not_tell_neither_counts_nor_ends_a_fault() -> None:
    rules = build_rules([CameraFaultSettings(fault=Fault.DARK, for_s=10.0)], source="door")
    shown = [True, None, None, True, True, None, True, False, True]
    kinds = [[each.kind for each in rules.push(looked(n, state))] for n, state in enumerate(shown)]
    # Five windows of two seconds; the last but one is a gap of two seconds, which is bridged.
    assert kinds == [[], [], [], [], [], [], [], [], ["opened"]]
    closed = [each for n in range(9, 13) for each in rules.push(looked(n, False))]
    assert [(each.kind, each.event.end_s) for each in closed] == [("closed", 18.0)]


def test_a_window_without_any_answer_about_the_camera_is_unknown_even_if_the_model_calls_it_an_alarm() -> None:
    rules = build_rules([CameraFaultSettings(fault=Fault.DARK, for_s=1.0)], source="door", task="fight")
    verdict = Verdict.unknown(Cause.TIMEOUT, start_s=0.0, end_s=2.0)
    assert rules.push(JudgedWindow(source="door", window=0, verdict=verdict)) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"for_s": -1.0}, "for_s must not be negative"),
        ({"gap_s": -1.0}, "gap_s must not be negative"),
        ({"unknown_timeout_s": 0.0}, "unknown_timeout_s must be above 0"),
        ({"max_event_s": 1.0}, "max_event_s must be at least"),
        ({"timezone": "UTC"}, "timezone is that of a schedule"),
        ({"schedule": "someday"}, "the schedule 'someday'"),
    ],
)
def test_settings_that_fit_no_fault_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        CameraFaultSettings(fault=Fault.DARK, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{type: camera, falt: dark}", "fault"),
        ("{type: camera, fault: darkk}", "dark"),
        ("{type: camera}", "fault"),
        ("{type: camra, fault: dark}", "camera"),
    ],
)
def test_a_mistake_in_a_file_of_settings_names_what_was_meant(rule: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_watch_settings("default", {}, [f"rules.1={rule}"])


def test_the_file_of_camera_rules_has_one_for_each_fault_beside_the_usual_rule() -> None:
    rules = load_watch_settings("camera", {}, []).rules
    assert isinstance(rules[0], HysteresisSettings)
    assert [rule.fault for rule in rules if isinstance(rule, CameraFaultSettings)] == list(Fault)


def test_camera_rules_ask_the_model_nothing_and_a_camera_may_have_its_own_seconds() -> None:
    settings = [HysteresisSettings(name="fight"), CameraFaultSettings(fault=Fault.DARK)]
    rules, questions = resolve_questions(settings, own=FIGHT)
    assert rules == tuple(settings) and questions == (FIGHT,)
    chosen = CameraRules(thresholds=(OwnThresholds(rule="camera dark", for_s=5.0, gap_s=2.0),))
    assert checked_rules(rules, chosen) is chosen
    with pytest.raises(UsageError, match="a camera rule has no tiers; it has for_s, gap_s"):
        checked_rules(rules, CameraRules(thresholds=(OwnThresholds(rule="camera dark", tiers=OwnTiers(low=0.5)),)))


def test_a_rule_of_another_kind_under_the_same_name_begins_anew() -> None:
    maker = RuleMaker(source="door", task="fight")
    running = build_rules([CameraFaultSettings(fault=Fault.DARK, name="x", for_s=2.0)], source="door")
    assert [each.kind for each in running.push(looked(0, True))] == ["opened"]
    changes = maker.change(running, [DurationSettings(name="x")], schedule=None)
    assert [each.kind for each in changes] == ["closed"] and running.open_events == ()
