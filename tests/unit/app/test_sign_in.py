import inspect
import time

import pytest
from app.sign_in import Sessions
from itsdangerous import URLSafeSerializer

from vigil.store.times import passed_s
from waiting import HANG_S


class Clock:
    """A clock that is set by hand."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_session_ends_by_itself() -> None:
    clock = Clock()
    sessions = Sessions(lifetime_s=60.0, clock=clock)
    cookie = sessions.begin("ada")
    clock.now_s += 59.9
    assert sessions.user(cookie) == "ada"
    clock.now_s += 0.1
    assert sessions.user(cookie) is None


def test_a_session_goes_by_the_time_that_passes_and_not_by_the_clock_on_the_wall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set ahead, that one would sign everybody out; set back, it would prolong every session."""
    assert inspect.signature(Sessions).parameters["clock"].default is passed_s
    for step_s in (-86_400.0, 86_400.0):
        before_s = passed_s()
        monkeypatch.setattr(time, "time", lambda step_s=step_s: 1_795_953_600.0 + step_s)
        assert 0 <= passed_s() - before_s < HANG_S


def test_a_session_that_was_signed_out_of_is_over_for_whoever_kept_its_cookie() -> None:
    sessions = Sessions(lifetime_s=60.0)
    mine, other = sessions.begin("ada"), sessions.begin("ada")
    assert sessions.end(mine) == "ada"
    assert sessions.user(mine) is None and sessions.user(other) == "ada"
    assert sessions.end(mine) is None


def test_the_memory_of_ended_sessions_is_as_long_as_they_would_have_lasted() -> None:
    clock = Clock()
    sessions = Sessions(lifetime_s=60.0, clock=clock)
    first = sessions.begin("ada")
    sessions.end(first)
    clock.now_s += 61.0
    sessions.end(sessions.begin("ada"))
    assert len(sessions._ended) == 1


def test_a_cookie_of_another_start_or_with_other_words_in_it_is_none() -> None:
    sessions = Sessions(lifetime_s=60.0)
    cookie = sessions.begin("ada")
    assert Sessions(lifetime_s=60.0).user(cookie) is None
    assert sessions.user(cookie[:-1]) is None and sessions.user("é") is None
    forged = URLSafeSerializer("guess", salt="vigil session").dumps(["x", "ada", 9e9])
    assert sessions.user(str(forged)) is None
