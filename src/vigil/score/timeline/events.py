"""Events against true incidents: what was found, missed and false, and how late each alarm came.

An event finds an incident when it was announced no earlier than `tolerance_s` before the onset, began
no later than `tolerance_s` after the end, and still went on at the onset. One event finds one incident,
and pairs are chosen so that as many as possible are found. An alarm that rang too early was a false
alarm, whatever happened later.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vigil.events.event import Event
from vigil.score.timeline.truth import TrueIncident

TOLERANCE_S = 3.0
DRAWS = 200


@dataclass(frozen=True, slots=True)
class Detection:
    """An incident and the event that found it; `latency_s` from the true onset to the announcement."""

    span: TrueIncident
    event: Event
    latency_s: float


@dataclass(frozen=True, slots=True)
class EventMatching:
    """The events and incidents of one video, told apart.

    `repeated` events lie within an incident that another one found, `merged` incidents are missed ones within an
    event that found another. `false` events lie near none.
    """

    found: tuple[Detection, ...]
    missed: tuple[TrueIncident, ...]
    false: tuple[Event, ...]
    repeated: tuple[Event, ...]
    merged: tuple[TrueIncident, ...]


def match_events(
    spans: Sequence[TrueIncident], events: Sequence[Event], *, tolerance_s: float = TOLERANCE_S
) -> EventMatching:
    """Pairs incidents with events, as many as can be."""
    pairs = _pairs(spans, events, tolerance_s)
    taken = {event for _, event in pairs}
    seen = {span for span, _ in pairs}
    found = tuple(Detection(spans[s], events[e], announced_s(events[e]) - spans[s].onset_s) for s, e in sorted(pairs))
    missed = tuple(span for number, span in enumerate(spans) if number not in seen)
    left = [event for number, event in enumerate(events) if number not in taken]
    repeated = tuple(event for event in left if any(_finds(event, span, tolerance_s) for span in spans))
    return EventMatching(
        found=found,
        missed=missed,
        false=tuple(event for event in left if event not in repeated),
        repeated=repeated,
        merged=tuple(span for span in missed if any(_overlap_s(events[e], span) > 0 for e in taken)),
    )


def announced_s(event: Event) -> float:
    """When an event was announced; its onset where nobody noted it."""
    return event.onset_s if event.announced_s is None else event.announced_s


def _finds(event: Event, span: TrueIncident, tolerance_s: float) -> bool:
    early = announced_s(event) < span.onset_s - tolerance_s
    over = event.end_s is not None and event.end_s < span.onset_s
    return not early and not over and event.onset_s <= span.end_s + tolerance_s


def _overlap_s(event: Event, span: TrueIncident) -> float:
    end_s = span.end_s if event.end_s is None else min(event.end_s, span.end_s)
    return end_s - max(event.onset_s, span.onset_s)


def _pairs(spans: Sequence[TrueIncident], events: Sequence[Event], tolerance_s: float) -> list[tuple[int, int]]:
    """Numbers of incidents and events that belong together: most pairs first, then the longest overlap."""
    if not spans or not events:
        return []
    from scipy.optimize import linear_sum_assignment  # a second to import

    fits = np.array([[_finds(event, span, tolerance_s) for event in events] for span in spans])
    overlap_s = np.array([[max(0.0, _overlap_s(event, span)) for event in events] for span in spans])
    worth = fits * (1.0 + overlap_s / (1.0 + overlap_s.sum()))
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if fits[row, column]]


def found_by_chance(
    spans: Sequence[TrueIncident], events: Sequence[Event], *, length_s: float, tolerance_s: float = TOLERANCE_S
) -> float:
    """How many incidents the same events would find at random times, on average: moved around by a fixed seed."""
    if not spans or not events or length_s <= 0:
        return 0.0
    rng = random.Random(0)
    shifts = (rng.uniform(0, length_s) for _ in range(DRAWS))
    counts = [len(_pairs(spans, [_moved(e, by, length_s) for e in events], tolerance_s)) for by in shifts]
    return sum(counts) / len(counts)


def _moved(event: Event, by_s: float, length_s: float) -> Event:
    onset_s = (event.onset_s + by_s) % length_s
    shift_s = onset_s - event.onset_s
    end_s = length_s if event.end_s is None else event.end_s
    return replace(event, onset_s=onset_s, end_s=end_s + shift_s, announced_s=announced_s(event) + shift_s)
