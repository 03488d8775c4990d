from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from scoring import answer, write_dataset
from vigil.report.mistakes import worst_first, write_mistakes
from vigil.report.plots import write_plots
from vigil.report.tables import comparison_text, score_table
from vigil.score import EvalClip, Prediction, Score, compare_scores, dataset_clips, figures
from vigil.score.journal import JournalEntry, Throughput
from vigil.verdict import Cause, Outcome


def score(model: str = "m", **more: object) -> Score:
    answers = (
        answer(0.9, clip="hit"),
        answer(0.4, clip="near miss"),
        answer(0.01, clip="bad miss"),
        answer(0.95, "normal", clip="false alarm"),
        answer(0.1, "normal", clip="quiet"),
        answer(None, "normal", clip="lost", cause=Cause.TIMEOUT),
    )
    made = Score(model=model, figures=figures(answers), windows=None, pace=Throughput(), answers=answers)
    return replace(made, **more)  # type: ignore[arg-type]


def test_the_table_has_n_interval_baseline_and_unknowns_by_cause() -> None:
    table = score_table([score("base"), score("lora")])
    assert "base" in table and "lora" in table
    assert "0.333 [0.097, 0.700]" in table
    assert "always the commoner class" in table and "1 (timeout 1)" in table


def test_one_class_has_no_area_and_the_table_says_so() -> None:
    answers = (answer(0.9, clip="a"),)
    assert "one class only" in score_table([score(figures=figures(answers), answers=answers)])


def test_windows_and_pace_are_shown_where_they_tell_more() -> None:
    paced = score(
        windows=figures([answer(0.9, clip="a")]), pace=Throughput(requests=9, p50_ms=12, p95_ms=20, requests_per_s=5)
    )
    table = score_table([paced])
    assert "windows: accuracy" in table and "12 / 20 ms" in table
    assert "requests/s" not in score_table([score()])


def test_the_comparison_tells_mcnemars_test() -> None:
    first = score()
    text = comparison_text(compare_scores(("base", first.answers), ("lora", first.answers)))
    assert "McNemar's exact test p = 1" in text and "ROC AUC +0.000" in text


def test_the_pictures_can_be_opened(tmp_path: Path) -> None:
    files = write_plots(tmp_path / "new", [score("base"), score("lora")])
    assert {file.name for file in files} == {"roc.png", "reliability.png", "confusion.png", "confusion-2.png"}
    for file in files:
        with Image.open(file) as picture:
            assert picture.width > 400


def test_pictures_of_nothing_are_no_crash(tmp_path: Path) -> None:
    nothing = (answer(None, clip="a", cause=Cause.TIMEOUT),)
    assert write_plots(tmp_path, [score(figures=figures(nothing), answers=nothing)])


def test_the_surest_mistakes_come_first_and_unknowns_last() -> None:
    assert [a.clip for a in worst_first(score())] == ["bad miss", "false alarm", "near miss", "lost"]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([answer(0.1, clip="a"), answer(0.9, "normal", clip="b"), answer(0.9)], "Of 3 clips 2 were judged wrongly;"),
        ([answer(0.1), answer(None, clip="b", cause=Cause.TIMEOUT)], "Of 2 clips 1 was judged wrongly and 1 got no"),
        ([answer(None, cause=Cause.TIMEOUT)], "Of 1 clip 0 were judged wrongly and 1 got no verdict;"),
    ],
)
def test_what_was_judged_wrongly_is_told_apart_from_what_was_not_judged(
    tmp_path: Path, answers: list[Prediction], said: str
) -> None:
    made = score(figures=figures(answers), answers=tuple(answers))
    clips = [EvalClip(name=a.clip, label=a.label, group=a.group, windows=list) for a in answers]
    page = write_mistakes(tmp_path / "m.html", made, clips, []).read_text()
    assert said in " ".join(page.split()) and "no right answer" not in page


def test_the_page_shows_the_frames_and_escapes_names(tmp_path: Path) -> None:
    evil = "alarm/<script>alert(1)<script>"
    clips = dataset_clips(write_dataset(tmp_path / "data", {evil: [10, 250], "normal/ok": [1]}), "test")
    answers = (answer(0.01, clip=evil, group=evil), answer(0.1, "normal", clip="normal/ok"))
    records = [
        JournalEntry(digest=f"{i}", clip=evil, window=i, outcome=Outcome.NORMAL, p_alarm=p)
        for i, p in enumerate((0.01, 0.02))
    ]
    made = score("<b>model</b>", figures=figures(answers), answers=answers)
    page = write_mistakes(tmp_path / "m.html", made, clips, records).read_text()
    assert "<script>" not in page and "<b>model" not in page
    assert page.count('<img src="data:image/jpeg;base64,') == 6
    assert "shown: window 1" in page and "normal/ok" not in page


@pytest.mark.parametrize("records", [[], [JournalEntry(digest="d", clip="bad miss", window=7, outcome=Outcome.NORMAL)]])
def test_a_clip_whose_frames_are_gone_is_still_listed(tmp_path: Path, records: list[JournalEntry]) -> None:
    clips = [EvalClip(name=a.clip, label=a.label, group=a.group, windows=list) for a in score().answers]
    page = write_mistakes(tmp_path / "m.html", score(), clips, records).read_text()
    assert ("bad miss" in page and "no longer there" in page) or "no window was asked" in page


def test_no_mistakes_is_a_page_too(tmp_path: Path) -> None:
    answers = (answer(0.9, clip="a"),)
    page = write_mistakes(tmp_path / "m.html", score(figures=figures(answers), answers=answers), [], []).read_text()
    assert "No mistakes." in page
