"""A burst, then a steady rate, for each caller apart."""

from app.http.rate_limit import RateLimit

from waiting import Hands


def test_after_a_burst_one_waits_for_the_next_place() -> None:
    clock = Hands()
    limit = RateLimit(burst=3, every_s=2.0, clock=clock)
    assert [limit.wait_s("a") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limit.wait_s("a") == 2.0
    clock.wait(2.0)
    assert limit.wait_s("a") == 0.0 and limit.wait_s("a") > 0


def test_callers_do_not_wait_for_each_other() -> None:
    limit = RateLimit(burst=1, every_s=60.0, clock=Hands())
    assert limit.wait_s("a") == 0.0 and limit.wait_s("a") > 0 and limit.wait_s("b") == 0.0
