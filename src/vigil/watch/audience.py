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

from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.frames import Frame
from vigil.watch.observer import Observer
from vigil.watch.state import SourceState

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Audience(Observer):
    """Passes everything on to all who have joined; `join` and `leave` may be called from any thread."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = tuple(observers)
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._observers)

    @property
    def is_behind(self) -> bool:
        return any(self._guarded(observer, lambda each: each.is_behind) for observer in self._observers)

    def join(self, observer: Observer) -> None:
        """Tells an observer of everything from now on; one that is there already is told once."""
        with self._lock:
            self._observers = (*(each for each in self._observers if each is not observer), observer)

    def leave(self, observer: Observer) -> None:
        """Tells an observer of nothing more."""
        with self._lock:
            self._observers = tuple(each for each in self._observers if each is not observer)

    def seen(self, source: str, frame: Frame) -> None:
        self._each(lambda observer: observer.seen(source, frame))

    def looks_at(self, source: str) -> bool:
        return any(self._guarded(observer, lambda each: each.looks_at(source)) for observer in self._observers)

    def preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        self._each(lambda observer: observer.preview(source, jpeg, time_s))

    def state(self, state: SourceState) -> None:
        self._each(lambda observer: observer.state(state))

    def judged(self, judged: Judged) -> None:
        self._each(lambda observer: observer.judged(judged))

    def told(self, judged: Judged) -> None:
        self._each(lambda observer: observer.told(judged))

    def changed(self, change: Change) -> None:
        self._each(lambda observer: observer.changed(change))

    def close(self) -> None:
        self._each(lambda observer: observer.close())

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            self._guarded(observer, tell)

    def _guarded(self, observer: Observer, ask: Callable[[Observer], Answer]) -> Answer | None:
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


class LastingAudience(Audience):
    """Stays from one watch to the next, as when a watch failed and is started again."""

    def close(self) -> None:
        return

    def dismiss(self) -> None:
        """Tells all that it is over for good."""
        super().close()
