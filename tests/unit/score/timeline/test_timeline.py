import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import pdtr

from vigil.events import Event, Tier
from vigil.report.plots import write_timeline_plot
from vigil.report.timeline_table import timeline_table
from vigil.score.metrics import average_precision, poisson
from vigil.score.timeline_matching import WindowFigures, is_positive, match_events
from vigil.score.timeline_scorecard import WatchedVideo, score_timeline
from vigil.score.timeline_truth import TrueIncident
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

SPANS = (TrueIncident(20, 26), TrueIncident(60, 64))


def judged(probabilities: Sequence[float | None], *, source: str = "v.mp4") -> tuple[JudgedWindow, ...]:
    return tuple(
        JudgedWindow(source=source, window=n, verdict=verdict(n * 2.0, p)) for n, p in enumerate(probabilities)
    )


def verdict(start_s: float, p_alarm: float | None) -> Verdict:
    if p_alarm is None:
        return Verdict.unknown(Cause.TIMEOUT, start_s=start_s, end_s=start_s + 2.5)
    outcome = Outcome.ALARM if p_alarm >= 0.5 else Outcome.NORMAL
    return Verdict(outcome=outcome, p_alarm=p_alarm, start_s=start_s, end_s=start_s + 2.5)


def event(onset_s: float, end_s: float | None, *, announced_s: float | None = None) -> Event:
    announced_s = onset_s + 3 if announced_s is None else announced_s
    return Event(
        id=f"e{onset_s:g}", source="v.mp4", onset_s=onset_s, end_s=end_s, announced_s=announced_s, peak=0.9,
        peak_s=onset_s, tier=Tier.MEDIUM, windows=(),
    )  # fmt: skip


def watched(
    events: Sequence[Event] = (), *, name: str = "v.mp4", spans: tuple[TrueIncident, ...] = SPANS
) -> WatchedVideo:
    probabilities = [0.9 if any(s.onset_s - 1 < n * 2 < s.end_s for s in spans) else 0.1 + n / 1000 for n in range(50)]
    return WatchedVideo(name=name, spans=spans, judged=judged(probabilities, source=name), events=tuple(events))


@pytest.mark.parametrize(
    ("start_s", "end_s", "truth"),
    [
        (10, 12.5, False),
        (17.5, 20, False),
        (18, 20.5, None),
        (19, 21.5, True),
        (22, 24.5, True),
        (25, 27.5, None),
        (59, 70, True),
        (21, 21, True),
        (27, 27, False),
    ],
)
def test_a_window_is_positive_when_half_of_the_shorter_is_shared(start_s: float, end_s: float, truth: object) -> None:
    assert is_positive(start_s, end_s, SPANS) is truth


def test_events_find_incidents_and_the_rest_is_told_apart() -> None:
    events = [event(20, 25), event(25.5, 27), event(40, 45), event(63, 66)]
    matching = match_events(SPANS, events)
    assert [(find.span.onset_s, find.event.id, find.latency_s) for find in matching.found] == [
        (20, "e20", 3),
        (60, "e63", 6),
    ]
    assert [e.id for e in matching.repeated] == ["e25.5"] and [e.id for e in matching.false] == ["e40"]
    assert matching.missed == () and matching.merged == ()


def test_one_event_over_two_incidents_finds_one() -> None:
    matching = match_events(SPANS, [event(20, 70)])
    assert len(matching.found) == 1 and matching.missed == (SPANS[1],) and matching.merged == (SPANS[1],)


def test_an_alarm_that_rang_long_before_is_false_whatever_happens_later() -> None:
    matching = match_events(SPANS, [event(0, None, announced_s=3)])
    assert matching.found == () and len(matching.false) == 1 and matching.missed == SPANS


def test_an_alarm_a_little_early_or_late_still_counts() -> None:
    assert match_events([TrueIncident(20, 26)], [event(18, 22, announced_s=18.5)]).found[0].latency_s == -1.5
    assert match_events([TrueIncident(20, 22)], [event(24.5, 30)]).found
    assert not match_events([TrueIncident(20, 22)], [event(26, 30)]).found


def test_as_many_incidents_as_possible_are_found() -> None:
    close = (TrueIncident(10, 12), TrueIncident(14, 16))
    matching = match_events(close, [event(11, 20, announced_s=11.5), event(9, 12, announced_s=10)])
    assert [find.event.id for find in matching.found] == ["e9", "e11"]


def test_the_score_pools_videos_and_keeps_each() -> None:
    quiet = watched([event(70, 80)], name="quiet.mp4", spans=())
    score = score_timeline("tiny", [watched([event(20, 26), event(40, 45)]), quiet])
    figures = score.figures
    assert (figures.videos, figures.incidents, figures.found, figures.missed) == (2, 2, 1, 1)
    assert (figures.false_alarms, figures.events) == (2, 3)
    hours = 2 * 100.5 / 3600
    assert figures.hours == pytest.approx(hours)
    assert figures.false_per_hour == pytest.approx(2 / hours)
    assert figures.false_per_hour_ci95 == pytest.approx([bound / hours for bound in poisson(2)])
    assert figures.latency_p50_s == 3 and figures.found_ci95 is not None and figures.found_ci95[0] > 0.05
    assert figures.window.roc_auc == 1.0 and figures.window.average_precision == 1.0
    assert figures.window.prevalence == pytest.approx(figures.window.positive / (figures.windows - figures.ambiguous))
    assert figures.found_by_chance is not None and figures.found_by_chance < 0.5
    assert score.videos[1].figures.found_share is None and score.videos[1].figures.window.roc_auc is None


def test_unknown_windows_are_counted_by_cause_and_not_as_watched() -> None:
    known = [0.1] * 20
    one = WatchedVideo(name="v.mp4", spans=(), judged=judged([*known, *[None] * 20]), events=())
    figures = score_timeline("tiny", [one]).figures
    assert figures.unknown == {"timeout": 20} and figures.windows == 40
    assert figures.hours * 3600 == pytest.approx(40.5) and figures.length_h * 3600 == pytest.approx(80.5)


def test_a_watch_without_any_verdict_has_no_figures_and_no_crash() -> None:
    one = WatchedVideo(name="v.mp4", spans=SPANS, judged=judged([None] * 5), events=())
    score = score_timeline("tiny", [one])
    assert score.figures.false_per_hour is None and score.figures.found == 0
    assert "nothing was watched" in timeline_table(score)
    assert score_timeline("tiny", [WatchedVideo(name="v", spans=(), judged=(), events=())]).figures.windows == 0


def test_few_incidents_give_an_area_without_an_interval() -> None:
    def areas(incidents: int) -> WindowFigures:
        spans = tuple(TrueIncident(10 + 100.0 * number, 20 + 100.0 * number) for number in range(incidents))
        shown = [0.7 if any(s.onset_s <= 2 * n < s.end_s for s in spans) else 0.1 + n % 7 / 10 for n in range(300)]
        one = WatchedVideo(name="v.mp4", spans=spans, judged=judged(shown), events=())
        score = score_timeline("tiny", [one])
        assert ("[-] (stretches" in timeline_table(score)) is (incidents < 5)
        return score.figures.window

    few, enough = areas(4), areas(5)
    assert few.roc_auc is not None and few.positive_blocks == 4 and enough.positive_blocks == 5
    assert few.roc_auc_ci95 is None and few.average_precision_ci95 is None
    assert enough.roc_auc_ci95 is not None and enough.roc_auc_ci95[0] < enough.roc_auc_ci95[1]


def test_the_interval_of_a_count_is_exact() -> None:
    assert poisson(0) == pytest.approx((0.0, 3.689), abs=0.001)
    low, high = poisson(7)
    assert 1 - pdtr(6, low) == pytest.approx(0.025)
    assert pdtr(7, high) == pytest.approx(0.025)


def test_average_precision_is_that_of_scikit_learn_ties_included() -> None:
    from sklearn.metrics import average_precision_score  # here, so that not every worker waits for it

    rng = np.random.default_rng(1)
    for _ in range(20):
        p_alarm, truth = rng.integers(0, 6, 40) / 5, rng.random(40) < 0.3
        assert average_precision(p_alarm, truth) == pytest.approx(average_precision_score(truth, p_alarm))
    assert average_precision(np.array([0.5]), np.array([False])) is None


def test_the_score_is_written_with_every_event(tmp_path: Path) -> None:
    score = score_timeline("tiny", [watched([event(20, 26), event(40, 45)])], truth="truth.csv")
    score.write(tmp_path / "deep" / "score.json")
    written = json.loads((tmp_path / "deep" / "score.json").read_text())
    assert (written["model"], written["found"], written["truth"]) == ("tiny", 1, "truth.csv")
    (video,) = written["per_video"]
    assert [e["event"] for e in video["false_events"]] == ["e40"]
    assert video["missed_incidents"] == [{"onset_s": 60, "end_s": 64}]


def test_the_table_has_intervals_and_baselines() -> None:
    score = score_timeline("tiny", [watched([event(20, 26)]), watched(name="w.mp4")])
    table = timeline_table(score)
    for words in ("guessing", "same alarms at random", "w.mp4", "1: 0.250 [0.046, 0.699]", "0.00 [0.00, 66."):
        assert words in table, table
    many = score_timeline("tiny", [watched(name=f"{n}.mp4", spans=()) for n in range(7)])
    assert "6.mp4  " in timeline_table(many)


@pytest.mark.parametrize("name", ["v.mp4", "停车场 $x$_{1}.mp4", "ไทย.mp4", "a\n\x00" * 200])
def test_the_picture_is_drawn_whatever_the_video_is_called(tmp_path: Path, name: str) -> None:
    score = score_timeline("tiny", [watched([event(20, 26), event(40, None)], name=name)])
    write_timeline_plot(tmp_path / "one.png", score.videos[0])
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width > 1000 and picture.height > 150
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_a_long_video_is_wrapped_in_rows(tmp_path: Path) -> None:
    def height(windows: int) -> int:
        long = WatchedVideo(name="v.mp4", spans=(), judged=judged([0.2] * windows), events=(event(20, 26),))
        write_timeline_plot(tmp_path / f"{windows}.png", score_timeline("tiny", [long]).videos[0])
        with Image.open(tmp_path / f"{windows}.png") as picture:
            return picture.height

    assert height(40) < height(200) < height(1500) < 3000
