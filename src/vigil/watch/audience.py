"""Everybody who follows a watch, as one observer; people come and go while it runs.

    audience = Audience([table, metrics])
    audience.join(page)
    audience.judged(judged)     # each of them is told
    audience.leave(page)

One that fails is told of in the log and keeps nobody else, nor the watch, from going on.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from vigil.events.change import EventChange
from vigil.events.judged import JudgedWindow
from vigil.frames import Frame
from vigil.watch.observer import WatchObserver
from vigil.watch.state import SourceState

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class ObserverGroup(WatchObserver):
    """Passes everything on to all who have joined; `join` and `leave` may be called from any thread."""

    def __init__(self, observers: Sequence[WatchObserver] = ()) -> None:
        self._observers = tuple(observers)
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._observers)

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
