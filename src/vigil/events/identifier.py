"""Event ids: unique, sorted by the time they were made, and fit for file names on every system."""

import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime


class EventIdGenerator:
    """Makes ids like `20261120T115033123Z-9f3c21ab`; thread-safe, and rising even when the clock is set back."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_ms = 0

    def __call__(self) -> str:
        with self._lock:
            self._last_ms = max(self._last_ms + 1, int(self._clock() * 1000))
            made_ms = self._last_ms
        seconds, millis = divmod(made_ms, 1000)
        moment = datetime.fromtimestamp(seconds, UTC)
        return f"{moment:%Y%m%dT%H%M%S}{millis:03d}Z-{secrets.token_hex(4)}"


new_id = EventIdGenerator()
"""The process's maker of ids."""
