import math
from pathlib import Path

import numpy as np
import pytest

from scoring import answer, manifest, write_dataset
from vigil.calibration import calibrate, fit_calibration, logit, sigmoid
from vigil.errors import UsageError
from vigil.manifest import Calibration
from vigil.score.calibration import check_calibration, cross_fit, require_held_out
from vigil.score.predictions import Prediction


def overconfident(n: int = 600, *, factor: float = 4.0, shift: float = 0.0) -> tuple[list[float], list[bool]]:
    """Answers whose log-odds are `factor` times (and `shift` more than) what the truth warrants."""
    rng = np.random.default_rng(3)
    odds = rng.normal(0, 1.5, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-odds))
    return [sigmoid(factor * float(o) + shift) for o in odds], truth.tolist()


def test_log_odds_have_an_end_at_certainty() -> None:
    assert math.isfinite(logit(0.0)) and math.isfinite(logit(1.0)) and logit(0.5) == 0.0
    assert (sigmoid(-800), sigmoid(800)) == (0.0, 1.0)


def test_without_a_calibration_nothing_changes() -> None:
    assert calibrate(0.37, None) == 0.37
    assert calibrate(0.37, Calibration()) == pytest.approx(0.37)


def test_the_temperature_of_an_overconfident_model_is_found() -> None:
    found = fit_calibration(*overconfident())
    assert found.temperature == pytest.approx(4.0, rel=0.15)
    assert found.bias == pytest.approx(0.0, abs=0.15) and found.clips == 600


def test_a_model_that_cries_wolf_gets_a_bias() -> None:
    found = fit_calibration(*overconfident(factor=1.0, shift=2.0))
    assert found.bias == pytest.approx(-2.0, abs=0.35)


def test_perfectly_separated_clips_do_not_sharpen_without_end() -> None:
    found = fit_calibration([0.9] * 20 + [0.1] * 20, [True] * 20 + [False] * 20)
    assert 0.05 < found.temperature < 1.0


def test_ranking_stays_what_it_was() -> None:
    p, truth = overconfident()
    calibration = fit_calibration(p, truth)
    order = np.argsort(p, kind="stable")
    assert (np.diff([calibrate(p[i], calibration) for i in order]) >= 0).all()


@pytest.mark.parametrize(("p", "truth"), [([], []), ([0.5] * 19, [True] * 10 + [False] * 9), ([0.5] * 30, [True] * 30)])
def test_too_few_clips_or_one_class_cannot_calibrate(p: list[float], truth: list[bool]) -> None:
    with pytest.raises(UsageError, match="at least 20 answered clips of both classes"):
        fit_calibration(p, truth)


def answers() -> list[Prediction]:
    p, truth = overconfident()
    return [
        answer(one, "alarm" if alarm else "normal", clip=str(i), group=f"g{i // 5}")
        for i, (one, alarm) in enumerate(zip(p, truth, strict=True))
    ]


def test_the_gain_is_told_also_on_recordings_left_out() -> None:
    found = check_calibration(answers(), fit_calibration(*overconfident()))
    assert found.ece_before is not None and found.ece_after is not None and found.ece_cross_fitted is not None
    assert found.ece_before > 0.12 > 0.07 > found.ece_cross_fitted
    assert found.ece_after < 0.07 and found.clips == 600


def test_too_few_recordings_have_no_cross_fit() -> None:
    assert cross_fit(answers()[:22]) is None


def test_the_test_split_is_never_calibrated_on(tmp_path: Path) -> None:
    data = write_dataset(tmp_path, {"alarm/a": [1]}, digest="other")
    with pytest.raises(UsageError, match="for the score alone"):
        require_held_out(manifest(digest="d"), data, "test")


def test_clips_that_were_trained_on_are_refused(tmp_path: Path) -> None:
    data = write_dataset(tmp_path, {"alarm/a": [1]}, digest="d")
    for split in ("train", "all"):
        with pytest.raises(UsageError, match="was trained on"):
            require_held_out(manifest(digest="d"), data, split)  # type: ignore[arg-type]
    require_held_out(manifest(digest="d"), data, "calibration")
    require_held_out(manifest(digest="other"), data, "train")
