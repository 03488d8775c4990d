"""What an analysis has found so far: one list of windows and the events they make, whichever way they were judged.

When the mode is switched, or a file goes on from an earlier second, what is judged anew is forgotten here, and the
events are made afresh of what is left by the same tracker that a watch uses.
"""

from collections.abc import Iterable
from dataclasses import replace

from vigil.events.change import EventChange
from vigil.events.event import Event
from vigil.events.judged import JudgedWindow
from vigil.events.rules import HysteresisSettings
from vigil.events.tracker import HysteresisRule
from vigil.verdict import Cause

MOST_WINDOWS = 10_000
"""Five and a half hours of a camera; older windows are let go of."""


SAME_S = 1e-3


class AnalysisResults:
    """Windows in the order of time, numbered anew, with their events; for one thread."""

    def __init__(self, rules: HysteresisSettings, *, source: str, task: str = "", model: str = "") -> None:
        self.judged: list[JudgedWindow] = []
        self.events: dict[str, Event] = {}
        self.forgotten = 0
        self._rules = rules
        self._source, self._task, self._model = source, task, model
        self._tracker = self._new_tracker()
        self._next = 0

    def add(self, judged: JudgedWindow) -> int:
        """Adds a window that follows all others; returns its number here."""
        numbered = replace(judged, window=self._next)
        self._next += 1
        self.judged.append(numbered)
        if len(self.judged) > MOST_WINDOWS:
            del self.judged[0]
            self.forgotten += 1
        self._take(self._tracker.push(numbered))
        return numbered.window

    def describe(self, number: int, text: str) -> None:
        """Adds the words of a window."""
        for index in range(len(self.judged) - 1, -1, -1):
            known = self.judged[index]
            if known.window == number:
                self.judged[index] = replace(known, verdict=replace(known.verdict, text=text))
                self._take(self._tracker.describe(number, text))
                return

    def forget_from(self, start_s: float) -> None:
        """Forgets the windows that begin at this second or later, and what events they made."""
        self.judged = [judged for judged in self.judged if judged.start_s < start_s - SAME_S]
        self.events = {}
        self._tracker = self._new_tracker()
        for judged in self.judged:
            # An announcement of long ago is not dated by the clock of today.
            self._take(self._tracker.push(replace(judged, captured_s=None)))
            if judged.verdict.text:
                self._take(self._tracker.describe(judged.window, judged.verdict.text))

    def first_gap_s(self) -> float | None:
        """Where the first window begins that was dropped or given up; None when there is none."""
        left_out = {Cause.DROPPED, Cause.CANCELLED}
        return next((judged.start_s for judged in self.judged if judged.verdict.cause in left_out), None)

    def finish(self, because: str) -> None:
        """Closes the event that is open."""
        self._take(self._tracker.finish(because))

    def _take(self, changes: Iterable[EventChange]) -> None:
        self.events.update((change.event.id, change.event) for change in changes)

    def _new_tracker(self) -> HysteresisRule:
        return HysteresisRule(self._rules, source=self._source, task=self._task, model=self._model)
