import logging

from app.http.rate_limited_log import EACH, EVERY_S, IN_ALL, RateLimitFilter


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def limited(now_s: list[float]) -> tuple[logging.Logger, Kept]:
    log, kept = logging.Logger("a"), Kept()
    log.addHandler(kept)
    log.addFilter(RateLimitFilter(clock=lambda: now_s[0]))
    return log, kept


def test_what_is_said_again_and_again_is_kept_a_few_times_a_minute() -> None:
    now_s = [0.0]
    log, kept = limited(now_s)
    for number in range(1000):
        log.error("out of descriptors: %d", number)
    log.error("something else")
    assert len(kept.lines) == EACH + 1
    assert kept.lines[-1] == f"something else ({1000 - EACH} such lines were left out)"
    now_s[0] = EVERY_S
    log.error("out of descriptors: %d", 1001)
    assert kept.lines[-1] == "out of descriptors: 1001"


def test_lines_that_all_differ_are_limited_too() -> None:
    log, kept = limited([0.0])
    for number in range(1000):
        log.error(f"nobody has seen {number}")
    assert len(kept.lines) == IN_ALL


def test_errors_of_one_kind_count_together_whatever_they_say() -> None:
    log, kept = limited([0.0])
    for number in range(100):
        try:
            raise ValueError(number)
        except ValueError:
            log.exception("Exception in ASGI application")
    assert len(kept.lines) == EACH
