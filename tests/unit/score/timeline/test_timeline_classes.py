"""Classes in the score of a watch: who is taken for whom, and what always the commonest class would get right."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vigil.events import Event, Tier
from vigil.report.timeline_table import timeline_table
from vigil.score.timeline_classes import IncidentClass, incident_classes, verdict_classes
from vigil.score.timeline_matching import match_events
from vigil.score.timeline_scorecard import WatchedVideo, score_timeline
from vigil.score.timeline_truth import TrueIncident
from vigil.verdict import JudgedWindow, Outcome, Verdict

SMOKE, FALL = "烟雾", "跌倒"
SPANS = (
    TrueIncident(20, 26, 1, SMOKE),
    TrueIncident(60, 64, 2, SMOKE),
    TrueIncident(100, 104, 3, FALL),
    TrueIncident(140, 144, 4, FALL),
    TrueIncident(180, 184, 5),
)


def event(onset_s: float, label: str) -> Event:
    return Event(
        id=f"e{onset_s:g}", source="v.mp4", onset_s=onset_s, end_s=onset_s + 5, announced_s=onset_s + 3, peak=0.9,
        peak_s=onset_s, tier=Tier.MEDIUM, windows=(), label=label,
    )  # fmt: skip


EVENTS = (event(20, SMOKE), event(60, FALL), event(100, FALL), event(180, SMOKE), event(300, SMOKE))


def test_found_incidents_are_right_under_their_own_class_and_false_alarms_have_the_class_that_was_said() -> None:
    classes = incident_classes([match_events(SPANS, EVENTS)])
    assert classes is not None
    assert classes.classes == (
        IncidentClass(label=SMOKE, incidents=2, found=2, right=1, false_alarms=1),
        IncidentClass(label=FALL, incidents=2, found=1, right=1, false_alarms=0),
    )
    assert (classes.right, classes.known) == (2, 3) and classes.commonest_share == pytest.approx(2 / 3)
    assert classes.right_ci95 is not None and classes.right_ci95[0] < 2 / 3 < classes.right_ci95[1]
    assert classes.said == {SMOKE: {SMOKE: 1, FALL: 1}, FALL: {FALL: 1}}


def test_a_question_with_two_labels_has_no_classes_in_its_score() -> None:
    spans = tuple(replace(span, label="") for span in SPANS)
    plain = [replace(each, label="") for each in EVENTS]
    assert incident_classes([match_events(spans, plain)]) is None
    score = score_timeline("m", [WatchedVideo(name="v.mp4", spans=spans, judged=(), events=tuple(plain))])
    assert "classes" not in score.to_json() and "right class" not in timeline_table(score)


def test_the_classes_are_in_the_table_and_in_the_file(tmp_path: Path) -> None:
    score = score_timeline("m", [WatchedVideo(name="v.mp4", spans=SPANS, judged=(), events=EVENTS)])
    rows = [line.split() for line in timeline_table(score).splitlines()]
    assert ["found:", "right", "class", "2", "of", "3:", "0.667"] in [row[:7] for row in rows]
    assert [SMOKE, "2", "2", "1", "1", SMOKE, "1,", FALL, "1"] in rows
    score.write(tmp_path / "score.json")
    written = json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))
    assert written["classes"]["right"] == 2
    assert written["per_video"][0]["found_events"][1] == {
        "onset_s": 60.0, "end_s": 64.0, "label": SMOKE, "event": "e60", "latency_s": 3.0, "said": FALL,
    }  # fmt: skip


def judged(window: int, start_s: float, label: str, p: float) -> JudgedWindow:
    verdict = Verdict(
        outcome=Outcome.ALARM if p >= 0.5 else Outcome.NORMAL, p_alarm=p, alarm_label=label,
        start_s=start_s, end_s=start_s + 2.5,
    )  # fmt: skip
    return JudgedWindow(source="v.mp4", window=window, verdict=verdict)


WINDOWS = (
    judged(0, 0, FALL, 0.1),
    judged(1, 20, SMOKE, 0.9),
    judged(2, 22, FALL, 0.3),
    judged(3, 24, FALL, 0.2),
    judged(4, 60, FALL, 0.8),
    judged(5, 100, FALL, 0.4),
    judged(6, 180, SMOKE, 0.9),
)


def test_the_verdicts_in_an_incident_are_right_if_they_mostly_bear_its_class() -> None:
    """By their probability: one sure window outweighs two unsure ones; where no verdict is, there is nothing to say."""
    classes = verdict_classes([(WINDOWS, SPANS)])
    assert classes is not None and (classes.right, classes.known) == (2, 3)
    assert classes.commonest_share == pytest.approx(2 / 3)
    assert classes.said == {FALL: {FALL: 1}, SMOKE: {FALL: 3, SMOKE: 1}}
    assert verdict_classes([([judged(0, 20, "", 0.9)], SPANS)]) is None
    nothing = verdict_classes([(WINDOWS[:1], SPANS)])
    assert nothing is not None and nothing.right_share is None


def test_the_classes_of_the_verdicts_are_in_the_table_and_in_the_file() -> None:
    score = score_timeline("m", [WatchedVideo(name="v.mp4", spans=SPANS, judged=WINDOWS, events=EVENTS)])
    assert "windows of an incident: right class" in timeline_table(score) and "2 of 3" in timeline_table(score)
    assert score.to_json()["verdict_classes"]["said"][SMOKE] == {FALL: 3, SMOKE: 1}


def test_nothing_found_has_no_share_but_its_classes() -> None:
    classes = incident_classes([match_events(SPANS, [])])
    assert classes is not None and classes.right_share is None and classes.right_ci95 is None
    assert [one.incidents for one in classes.classes] == [2, 2]
