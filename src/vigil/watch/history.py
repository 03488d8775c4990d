"""The last minutes of every source: what was said of each window, for plots."""

import threading
import time
from collections import deque
from typing import NamedTuple

from vigil.events.judged import Judged
from vigil.verdict import Cause
from vigil.watch.observer import Observer

KEPT_S = 900.0
MOST_POINTS = 2000


class Point(NamedTuple):
    """A window's last second (of its source), its probability of alarm, or why there is none."""

    end_s: float
    p_alarm: float | None
    cause: Cause | None


class History(Observer):
    """Keeps a quarter of an hour of every camera, 2000 windows at most; may be asked from any thread.

    Cameras go by their ids, so that two of one name never mix, and by the name where there is no id.
    """

    def __init__(self) -> None:
        self._points: dict[str, deque[tuple[float, Point]]] = {}
        self._lock = threading.Lock()

    def judged(self, judged: Judged) -> None:
        now_s = time.monotonic()
        point = Point(judged.end_s, judged.verdict.p_alarm, judged.verdict.cause)
        with self._lock:
            points = self._points.setdefault(judged.camera_id or judged.source, deque(maxlen=MOST_POINTS))
            if points and point.end_s < points[-1][1].end_s:
                # Its clock began anew: a file that plays as a camera was resumed, or the watch was started again.
                points.clear()
            points.append((now_s, point))
            while now_s - points[0][0] > KEPT_S:
                points.popleft()

    def of(self, source: str, seconds: float) -> list[Point]:
        """What was judged of a camera, by its id, within the last so many seconds, the oldest first."""
        since_s = time.monotonic() - seconds
        with self._lock:
            return [point for at_s, point in self._points.get(source, ()) if at_s >= since_s]

    def forget(self, source: str) -> None:
        """Lets go of a source that was removed."""
        with self._lock:
            self._points.pop(source, None)
