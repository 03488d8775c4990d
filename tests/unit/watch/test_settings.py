import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from vigil.config import config_root, find_config, read_yaml
from vigil.errors import ConfigError, UsageError, VigilError
from vigil.rules import CameraRules, CameraTask, DurationSettings, HysteresisSettings
from vigil.rules.camera_rules import OwnThresholds
from vigil.sources.address import SourceEntry, find_sources
from vigil.watch.gate import USUAL_MOTION, USUAL_PERSON
from vigil.watch.settings import WatchSettings, ask_sources, load_watch_settings


def test_options_beat_the_file_and_set_beats_options() -> None:
    settings = load_watch_settings(
        "default", {"describe": "events", "realtime": True}, ["describe=never", "rules.0.k=1"]
    )
    assert (settings.describe, settings.realtime, settings.hysteresis.k, settings.hysteresis.n) == ("never", True, 1, 3)


def test_a_text_that_is_set_stays_as_it_was_typed() -> None:
    words = ["store=x/夜 #3,a.db", "model=7", "url=http://127.0.0.1:1/v1 #b", "model_dir=[a]", "task=null"]
    settings = load_watch_settings("default", {}, words)
    assert (settings.store, settings.model, str(settings.model_dir)) == ("x/夜 #3,a.db", "7", "[a]")
    assert settings.url.endswith(" #b") and settings.task is None
    with pytest.raises(ConfigError, match="k must be a whole number, not '1 #one'"):
        load_watch_settings("default", {}, ["rules.0.k=1 #one"])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{type: duration, name: a, all: [{lable: on}]}", "unknown key 'lable' (did you mean 'label'?)"),
        ("{type: duration, name: a, all: [{holds: maybe}]}", "holds must be true or false"),
        ("{type: sequence, name: a, first: {label: x}, than: {}}", "unknown key 'than' (did you mean 'then'?)"),
        ("{type: sequence, name: a, first: {label: x}}", "then is missing"),
        ("{type: count, name: a, times: 1}", "times must be from 2 to 1000, not 1"),
    ],
)
def test_a_rule_over_time_that_cannot_be_is_told_by_its_key(rule: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        load_watch_settings("default", {}, [f"rules.1={rule}"])
    assert said in str(told.value)


def test_a_key_that_no_setting_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'in_flight'"):
        load_watch_settings("default", {"in_fligt": 3}, [])


@pytest.mark.parametrize(
    ("named", "words", "said"),
    [
        (
            {},
            ["describe=never", "descrbe=never"],
            "--set descrbe=never: unknown key 'descrbe' (did you mean 'describe'?)",
        ),
        ({}, ["describe=sometimes"], "--set describe=sometimes: describe must be one of "),
        ({}, ["rules.0.k=1", "rules.0.kk=1"], "--set rules.0.kk=1: rules.0: unknown key 'kk' (did you mean 'k'?)"),
        ({}, ["rules.0.k=9"], "--set rules.0.k=9: rules.0: k must be from 1 to n, not 9 of 3"),
        (
            {},
            ["rules.0.type=hysterese"],
            "--set rules.0.type=hysterese: rules.0: unknown type 'hysterese' (did you mean",
        ),
        (
            {},
            ["rules.0.type=camera"],
            "--set rules.0.type=camera: rules.0 has settings of another type, which camera does not know; say the "
            "whole of it, --set 'rules.0={type: camera, fault: ...}', or",
        ),
        ({}, ["rules={k: 2}"], "--set rules={k: 2}: rules must be a list"),
        (
            {},
            ["rules=[{k: 2}]"],
            "--set rules=[{k: 2}]: rules.0: type is missing; there are hysteresis, duration, sequence, count",
        ),
        ({}, ["rules=[7]"], "--set rules=[7]: rules.0 must be a group of `key: value` lines, not 7"),
        (
            {},
            ["rules.1={type: duration, name: a, form_s: 3}"],
            "--set rules.1={type: duration, name: a, form_s: 3}: rules.1: unknown key 'form_s' (did you mean 'for_s'?)",
        ),
        ({}, ["rules.1={type: duration}"], "--set rules.1={type: duration}: rules.1: name is missing"),
        ({"in_flight": "many"}, [], "--in-flight: in_flight must be a whole number"),
        ({}, ["word=rtsp://ann:secret@door/1"], "--set word=rtsp://door/1: unknown key"),
    ],
)
def test_a_wrong_word_is_blamed_and_not_the_file(named: dict[str, Any], words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as told:
        load_watch_settings("default", named, words)
    assert str(told.value).startswith(said) and "secret" not in str(told.value)


def test_a_wrong_file_is_blamed_whatever_was_said_besides(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("in_fligt: 3\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: unknown key 'in_fligt'"):
        load_watch_settings(str(tmp_path / "mine.yaml"), {"realtime": True}, ["describe=never"])


def test_a_setting_is_no_group() -> None:
    with pytest.raises(UsageError, match="describe is a setting of its own"):
        load_watch_settings("default", {}, ["describe.x=1"])


LOITERING = ["rules.1.type=duration", "rules.1.name=7", "rules.1.schedule=22:00-06:00 #x"]


def test_a_rule_is_named_by_its_number_or_its_name_and_the_next_number_adds_one() -> None:
    words = [*LOITERING[:2], "rules.1.schedule=22:00-06:00", "rules.7.for_s=300", "rules.1.gap_s=9"]
    first, second = load_watch_settings("default", {}, words).rules
    assert first == HysteresisSettings()
    assert second == DurationSettings(name="7", schedule="22:00-06:00", for_s=300.0, gap_s=9.0)
    with pytest.raises(UsageError, match=r"there is no 'loitring' in rules; there are 0, 1 \(7\)"):
        load_watch_settings("default", {}, [*LOITERING[:2], "rules.loitring.for_s=1"])
    with pytest.raises(ConfigError, match=r"rules\.1: the schedule '22:00-06:00 #x' has a part"):
        load_watch_settings("default", {}, LOITERING)


def test_a_file_that_names_no_rules_has_the_usual_one_to_set(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("realtime: true\n")
    assert load_watch_settings(str(tmp_path / "mine.yaml"), {}, ["rules.0.k=1"]).rules == (HysteresisSettings(k=1),)
    (tmp_path / "none.yaml").write_text("rules: []\n")
    with pytest.raises(UsageError, match="rules must hold at least one rule"):
        load_watch_settings(str(tmp_path / "none.yaml"), {}, [])


def test_the_tiers_shown_are_those_of_the_first_rule() -> None:
    settings = load_watch_settings("default", {}, ["rules=[{type: duration, name: a, tiers: {low: 0.5}}]"])
    assert settings.tiers.low == 0.5 and settings.hysteresis == HysteresisSettings()


def names_of(settings: Any, above: str = "") -> set[str]:
    """The names of all settings, nested ones with dots."""
    names: set[str] = set()
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name == "rules":
            names |= {f"rules.0.{name}" for name in names_of(value[0])}
            continue
        names |= names_of(value, f"{above}{field.name}.") if is_dataclass(value) else {above + field.name}
    return names


def keys_of(data: dict[str, Any], above: str = "") -> set[str]:
    keys: set[str] = set()
    for key, value in data.items():
        value = value[0] if key == "rules" else value
        key = "rules.0" if key == "rules" else key
        keys |= keys_of(value, f"{above}{key}.") if isinstance(value, dict) else {above + key}
    return keys


@pytest.mark.parametrize("share", ["-0.1", "1.5"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    with pytest.raises(UsageError, match="min_label_probability is a share, from 0 to 1"):
        load_watch_settings("default", {}, [f"min_label_probability={share}"])


def test_clips_that_would_end_before_their_incident_are_refused() -> None:
    with pytest.raises(UsageError, match=r"clips of 2 s \(max_s\) would end before the incident"):
        load_watch_settings("default", {}, ["clips.max_s=2"])


def test_the_default_file_lists_every_setting_with_its_default() -> None:
    assert keys_of(read_yaml(find_config("watch", "default"))) == names_of(WatchSettings())
    assert load_watch_settings("default", {}, []) == WatchSettings()


def test_sentences_are_asked_of_every_source_beside_its_own_questions_and_none_takes_them_away() -> None:
    own = SourceEntry(url="rtsp://10.0.0.7/1", name="door", tasks=("fall",))
    first, second = ask_sources([own, "1"], ["有烟吗", "Is it dark?"])
    smoke, dark = CameraTask(ask="有烟吗"), CameraTask(ask="Is it dark?")
    assert first == replace(own, tasks=("fall", smoke, dark))
    [address] = find_sources([second])
    assert address.rules == CameraRules(tasks=(smoke, dark))
    [left] = find_sources([ask_sources(["yard=rtsp://10.0.0.8/1"], ["none"])[0]])
    assert left.name == "yard" and left.rules is not None and left.rules.to_text() == "{}"
    with pytest.raises(UsageError, match="at most 500 characters"):
        ask_sources(["1"], ["x" * 100_000])


@pytest.mark.parametrize("name", ["yard", "大门"])
def test_a_source_of_the_settings_may_be_named_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.yaml").write_text(MAPPED, encoding="utf-8")
    settings = load_watch_settings(str(tmp_path / "mine.yaml"), {"sources": (name, "2")}, [])
    assert [each.name for each in find_sources(settings.sources)] == [name, "webcam 2"]


MAPPED = """
sources:
  - yard=rtsp://10.0.0.8/1
  - rtsp://10.0.0.9/1
  - name: 大门
    url: rtsp://10.0.0.7/1
    place: 北门
    masks:
      - {kind: privacy, points: [[0, 0], [0.5, 0], [0.5, 0.5]]}
  - {url: 0, name: webcam}
"""


def test_a_source_may_have_a_name_a_place_and_masks(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MAPPED)
    yard, plain, gate, webcam = find_sources(load_watch_settings(str(tmp_path / "mine.yaml"), {}, []).sources)
    assert (yard.name, yard.location, yard.masks) == ("yard", "rtsp://10.0.0.8/1", None)
    assert (plain.name, plain.place) == ("rtsp://10.0.0.9/1", "")
    assert (gate.name, gate.place, gate.location) == ("大门", "北门", "rtsp://10.0.0.7/1")
    assert gate.masks is not None and gate.masks[0].points == ((0, 0), (0.5, 0), (0.5, 0.5))
    assert (webcam.kind, webcam.name, webcam.location) == ("webcam", "webcam", "0")


RULED = """
rules:
  - {type: hysteresis, name: brawl}
  - {type: duration, name: loitering, for_s: 300}
sources:
  - {name: yard, url: "rtsp://10.0.0.8/1"}
  - name: gate
    url: rtsp://10.0.0.7/1
    rules: [loitering]
    thresholds:
      - {rule: loitering, for_s: 60}
    schedule: mon-fri 20:00-06:00
    timezone: Asia/Shanghai
"""


def test_a_source_may_have_rules_thresholds_and_a_schedule_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(RULED)
    yard, gate = find_sources(load_watch_settings(str(tmp_path / "mine.yaml"), {}, []).sources)
    own = OwnThresholds(rule="loitering", for_s=60.0)
    assert yard.rules is None
    assert gate.rules == CameraRules(
        rules=("loitering",), thresholds=(own,), schedule="mon-fri 20:00-06:00", timezone="Asia/Shanghai"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("rules: [loiterin]", "sources.0: there is no rule 'loiterin'; did you mean 'loitering'?"),
        ("thresholds: [{rule: brawl, k: 9}]", "sources.0: the thresholds of brawl: k must be from 1 to n, not 9 of 3"),
        ("thresholds: [{rule: brawl, kk: 1}]", "thresholds.0: unknown key 'kk' (did you mean 'k'?)"),
        ("schedule: at night", "sources.0: the schedule 'at night' has a part"),
        ("schedul: 22:00-06:00", "unknown key 'schedul' (did you mean 'schedule'?)"),
        ("timezone: UTC", "sources.0: timezone is that of a schedule, and there is none"),
        ("rules: brawl", "rules must be a list or null"),
    ],
)
def test_rules_of_a_source_that_are_wrong_are_told_with_its_number(tmp_path: Path, source: str, said: str) -> None:
    rules = "rules: [{type: hysteresis, name: brawl}, {type: duration, name: loitering}]"
    (tmp_path / "mine.yaml").write_text(f'{rules}\nsources: [{{url: "rtsp://h/1", {source}}}]\n')
    with pytest.raises(VigilError) as refused:
        load_watch_settings(str(tmp_path / "mine.yaml"), {}, [])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{name: door}", "sources.0.url is missing|sources.0: url is missing"),
        ("{url: rtsp://h/1, plce: x}", "plce.*did you mean 'place'"),
        ("{url: rtsp://h/1, name: '" + "x" * 81 + "'}", "sources.0: the name of a source has at most 80"),
        ("{url: rtsp://h/1, masks: [{kind: privacy, points: [[0, 0], [1, 1]]}]}", "3 to 100 points, not 2"),
        ("{url: rtsp://h/1, masks: [{kind: privacy, points: [[0, 0], [1, 1], [.nan, 0]]}]}", "inside the picture"),
        (
            "{url: rtsp://h/1, masks: [{kind: secret, points: [[0, 0], [1, 0], [1, 1]]}]}",
            r"sources.0: masks.0.kind must be one of|masks.0: kind must be",
        ),
        ("[1, 2]", "sources.0 must be text or a group"),
    ],
)
def test_a_source_that_says_something_wrong_is_told_with_its_number(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"sources: [{source}]\n")
    with pytest.raises(VigilError, match=said):
        load_watch_settings(str(tmp_path / "mine.yaml"), {}, [])


@pytest.mark.parametrize("name", sorted(path.stem for path in (config_root() / "watch").glob("*.yaml")))
def test_every_shipped_file_of_settings_is_loaded(name: str) -> None:
    assert load_watch_settings(name, {}, []).rules


@pytest.mark.parametrize(
    ("said", "threshold"),
    [
        ({}, 0.0),
        ({"gate": "motion"}, USUAL_MOTION),
        ({"gate": "motion", "motion_gate": 2.0}, 2.0),
        ({"motion_gate": 2.0}, 2.0),
    ],
)
def test_the_gate_skips_what_moves_less_than_is_said_or_than_was_found_safe(
    said: dict[str, Any], threshold: float
) -> None:
    assert WatchSettings(**said).motion_threshold == threshold


@pytest.mark.parametrize(
    ("said", "threshold"),
    [
        ({}, 0.0),
        ({"gate": "motion"}, 0.0),
        ({"gate": "person"}, USUAL_PERSON),
        ({"gate": "person", "person_gate": 0.3}, 0.3),
        ({"gate": "motion", "person_gate": 0.3}, 0.3),
    ],
)
def test_the_gate_skips_where_nobody_is_seen_as_surely_as_is_said_or_was_found_safe(
    said: dict[str, Any], threshold: float
) -> None:
    assert WatchSettings(**said).person_threshold == threshold


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("person_gate=1", "person_gate is a confidence, from 0 to below 1, not 1"),
        ("person_gate=-0.1", "person_gate is a confidence, from 0 to below 1, not -0.1"),
        ("gate=people", "person"),
        ("person_gates=0.1", "did you mean 'person_gate'"),
    ],
)
def test_a_gate_that_cannot_be_is_told(word: str, told: str) -> None:
    with pytest.raises(VigilError, match=re.escape(told)):
        load_watch_settings("default", {}, [word])
