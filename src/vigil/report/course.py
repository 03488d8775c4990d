"""The course of a video: its verdicts and events by time, for whatever draws them."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vigil.events.event import Event
from vigil.events.judged import JudgedWindow

JOIN_S = 1.0
"""A window stands for the time up to the next one, when that follows at once."""


@dataclass(frozen=True, slots=True)
class TimelineSpan:
    """A window and the seconds it stands for, from its first frame to the next window's or its own last."""

    judged: JudgedWindow
    start_s: float
    end_s: float


class SourceTimeline:
    """Verdicts and events of one source; both may be added while it goes on."""

    def __init__(self, judged: Iterable[JudgedWindow] = (), events: Iterable[Event] = ()) -> None:
        self.version = 0
        self._judged: list[JudgedWindow] = []
        self._starts: list[float] = []
        self._longest_s = 0.0
        self._events: dict[str, Event] = {}
        for one in judged:
            self.add(one)
        for event in events:
            self.note(event)

    def add(self, judged: JudgedWindow) -> None:
        """Adds a verdict, usually the latest; one of the same window replaces the earlier."""
        self.version += 1
        self._longest_s = max(self._longest_s, judged.end_s - judged.start_s)
        at = bisect_right(self._starts, judged.start_s)
        if at and self._judged[at - 1].window == judged.window:
            self._judged[at - 1] = judged
            return
        self._judged.insert(at, judged)
        self._starts.insert(at, judged.start_s)

    def note(self, event: Event) -> None:
        """Adds an event, or replaces what was known of it."""
        self.version += 1
        self._events[event.id] = event

    def forget_before(self, time_s: float) -> None:
        """Lets go of what ended before a second, so that a long watch stays small."""
        kept = [one for one in self._judged if one.end_s >= time_s]
        self._judged, self._starts = kept, [one.start_s for one in kept]
        self._events = {key: e for key, e in self._events.items() if e.end_s is None or e.end_s >= time_s}

    @property
    def judged(self) -> Sequence[JudgedWindow]:
        """The verdicts by their start."""
        return self._judged

    @property
    def events(self) -> Sequence[Event]:
        """The events by their onset."""
        return sorted(self._events.values(), key=lambda event: event.onset_s)

    @property
    def end_s(self) -> float:
        """The last second that anything is known of."""
        return max((one.end_s for one in self._judged), default=0.0)

    def verdict_at(self, time_s: float) -> JudgedWindow | None:
        """The verdict of the window that covers a second; of several, the one whose middle is nearest."""
        covering = [s.judged for s in self.between(time_s, time_s)]
        return min(covering, key=lambda one: abs((one.start_s + one.end_s) / 2 - time_s), default=None)

    def event_at(self, time_s: float) -> Event | None:
        """The event that goes on at a second; of several, the one with the highest peak."""
        going_on = [e for e in self._events.values() if e.onset_s <= time_s and (e.end_s is None or time_s <= e.end_s)]
        return max(going_on, key=lambda event: event.peak, default=None)

    def between(self, from_s: float, to_s: float) -> list[TimelineSpan]:
        """The windows that stand for any of these seconds."""
        first = bisect_right(self._starts, from_s - self._longest_s - JOIN_S)
        last = bisect_right(self._starts, to_s)
        stretches = (self._stretch(number) for number in range(max(0, first - 1), last))
        return [stretch for stretch in stretches if stretch.end_s >= from_s]

    def _stretch(self, number: int) -> TimelineSpan:
        one = self._judged[number]
        next_s = self._starts[number + 1] if number + 1 < len(self._starts) else one.end_s
        follows = one.end_s < next_s <= one.end_s + JOIN_S
        return TimelineSpan(one, one.start_s, next_s if follows else one.end_s)


def unknown_runs(stretches: Iterable[TimelineSpan]) -> list[tuple[str, float, float]]:
    """Windows without a verdict that follow each other: their cause, from and to."""
    runs: list[tuple[str, float, float]] = []
    for stretch in stretches:
        cause = str(stretch.judged.verdict.cause or "")
        if not cause:
            continue
        if runs and runs[-1][0] == cause and stretch.start_s <= runs[-1][2]:
            runs[-1] = (cause, runs[-1][1], stretch.end_s)
        else:
            runs.append((cause, stretch.start_s, stretch.end_s))
    return runs
