"""The report of a day or a shift: what was recorded, what people said of it, and when nobody watched.

    report = shift_report(store, shift_span(day=date(2026, 11, 29), shift="22:00-06:00"))

Events count for the report in whose time they begin, so that none is in two.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from vigil.errors import UsageError
from vigil.events import Event, Mark
from vigil.history.time_phrases import TimeRange
from vigil.store import EventFilter, Store
from vigil.store.cameras import CameraRecord
from vigil.store.missed_spans import MissedFilter, MissedSpan
from vigil.store.observations import ObservationFilter

STEP_S = 300.0
"""Watched time and outages are counted in steps of five minutes."""

SHIFT = re.compile(r"(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})")
MOST_EVENTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraShift:
    """One camera in a report: its events by tier, how long it was judged, and when it was not.

    `outages` are local times from and to, of at least two steps without a judged window.
    """

    camera: CameraRecord
    tiers: Mapping[str, int]
    judged_s: float
    unknown_windows: int
    windows: int
    outages: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftReport:
    """A report; `unseen` are events that nobody has marked or acknowledged, oldest first.

    `is_cut` says that there were more than 10,000 events, of which the newest are counted.
    """

    span: TimeRange
    events: tuple[Event, ...]
    rules: Mapping[str, int]
    hours: Mapping[int, int]
    marks: Mapping[str, int]
    unseen: tuple[Event, ...]
    cameras: tuple[CameraShift, ...]
    missed: tuple[MissedSpan, ...]
    observations: int
    is_cut: bool


def shift_span(*, day: date, shift: str = "") -> TimeRange:
    """The local time of a day, or of the shift (`22:00-06:00`) that begins on it; raises UsageError."""
    midnight = datetime.combine(day, time())
    if not shift:
        return TimeRange(midnight, midnight + timedelta(days=1), "")
    begin, end = _clocks(shift)
    return TimeRange(midnight + begin, midnight + end + timedelta(days=1 if end <= begin else 0), "")


def last_span(now: datetime, *, shift: str = "") -> TimeRange:
    """The last whole day, or the last shift that is over; raises UsageError."""
    for days in (0, 1, 2):
        span = shift_span(day=(now - timedelta(days=days)).date(), shift=shift)
        if span.until <= now:
            return span
    raise AssertionError("a shift is over within two days")


def shift_report(store: Store, span: TimeRange) -> ShiftReport:
    """The report of a time; raises StoreError."""
    wanted = EventFilter(since_utc=span.since_utc, until_utc=span.until_utc, limit=MOST_EVENTS)
    with store.sharing("reporting"):
        found = store.events.find(wanted)
        events = [event for event in found if _begins_in(event, span)]
        ids = [event.id for event in events]
        marks, seen = store.marks.newest(ids), store.acknowledgements.of_events(ids)
        missed = store.missed_spans.find(MissedFilter(since_utc=span.since_utc, until_utc=span.until_utc))
        lines = store.observations.count(ObservationFilter(since_utc=span.since_utc, until_utc=span.until_utc))
        cameras = tuple(_camera_shift(store, camera, events, span) for camera in store.cameras.all())
    return ShiftReport(
        span=span,
        events=tuple(events),
        rules=Counter(event.rule or event.task for event in events),
        hours=Counter(_onset(event).hour for event in events if event.epoch_s is not None),
        marks=Counter(_word(marks.get(event.id)) for event in events),
        unseen=tuple(event for event in events if _word(marks.get(event.id)) == "unmarked" and event.id not in seen),
        cameras=tuple(each for each in cameras if each.windows or each.tiers),
        missed=tuple(missed[::-1]),
        observations=lines,
        is_cut=len(found) == MOST_EVENTS,
    )


def onset_of(event: Event) -> datetime | None:
    """When an event began, in local time; None for a file, which has no clock."""
    return None if event.epoch_s is None else _onset(event)


def _onset(event: Event) -> datetime:
    return datetime.fromtimestamp((event.epoch_s or 0.0) + event.onset_s).astimezone()


def _begins_in(event: Event, span: TimeRange) -> bool:
    """Whether an event begins in the span; one of a file was found by the time of its detection."""
    if event.epoch_s is None:
        return True
    since, until = (datetime.fromisoformat(utc).timestamp() for utc in (span.since_utc, span.until_utc))
    return since <= event.epoch_s + event.onset_s < until


def _word(mark: Mark | None) -> str:
    return mark.mark if mark is not None and mark.mark else "unmarked"


def _clocks(shift: str) -> tuple[timedelta, timedelta]:
    found = SHIFT.fullmatch(shift.strip())
    numbers = [int(word) for word in found.groups()] if found else []
    if not numbers or max(numbers[0], numbers[2]) > 24 or max(numbers[1], numbers[3]) > 59:
        raise UsageError(f"--shift {shift!r}: write from when until when, such as 22:00-06:00")
    begin, end = (timedelta(hours=numbers[i], minutes=numbers[i + 1]) for i in (0, 2))
    if begin == end or max(begin, end) > timedelta(days=1):
        raise UsageError(f"--shift {shift!r} is no part of a day; write such as 22:00-06:00")
    return begin, end


def _camera_shift(store: Store, camera: CameraRecord, events: Sequence[Event], span: TimeRange) -> CameraShift:
    since_s, until_s = (datetime.fromisoformat(utc).timestamp() for utc in (span.since_utc, span.until_utc))
    steps = max(1, round((until_s - since_s) / STEP_S))
    buckets = store.verdict_strips.bucketed(camera.id, from_s=since_s, to_s=until_s, buckets=steps)
    step_s = (until_s - since_s) / steps
    judged = {round((each.start_s - since_s) / step_s) for each in buckets if each.windows > each.unknown}
    return CameraShift(
        camera=camera,
        tiers=Counter(event.tier.value for event in events if event.camera_id == camera.id),
        judged_s=len(judged) * step_s,
        unknown_windows=sum(each.unknown for each in buckets),
        windows=sum(each.windows for each in buckets),
        outages=tuple(_outages(judged, steps, since_s, step_s)) if judged else (),
    )


def _outages(judged: set[int], steps: int, since_s: float, step_s: float) -> list[tuple[datetime, datetime]]:
    """The stretches of two steps or more in which no window was judged."""
    edges = [-1, *sorted(judged), steps]
    gaps = [(before + 1, after) for before, after in pairwise(edges) if after - before > 2]
    return [(_local(since_s + first * step_s), _local(since_s + last * step_s)) for first, last in gaps]


def _local(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s).astimezone()
