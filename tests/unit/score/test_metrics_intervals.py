import numpy as np
import pytest

from vigil.score.metrics import bootstrap, delong, mcnemar, newcombe, roc_auc, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (84, 100, 0.756, 0.899),  # FACTS.md, fact 9
        (90, 100, 0.826, 0.945),
        (270, 300, 0.861, 0.929),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilson_gives_the_published_ends(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_nothing_counted_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("b", "c", "p"), [(6, 16, 0.0525), (5, 0, 0.0625), (0, 0, 1.0), (10, 10, 1.0)])
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int, p: float) -> None:
    assert mcnemar(b, c) == pytest.approx(p, abs=5e-4)
    assert mcnemar(c, b) == pytest.approx(mcnemar(b, c))


def test_delong_agrees_with_the_variance_worked_out_by_hand() -> None:
    # Placements of the alarms: 1, 1, 1/2; of the normals: 1, 2/3. Var = (1/12)/3 + (1/18)/2.
    low, high = delong(np.array([0.9, 0.8, 0.4, 0.1, 0.5]), np.array([True, True, True, False, False])) or (0, 0)
    auc, half = 5 / 6, 1.959964 * (1 / 36 + 1 / 36) ** 0.5
    assert (low, high) == (pytest.approx(auc - half), pytest.approx(min(1.0, auc + half)))


def test_delong_needs_two_of_each_class() -> None:
    assert delong(np.array([0.9, 0.1]), np.array([True, False])) is None


@pytest.mark.parametrize("n", [2, 5, 20, 200])
def test_perfectly_separated_clips_are_not_certain(n: int) -> None:
    truth = np.arange(2 * n) < n
    low, high = delong(np.where(truth, 0.9, 0.1), truth) or (1.0, 1.0)
    assert high == 1.0 and 1 - 2.5 / n**0.5 < low < 1 - 1 / n
    assert delong(np.where(truth, 0.1, 0.9), truth) == (0.0, pytest.approx(1 - low))


def test_newcombes_ends_lie_where_his_variance_says() -> None:
    low, high = newcombe(0.8, 10, 15)
    for theta in (low, high):
        spread = 1 + 11.5 * (1 - theta) / (2 - theta) + 11.5 * theta / (1 + theta)
        assert (0.8 - theta) ** 2 == pytest.approx(1.959964**2 * theta * (1 - theta) * spread / 150, rel=1e-5)
    assert low < 0.8 < high


def test_the_bootstrap_draws_whole_groups() -> None:
    seen: set[int] = set()

    def size(rows: "np.ndarray") -> float:
        seen.add(len(rows))
        return float(len(rows))

    bootstrap(size, ["a", "a", "a", "b"], resamples=50)
    assert seen == {2, 4, 6}


def test_the_bootstrap_is_the_same_every_time_and_covers_the_figure() -> None:
    rng = np.random.default_rng(1)
    truth = np.arange(200) % 2 == 0
    p = np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1)
    groups = [str(row // 4) for row in range(200)]

    def area(rows: "np.ndarray") -> float | None:
        return roc_auc(p[rows], truth[rows])

    first, second = bootstrap(area, groups, resamples=300), bootstrap(area, groups, resamples=300)
    assert first is not None and first == second
    assert first[0] < (roc_auc(p, truth) or 0) < first[1]


def test_a_figure_that_most_draws_lack_has_no_interval() -> None:
    assert bootstrap(lambda rows: None, ["a", "b"], resamples=20) is None
