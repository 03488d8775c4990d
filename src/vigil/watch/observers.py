"""Everybody who follows a watch, as one observer; people come and go while it runs.

    audience = Audience([table, metrics])
    audience.join(page)
    audience.judged(judged)     # each of them is told
    audience.leave(page)

One that fails is told of in the log and keeps nobody else, nor the watch, from going on.

Whoever follows a watch: the table, the JSON lines, subtitles, metrics, a web page.

The last minutes of every source: what was said of each window, for plots.

The newest picture of every source that somebody looks at.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from vigil.events import EventChange
from vigil.frames import Frame
from vigil.verdict import Cause, JudgedWindow
from vigil.watch.state import SourceState

log = logging.getLogger(__name__)


class WatchObserver:
    """Follows a watch; all but `seen`, `wants_preview` and `preview` are called in the loop.

    Any may be left out, all return soon.
    """

    @property
    def is_behind(self) -> bool:
        """Whether it could not write down yet what it was told of events, and would lose that if it were killed now."""
        return False

    def on_frame(self, source: str, frame: Frame) -> None:
        """A frame was sampled; called in the source's own thread, which it may hold up a little."""

    def wants_preview(self, source: str) -> bool:
        """Whether it wants to be shown pictures of a source now; asked for each picture, in the source's threads."""
        return False

    def on_preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        """A picture for people, as `wants_preview` asked for; called in the source's thread, which it must not hold up.

        Which pictures there are is a matter of the settings `preview_fps` and `preview_px`.
        """

    def on_state(self, state: SourceState) -> None:
        """A source was connected, lost, ended or could not be read."""

    def on_verdict(self, judged: JudgedWindow) -> None:
        """A window's verdict is there, in the order of the source; its words may still be on their way."""

    def on_result(self, judged: JudgedWindow) -> None:
        """A window is done with: its words, if any, are there. In the order of the source."""

    def on_change(self, change: EventChange) -> None:
        """An event opened, rose, grew or closed, and is in the store.

        It may be `late`: an event of an earlier watch, whose seconds are that watch's.
        """

    def on_close(self) -> None:
        """The watch is over."""


Answer = TypeVar("Answer")


class ObserverGroup(WatchObserver):
    """Passes everything on to all who have joined; `join` and `leave` may be called from any thread."""

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
        """Tells an observer of everything from now on; one that is there already is told once."""
        with self._lock:
            self._observers = (*(each for each in self._observers if each is not observer), observer)

    def remove(self, observer: WatchObserver) -> None:
        """Tells an observer of nothing more."""
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

    def on_change(self, change: EventChange) -> None:
        self._each(lambda observer: observer.on_change(change))

    def on_close(self) -> None:
        self._each(lambda observer: observer.on_close())

    def _each(self, tell: Callable[[WatchObserver], None]) -> None:
        for observer in self._observers:
            self._guarded(observer, tell)

    def _guarded(self, observer: WatchObserver, ask: Callable[[WatchObserver], Answer]) -> Answer | None:
        """What an observer says; None, and a word in the log, where it fails."""
        try:
            return ask(observer)
        except Exception:
            name = type(observer).__name__
            self._failures[name] += 1
            # Some are asked for every picture of every camera: the 1st, 2nd, 4th, 8th ... failure is told.
            if self._failures[name].bit_count() == 1:
                log.exception("%s failed to follow the watch, which goes on (%d so far)", name, self._failures[name])
            return None


class LastingAudience(ObserverGroup):
    """Stays from one watch to the next, as when a watch failed and is started again."""

    def on_close(self) -> None:
        return

    def dismiss(self) -> None:
        """Tells all that it is over for good."""
        super().on_close()


KEPT_S = 900.0
MOST_POINTS = 2000


class HistoryPoint(NamedTuple):
    """A window's last second (of its source), its probability of alarm, or why there is none."""

    end_s: float
    p_alarm: float | None
    cause: Cause | None


class VerdictHistory(WatchObserver):
    """Keeps a quarter of an hour of every camera, 2000 windows at most; may be asked from any thread.

    Cameras go by their ids, so that two of one name never mix, and by the name where there is no id.
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
                # Its clock began anew: a file that plays as a camera was resumed, or the watch was started again.
                points.clear()
            points.append((now_s, point))
            while now_s - points[0][0] > KEPT_S:
                points.popleft()

    def of(self, source: str, seconds: float) -> list[HistoryPoint]:
        """What was judged of a camera, by its id, within the last so many seconds, the oldest first."""
        since_s = time.monotonic() - seconds
        with self._lock:
            return [point for at_s, point in self._points.get(source, ()) if at_s >= since_s]

    def forget(self, source: str) -> None:
        """Lets go of a source that was removed."""
        with self._lock:
            self._points.pop(source, None)


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
