import time

import pytest
from app.login_throttle import LoginThrottle, TryRate
from hypothesis import given
from hypothesis import strategies as st

LOOSE = TryRate(burst=10_000, every_s=0.0001)


class Clock:
    """A clock that is set by hand."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_is_let_through_and_then_one_try_at_a_time() -> None:
    clock = Clock()
    throttle = LoginThrottle(per_address=TryRate(3, 10.0), per_user=LOOSE, in_all=LOOSE, clock=clock)
    assert [throttle.wait_s("a", "ada") for _ in range(4)] == [0.0, 0.0, 0.0, 10.0]
    clock.now_s += 9.0
    assert throttle.wait_s("a", "ada") == 1.0
    clock.now_s += 1.0
    assert throttle.wait_s("a", "ada") == 0.0
    assert throttle.wait_s("a", "ada") == 10.0
    assert throttle.wait_s("b", "ada") == 0.0


def test_a_refused_try_counts_nowhere() -> None:
    clock = Clock()
    throttle = LoginThrottle(per_address=TryRate(1, 10.0), per_user=TryRate(2, 10.0), in_all=LOOSE, clock=clock)
    assert throttle.wait_s("a", "ada") == 0.0
    assert [throttle.wait_s("a", "ada") for _ in range(50)] == [10.0] * 50
    assert throttle.wait_s("b", "ada") == 0.0


def test_a_right_password_gives_its_try_back() -> None:
    clock = Clock()
    throttle = LoginThrottle(per_address=TryRate(2, 10.0), clock=clock)
    for _ in range(100):
        assert throttle.wait_s("a", "ada") == 0.0
        throttle.give_back("a", "ada")
    assert [throttle.wait_s("a", "ada") > 0 for _ in range(3)] == [False, False, True]


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3)), max_size=200))
def test_in_any_time_no_more_is_let_through_than_the_rate_allows(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    throttle = LoginThrottle(per_address=LOOSE, per_user=TryRate(4, 2.0), in_all=LOOSE, clock=clock)
    made: list[float] = []
    for after_s, address in steps:
        clock.now_s += after_s
        if throttle.wait_s(str(address), "ada") == 0.0:
            made.append(clock.now_s)
    for first in range(len(made)):
        for last in range(first, len(made)):
            assert last - first + 1 <= 4 + (made[last] - made[first]) / 2.0 + 1e-6


def test_a_million_names_fill_no_memory() -> None:
    throttle = LoginThrottle(in_all=LOOSE, per_address=LOOSE)
    for number in range(100_000):
        throttle.wait_s("a", f"user {number}")
    assert len(throttle._free_s) <= (1 << 16) + 2


def test_ten_thousand_tries_from_as_many_addresses_get_a_few_guesses_at_one_user() -> None:
    clock = Clock()
    throttle = LoginThrottle(clock=clock)
    let_through = 0
    for number in range(10_000):
        clock.now_s += 0.01
        let_through += throttle.wait_s(f"10.{number // 256}.{number % 256}.1", "ada") == 0.0
    assert let_through <= 20 + 100 / 6 + 1, "a burst of 20, then one in 6 s"
    clock.now_s += 600.0
    assert throttle.wait_s("192.0.2.1", "ada") == 0.0, "whoever knows the password comes in afterwards"


def test_a_wall_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    throttle = LoginThrottle(per_address=TryRate(1, 3600.0), per_user=LOOSE, in_all=LOOSE)
    assert throttle.wait_s("a", "ada") == 0.0
    monkeypatch.setattr(time, "time", lambda: 9e9)
    assert throttle.wait_s("a", "ada") > 3500.0
