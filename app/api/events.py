"""Events: lists by filters, one event, its verdicts and probability curve, marks, acknowledging, and exports."""

import base64
import binascii
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query

from vigil.errors import UsageError
from vigil.events import Event, Mark, Tier
from vigil.questions import load_question
from vigil.store import EventFilter, MediaFile, Store
from vigil.store.event_record import EventState, full_record, rounded
from vigil.store.times import parse_time

from ..problems import NotFoundError
from .auth import EventOperator, EventReader, write_down
from .camera_rules import rules_at
from .context import ApiContext
from .schemas import (
    EXAMPLE_CAMERA,
    EXAMPLE_EVENT,
    AddedMark,
    Curve,
    CurvePoint,
    EventList,
    EventOut,
    MarkOut,
    NewMark,
    TierName,
    VerdictList,
    VerdictOut,
    as_answer,
    as_json,
    kept_problems,
    problems,
)

MOST = 200
LONGEST_TEXT = 200
MARGIN_S = 30.0

EventPath = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$", examples=[EXAMPLE_EVENT])]


@dataclass(frozen=True, slots=True)
class EventFilters:
    """The filters of a list or an export, as query parameters; all that are given must match."""

    since: Annotated[
        str, Query(max_length=40, description="From this time on: 2026-11-20T11:50Z, or an age such as 2h or 7d.")
    ] = ""
    until: Annotated[str, Query(max_length=40, description="Up to this time.")] = ""
    camera: Annotated[
        str, Query(max_length=LONGEST_TEXT, description="Id or name of the camera.", examples=[EXAMPLE_CAMERA])
    ] = ""
    place: Annotated[str, Query(max_length=LONGEST_TEXT, description="Place of the camera.")] = ""
    tier: Annotated[TierName | None, Query(description="Of at least this tier.")] = None
    state: Annotated[
        EventState | None, Query(description="`alarm` and `to_review` wait for somebody; the others do not.")
    ] = None
    mark: Annotated[
        Literal["true", "false_alarm", "unsure", "unmarked"] | None, Query(description="With this valid mark.")
    ] = None
    rule: Annotated[str, Query(max_length=LONGEST_TEXT, description="Made by this rule.")] = ""
    label: Annotated[
        str, Query(max_length=LONGEST_TEXT, description="Of this class, as users corrected it.", examples=["烟雾"])
    ] = ""
    text: Annotated[
        str, Query(max_length=LONGEST_TEXT, description="With this text in the words, a note or the camera's name.")
    ] = ""
    is_open: Annotated[bool | None, Query(description="True: still going on. False: over.")] = None

    def wanted(self, *, limit: int | None = None) -> EventFilter:
        """The filter of the store; raises UsageError for times that cannot be read."""
        return EventFilter(
            since_utc=parse_time(self.since, option="since") if self.since.strip() else None,
            until_utc=parse_time(self.until, option="until") if self.until.strip() else None,
            source=self.camera or None,
            place=self.place,
            tier=Tier(self.tier) if self.tier else None,
            state=self.state,
            mark=self.mark,
            rule=self.rule,
            label=self.label,
            text=self.text.strip(),
            open_only=self.is_open is True,
            closed_only=self.is_open is False,
            limit=limit,
        )


async def event_filters(**given: Any) -> EventFilters:
    """The filters of a request; awaited, as a class would be called in a thread of its own."""
    return EventFilters(**given)


event_filters.__signature__ = inspect.signature(EventFilters)  # type: ignore[attr-defined]

WantedEvents = Annotated[EventFilters, Depends(event_filters)]


def encode_cursor(place: str) -> str:
    """A place in a list as a word for a URL."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(word: str) -> str:
    """The place that a cursor stands for. Raises UsageError if it is none of ours."""
    try:
        place = base64.urlsafe_b64decode(word.encode("ascii") + b"=" * (-len(word) % 4)).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise UsageError("cursor: give back what `next` of the page before held") from error
    if word and ("~" not in place or "\0" in place):
        raise UsageError("cursor: give back what `next` of the page before held")
    return place


def find_event(store: Store, event_id: str) -> Event:
    """The event with this id; raises NotFoundError."""
    found = store.events.by_id(event_id)
    if found is None:
        raise NotFoundError(f"there is no event {event_id!r}; GET /api/v1/events lists those there are")
    return found


def media_urls(context: ApiContext, files: Sequence[MediaFile]) -> list[str]:
    """Where the files of an event can be had; the paths of this machine are told to nobody."""
    kinds = dict.fromkeys(file.kind for file in files)
    names = {"snapshots": "snapshot", "clips": "clip", "frames": "frames"}
    return [context.url(f"/events/{files[0].event_id}/{names[kind]}") for kind in kinds]


def event_records(context: ApiContext, store: Store, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The records of events with their marks, acknowledgements and the addresses of their files."""
    ids = [event.id for event in events]
    marks, media, seen = store.marks.of_events(ids), store.media.of_events(ids), store.acknowledgements.of_events(ids)
    records = []
    for event in events:
        ack = seen.get(event.id)
        records.append(
            full_record(
                event,
                marks=marks.get(event.id, ()),
                media=media_urls(context, media.get(event.id, ())),
                acknowledged_by=ack.who if ack else "",
                acknowledged_utc=ack.acknowledged_utc if ack else "",
            )
        )
    return records


def events_router(context: ApiContext) -> APIRouter:
    """The routes of events."""
    router = APIRouter(tags=["events"])

    @router.get("/events", response_model=EventList, responses=kept_problems(400, 503))
    def list_events(
        caller: EventReader,
        filters: WantedEvents,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str, Query(max_length=300, description="`next` of the page before.")] = "",
    ) -> Any:
        """Events, the latest first. Pages do not shift while new events arrive."""
        store = context.store
        with store.sharing("reading events"):
            found = store.events.page(filters.wanted(), after=decode_cursor(cursor), size=limit)
            records = event_records(context, store, found.events)
        return as_json({"events": records, "next": encode_cursor(found.next) if found.next else None})

    @router.get("/events/{event}", response_model=EventOut, responses=kept_problems(404, 503))
    def get_event(caller: EventReader, event: EventPath) -> Any:
        """One event."""
        store = context.store
        with store.sharing("reading an event"):
            record = event_records(context, store, [find_event(store, event)])[0]
        return as_json(record)

    @router.get("/events/{event}/verdicts", response_model=VerdictList, responses=kept_problems(404, 503))
    def verdicts(
        caller: EventReader, event: EventPath, margin_s: Annotated[float, Query(ge=0, le=600)] = MARGIN_S
    ) -> Any:
        """The verdicts of the event and of `margin_s` before and after it, oldest first."""
        store = context.store
        found = find_event(store, event)
        told = [
            VerdictOut(
                window=each.window,
                start_s=each.start_s,
                end_s=each.end_s,
                outcome=each.verdict.outcome,
                cause=each.verdict.cause,
                p_alarm=each.verdict.p_alarm,
                label=each.verdict.alarm_label,
                p_outside=each.verdict.p_outside,
                latency_ms=each.verdict.latency_ms,
                text=each.verdict.text,
                detail=each.verdict.detail,
            )
            for each in store.verdicts.around(found, margin_s=margin_s)
        ]
        return as_answer(VerdictList(event=found.id, verdicts=told))

    @router.get("/events/{event}/probability", response_model=Curve, responses=kept_problems(404, 503))
    def probability(
        caller: EventReader, event: EventPath, margin_s: Annotated[float, Query(ge=0, le=600)] = MARGIN_S
    ) -> Any:
        """The probability of alarm over time, with `margin_s` before and after the event."""
        store = context.store
        with store.sharing("reading verdicts"):
            found = find_event(store, event)
            judged = store.verdicts.around(found, margin_s=margin_s)
        points = [
            CurvePoint(start_s=each.start_s, end_s=each.end_s, p_alarm=each.verdict.p_alarm, cause=each.verdict.cause)
            for each in judged
        ]
        tiers = rules_at(context, found.camera_id).tiers(found.rule)
        end_s = rounded(found.end_s)
        return as_answer(Curve(event=found.id, onset_s=found.onset_s, end_s=end_s, tiers=tiers, points=points))

    _add_marking(router, context)
    return router


def added_marks(store: Store, made: Sequence[Mark]) -> list[AddedMark]:
    """Marks that were just added, each with the one that it replaced, as a page needs it to take it back."""
    history = store.marks.of_events([mark.event_id for mark in made])
    before = {(mark.event_id, mark.number + 1): _mark_out(mark) for marks in history.values() for mark in marks}
    return [AddedMark(**dict(_mark_out(mark)), replaced=before.get((mark.event_id, mark.number))) for mark in made]


def _mark_out(mark: Mark) -> MarkOut:
    return MarkOut(mark=mark.mark, note=mark.note, who=mark.who, marked_utc=mark.marked_utc, label=mark.label)


def classes_of(task: str) -> list[str] | None:
    """The classes that events of a task can have, none with two labels; None if the task is not an installed one."""
    try:
        question = load_question(task)
    except UsageError:
        return None
    return [] if question.has_two_labels else list(question.alarm_labels)


def require_class(event: Event, label: str) -> None:
    """Raises UsageError for a class that the event's task does not have, if the task is known here."""
    known = classes_of(event.task) if label else None
    if known is None or label in known:
        return
    if not known:
        raise UsageError(f"label: the task {event.task} has no classes, but two labels; mark without one")
    raise UsageError(f"label: the task {event.task} has no class {label!r}; its classes are: {', '.join(known)}")


def _add_marking(router: APIRouter, context: ApiContext) -> None:
    @router.get("/events/{event}/marks", response_model=list[MarkOut], responses=kept_problems(404, 503))
    def list_marks(caller: EventReader, event: EventPath) -> Any:
        """All marks of an event, oldest first; the last one is valid."""
        store = context.store
        return event_records(context, store, [find_event(store, event)])[0]["marks"]

    @router.post("/events/{event}/marks", status_code=201, response_model=AddedMark, responses=problems(400, 404, 503))
    def add_mark(caller: EventOperator, event: EventPath, said: NewMark) -> AddedMark:
        """Marks an event as a true alarm, a false alarm or unsure; earlier marks stay in its history.

        `label` corrects the class of a true alarm.
        """
        store = context.store
        found = find_event(store, event)
        require_class(found, said.label)
        write_down("mark an event", caller, event=found.id, mark=said.mark or "none")
        mark = store.marks.add(found.id, said.mark, who=caller.name, note=said.note, label=said.label)
        [added] = added_marks(store, [mark])
        return added

    @router.post("/events/{event}/acknowledge", response_model=EventOut, responses=problems(404, 503))
    def acknowledge(caller: EventOperator, event: EventPath) -> Any:
        """Says that somebody has seen the alarm, so that it need not ring on; the first to do so stays."""
        store = context.store
        found = find_event(store, event)
        write_down("acknowledge an event", caller, event=found.id)
        store.acknowledgements.add(found.id, who=caller.name)
        return as_json(event_records(context, store, [found])[0])
