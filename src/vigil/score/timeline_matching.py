"""Matches windows and events with true incidents: which windows are positive, which events found an incident.

A window is positive if it overlaps an incident by at least half of the shorter of the two, negative if it overlaps
none, and left out as ambiguous in between.

An event finds an incident if it was announced no earlier than `tolerance_s` before the onset, began no later than
`tolerance_s` after the end, and was still open at the onset. One event finds one incident, and pairs are chosen so that
as many as possible are found. An alarm that came too early is a false alarm, whatever happened later.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vigil.events import Event
from vigil.score.metrics import Flags, Floats, Interval, average_precision, bootstrap, roc_auc
from vigil.score.timeline_truth import TrueIncident
from vigil.verdict import JudgedWindow

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
    """The matched and unmatched events and incidents of one video.

    `repeated` events belong to an incident that another event found, `merged` incidents are missed ones within an event
    that found another. `false` events are near no incident.
    """

    found: tuple[Detection, ...]
    missed: tuple[TrueIncident, ...]
    false: tuple[Event, ...]
    repeated: tuple[Event, ...]
    merged: tuple[TrueIncident, ...]


def match_events(
    spans: Sequence[TrueIncident], events: Sequence[Event], *, tolerance_s: float = TOLERANCE_S
) -> EventMatching:
    """Pairs incidents with events, as many as possible."""
    pairs = _pairs(spans, events, tolerance_s)
    taken = {event for _, event in pairs}
    matched = {span for span, _ in pairs}
    found = tuple(Detection(spans[s], events[e], announced_s(events[e]) - spans[s].onset_s) for s, e in sorted(pairs))
    missed = tuple(span for number, span in enumerate(spans) if number not in matched)
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
    """When an event was announced; its onset if the announcement was not recorded."""
    return event.onset_s if event.announced_s is None else event.announced_s


def _finds(event: Event, span: TrueIncident, tolerance_s: float) -> bool:
    early = announced_s(event) < span.onset_s - tolerance_s
    over = event.end_s is not None and event.end_s < span.onset_s
    return not early and not over and event.onset_s <= span.end_s + tolerance_s


def _overlap_s(event: Event, span: TrueIncident) -> float:
    end_s = span.end_s if event.end_s is None else min(event.end_s, span.end_s)
    return end_s - max(event.onset_s, span.onset_s)


def _pairs(spans: Sequence[TrueIncident], events: Sequence[Event], tolerance_s: float) -> list[tuple[int, int]]:
    """Indices of matching incidents and events: as many pairs as possible, then the longest overlap."""
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
    """How many incidents the same events would find at random times, on average; shifted with a fixed seed."""
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


SHARE = 0.5
BLOCK_S = 60.0
FEWER_RESAMPLES_FROM = 3000
LEAST_BLOCKS = 5
"""The minimum of each class for an interval: resampling fewer hardly varies and would claim false certainty."""


@dataclass(frozen=True, slots=True)
class RatedWindow:
    """A window that counts: its probability, its truth, and the block of footage it is resampled with."""

    p_alarm: float
    is_positive: bool
    block: str


@dataclass(frozen=True, slots=True)
class RatedWindows:
    """The windows of one or more videos: those that count, and how many do not and why."""

    rated: tuple[RatedWindow, ...]
    ambiguous: int
    unknown: dict[str, int]

    @property
    def n(self) -> int:
        """The number of all windows."""
        return len(self.rated) + self.ambiguous + sum(self.unknown.values())


def rate_windows(name: str, judged: Sequence[JudgedWindow], spans: Sequence[TrueIncident]) -> RatedWindows:
    """Classifies the windows of one video by the truth."""
    rated: list[RatedWindow] = []
    ambiguous = 0
    unknown: Counter[str] = Counter()
    for one in judged:
        truth = is_positive(one.start_s, one.end_s, spans)
        if one.verdict.p_alarm is None:
            unknown[str(one.verdict.cause or "no probability")] += 1
        elif truth is None:
            ambiguous += 1
        else:
            rated.append(RatedWindow(one.verdict.p_alarm, truth, _block(name, one, spans)))
    return RatedWindows(tuple(rated), ambiguous, dict(unknown.most_common()))


def pool_windows(windows: Sequence[RatedWindows]) -> RatedWindows:
    """The windows of several videos together."""
    unknown: Counter[str] = Counter()
    for one in windows:
        unknown.update(one.unknown)
    rated = tuple(rated for one in windows for rated in one.rated)
    return RatedWindows(rated, sum(one.ambiguous for one in windows), dict(unknown.most_common()))


def is_positive(start_s: float, end_s: float, spans: Sequence[TrueIncident]) -> bool | None:
    """The truth about a window; None if it is ambiguous."""
    touched = False
    for span in spans:
        shared_s = min(end_s, span.end_s) - max(start_s, span.onset_s)
        if shared_s < 0 or (shared_s == 0 and end_s > start_s):
            continue
        touched = True
        if shared_s >= SHARE * min(end_s - start_s, span.end_s - span.onset_s):
            return True
    return None if touched else False


def _block(name: str, one: JudgedWindow, spans: Sequence[TrueIncident]) -> str:
    """The block of a window (an incident, or a minute between two), resampled as one: neighbours are alike."""
    before = sum(span.onset_s <= one.end_s for span in spans)
    within = any(span.onset_s <= one.end_s and one.start_s <= span.end_s for span in spans)
    return f"{name} {before}" if within else f"{name} {before}-{one.start_s // BLOCK_S:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFigures:
    """The figures of window probabilities; `prevalence` is the average precision of guessing.

    Blocks are pieces of footage that are resampled as one; with fewer than five of either class there is no interval.
    """

    positive: int
    negative: int
    positive_blocks: int
    negative_blocks: int
    prevalence: float | None
    roc_auc: float | None
    roc_auc_ci95: Interval | None
    average_precision: float | None
    average_precision_ci95: Interval | None


def window_figures(windows: RatedWindows) -> WindowFigures:
    """The figures of windows, with intervals by resampling whole blocks of footage."""
    p_alarm = np.array([one.p_alarm for one in windows.rated], dtype=np.float64)
    truth = np.array([one.is_positive for one in windows.rated], dtype=np.bool_)
    blocks = [one.block for one in windows.rated]
    positive = int(truth.sum())
    blocks_of = {kind: len({one.block for one in windows.rated if one.is_positive == kind}) for kind in (True, False)}
    draws = 2000 if len(blocks) < FEWER_RESAMPLES_FROM else 400

    def interval(statistic: Callable[[Floats, Flags], float | None]) -> Interval | None:
        if min(blocks_of.values()) < LEAST_BLOCKS:
            return None
        return bootstrap(lambda rows: statistic(p_alarm[rows], truth[rows]), blocks, resamples=draws)

    return WindowFigures(
        positive=positive,
        negative=len(truth) - positive,
        positive_blocks=blocks_of[True],
        negative_blocks=blocks_of[False],
        prevalence=positive / len(truth) if len(truth) else None,
        roc_auc=roc_auc(p_alarm, truth),
        roc_auc_ci95=interval(roc_auc),
        average_precision=average_precision(p_alarm, truth),
        average_precision_ci95=interval(average_precision),
    )
