"""Events bear the class of the window with the highest probability, under every kind of rule."""

import io
import json

import pytest

from vigil.events import EventChange, TierThresholds
from vigil.questions import load_question
from vigil.rules.condition import Term
from vigil.rules.count import CountRule, CountSettings
from vigil.rules.duration import DurationRule, DurationSettings
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.rules.sequence import SequenceRule, SequenceSettings
from vigil.verdict import Answer, Cause, JudgedWindow
from vigil.watch.file_outputs import JsonLinesWriter

NINE = load_question("anomaly9")


def judged(window: int, **p: float) -> JudgedWindow:
    """A window with these probabilities of classes; the rest lies on 正常."""
    each = {label: p.get(label, 0.0) for label in NINE.words()}
    each["正常"] = 1.0 - sum(p.values())
    answer = Answer(probabilities=each, raw_probabilities=each, start_s=window * 2.0, end_s=window * 2.0 + 2.5)
    return JudgedWindow(source="yard", window=window, verdict=answer.verdict(NINE, alarm_from=0.5))


def test_an_event_has_the_class_of_its_peak_and_each_window_its_own() -> None:
    rule = HysteresisRule(HysteresisSettings(), source="yard", task="anomaly9")
    opened = [rule.push(judged(0, 烟雾=0.8)), rule.push(judged(1, 烟雾=0.7, 跌倒=0.1))][1][0].event
    assert (opened.label, [each.label for each in opened.windows]) == ("烟雾", ["烟雾", "烟雾"])
    [grown] = rule.push(judged(2, 跌倒=0.95))
    assert (grown.event.label, grown.event.id) == ("跌倒", opened.id)
    [ended] = rule.finish("stopped")
    assert ended.event.label == "跌倒"


def test_the_class_is_that_of_an_alarm_even_where_normal_is_likeliest() -> None:
    verdict = judged(0, 烟雾=0.3, 跌倒=0.25).verdict
    assert verdict.p_alarm == pytest.approx(0.55) and verdict.alarm_label == "烟雾"


def test_a_short_clip_of_one_window_has_a_class_too() -> None:
    rule = HysteresisRule(HysteresisSettings(), source="yard", task="anomaly9")
    rule.push(judged(0, 危险工具=0.97))
    assert [change.event.label for change in rule.finish("the source ended")] == ["危险工具", "危险工具"]


def test_an_unknown_window_has_none_and_does_not_take_it_away() -> None:
    rule = HysteresisRule(HysteresisSettings(), source="yard", task="anomaly9")
    rule.push(judged(0, 烟雾=0.9))
    lost = Answer(cause=Cause.TIMEOUT, start_s=2.0, end_s=4.5).verdict(NINE, alarm_from=0.5)
    rule.push(JudgedWindow(source="yard", window=1, verdict=lost))
    [opened] = rule.push(judged(2, 烟雾=0.8))
    assert (opened.event.label, [each.label for each in opened.event.windows]) == ("烟雾", ["烟雾", "", "烟雾"])


def test_a_rule_about_one_class_counts_that_class_alone_and_its_event_bears_it() -> None:
    settings = DurationSettings(name="loitering", label="夜间徘徊", for_s=6.0, tiers=TierThresholds())
    rule = DurationRule(settings, source="yard", task="anomaly9", model="m", epoch_s=None)
    assert [change for n in range(8) for change in rule.push(judged(n, 跌倒=0.97))] == []
    changes = [change for n in range(8, 14) for change in rule.push(judged(n, 夜间徘徊=0.96))]
    assert changes and {change.event.label for change in changes} == {"夜间徘徊"}


def test_a_count_and_a_sequence_bear_the_class_of_their_term() -> None:
    count = CountRule(CountSettings(name="many", label="烟雾", times=2, within_s=60.0), source="yard", task="anomaly9")
    seen = [change for n, p in enumerate((0.9, *5 * (0.0,), 0.9)) for change in count.push(judged(n, 烟雾=p))]
    assert {change.event.label for change in seen} == {"烟雾"}
    terms = (Term(label="周界翻越"), Term(label="跌倒"))
    sequence = SequenceRule(
        SequenceSettings(name="over", first=terms[0], then=terms[1], within_s=30.0), source="yard", task="anomaly9"
    )
    sequence.push(judged(0, 周界翻越=0.95))
    [opened] = sequence.push(judged(1, 跌倒=0.97))
    assert opened.event.label == "跌倒"


def test_json_lines_name_the_class_and_the_probabilities_only_where_there_are_classes() -> None:
    file = io.BytesIO()
    writer = JsonLinesWriter(file, TierThresholds())  # type: ignore[arg-type]
    rule = HysteresisRule(HysteresisSettings(), source="yard", task="anomaly9")
    windows = [judged(0, 烟雾=0.9), judged(1, 烟雾=0.95)]
    changes: list[EventChange] = [change for each in windows for change in rule.push(each)]
    writer.on_result(windows[0])
    writer.on_change(changes[0])
    verdict, event = (json.loads(line) for line in file.getvalue().splitlines())
    assert verdict["probabilities"]["烟雾"] == 0.9 and event["label"] == "烟雾"
    plain = HysteresisRule(HysteresisSettings(k=1, n=1), source="yard", task="fight")
    two = Answer(probabilities={"alarm": 0.9, "normal": 0.1}, raw_probabilities={"alarm": 0.9, "normal": 0.1})
    [opened] = plain.push(
        JudgedWindow(source="yard", window=0, verdict=two.verdict(load_question("fight"), alarm_from=0.5))
    )
    writer.on_change(opened)
    assert "label" not in json.loads(file.getvalue().splitlines()[-1])
