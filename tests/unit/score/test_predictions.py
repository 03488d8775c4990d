import pytest

from vigil.calibration import logit, sigmoid
from vigil.manifest import Calibration
from vigil.score.eval_set import EvalClip
from vigil.score.journal import JournalEntry
from vigil.score.predictions import combine, per_clip, per_window
from vigil.verdict import Cause, Outcome


def record(clip: str, window: int, p: float | None, cause: Cause | None = None) -> JournalEntry:
    outcome = Outcome.UNKNOWN if cause else Outcome.ALARM if (p or 0) >= 0.5 else Outcome.NORMAL
    return JournalEntry(digest=f"{clip}{window}", clip=clip, window=window, outcome=outcome, cause=cause, p_alarm=p)


def clip(name: str = "a") -> EvalClip:
    return EvalClip(name=name, label="alarm", group=name, windows=list)


def test_one_window_keeps_its_probability() -> None:
    assert combine([0.83]) == pytest.approx(0.83)


def test_the_default_is_the_mean_log_odds_of_the_two_highest() -> None:
    assert combine([0.1, 0.9, 0.5]) == pytest.approx(sigmoid(logit(0.9) / 2))


def test_a_single_noisy_window_of_a_long_clip_is_no_alarm() -> None:
    assert combine([0.02] * 9 + [0.9]) < 0.5 < combine([0.02] * 9 + [0.9], rule="max")


def test_a_short_incident_in_a_long_clip_is_not_drowned() -> None:
    p = [0.05] * 8 + [0.8, 0.9]
    assert combine(p) > 0.8 and combine(p, rule="mean") < 0.5


def test_calibrating_windows_and_calibrating_clips_is_the_same() -> None:
    from vigil.calibration import calibrate

    calibration = Calibration(temperature=2.5, bias=-0.4)
    windows = [0.99, 0.6, 0.2]
    assert combine([calibrate(p, calibration) for p in windows]) == pytest.approx(
        calibrate(combine(windows), calibration)
    )


def test_a_clip_with_some_unknown_windows_is_scored_from_the_rest() -> None:
    (answer,) = per_clip([clip()], [record("a", 0, 0.9), record("a", 1, None, Cause.TIMEOUT)])
    assert answer.p_alarm == pytest.approx(0.9)
    assert (answer.cause, answer.windows, answer.windows_unknown) == (None, 2, 1)


def test_a_clip_without_an_answer_is_unknown_by_its_commonest_cause() -> None:
    causes = [Cause.TIMEOUT, Cause.SERVER_ERROR, Cause.SERVER_ERROR]
    (answer,) = per_clip([clip()], [record("a", i, None, cause) for i, cause in enumerate(causes)])
    assert (answer.p_alarm, answer.cause) == (None, Cause.SERVER_ERROR)


def test_a_clip_that_was_never_asked_is_unknown() -> None:
    (answer,) = per_clip([clip()], [])
    assert (answer.p_alarm, answer.cause, answer.windows) == (None, Cause.CANCELLED, 0)


def test_a_server_that_only_says_the_word_still_counts() -> None:
    (answer,) = per_window([clip()], [JournalEntry(digest="d", clip="a", window=0, outcome=Outcome.ALARM)])
    assert answer.p_alarm == 0.99
