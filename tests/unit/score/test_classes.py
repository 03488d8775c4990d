"""Scores of a task with several labels, against figures that are counted by hand or computed slowly."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigil.calibration import calibrate
from vigil.manifest import Calibration
from vigil.report.plots import write_plots
from vigil.report.tables import class_table, score_table
from vigil.score.calibration import check_calibration, fit_answers
from vigil.score.classes import class_score
from vigil.score.eval_set import EvalClip
from vigil.score.folds import pool_folds, read_fold
from vigil.score.journal import Journal, JournalEntry, Throughput, read_journal
from vigil.score.predictions import Prediction, combine, combine_labels, per_clip
from vigil.score.scorecard import Score, compare_scores, figures
from vigil.verdict import Cause, Outcome

LABELS = ("烟雾", "跌倒", "声响", "正常")


def said(truth: str, *p: float, clip: str = "c", group: str = "", cause: Cause | None = None) -> Prediction:
    """An answer with these probabilities of LABELS; none at all is an unknown answer."""
    return Prediction(
        clip=clip,
        label=truth,
        group=group or clip,
        p_alarm=sum(p[:-1]) if p else None,
        cause=cause,
        probabilities=dict(zip(LABELS, p, strict=True)) if p else {},
        normal_labels=("正常",),
    )


ANSWERS = [
    said("烟雾", 0.8, 0.1, 0.0, 0.1, clip="a"),
    said("烟雾", 0.2, 0.6, 0.0, 0.2, clip="b"),
    said("跌倒", 0.1, 0.8, 0.0, 0.1, clip="c"),
    said("跌倒", cause=Cause.TIMEOUT, clip="d"),
    said("正常", 0.1, 0.1, 0.1, 0.7, clip="e"),
    said("正常", 0.1, 0.1, 0.5, 0.3, clip="f"),
]


def score_of(answers: list[Prediction]) -> Score:
    return Score(
        model="m",
        figures=figures(answers),
        windows=None,
        pace=Throughput(),
        answers=tuple(answers),
        classes=class_score(answers, LABELS),
    )


def test_precision_recall_and_f1_of_each_class_count_an_unknown_as_a_miss() -> None:
    found = {one.label: one for one in class_score(ANSWERS, LABELS).classes}
    assert {label: (one.n, one.precision, one.recall) for label, one in found.items()} == {
        "烟雾": (2, 1.0, 0.5),
        "跌倒": (2, 0.5, 0.5),
        "正常": (2, 1.0, 0.5),
    }
    assert found["烟雾"].f1 == pytest.approx(2 / 3)


def test_the_macro_f1_is_the_mean_over_classes_with_clips_beside_that_of_the_commonest_class() -> None:
    found = class_score(ANSWERS, LABELS)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    assert found.macro_f1_majority == pytest.approx((2 * 2 / (2 + 6)) / 3)
    assert (found.n, found.accuracy, found.without_clips) == (6, 0.5, ("声响",))


def test_the_confusion_holds_every_clip_once_and_a_column_for_unknown() -> None:
    found = class_score(ANSWERS, LABELS).confusion
    assert found["烟雾"] == {"烟雾": 1, "跌倒": 1, "声响": 0, "正常": 0, "unknown": 0}
    assert found["正常"]["声响"] == 1 and found["跌倒"]["unknown"] == 1
    assert sum(sum(row.values()) for row in found.values()) == len(ANSWERS)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_average_precision_and_f1_equal_a_slow_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    answers = [said(str(rng.choice(LABELS[:3])), *rng.dirichlet(np.ones(4)), clip=str(number)) for number in range(12)]
    for one in class_score(answers, LABELS).classes:
        ranked = sorted(answers, key=lambda answer: -answer.probabilities[one.label])
        hits = [answer.label == one.label for answer in ranked]
        slow = [sum(hits[: place + 1]) / (place + 1) for place in range(len(hits)) if hits[place]]
        assert one.average_precision == pytest.approx(sum(slow) / len(slow))
        right = sum(answer.said == answer.label == one.label for answer in answers)
        wrong = sum((answer.said == one.label) != (answer.label == one.label) for answer in answers)
        assert one.f1 == pytest.approx(2 * right / (2 * right + wrong) if right + wrong else 0.0)


def test_the_interval_resamples_recordings_and_gets_wider_where_clips_share_them() -> None:
    rng = np.random.default_rng(1)
    answers = []
    for number in range(120):
        truth = str(rng.choice(["烟雾", "正常"]))
        right = number // 12 % 4 > 0  # whole recordings are wrong
        p = 0.9 if (truth == "烟雾") is right else 0.1
        answers.append(said(truth, p, 0.0, 0.0, 1 - p, clip=str(number), group=f"r{number // 12}"))
    alone = [said(one.label, *one.probabilities.values(), clip=one.clip) for one in answers]
    low, high = class_score(answers, LABELS).macro_f1_ci95 or (0, 0)
    low_alone, high_alone = class_score(alone, LABELS).macro_f1_ci95 or (0, 0)
    assert low < class_score(answers, LABELS).macro_f1 < high and high - low > 1.5 * (high_alone - low_alone)


def entry(window: int, **p: float) -> JournalEntry:
    alarm = 1 - p["normal"]
    outcome = Outcome.ALARM if alarm >= 0.5 else Outcome.NORMAL
    return JournalEntry(
        digest=str(window), clip="a", window=window, outcome=outcome, p_alarm=alarm, p_raw=alarm, probabilities=p,
        raw_probabilities=p,
    )  # fmt: skip


@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6), st.sampled_from(["top2", "max", "mean"]))
def test_the_windows_of_a_clip_make_of_two_labels_what_they_made_of_an_alarm(p: list[float], rule: str) -> None:
    entries = [entry(number, alarm=each, normal=1 - each) for number, each in enumerate(p)]
    assert combine_labels(entries, rule=rule)["alarm"] == pytest.approx(combine(p, rule=rule))  # type: ignore[arg-type]


def test_a_short_incident_of_a_long_clip_decides_its_class() -> None:
    quiet = [entry(number, smoke=0.02, fall=0.01, normal=0.97) for number in range(8)]
    seen = [entry(8, smoke=0.1, fall=0.85, normal=0.05), entry(9, smoke=0.2, fall=0.7, normal=0.1)]
    clip = EvalClip(name="a", label="fall", group="a", windows=list, normal_labels=("normal",))
    (answer,) = per_clip([clip], [*quiet, *seen])
    assert answer.said == "fall" and answer.is_right(threshold=0.5) and answer.p_alarm is not None
    assert answer.p_alarm == pytest.approx(1 - answer.probabilities["normal"])


def test_a_calibration_of_labels_is_found_and_is_that_of_an_alarm_for_two_labels() -> None:
    rng = np.random.default_rng(5)
    answers = []
    for number in range(900):
        odds = rng.normal(0, 1.5, 4)
        fair, sharp = (np.exp(scale * odds) / np.exp(scale * odds).sum() for scale in (1.0, 3.0))
        answers.append(said(str(rng.choice(LABELS, p=fair)), *map(float, sharp), clip=str(number)))
    found = fit_answers(answers)
    assert found.temperature == pytest.approx(3.0, rel=0.15) and found.bias == pytest.approx(0.0, abs=0.2)
    report = check_calibration(answers, found)
    assert report.label_ece_before is not None and report.label_ece_after is not None
    assert report.label_ece_after < 0.4 * report.label_ece_before
    assert report.label_ece_cross_fitted == pytest.approx(report.label_ece_after, abs=0.03)


@given(st.floats(0.001, 0.999), st.floats(0.2, 5.0), st.floats(-2, 2))
def test_calibrating_two_labels_is_calibrating_an_alarm(p: float, temperature: float, bias: float) -> None:
    calibration = Calibration(temperature=temperature, bias=bias)
    two = Prediction(clip="a", label="alarm", group="a", p_alarm=p, probabilities={"alarm": p, "normal": 1 - p})
    assert two.calibrated(calibration).p_alarm == pytest.approx(calibrate(p, calibration))


def test_a_journal_keeps_the_probabilities_of_labels_and_of_two_labels_writes_what_it_did(tmp_path: Path) -> None:
    plain = JournalEntry(digest="x", clip="b", window=0, outcome=Outcome.ALARM, p_alarm=0.9, p_raw=0.9)
    with Journal(tmp_path / "j", header={"model": "m"}) as journal:
        journal.add(entry(0, smoke=0.7, normal=0.3))
        journal.add(plain)
    assert read_journal(tmp_path / "j") == [entry(0, smoke=0.7, normal=0.3), plain]
    assert "probabilities" not in (tmp_path / "j").read_text(encoding="utf-8").splitlines()[-1]


def test_the_json_of_a_score_reads_back_as_a_fold_with_its_classes(tmp_path: Path) -> None:
    for number, answers in enumerate((ANSWERS[::2], ANSWERS[1::2])):
        score_of(answers).write(tmp_path / f"{number}.json")
    pooled = pool_folds([read_fold(tmp_path / f"{number}.json") for number in range(2)])
    assert pooled.classes == class_score([*ANSWERS[::2], *ANSWERS[1::2]], LABELS)
    assert json.loads((tmp_path / "0.json").read_text(encoding="utf-8"))["classes"]["n"] == 3


def test_a_score_of_two_labels_has_no_word_about_classes() -> None:
    answers = [Prediction(clip="a", label="alarm", group="a", p_alarm=0.9)]
    plain = Score(model="m", figures=figures(answers), windows=None, pace=Throughput(), answers=tuple(answers))
    written = plain.to_json()
    assert "classes" not in written and set(written["clips"][0]) == {
        "clip", "label", "group", "p_alarm", "cause", "windows", "windows_unknown",
    }  # fmt: skip


def test_two_models_are_compared_by_the_class_that_they_say() -> None:
    better = [said("烟雾", 0.9, 0.1, 0.0, 0.0, clip="a"), said("烟雾", 0.7, 0.2, 0.0, 0.1, clip="b")]
    found = compare_scores(("one", ANSWERS[:2]), ("two", better))
    assert (found.both_right, found.only_second_right) == (1, 1)


def test_the_table_names_classes_in_columns_that_stand_below_each_other() -> None:
    text = class_table("m", class_score(ANSWERS, LABELS))
    assert "no clips, so no figures: 声响" in text
    head, *rows = text.splitlines()[5:9]
    assert head.split() == ["true", "\\", "said", "烟雾", "跌倒", "声响", "正常", "unknown"]
    assert [row.split() for row in rows] == [
        ["烟雾", "1", "1", ".", ".", "."], ["跌倒", ".", "1", ".", ".", "1"], ["正常", ".", ".", "1", "1", "."],
    ]  # fmt: skip
    assert "classes: macro-F1" in score_table([score_of(ANSWERS)])


def test_the_confusion_of_ten_is_a_picture(tmp_path: Path) -> None:
    files = write_plots(tmp_path, [score_of(ANSWERS)])
    picture = next(file for file in files if file.name == "confusion.png")
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


def test_a_wild_guess_is_as_calibrated_as_it_is_sure() -> None:
    sure = [said("烟雾", 0.97, 0.01, 0.01, 0.01, clip=str(n)) for n in range(10)]
    wrong = [said("跌倒", 0.97, 0.01, 0.01, 0.01, clip=str(n)) for n in range(10, 20)]
    assert class_score([*sure, *wrong], LABELS).ece == pytest.approx(0.47)
