import pytest

from vigil.verdict import CAUSE_MEANINGS, Cause, Outcome, Verdict


def test_an_unknown_verdict_needs_a_cause() -> None:
    with pytest.raises(ValueError, match="cause exactly when"):
        Verdict(outcome=Outcome.UNKNOWN)


def test_a_known_verdict_has_no_cause() -> None:
    with pytest.raises(ValueError, match="cause exactly when"):
        Verdict(outcome=Outcome.NORMAL, cause=Cause.TIMEOUT)


def test_every_cause_has_a_meaning_for_people() -> None:
    assert set(CAUSE_MEANINGS) == set(Cause)
