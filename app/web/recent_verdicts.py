"""The recent verdicts and events of the watcher, held once for all pages of the live view.

An observer of the watcher writes and the pages read: verdicts and events of the last minutes per camera, and the
newest events. `version` increases with every change, so that a page can request only what is new.
"""

import threading
from collections.abc import Callable, Iterable

from vigil.events import Event, EventChange, TierThresholds
from vigil.frames import RGB
from vigil.report.timeline import SourceTimeline, draw_timeline_strip
from vigil.verdict import JudgedWindow
from vigil.watch import SourceState, WatchObserver

SHOWN_S = 180.0
"""How many past seconds a camera's timeline strip shows."""

LEAST_S = 30.0
"""The shortest strip, in seconds, when the watcher has just started."""

NEWEST = 30
"""Events in the list of the live view; older ones are in the review tab."""

STRIP_WH = (480, 76)
FONT_PX = 14


class RecentVerdicts(WatchObserver):
    """Observes a watcher and keeps its recent results; its methods are thread-safe."""

    def __init__(
        self, tiers: TierThresholds, earlier: Iterable[Event] = (), *, cause_name: Callable[[str], str] = str
    ) -> None:
        self._tiers = tiers
        self._cause_name = cause_name
        self._epochs_s: dict[str, float] = {}
        self._lock = threading.Lock()
        self._courses: dict[str, SourceTimeline] = {}
        self._events = {event.id: event for event in earlier}
        self._version = 0
        self._events_version = 0

    @property
    def version(self) -> int:
        """Increases whenever anything changes."""
        return self._version

    @property
    def events_version(self) -> int:
        """Increases whenever the list of events changes."""
        return self._events_version

    def on_state(self, state: SourceState) -> None:
        self._version += 1

    def on_verdict(self, judged: JudgedWindow) -> None:
        with self._lock:
            camera = judged.camera_id or judged.source
            course = self._courses.setdefault(camera, SourceTimeline())
            if judged.end_s < course.end_s:
                # The camera was removed and added again: its time restarts at 0.
                course = self._courses[camera] = SourceTimeline()
            course.add(judged)
            if judged.captured_s is not None:
                self._epochs_s[camera] = judged.captured_s - judged.end_s
            course.drop_before(judged.end_s - SHOWN_S)
            self._version += 1

    def on_change(self, change: EventChange) -> None:
        event = change.event
        with self._lock:
            if not change.late:
                # A late event's times are relative to an earlier watcher.
                self._courses.setdefault(event.camera_id or event.source, SourceTimeline()).note(event)
            self._events[event.id] = event
            for old in sorted(self._events)[:-NEWEST]:
                del self._events[old]
            self._events_version += 1
            self._version += 1

    def newest(self) -> list[Event]:
        """Returns the newest events, latest first."""
        with self._lock:
            return [self._events[key] for key in sorted(self._events, reverse=True)]

    def last_verdict_s(self, camera: str) -> float:
        """Returns the end of the last judged window in seconds; `camera` is its id, or its name if it has no id."""
        with self._lock:
            course = self._courses.get(camera)
            return 0.0 if course is None else course.end_s

    def strip_of(self, camera: str) -> RGB | None:
        """Draws the alarm probability of a camera over the last minutes; returns None before its first verdict."""
        with self._lock:
            course = self._courses.get(camera)
            if course is None or not course.judged:
                return None
            shown = SourceTimeline(course.judged, course.events)
            epoch_s = self._epochs_s.get(camera)
        to_s = max(shown.end_s, LEAST_S)
        from_s = max(0.0, to_s - SHOWN_S)
        return draw_timeline_strip(
            shown,
            from_s=from_s,
            to_s=to_s,
            size_wh=STRIP_WH,
            font_px=FONT_PX,
            tiers=self._tiers,
            epoch_s=epoch_s,
            cause_name=self._cause_name,
        )
