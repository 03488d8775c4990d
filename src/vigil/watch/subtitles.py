"""Subtitles of a watched source, whole after every window."""

import logging
from collections import deque
from pathlib import Path

from vigil.errors import StoreError
from vigil.events.change import EventChange
from vigil.events.event import Event
from vigil.events.judged import JudgedWindow
from vigil.report.srt import SrtWriter
from vigil.watch.observer import WatchObserver

log = logging.getLogger(__name__)

RECENT_EVENTS = 4


class SubtitleFile(WatchObserver):
    """Writes a cue a window; raises StoreError when the file cannot be made. A full disk costs cues (`lost`)."""

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._writer = SrtWriter(path)
        self._events: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self._failed = False

    def on_change(self, change: EventChange) -> None:
        if change.late:
            # Its seconds are those of an earlier watch.
            return
        known = [event for event in self._events if event.id != change.event.id]
        self._events = deque([*known, change.event], maxlen=RECENT_EVENTS)

    def on_result(self, judged: JudgedWindow) -> None:
        try:
            self._writer.add(judged, self._event_of(judged))
        except StoreError as error:
            if not self._failed:
                log.error("%s; watching goes on", error)
            self._failed = True
            self.lost += 1
            return
        self._failed = False

    def on_close(self) -> None:
        self._writer.close()

    def _event_of(self, judged: JudgedWindow) -> Event | None:
        inside = (e for e in self._events if any(evidence.window == judged.window for evidence in e.windows))
        return next(inside, None)
