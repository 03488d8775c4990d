"""The newest picture of every source that somebody looks at."""

import threading
import time

from vigil.watch.observer import WatchObserver

LOOKS_S = 5.0
"""Who has asked for a picture is taken to look for so long."""


class PreviewCache(WatchObserver):
    """Asks for pictures of those sources that were asked about lately; may be asked from any thread."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[bytes, float]] = {}
        self._until_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def wants_preview(self, source: str) -> bool:
        return time.monotonic() < self._until_s.get(source, 0.0)

    def on_preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        with self._lock:
            self._latest[source] = jpeg, time_s

    def of(self, source: str) -> tuple[bytes, float] | None:
        """The newest picture and its second of the source; None at first, until one has come."""
        now_s = time.monotonic()
        with self._lock:
            if now_s >= self._until_s.get(source, 0.0):
                # Nobody looked for a while: what was kept is no picture of now.
                self._latest.pop(source, None)
            self._until_s[source] = now_s + LOOKS_S
            return self._latest.get(source)

    def forget(self, source: str) -> None:
        """Lets go of a source that was removed."""
        with self._lock:
            self._latest.pop(source, None)
            self._until_s.pop(source, None)
