"""The report of a day or a shift: what was recorded, what people said of it, and when nobody watched.

    report = shift_report(store, shift_span(day=date(2026, 11, 29), shift="22:00-06:00"))

Events count for the report in whose time they begin, so that none is in two.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from itertools import pairwise

from vigil.events import Event, Mark
from vigil.history.time_phrases import TimeRange
from vigil.rules.shift import Shift
from vigil.store import EventFilter, Store
from vigil.store.cameras import CameraRecord
from vigil.store.missed_spans import MissedFilter, MissedSpan
from vigil.store.observations import ObservationFilter

STEP_S = 300.0
"""Watched time and outages are counted in steps of five minutes."""

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

    @property
    def zone(self) -> tzinfo | None:
        """The time zone in which its times are shown; None is that of this machine."""
        return self.span.since.tzinfo


def shift_span(*, day: date, shift: str = "", timezone: str = "") -> TimeRange:
    """The time of a day, or of the shift (`22:00-06:00`) that begins on it, in local time; raises UsageError.

    An empty `timezone` is that of this machine.
    """
    return TimeRange(*Shift.parse(shift, timezone=timezone).span(day), "")


def last_span(now: datetime, *, shift: str = "", timezone: str = "") -> TimeRange:
    """The last whole day, or the last shift that is over; `now` is local time there. Raises UsageError."""
    return TimeRange(*Shift.parse(shift, timezone=timezone).last(now), "")


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
        hours=Counter(onset.hour for event in events if (onset := onset_of(event, zone=span.since.tzinfo)) is not None),
        marks=Counter(_word(marks.get(event.id)) for event in events),
        unseen=tuple(event for event in events if _word(marks.get(event.id)) == "unmarked" and event.id not in seen),
        cameras=tuple(each for each in cameras if each.windows or each.tiers),
        missed=tuple(missed[::-1]),
        observations=lines,
        is_cut=len(found) == MOST_EVENTS,
    )


def onset_of(event: Event, *, zone: tzinfo | None = None) -> datetime | None:
    """When an event began, in local time; None for a file, which has no clock."""
    return None if event.epoch_s is None else _local(event.epoch_s + event.onset_s, zone)


def _begins_in(event: Event, span: TimeRange) -> bool:
    """Whether an event begins in the span; one of a file was found by the time of its detection."""
    if event.epoch_s is None:
        return True
    since, until = (datetime.fromisoformat(utc).timestamp() for utc in (span.since_utc, span.until_utc))
    return since <= event.epoch_s + event.onset_s < until


def _word(mark: Mark | None) -> str:
    return mark.mark if mark is not None and mark.mark else "unmarked"


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
        outages=tuple(_outages(judged, steps, since_s, step_s, span.since.tzinfo)) if judged else (),
    )


def _outages(
    judged: set[int], steps: int, since_s: float, step_s: float, zone: tzinfo | None
) -> list[tuple[datetime, datetime]]:
    """The stretches of two steps or more in which no window was judged."""
    edges = [-1, *sorted(judged), steps]
    gaps = [(before + 1, after) for before, after in pairwise(edges) if after - before > 2]
    return [(_local(since_s + first * step_s, zone), _local(since_s + last * step_s, zone)) for first, last in gaps]


def _local(utc_s: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(utc_s, UTC).astimezone(zone)
