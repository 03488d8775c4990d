"""The files of events: snapshots, clips with HTTP ranges, and the judged frames. Nothing else of the disk."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse

from vigil.errors import StoreError
from vigil.store import MediaFile, Store
from vigil.store.media_store import MediaKind

from ..problems import ConflictError, NotFoundError, UnavailableError, problem
from ..web.browser_copies import browser_copies
from ..web.event_store import is_media_path
from .auth import EventReader, write_down
from .context import ApiContext
from .event_archive import ZIP, send_archive
from .events import EventPath, event_records, find_event
from .schemas import FrameList, FrameOut, problems
from .thumbnails import WIDEST_PX, send_thumbnail

PRIVATE = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
RANGE = re.compile(r"bytes=((?:\s*(?:\d{1,18}-\d{0,18}|-\d{1,18})\s*,?)+)")
MOST_RANGES = 8
THUMBNAIL_PX = 192
FRAME = re.compile(r"\d{1,9}\.jpg")

IMAGE = {"description": "A JPEG", "content": {"image/jpeg": {}}}
VIDEO = {"description": "A video", "content": {"video/mp4": {}, "video/x-matroska": {}, "video/webm": {}}}
CLIP_TYPES = {".mp4": "video/mp4", ".mkv": "video/x-matroska", ".webm": "video/webm"}


Width = Annotated[
    int | None, Query(ge=16, le=WIDEST_PX, description="At most so many pixels wide; as it is, if left out.")
]


def media_router(context: ApiContext) -> APIRouter:
    """The routes of the files of events."""
    router = APIRouter(tags=["media"])
    _add_pictures(router, context)
    _add_clip(router, context)
    _add_frames(router, context)
    return router


def _add_pictures(router: APIRouter, context: ApiContext) -> None:
    @router.head("/events/{event}/snapshot", include_in_schema=False)
    @router.get(
        "/events/{event}/snapshot", response_class=FileResponse, responses={200: IMAGE, **problems(404, 416, 503)}
    )
    def snapshot(request: Request, caller: EventReader, event: EventPath, width: Width = None) -> Response:
        """The picture of an event, at its peak."""
        path = only_file(context, event, "snapshots").path
        if width is not None:
            return send_thumbnail(request, path, width_px=width)
        return send_file(request, path, media_type="image/jpeg")

    @router.get(
        "/events/{event}/thumbnail",
        response_class=Response,
        responses={200: IMAGE, 304: {"description": "Not changed"}, **problems(404, 503)},
    )
    def thumbnail(
        request: Request,
        caller: EventReader,
        event: EventPath,
        width: Annotated[int, Query(ge=16, le=WIDEST_PX)] = THUMBNAIL_PX,
    ) -> Response:
        """A small picture of an event: its snapshot or, without one, the judged frame in the middle of its peak."""
        return send_thumbnail(request, _picture_of(context, event), width_px=width)


def _add_clip(router: APIRouter, context: ApiContext) -> None:
    @router.head("/events/{event}/clip", include_in_schema=False)
    @router.get(
        "/events/{event}/clip",
        response_class=FileResponse,
        responses={200: VIDEO, 206: VIDEO | {"description": "The range"}, **problems(404, 409, 416, 503)},
    )
    def clip(
        request: Request,
        caller: EventReader,
        event: EventPath,
        form: Annotated[
            Literal["original", "playable"],
            Query(description="`playable`: a copy that browsers play, if they do not play the camera's own codec."),
        ] = "original",
    ) -> Response:
        """The clip of an event, with ranges. A playable copy is made when it is first asked for: 503 until then."""
        path = only_file(context, event, "clips").path
        if form == "playable":
            path = _playable(context, path)
        kind = CLIP_TYPES.get(path.suffix.lower(), "application/octet-stream")
        return send_file(request, path, media_type=kind)


def _add_frames(router: APIRouter, context: ApiContext) -> None:
    @router.get("/events/{event}/frames", response_model=FrameList, responses=problems(404, 503))
    def frames(caller: EventReader, event: EventPath) -> FrameList:
        """The judged frames that were kept (`keep_frames` of the settings), in the order of their windows."""
        found = find_event(context.store, event)
        windows = {window.window: window for window in found.windows}
        told = []
        for folder in files_of(context, event, "frames"):
            number = int(folder.path.name)
            window = windows.get(number)
            for path in _pictures(folder.path):
                told.append(
                    FrameOut(
                        window=number,
                        number=int(path.stem),
                        start_s=window.start_s if window else None,
                        p_alarm=window.p_alarm if window else None,
                        url=context.url(f"/events/{found.id}/frames/{number}/{path.stem}"),
                    )
                )
        return FrameList(event=found.id, frames=told)

    @router.get("/events/{event}/frames.zip", response_class=Response, responses={200: ZIP, **problems(404, 503)})
    def frames_zip(caller: EventReader, event: EventPath) -> Response:
        """The judged frames of an event and its record, as one zip."""
        found = find_event(context.store, event)
        folders = [file.path for file in files_of(context, event, "frames")]
        pictures = [path for folder in folders for path in _pictures(folder)]
        if not pictures:
            raise NotFoundError(f"event {event} has no judged frames (`keep_frames` of the settings keeps them)")
        write_down("download frames", caller, event=found.id)
        return send_archive(found.id, pictures, event_records(context, context.store, [found])[0])

    @router.head("/events/{event}/frames/{window}/{number}", include_in_schema=False)
    @router.get(
        "/events/{event}/frames/{window}/{number}",
        response_class=FileResponse,
        responses={200: IMAGE, **problems(404, 416, 503)},
    )
    def frame(
        request: Request,
        caller: EventReader,
        event: EventPath,
        window: Annotated[int, Path(ge=0, le=999_999_999, examples=[1])],
        number: Annotated[int, Path(ge=0, le=999_999_999, examples=[0])],
        width: Width = None,
    ) -> Response:
        """One judged frame, exactly as the model saw it, or a small copy of it."""
        folders = [each.path for each in files_of(context, event, "frames") if int(each.path.name) == window]
        path = next((folder / f"{number}.jpg" for folder in folders), FilePath())
        if not path.is_file() or not is_media_path(path, context.site):
            raise NotFoundError(f"event {event} has no frame {number} of window {window}")
        if width is not None:
            return send_thumbnail(request, path, width_px=width)
        return send_file(request, path, media_type="image/jpeg")


def files_of(context: ApiContext, event_id: str, kind: MediaKind) -> list[MediaFile]:
    """The files of one kind of an event that are there and may be served; raises NotFoundError without the event."""
    store = context.store
    event = find_event(store, event_id)
    kept = [file for file in store.media.of_event(event.id) if file.kind == kind]
    files = [_on_this_machine(store, file) for file in kept]
    return [file for file in files if file is not None and is_media_path(file.path, context.site)]


def _on_this_machine(store: Store, file: MediaFile) -> MediaFile | None:
    """A media file with its path here, fetched from the bucket if there is one; None if it is gone."""
    try:
        return replace(file, path=store.media.local(file))
    except StoreError:
        return None


def only_file(context: ApiContext, event_id: str, kind: MediaKind) -> MediaFile:
    """The clip or snapshot of an event; raises NotFoundError."""
    found = files_of(context, event_id, kind)
    if not found:
        raise NotFoundError(f"event {event_id} has no {kind.removesuffix('s')} (yet, or no longer)")
    return found[0]


def _picture_of(context: ApiContext, event_id: str) -> FilePath:
    """The snapshot of an event, or the middle judged frame of the most alarming window that has some."""
    if snapshots := files_of(context, event_id, "snapshots"):
        return snapshots[0].path
    peaks = {window.window: window.p_alarm or 0.0 for window in find_event(context.store, event_id).windows}
    folders = sorted(files_of(context, event_id, "frames"), key=lambda file: -peaks.get(int(file.path.name), 0.0))
    pictures = next((found for file in folders if (found := _pictures(file.path))), [])
    if not pictures:
        raise NotFoundError(f"event {event_id} has no picture (yet, or no longer)")
    return pictures[len(pictures) // 2]


def _playable(context: ApiContext, clip: FilePath) -> FilePath:
    look = browser_copies(context.site).look(clip)
    if look.kind == "coming":
        raise UnavailableError(f"a copy of the {look.codec} clip is being made; ask again in a few seconds")
    if look.path is None:
        raise ConflictError(f"no copy of the {look.codec} clip can be made: {look.why}; ask for form=original")
    return look.path


def _pictures(folder: FilePath) -> list[FilePath]:
    found = [path for path in folder.glob("*.jpg") if FRAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem))


def send_file(request: Request, path: FilePath, *, media_type: str) -> Response:
    """The file, or the ranges of it that are asked for; a range header that makes no sense is ignored (RFC 9110)."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise NotFoundError("the file of this event is gone") from error
    asked = _ranges(request.headers.get("range", ""))
    if asked and not any(_is_inside(first, last, size) for first, last in asked):
        headers = {"Content-Range": f"bytes */{size}"}
        return problem(416, f"the file has {size} bytes; ask for a range of them", headers=headers)
    if not asked or len(asked) > MOST_RANGES:
        keep = partial(filter, lambda header: header[0] not in (b"range", b"if-range"))
        request.scope["headers"] = list(keep(request.scope["headers"]))
    return FileResponse(path, media_type=media_type, headers=PRIVATE)


def _ranges(header: str) -> list[tuple[str, str]]:
    """First and last byte of each range; empty if the header is missing or makes no sense."""
    found = RANGE.fullmatch(header.strip())
    if found is None:
        return []
    pairs = [word.strip().partition("-")[::2] for word in found[1].split(",") if word.strip()]
    return [] if any(first and last and int(first) > int(last) for first, last in pairs) else pairs


def _is_inside(first: str, last: str, size: int) -> bool:
    return int(first) < size if first else int(last) > 0
