"""A log filter that visitors cannot flood: it keeps only the first lines of a kind in each minute."""

import logging
import time
from collections import Counter
from collections.abc import Callable

EACH = 5
IN_ALL = 60
EVERY_S = 60.0


class RateLimitFilter(logging.Filter):
    """Passes `EACH` records of a kind per minute, `IN_ALL` in total; the next record says how many were suppressed."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._began_s = clock()
        self._counts: Counter[str] = Counter()
        self._suppressed = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to keep a record."""
        self._start_new_period()
        kind = _kind(record)
        if self._counts[kind] >= EACH or self._counts.total() >= IN_ALL:
            self._suppressed += 1
            return False
        self._counts[kind] += 1
        if self._suppressed:
            message = f"{record.getMessage()} ({self._suppressed} such lines were left out)"
            record.msg, record.args = message, ()
            self._suppressed = 0
        return True

    def _start_new_period(self) -> None:
        now_s = self._clock()
        if now_s - self._began_s >= EVERY_S:
            self._began_s = now_s
            self._counts.clear()


def _kind(record: logging.LogRecord) -> str:
    """The key by which records of the same kind are counted."""
    raised = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    return f"{record.levelno} {record.msg} {raised}"
