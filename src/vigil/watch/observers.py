"""Observers of a watcher: the base class, a group that forwards to many, the verdict history and the preview cache.

    group = ObserverGroup([table, metrics])
    group.add(page)
    group.on_result(judged)     # calls every observer
    group.remove(page)

Observers can be added and removed while the watcher runs. An exception in one observer is logged and affects neither
the other observers nor the watcher.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from vigil.events import EventChange
from vigil.frames import Frame
from vigil.observation import Observation
from vigil.verdict import Cause, JudgedWindow
from vigil.watch.state import SourceState

log = logging.getLogger(__name__)


class WatchObserver:
    """Receives what a watcher does. Override the methods of interest; each must return quickly.

    All methods are called in the event loop, except `on_frame`, `wants_preview` and `on_preview`.
    """

    @property
    def is_behind(self) -> bool:
        """Whether it has received event changes but not yet written them, so that a kill now would lose them."""
        return False

    def on_frame(self, source: str, frame: Frame) -> None:
        """Called for each sampled frame, in the source's own thread, which it may block briefly."""

    def wants_preview(self, source: str) -> bool:
        """Returns True if previews of a source are needed now; called for each frame, in the source's threads."""
        return False

    def on_preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        """Called with a preview if `wants_preview` returned True, in the source's thread, which it must not block.

        The settings `preview_fps` and `preview_px` set the rate and size of previews.
        """

    def on_state(self, state: SourceState) -> None:
        """Called when a source connects, is lost, is paused, ends or cannot be read."""

    def on_verdict(self, judged: JudgedWindow) -> None:
        """Called with each window's verdict, in order per source; its description may still be pending."""

    def on_result(self, judged: JudgedWindow) -> None:
        """Called once a window is complete, with its description if there is one; in order per source."""

    def on_observation(self, observation: Observation) -> None:
        """Called with each line of the semantic log, in order per source, long after its window's verdict."""

    def on_change(self, change: EventChange) -> None:
        """Called when an event opened, was raised, grew or closed; with a store, it is stored first.

        A `late` change belongs to an event of an earlier watcher; its seconds count from the start of that session.
        """

    def on_close(self) -> None:
        """Called when the watcher has ended."""


Result = TypeVar("Result")


class ObserverGroup(WatchObserver):
    """Forwards every call to all its observers; `add` and `remove` may be called from any thread."""

    def __init__(self, observers: Sequence[WatchObserver] = ()) -> None:
        self._observers = tuple(observers)
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._observers)

    @property
    def is_behind(self) -> bool:
        return any(self._guarded(observer, lambda each: each.is_behind) for observer in self._observers)

    def add(self, observer: WatchObserver) -> None:
        """Adds an observer; adding it again has no effect, except that it is called last."""
        with self._lock:
            self._observers = (*(each for each in self._observers if each is not observer), observer)

    def remove(self, observer: WatchObserver) -> None:
        """Removes an observer; does nothing if it is not in the group."""
        with self._lock:
            self._observers = tuple(each for each in self._observers if each is not observer)

    def on_frame(self, source: str, frame: Frame) -> None:
        self._each(lambda observer: observer.on_frame(source, frame))

    def wants_preview(self, source: str) -> bool:
        return any(self._guarded(observer, lambda each: each.wants_preview(source)) for observer in self._observers)

    def on_preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        self._each(lambda observer: observer.on_preview(source, jpeg, time_s))

    def on_state(self, state: SourceState) -> None:
        self._each(lambda observer: observer.on_state(state))

    def on_verdict(self, judged: JudgedWindow) -> None:
        self._each(lambda observer: observer.on_verdict(judged))

    def on_result(self, judged: JudgedWindow) -> None:
        self._each(lambda observer: observer.on_result(judged))

    def on_observation(self, observation: Observation) -> None:
        self._each(lambda observer: observer.on_observation(observation))

    def on_change(self, change: EventChange) -> None:
        self._each(lambda observer: observer.on_change(change))

    def on_close(self) -> None:
        self._each(lambda observer: observer.on_close())

    def _each(self, call: Callable[[WatchObserver], None]) -> None:
        for observer in self._observers:
            self._guarded(observer, call)

    def _guarded(self, observer: WatchObserver, call: Callable[[WatchObserver], Result]) -> Result | None:
        """Calls an observer; logs an exception and returns None."""
        try:
            return call(observer)
        except Exception:
            name = type(observer).__name__
            self._failures[name] += 1
            # Some methods are called for every frame of every camera, so only the 1st, 2nd, 4th, 8th ... failure is
            # logged.
            if self._failures[name].bit_count() == 1:
                log.exception("the observer %s failed (%d so far); watching continues", name, self._failures[name])
            return None


class PersistentObserverGroup(ObserverGroup):
    """An observer group that outlives a watcher, for example when a watcher fails and is started again."""

    def on_close(self) -> None:
        return

    def dismiss(self) -> None:
        """Calls `on_close` of all observers."""
        super().on_close()


KEPT_S = 900.0
MOST_POINTS = 2000


class HistoryPoint(NamedTuple):
    """The end of a window in seconds of its source, and its alarm probability or the cause for having none."""

    end_s: float
    p_alarm: float | None
    cause: Cause | None


class VerdictHistory(WatchObserver):
    """Keeps 15 minutes of verdicts of every camera, at most 2000 windows; thread-safe.

    Cameras are keyed by id, so that two of the same name never mix, and by name where there is no id.
    """

    def __init__(self) -> None:
        self._points: dict[str, deque[tuple[float, HistoryPoint]]] = {}
        self._lock = threading.Lock()

    def on_verdict(self, judged: JudgedWindow) -> None:
        now_s = time.monotonic()
        point = HistoryPoint(judged.end_s, judged.verdict.p_alarm, judged.verdict.cause)
        with self._lock:
            points = self._points.setdefault(judged.camera_id or judged.source, deque(maxlen=MOST_POINTS))
            if points and point.end_s < points[-1][1].end_s:
                # The source's clock restarted: a file played in real time was resumed, or the watcher was restarted.
                points.clear()
            points.append((now_s, point))
            while now_s - points[0][0] > KEPT_S:
                points.popleft()

    def of(self, source: str, seconds: float) -> list[HistoryPoint]:
        """The points of a camera, by its id, from the last `seconds`, oldest first."""
        since_s = time.monotonic() - seconds
        with self._lock:
            return [point for at_s, point in self._points.get(source, ()) if at_s >= since_s]

    def forget(self, source: str) -> None:
        """Drops the points of a camera that was removed."""
        with self._lock:
            self._points.pop(source, None)


REQUESTED_S = 5.0
"""How long previews are made after the last call of `PreviewCache.of`."""


class PreviewCache(WatchObserver):
    """Keeps the newest preview of each source that was requested recently; thread-safe."""

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
        """The newest preview (JPEG) and its second of the source; None until the first one arrives."""
        now_s = time.monotonic()
        with self._lock:
            if now_s >= self._until_s.get(source, 0.0):
                # Not requested for a while: the cached preview is out of date.
                self._latest.pop(source, None)
            self._until_s[source] = now_s + REQUESTED_S
            return self._latest.get(source)

    def forget(self, source: str) -> None:
        """Drops the preview of a source that was removed."""
        with self._lock:
            self._latest.pop(source, None)
            self._until_s.pop(source, None)
