"""Exports of events as files: JSON and CSV are sent in pieces, so that ten thousand events never stand in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse

from vigil.errors import UsageError
from vigil.events import Event
from vigil.report.event_export import EventMarks, EventMediaFiles, as_csv, as_json
from vigil.report.subtitles import format_srt
from vigil.store import Store

from ..problems import NotFoundError
from .auth import EventReader, write_down
from .context import ApiContext
from .events import WantedEvents, media_urls
from .schemas import problems

MOST_EXPORTED = 10_000
EVENTS_AT_ONCE = 200
EXPORTS = {"json": "application/json", "csv": "text/csv; charset=utf-8", "srt": "application/x-subrip"}
BYTE_ORDER_MARK = "\ufeff".encode()
"""Without it, Excel may assume GBK."""


def exports_router(context: ApiContext) -> APIRouter:
    """The route of exports; it comes before that of one event, whose id could be `export.json`."""
    router = APIRouter(tags=["events"])

    @router.get(
        "/events/export.{format}",
        response_class=Response,
        responses={
            200: {"description": "The events as a file", "content": {kind: {} for kind in EXPORTS.values()}},
            **problems(400, 404, 503),
        },
    )
    def export_events(
        caller: EventReader,
        format: Annotated[Literal["json", "csv", "srt"], Path(examples=["csv"])],
        filters: WantedEvents,
    ) -> Response:
        """The newest 10,000 events that match, oldest first. Subtitles (srt) are of one watch of one camera."""
        store = context.store
        ids = store.events.ids(filters.wanted(limit=MOST_EXPORTED))
        write_down("export events", caller, format=format, events=str(len(ids)))
        headers = {"Content-Disposition": f'attachment; filename="events.{format}"'}
        if format == "srt":
            return Response(_srt(store, ids), media_type=EXPORTS[format], headers=headers)
        pieces = {"json": json_pieces, "csv": csv_pieces}[format](context, store, ids)
        return StreamingResponse(pieces, media_type=EXPORTS[format], headers=headers)

    return router


def json_pieces(context: ApiContext, store: Store, ids: Sequence[str]) -> Iterator[bytes]:
    """A JSON list of events, the same as that of `vigil events export`."""
    start = "[\n"
    for events in _batches(store, ids):
        media, marks = _belongings(context, store, events)
        seen = store.acknowledgements.of_events([event.id for event in events])
        listed = as_json(events, media, marks, seen).removeprefix("[\n").removesuffix("\n]\n")
        yield f"{start}{listed}".encode("utf-8", "backslashreplace")
        start = ",\n"
    yield b"[]\n" if start == "[\n" else b"\n]\n"


def csv_pieces(context: ApiContext, store: Store, ids: Sequence[str]) -> Iterator[bytes]:
    """A table of events with one header row; with columns for classes if any event of the store has one."""
    has_labels = bool(store.events.labels())
    yield BYTE_ORDER_MARK + as_csv((), {}, {}, has_labels=has_labels).encode()
    for events in _batches(store, ids):
        table = as_csv(events, *_belongings(context, store, events), has_labels=has_labels)
        yield table.partition("\n")[2].encode("utf-8", "backslashreplace")


def _batches(store: Store, ids: Sequence[str]) -> Iterator[list[Event]]:
    """The events, some at a time; those that were deleted in the meantime are left out."""
    for i in range(0, len(ids), EVENTS_AT_ONCE):
        found = store.events.by_ids(ids[i : i + EVENTS_AT_ONCE])
        if found:
            yield found


def _belongings(context: ApiContext, store: Store, events: Sequence[Event]) -> tuple[EventMediaFiles, EventMarks]:
    ids = [event.id for event in events]
    media: dict[str, Any] = {
        event_id: [replace(files[0], place=url) for url in media_urls(context, files)]
        for event_id, files in store.media.of_events(ids).items()
    }
    return media, store.marks.of_events(ids)


def _srt(store: Store, ids: Sequence[str]) -> str:
    """The subtitles of the watch that the newest event belongs to."""
    if not ids:
        raise NotFoundError("no event matches, so there is no watch to write subtitles of")
    cameras = {event.camera_id or event.source for events in _batches(store, ids) for event in events}
    if len(cameras) > 1:
        raise UsageError("subtitles are of one camera: choose it with camera=ID")
    session = store.sessions.of_event(ids[-1])
    judged = [] if session is None else store.verdicts.of_session(session)
    if session is None or not judged:
        raise NotFoundError("the verdicts of that watch are not kept any more")
    return format_srt(judged, store.events.of_session(session))
