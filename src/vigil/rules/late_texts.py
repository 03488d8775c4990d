"""Descriptions of windows, which may come before their window belongs to an event, or after the event has closed."""

from collections import deque
from collections.abc import Sequence

from vigil.events import EventChange, EventWindow, OpenEvent

EARLY_TEXTS = 64
"""Maximum number of descriptions kept for windows that belong to no event (yet)."""

LATE_EVENTS = 256
"""Closed events that can still get a description: in a file, verdicts run far ahead of descriptions."""


class LateTexts:
    """The descriptions of one rule's windows that have no event yet, and the closed events that may still get one."""

    def __init__(self) -> None:
        self._early: dict[int, str] = {}
        self._closed: deque[OpenEvent] = deque(maxlen=LATE_EVENTS)

    def keep(self, window: int, text: str | None) -> None:
        """Keeps a description until its window belongs to an event; evicts the oldest if there are too many."""
        if not text:
            return
        self._early[window] = text
        while len(self._early) > EARLY_TEXTS:
            del self._early[next(iter(self._early))]

    def add_windows(self, event: OpenEvent, evidence: Sequence[EventWindow]) -> None:
        """Adds windows to an event, with the pending ones before them and the descriptions they already have."""
        before = len(event.windows)
        event.add_windows(evidence)
        for each in event.windows[before:]:
            event.describe(each.window, self._early.pop(each.window, ""))

    def closed(self, event: OpenEvent) -> None:
        """Keeps a closed event, because a description of one of its windows may follow."""
        self._closed.append(event)

    def describe_closed(self, window: int, text: str) -> list[EventChange]:
        """Adds a description to the closed event that has the window, or else keeps it."""
        for event in self._closed:
            if event.has_window(window):
                return [EventChange("grew", event.snapshot())] if event.describe(window, text) else []
        self.keep(window, text)
        return []
