import random

import pytest

from vigil.errors import UsageError
from vigil.sources.capture import SPREAD, Backoff, CaptureSettings

SETTINGS = CaptureSettings(retry_min_s=1, retry_max_s=8, retry_reset_s=10)


def test_waits_double_up_to_a_cap_and_never_pass_it() -> None:
    backoff = Backoff(SETTINGS, dice=random.Random(1))
    waits = [backoff.next_s(pictures_s=0) for _ in range(2000)]
    for wait, base in zip(waits, [1, 2, 4, 8, 8, 8], strict=False):
        assert base * (1 - SPREAD) <= wait <= base
    assert max(waits) <= 8


def test_two_cameras_do_not_wait_for_the_same_time() -> None:
    assert len({Backoff(SETTINGS).next_s(pictures_s=0) for _ in range(20)}) > 10


def test_only_a_connection_that_gave_pictures_for_a_while_starts_anew() -> None:
    backoff = Backoff(SETTINGS)
    for _ in range(5):
        backoff.next_s(pictures_s=9.9)
    assert backoff.next_s(pictures_s=9.9) > 5
    assert backoff.next_s(pictures_s=10) <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"open_timeout_s": 0},
        {"read_timeout_s": -1},
        {"read_timeout_s": float("nan")},
        {"hls_timeout_s": float("inf")},
        {"retry_reset_s": -1},
        {"retry_min_s": 5, "retry_max_s": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CaptureSettings(**wrong)  # type: ignore[arg-type]
