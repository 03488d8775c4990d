"""The observation rule: words and fields of the semantic log, three-valued, also against a slow reference."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigil.config import from_mapping
from vigil.errors import ConfigError, UsageError
from vigil.events import EventChange, Tier
from vigil.rules import HysteresisSettings, ObservationRule, ObservationSettings, ObservedTerm, RuleSet
from vigil.rules.hysteresis import HysteresisRule
from vigil.scene import SCENE
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict
from vigil.watch import WatchSettings
from vigil.watch.observe_settings import ObserveSettings

LIGHTS_LEFT_ON = ObservationSettings(
    name="lights left on",
    all=(ObservedTerm(field="lights", equals="on"), ObservedTerm(field="people", is_empty=True)),
    times=2,
    misses=2,
    unknown_timeout_s=100.0,
    max_event_s=150.0,
)
EVERY_S = 10.0


def scene(*, lights: str = "off", people: tuple[str, ...] = (), objects: tuple[str, ...] = ()) -> str:
    lists = {"objects": objects, "people": people, "actions": ()}
    return json.dumps(lists | {"lights": lights, "place": "hall", "confidence": "low"}, ensure_ascii=False)


def observed(number: int, text: str) -> JudgedWindow:
    start_s = number * EVERY_S
    end_s = start_s + 2.5
    verdict = Verdict(outcome=Outcome.UNKNOWN, cause=Cause.WORDS_ONLY, text=text, start_s=start_s, end_s=end_s)
    answer = Answer(question=SCENE, cause=Cause.WORDS_ONLY, text=text)
    return JudgedWindow(source="hall", window=number, verdict=verdict, answers={SCENE: answer})


def story(changes: list[EventChange]) -> list[tuple[str, float, float | None, str]]:
    return [
        (each.kind, each.event.onset_s, each.event.end_s, each.event.closed_because)
        for each in changes
        if each.kind in ("opened", "closed")
    ]


def told(texts: list[str], settings: ObservationSettings) -> list[EventChange]:
    rule = ObservationRule(settings, source="hall", clock=lambda: 0.0)
    changes = [change for number, text in enumerate(texts) for change in rule.observe(observed(number, text))]
    changes += rule.finish("stopped")
    assert rule.finish("stopped") == [] and rule.open_events == ()
    return changes


ON, OFF, SOMEBODY, UNCLEAR = scene(lights="on"), scene(), scene(lights="on", people=("man",)), scene(lights="unclear")
WORDS = "A hall with the lights on."


def test_it_opens_after_so_many_in_a_row_and_closes_after_so_many_that_do_not_say_it() -> None:
    changes = told([ON, OFF, ON, ON, OFF, ON, SOMEBODY, OFF, OFF], LIGHTS_LEFT_ON)
    assert story(changes) == [("opened", 20.0, None, ""), ("closed", 20.0, 52.5, "quiet")]
    opened = changes[0].event
    assert opened.tier is Tier.LOW and opened.rule == "lights left on" and opened.text == ON


@pytest.mark.parametrize("unknown", [UNCLEAR, WORDS, '{"lights": "on"', ""])
def test_what_is_not_known_neither_opens_nor_closes(unknown: str) -> None:
    changes = told([unknown, ON, unknown, ON, unknown, unknown, unknown, ON, OFF, OFF], LIGHTS_LEFT_ON)
    assert story(changes) == [("opened", 10.0, None, ""), ("closed", 10.0, 72.5, "quiet")]


def test_without_an_observation_that_tells_it_is_lost_from_sight_and_begins_anew() -> None:
    changes = told([ON, ON, *[UNCLEAR] * 12, ON, OFF], LIGHTS_LEFT_ON)
    assert story(changes) == [("opened", 0.0, None, ""), ("closed", 0.0, 12.5, "lost sight")]


def test_windows_without_an_observation_only_let_time_pass() -> None:
    rule = ObservationRule(LIGHTS_LEFT_ON, source="hall", clock=lambda: 0.0)
    rules = RuleSet([rule, HysteresisRule(HysteresisSettings(name="fight"), source="hall")])
    for number in range(2):
        rules.observe(observed(number, ON))
    window = JudgedWindow(
        source="hall", window=60, verdict=Verdict(outcome=Outcome.NORMAL, p_alarm=0.1, start_s=120.0, end_s=122.5)
    )
    [closed] = rules.push(window)
    assert closed.event.rule == "lights left on" and closed.event.closed_because == "lost sight"
    assert rules.observe(window) == []


def test_an_event_that_lasts_is_split() -> None:
    changes = told([ON] * 20, LIGHTS_LEFT_ON)
    assert [each[3] for each in story(changes) if each[0] == "closed"] == ["split after max_event_s", "stopped"]


@pytest.mark.parametrize(
    ("words", "text", "has"),
    [
        (("cigarette", "香烟"), "A man lights a Cigarette.", True),
        (("cigarette",), "two cigarettes on a table", True),
        (("ash",), "cash on the counter", False),
        (("香烟",), "一个男人手里拿着香烟", True),
        (("香烟",), scene(objects=("香烟",)), True),
        (("ＣＡＳＨ",), "cash on the counter", True),
        (("no match.*",), "no match at all", False),
        (("straße",), "auf der STRASSE", True),
    ],
)
def test_words_are_found_whatever_their_case_and_width_and_as_words(
    words: tuple[str, ...], text: str, has: bool
) -> None:
    assert bool(story(told([text], ObservationSettings(name="smoking", words=words)))) is has


def test_a_field_of_its_own_keeps_words_from_elsewhere_out() -> None:
    settings = ObservationSettings(name="cash", field="objects", words=("cash",))
    assert story(told([scene(people=("cash officer",))], settings)) == []
    assert story(told([scene(objects=("cash box",))], settings))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"words": []}, "say one term"),
        ({"field": "light", "equals": "on"}, "did you mean 'lights'"),
        ({"field": "lights"}, "say one of words, equals and is_empty"),
        ({"equals": "on"}, "field is missing; there are objects, people"),
        ({"words": ["x"], "all": [{"words": ["y"]}]}, "say one term"),
        ({"words": ["x"], "times": 0}, "times must be from 1 to 100"),
        ({"words": [" "]}, "none of them empty"),
        ({"word": ["x"]}, "did you mean 'words'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_the_nearest_key(data: dict[str, Any], problem: str) -> None:
    with pytest.raises((ConfigError, UsageError), match=problem):
        from_mapping(ObservationSettings, {"name": "r"} | data, where="rules.0")


def test_a_watch_must_make_the_observations_that_its_rules_are_about() -> None:
    rules = (HysteresisSettings(), LIGHTS_LEFT_ON)
    with pytest.raises(UsageError, match=r"about observations, and observe\.every_s is 0"):
        WatchSettings(rules=rules)
    with pytest.raises(UsageError, match=r"about a field, and observe\.form is words"):
        WatchSettings(rules=rules, observe=ObserveSettings(every_s=10.0, form="words"))
    assert WatchSettings(rules=rules, observe=ObserveSettings(every_s=10.0)).observe.is_on


class Slow:
    """Looks at all observations again at each; tells (kind, first, last that says it, why)."""

    def __init__(self, holds: list[bool | None], settings: ObservationSettings) -> None:
        self.holds, self.settings = holds, settings
        self.told: list[tuple[str, int, int | None, str]] = []
        self.since, self.first, self.opened_at = 0, -1, -1

    def run(self) -> list[tuple[str, int, int | None, str]]:
        for number, now in enumerate(self.holds):
            self.look(number, now)
        if self.opened_at >= 0:
            self.close(len(self.holds), 0, "stopped")
        return self.told

    def look(self, number: int, now: bool | None) -> None:
        now_s = number * EVERY_S + (2.5 if now is None else 0.0)
        known = [i for i in range(number) if self.holds[i] is not None]
        if self.opened_at >= 0 and now_s - (known[-1] * EVERY_S + 2.5) >= self.settings.unknown_timeout_s:
            self.close(number, number, "lost sight")
        if self.opened_at < 0:
            self.may_open(number, now)
        elif now and (number - self.opened_at) * EVERY_S > self.settings.max_event_s:
            self.close(number, number + 1, "split after max_event_s")
        elif now is False and self.all_are(False, self.opened_at + 1, number, count=self.settings.misses):
            self.close(number, number + 1, "quiet")

    def may_open(self, number: int, now: bool | None) -> None:
        if now and (run := self.all_are(True, self.since, number, count=self.settings.times)):
            self.first, self.opened_at = run[0], number
            self.told.append(("opened", run[0], None, ""))

    def all_are(self, value: bool, first: int, last: int, *, count: int) -> list[int]:
        """The last so many observations that tell, if all are of this value."""
        run = [i for i in range(first, last + 1) if self.holds[i] is not None][-count:]
        return run if len(run) == count and all(self.holds[i] is value for i in run) else []

    def close(self, number: int, since: int, why: str) -> None:
        said = [i for i in range(self.first, number) if self.holds[i]]
        self.told.append(("closed", self.first, said[-1], why))
        self.since, self.opened_at = since, -1


@given(
    holds=st.lists(st.sampled_from([True, True, False, None]), max_size=60),
    times=st.integers(1, 3),
    misses=st.integers(1, 3),
    lost_s=st.sampled_from([30.0, 100.0]),
)
@example(holds=[True, None, None, None, None, True], times=1, misses=1, lost_s=30.0)
def test_it_says_what_a_slow_reference_says(holds: list[bool | None], times: int, misses: int, lost_s: float) -> None:
    settings = ObservationSettings(
        name="r",
        field="lights",
        equals="on",
        times=times,
        misses=misses,
        unknown_timeout_s=lost_s,
        max_event_s=150.0,
    )
    texts = [{True: ON, False: OFF, None: UNCLEAR}[each] for each in holds]
    found = [
        (kind, round(onset_s / EVERY_S), None if end_s is None else round((end_s - 2.5) / EVERY_S), why)
        for kind, onset_s, end_s, why in story(told(texts, settings))
    ]
    assert found == Slow(holds, settings).run()
