"""The strip of a camera: its verdicts over hours or a day in buckets, and all that is known of one moment."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from vigil.errors import UsageError
from vigil.events import Event
from vigil.store import EventFilter, MediaFile, Store
from vigil.store.cameras import CameraRecord
from vigil.store.event_record import event_record, mark_record
from vigil.store.missed_spans import MissedFilter
from vigil.store.times import format_utc, parse_time, utc_now
from vigil.store.verdict_strips import StripBucket, TimedVerdict

from ..web.event_store import is_media_path
from .auth import EventReader
from .camera_rules import rules_in_force
from .cameras import CameraPath
from .context import ApiContext
from .events import media_urls
from .media import files_of
from .missed import find_camera, missed_out
from .review_schemas import BucketOut, CameraMoment, CameraStrip, MissedOut, MomentPicture, MomentWindow, StripEvent
from .schemas import problems

LONGEST_S = 7 * 86_400.0
MOST_BUCKETS = 2000
MOST_EVENTS = 1000
FILE = "file"

KINDS: dict[str, Literal["clip", "snapshot", "frames"]] = {
    "clips": "clip",
    "snapshots": "snapshot",
    "frames": "frames",
}


def strips_router(context: ApiContext) -> APIRouter:
    """The routes of strips and moments."""
    router = APIRouter(tags=["review"])

    @router.get("/cameras/{camera}/strip", response_model=CameraStrip, responses=problems(400, 404, 503))
    def strip(
        caller: EventReader,
        camera: CameraPath,
        since: Annotated[str, Query(max_length=40, description="From this time on, or an age such as 24h.")] = "1h",
        until: Annotated[str, Query(max_length=40, description="Up to this time; now, if left out.")] = "",
        buckets: Annotated[int, Query(ge=1, le=MOST_BUCKETS, description="Into so many equal stretches.")] = 600,
    ) -> CameraStrip:
        """The verdicts of a camera between two times, seven days apart at most, also where nothing alarmed.

        Each bucket has the lowest and the highest probability of the windows in it, so that no alarm is lost.
        """
        store = context.store
        found = find_camera(store, camera)
        from_utc, to_utc = _span(since, until)
        from_s, to_s = _seconds(from_utc), _seconds(to_utc)
        told = store.verdict_strips.bucketed(found.id, from_s=from_s, to_s=to_s, buckets=buckets)
        return CameraStrip(
            camera=found.id,
            name=found.name,
            place=found.place,
            has_clock=found.kind != FILE,
            from_utc=from_utc,
            to_utc=to_utc,
            bucket_s=(to_s - from_s) / buckets,
            tiers=rules_in_force(context, found.rules or "").tiers(),
            buckets=[_bucket(each, from_s) for each in told],
            events=_events(store, _between(store, found, from_utc, to_utc)),
            missed=_missed(store, found, from_utc, to_utc),
        )

    @router.get("/cameras/{camera}/moment", response_model=CameraMoment, responses=problems(400, 404, 503))
    def moment(
        caller: EventReader,
        camera: CameraPath,
        at: Annotated[str, Query(min_length=1, max_length=40, description="The time, or an age.", examples=["5m"])],
        margin_s: Annotated[float, Query(gt=0, le=600, description="Seconds before and after it.")] = 15.0,
    ) -> CameraMoment:
        """The windows around a moment, the events and missed incidents there, and the pictures that are still kept."""
        store = context.store
        found = find_camera(store, camera)
        at_utc = parse_time(at, option="at")
        from_s, to_s = max(0.0, _seconds(at_utc) - margin_s), _seconds(at_utc) + margin_s
        from_utc, to_utc = format_utc(from_s), format_utc(to_s)
        events = _between(store, found, from_utc, to_utc)
        return CameraMoment(
            camera=found.id,
            name=found.name,
            place=found.place,
            at_utc=at_utc,
            tiers=rules_in_force(context, found.rules or "").tiers(),
            windows=[_window(each) for each in store.verdict_strips.windows(found.id, from_s=from_s, to_s=to_s)],
            events=_events(store, events),
            missed=_missed(store, found, from_utc, to_utc),
            pictures=[picture for event in events for picture in _pictures(context, event)],
        )

    return router


def _span(since: str, until: str) -> tuple[str, str]:
    from_utc = parse_time(since or "1h", option="since")
    to_utc = parse_time(until, option="until") if until.strip() else utc_now()
    if from_utc >= to_utc:
        raise UsageError(f"nothing lies between {from_utc} and {to_utc}: the times are the wrong way")
    if _seconds(to_utc) - _seconds(from_utc) > LONGEST_S:
        raise UsageError(f"{from_utc} to {to_utc} is longer than seven days; ask for less at a time")
    return from_utc, to_utc


def _seconds(utc: str) -> float:
    return datetime.fromisoformat(utc).timestamp()


def _bucket(found: StripBucket, from_s: float) -> BucketOut:
    return BucketOut(
        at_s=round(found.start_s - from_s, 3),
        p_least=found.p_least,
        p_most=found.p_most,
        windows=found.windows,
        unknown=found.unknown,
    )


def _window(found: TimedVerdict) -> MomentWindow:
    return MomentWindow(
        window=found.window,
        start_utc=format_utc(found.start_s),
        end_utc=format_utc(found.end_s),
        outcome=found.outcome,
        cause=found.cause,
        p_alarm=found.p_alarm,
        text=found.text,
    )


def _between(store: Store, camera: CameraRecord, from_utc: str, to_utc: str) -> list[Event]:
    wanted = EventFilter(since_utc=from_utc, until_utc=to_utc, source=camera.id, limit=MOST_EVENTS)
    return [event for event in store.events.find(wanted) if event.epoch_s is not None]


def _events(store: Store, events: list[Event]) -> list[StripEvent]:
    marks = store.marks.of_events([event.id for event in events])
    found = []
    for event in events:
        record = event_record(event) | mark_record(marks.get(event.id, ()))
        found.append(StripEvent.model_validate({name: record[name] for name in StripEvent.model_fields}))
    return found


def _missed(store: Store, camera: CameraRecord, from_utc: str, to_utc: str) -> list[MissedOut]:
    wanted = MissedFilter(since_utc=from_utc, until_utc=to_utc, source=camera.id)
    return [missed_out(span) for span in store.missed_spans.find(wanted, limit=MOST_EVENTS)]


def _pictures(context: ApiContext, event: Event) -> list[MomentPicture]:
    """The files of an event that are there."""
    kept: list[MediaFile] = []
    for kind in KINDS:
        kept += [file for file in files_of(context, event.id, kind)[:1] if is_media_path(file.path, context.site)]  # type: ignore[arg-type]
    found = []
    for file in kept:
        [url] = media_urls(context, [file])
        found.append(MomentPicture(event=event.id, kind=KINDS[file.kind], url=url))
    return found
