import json
from pathlib import Path

import pytest

from scoring import answer
from vigil.errors import UsageError
from vigil.score.folds import pool_folds, read_fold
from vigil.score.journal import JournalEntry, Throughput, busy_seconds, measure_throughput
from vigil.score.scorecard import Score, compare_scores, figures
from vigil.verdict import Cause, Outcome

KEYS = {
    *("model", "n", "accuracy", "accuracy_ci95", "baseline_majority", "precision", "recall", "f1", "roc_auc", "ece"),
    *("unknown", "confusion", "latency_ms", "requests_per_s"),
}


def mixed() -> list:
    return [
        answer(0.9, clip="a"),
        answer(0.7, clip="b"),
        answer(0.3, clip="c"),
        answer(None, clip="d", cause=Cause.TIMEOUT),
        answer(0.2, "normal", clip="e"),
        answer(0.6, "normal", clip="f"),
    ]


def score(answers: list, model: str = "m", **more: object) -> Score:
    return Score(
        model=model,
        figures=figures(answers),
        windows=None,
        pace=Throughput(),
        answers=tuple(answers),
        **more,  # type: ignore[arg-type]
    )


def test_the_figures_of_a_mixed_bag() -> None:
    found = figures(mixed())
    assert found.confusion == {"tp": 2, "fp": 1, "fn": 1, "tn": 1}
    assert (found.n, found.accuracy, found.baseline_majority) == (6, 0.5, pytest.approx(4 / 6))
    assert found.unknown == {"timeout": 1}
    assert sum(found.confusion.values()) + sum(found.unknown.values()) == found.n
    assert found.roc_auc == pytest.approx(5 / 6) and found.roc_auc_ci95 is not None


def test_the_json_has_every_promised_key_and_plain_types(tmp_path: Path) -> None:
    score(mixed()).write(tmp_path / "deep" / "score.json")
    data = json.loads((tmp_path / "deep" / "score.json").read_text())
    assert data.keys() >= KEYS
    assert len(data["accuracy_ci95"]) == 2 and data["unknown"] == {"timeout": 1}
    assert set(data["confusion"]) == {"tp", "fp", "fn", "tn"} and set(data["latency_ms"]) == {"p50", "p95"}
    assert list(tmp_path.rglob("*.partial")) == []


def test_one_class_only_has_an_accuracy_but_no_area() -> None:
    found = figures([answer(0.9, clip="a"), answer(0.8, clip="b")])
    assert (found.accuracy, found.roc_auc, found.roc_auc_ci95, found.baseline_majority) == (1.0, None, None, 1.0)


def test_nothing_answered_is_all_wrong_and_not_a_crash() -> None:
    found = figures([answer(None, clip=c, cause=Cause.UNREACHABLE) for c in "abc"])
    assert (found.accuracy, found.roc_auc, found.ece, found.unknown) == (0.0, None, None, {"unreachable": 3})


def test_clips_that_share_recordings_get_a_wider_interval_than_independent_ones() -> None:
    def clips(shared: bool) -> list:
        rows = [(i, 0.5 + 0.35 * (-1) ** (i // 10) * (1 if i < 30 else -1), i % 2) for i in range(40)]
        return [
            answer(p, "alarm" if alarm else "normal", clip=str(i), group=f"g{i // 10}" if shared else "")
            for i, p, alarm in rows
        ]

    apart, together = figures(clips(shared=False)), figures(clips(shared=True))
    assert apart.roc_auc == together.roc_auc
    assert apart.roc_auc_ci95 != together.roc_auc_ci95


def test_busy_time_is_the_union_of_the_requests() -> None:
    assert busy_seconds([(0, 2), (1, 3), (10, 11)]) == 4


def test_the_pace_counts_requests_only() -> None:
    asked = [
        JournalEntry(
            digest=str(i), clip="a", window=i, outcome=Outcome.ALARM, latency_ms=100 + i, asked_s=0, answered_s=2
        )
        for i in range(4)
    ]
    unread = JournalEntry(digest="u", clip="b", window=0, outcome=Outcome.UNKNOWN, cause=Cause.UNREADABLE)
    assert measure_throughput([*asked, unread]) == Throughput(
        requests=4, p50_ms=101.5, p95_ms=102.85, requests_per_s=2.0
    )
    assert measure_throughput([unread]) == Throughput()


def test_two_models_are_compared_clip_by_clip() -> None:
    first = [answer(0.2, clip=str(i)) for i in range(8)] + [answer(0.1, "normal", clip=f"n{i}") for i in range(4)]
    second = [answer(0.8, clip=str(i)) for i in range(8)] + [answer(0.1, "normal", clip=f"n{i}") for i in range(4)]
    found = compare_scores(("base", first), ("lora", second))
    assert (found.only_first_right, found.only_second_right, found.both_right) == (0, 8, 4)
    assert found.mcnemar_p == pytest.approx(2 / 2**8)
    assert found.accuracy_difference == pytest.approx(8 / 12)
    assert found.roc_auc_difference == 0.0


def test_different_clips_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="different clips"):
        compare_scores(("a", [answer(0.5, clip="x")]), ("b", [answer(0.5, clip="y")]))


def test_folds_are_pooled_clip_by_clip(tmp_path: Path) -> None:
    for fold, names in enumerate(("ab", "cd")):
        answers = [answer(0.9, clip=names[0]), answer(0.2, "normal", clip=names[1])]
        score(answers, f"fold-{fold}").write(tmp_path / f"fold-{fold}.json")
    pooled = pool_folds([read_fold(path) for path in sorted(tmp_path.glob("*.json"))])
    assert (pooled.figures.n, pooled.figures.accuracy, pooled.figures.roc_auc) == (4, 1.0, 1.0)
    assert pooled.model == "fold-0 + fold-1" and pooled.notes["roc_auc_mean_of_folds"] == 1.0
    assert pooled.to_json().keys() >= KEYS


def test_a_recording_in_two_folds_is_a_leak(tmp_path: Path) -> None:
    for fold in "01":
        score([answer(0.9, clip=fold, group="same")]).write(tmp_path / f"{fold}.json")
    with pytest.raises(UsageError, match="recording same is in 0"):
        pool_folds([read_fold(path) for path in sorted(tmp_path.glob("*.json"))])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": "m"}'])
def test_another_json_file_is_no_fold(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match="no score file"):
        read_fold(tmp_path / "x.json")
