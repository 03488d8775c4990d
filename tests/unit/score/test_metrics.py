from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.score.metrics import ConfusionMatrix, brier, expected_calibration_error, reliability, roc_auc, roc_curve


@pytest.fixture(scope="module")
def roc_auc_score() -> Callable[..., float]:
    """scikit-learn's own area; loaded here, so that not every worker of the suite waits for it."""
    from sklearn import metrics

    score: Callable[..., float] = metrics.roc_auc_score
    return score


@given(rows=st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.booleans()), min_size=2, max_size=40))
def test_the_area_is_scikit_learns_with_ties(
    roc_auc_score: Callable[..., float], rows: list[tuple[float, bool]]
) -> None:
    p, truth = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    area = roc_auc(p, truth)
    if truth.all() or not truth.any():
        assert area is None
        return
    assert area == pytest.approx(roc_auc_score(truth, p))
    false_alarms, hits = roc_curve(p, truth)
    assert np.trapezoid(hits, false_alarms) == pytest.approx(area)


def test_equal_probabilities_are_worth_a_coin() -> None:
    assert roc_auc(np.full(4, 0.3), np.array([True, False, True, False])) == 0.5


def test_a_perfectly_calibrated_bin_has_no_error() -> None:
    p = np.full(10, 0.7)
    assert expected_calibration_error(p, np.arange(10) < 7) == pytest.approx(0.0)


def test_calibration_error_weighs_bins_by_their_counts() -> None:
    p = np.array([0.9] * 8 + [0.1] * 2)
    truth = np.array([True] * 4 + [False] * 4 + [False] * 2)
    assert expected_calibration_error(p, truth) == pytest.approx(0.8 * 0.4 + 0.2 * 0.1)
    assert [count for *_, count in reliability(p, truth)] == [2, 8]


def test_a_probability_of_one_falls_into_the_last_bin() -> None:
    assert reliability(np.array([1.0, 0.0]), np.array([True, False])) == [(0.0, 0.0, 1), (1.0, 1.0, 1)]


def test_nothing_answered_has_no_calibration() -> None:
    empty = np.array([])
    assert expected_calibration_error(empty, empty.astype(bool)) is None and brier(empty, empty.astype(bool)) is None


def test_an_unknown_is_an_error_and_a_miss_but_no_false_alarm() -> None:
    counts = ConfusionMatrix(tp=3, fp=1, fn=1, tn=4, unknown_alarm=1, unknown_normal=0)
    assert (counts.n, counts.accuracy) == (10, 0.7)
    assert (counts.precision, counts.recall) == (0.75, 0.6)
    assert counts.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)
    assert counts.majority == 0.5


def test_no_alarm_said_is_zero_and_not_a_division_by_zero() -> None:
    counts = ConfusionMatrix(tp=0, fp=0, fn=5, tn=7)
    assert (counts.precision, counts.recall, counts.f1) == (0.0, 0.0, 0.0)
    assert counts.majority == pytest.approx(7 / 12)
