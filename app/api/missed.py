"""Missed incidents: spans of cameras in which something happened that raised no event. Add, take back, list, export."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from vigil.report.event_export import missed_as_csv, missed_as_json
from vigil.store import Store
from vigil.store.cameras import CameraRecord
from vigil.store.missed_spans import MissedFilter, MissedSpan, missed_record
from vigil.store.times import parse_time

from ..problems import NotFoundError
from .auth import EventOperator, EventReader, write_down
from .cameras import CameraPath
from .context import ApiContext
from .events import MOST, decode_cursor, encode_cursor
from .exports import MOST_EXPORTED
from .record_filters import RecordFilters
from .review_schemas import MissedList, MissedOut, NewMissed
from .schemas import EXAMPLE_EVENT, kept_problems, problems

TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}

MissedPath = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9_-]+$", examples=[EXAMPLE_EVENT])]


@dataclass(frozen=True, slots=True)
class MissedFilters(RecordFilters):
    """The filters of missed incidents."""

    taken_back: Annotated[bool, Query(description="Also those that were taken back.")] = False

    def wanted(self) -> MissedFilter:
        """The filter of the store; raises UsageError for times that cannot be read."""
        return MissedFilter(
            since_utc=self.since_utc,
            until_utc=self.until_utc,
            source=self.camera,
            place=self.place,
            text=self.text.strip(),
            also_taken_back=self.taken_back,
        )


def find_camera(store: Store, word: str) -> CameraRecord:
    """The camera with this id or name, watched now or not; raises NotFoundError."""
    found = [camera for camera in store.cameras.all() if word in (camera.id, camera.name)]
    if not found:
        raise NotFoundError(f"the store has no camera {word!r}; GET /api/v1/events/choices lists those with events")
    return found[0]


def missed_out(span: MissedSpan) -> MissedOut:
    """A missed incident as clients get it."""
    return MissedOut.model_validate(missed_record(span))


def missed_router(context: ApiContext) -> APIRouter:
    """The routes of missed incidents."""
    router = APIRouter(tags=["review"])
    _add_changing(router, context)

    @router.get("/missed", response_model=MissedList, responses=kept_problems(400, 503))
    def list_missed(
        caller: EventReader,
        filters: Annotated[MissedFilters, Depends()],
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
        cursor: Annotated[str, Query(max_length=300, description="`next` of the page before.")] = "",
    ) -> MissedList:
        """Missed incidents, the latest first."""
        table, wanted = context.store.missed_spans, filters.wanted()
        page = table.page(wanted, after=decode_cursor(cursor), size=limit)
        next_page = encode_cursor(page.next) if page.next else None
        return MissedList(missed=[missed_out(each) for each in page.spans], total=table.count(wanted), next=next_page)

    @router.get(
        "/missed/export.{format}",
        response_class=Response,
        responses={
            200: {"description": "The incidents as a file", "content": {kind: {} for kind in TYPES.values()}},
            **problems(400, 404, 503),
        },
    )
    def export_missed(
        caller: EventReader,
        format: Annotated[Literal["json", "csv"], Path(examples=["csv"])],
        filters: Annotated[MissedFilters, Depends()],
    ) -> Response:
        """The newest 10,000 missed incidents that match, latest first: with camera and times, to train on later."""
        found = context.store.missed_spans.find(filters.wanted(), limit=MOST_EXPORTED)
        told = missed_as_json(found).encode() if format == "json" else missed_as_csv(found).encode("utf-8-sig")
        write_down("export missed incidents", caller, format=format, incidents=str(len(found)))
        name = {"Content-Disposition": f'attachment; filename="missed.{format}"'}
        return Response(told, media_type=TYPES[format], headers=name)

    return router


def _add_changing(router: APIRouter, context: ApiContext) -> None:
    @router.post(
        "/cameras/{camera}/missed", status_code=201, response_model=MissedOut, responses=problems(400, 404, 503)
    )
    def add_missed(caller: EventOperator, camera: CameraPath, said: NewMissed) -> MissedOut:
        """Says that something happened before a camera that raised no event."""
        store = context.store
        found = find_camera(store, camera)
        from_utc, to_utc = parse_time(said.since, option="since"), parse_time(said.until, option="until")
        write_down("mark a missed incident", caller, camera=found.id, since=from_utc, until=to_utc)
        span = store.missed_spans.add(found.id, from_utc=from_utc, to_utc=to_utc, who=caller.name, note=said.note)
        return missed_out(span)

    @router.delete("/missed/{missed}", response_model=MissedOut, responses=problems(404, 503))
    def take_back(caller: EventOperator, missed: MissedPath) -> MissedOut:
        """Takes a missed incident back: it stays in the history, and counts no more."""
        store = context.store
        if store.missed_spans.get(missed) is None:
            raise NotFoundError(f"there is no missed incident {missed!r}; GET /api/v1/missed lists those there are")
        write_down("take back a missed incident", caller, missed=missed)
        return missed_out(store.missed_spans.take_back(missed, who=caller.name))
