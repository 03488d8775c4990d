"""Cameras: list, add, change, pause, resume, remove, look at, and try an address before it is added.

An address is untrusted input: only what the operator of this machine allows is opened (`app.allowed_cameras`), never a
path. What is answered never holds a password.
"""

import base64
import re
import threading
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Query, Response

from vigil.errors import SourceError, StoreError, UsageError, redact
from vigil.frames import Frame, FrameSampling, encode_jpeg
from vigil.masks import masks_as_data, parse_masks
from vigil.rules import CameraRules
from vigil.sources.address import Address, Source, find_available_sources, find_sources
from vigil.sources.capture import Connected, Disconnected, Waiting
from vigil.sources.open_capture import open_capture
from vigil.sources.source_identity import identity_of
from vigil.store.cameras import CameraRecord
from vigil.watch.camera_ids import record_of
from vigil.watch.state import SourceState

from ..camera_masks import with_masks
from ..problems import BusyError, ConflictError, NotFoundError
from ..web.event_store import open_store
from .auth import CameraAdmin, CameraOperator, CameraReader, write_down
from .camera_rules import FIELDS, asked_rules, rules_at, rules_in_force, told_rules
from .camera_schemas import (
    CameraAddress,
    CameraChange,
    CameraListOut,
    CameraOut,
    CameraTest,
    CameraVerdicts,
    HistoryOut,
    MaskOut,
    NewCamera,
)
from .context import ApiContext
from .schemas import EXAMPLE_CAMERA, as_answer, problems

TEST_S = 15.0
"""How long an address is tried; a responsive camera answers within a second."""

TESTS_AT_ONCE = 2
TEST_PIXELS = 640 * 480
PICTURE_QUALITY = 85
HOLD_S = 10.0
LOOK_S = 0.06
NETWORK = re.compile(r"([^@=:/]+=)?(rtsps?|https?)://", re.IGNORECASE)
"""How a source begins that is an address, with or without its name before it."""

CameraPath = Annotated[str, Path(max_length=200, examples=[EXAMPLE_CAMERA], description="Id or name of the camera.")]


class WatchedCameras:
    """The cameras of the watch together with their rows in the store; raises VigilErrors that say what to do."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._watcher = context.watcher
        self._store = open_store(context.site)

    @cached_property
    def _configured(self) -> dict[str, Address]:
        """The sources of the settings by name; looked for only where they are needed, as that reads folders."""
        sources = tuple(self._context.site.settings.sources)
        found = _network_cameras(sources) if all(map(_is_of_network, sources)) else find_available_sources(sources)[0]
        return {each.name: each for each in found}

    def all(self) -> list[CameraOut]:
        """All cameras as they are now."""
        addresses = {address.name: address for address in self._watcher.addresses}
        states = {state.name: state for state in self._watcher.states()}
        records = self._records()
        return [self._camera(address, states[name], records) for name, address in addresses.items() if name in states]

    def get(self, word: str) -> CameraOut:
        """The camera with this id or name; raises NotFoundError."""
        found = [camera for camera in self.all() if word in (camera.id, camera.name)]
        if not found:
            raise NotFoundError(f"there is no camera {word!r}; GET /api/v1/cameras lists those there are")
        return found[0]

    def name_of(self, word: str) -> str:
        """The name of the camera with this id or name, without looking at the others; raises NotFoundError."""
        for state in self._watcher.states():
            if word in (state.name, state.camera_id):
                return state.name
        return self.get(word).name

    def spare(self) -> list[str]:
        """The names of configured cameras that are not watched."""
        watched = {address.name for address in self._watcher.addresses}
        return [name for name in self._configured if name not in watched]

    def admit(self, word: str) -> Address:
        """The source that an address stands for, if it may be opened; raises UsageError and SourceError."""
        word = word.strip()
        # Watched cameras were admitted when they were added; what pages know of their addresses holds no password.
        known = {address.name: address for address in self._watcher.addresses} | self._configured
        if word in known:
            return known[word]
        if not word.isprintable() or not word:
            raise UsageError("an address has printable characters only, such as rtsp://10.0.0.7:554/door")
        if not (word.isascii() and word.isdecimal()) and "://" not in word:
            # A path would let a caller open any file of this machine.
            raise UsageError("give an address such as rtsp://10.0.0.7:554/door, or the number of a webcam, not a path")
        found = find_sources([word])
        return self._context.site.allowed.admit(found[0])

    def add(self, asked: NewCamera) -> CameraOut:
        """Starts watching a camera."""
        address = self.admit(asked.address)
        known = {each.location for each in self._watcher.addresses}
        if address.location in known:
            raise ConflictError(f"{address.name} is being watched already")
        rules = asked_rules(self._context, asked, None)
        if rules is not None or asked.place.strip():
            # Without a store neither can be kept: said before anything is added.
            _ = self._context.store
        names = self._watcher.add(address.location, name=asked.name.strip() or address.name, confined=address.confined)
        if asked.place.strip():
            self.place(names[0], asked.place)
        if rules is not None:
            self.set_rules(names[0], rules)
        return self.get(names[0])

    def change(self, name: str, asked: CameraChange) -> CameraOut:
        """Changes what is asked for, masks first; nothing if the rules are wrong."""
        says_rules = any(getattr(asked, each) is not None for each in FIELDS)
        rules = asked_rules(self._context, asked, self._registered(name)) if says_rules else None
        if asked.masks is not None:
            self.mask(name, asked.masks)
        if asked.place is not None:
            self.place(name, asked.place)
        if rules is not None:
            self.set_rules(name, rules)
        new_name = name if asked.name is None else asked.name.strip()
        if new_name != name:
            self.rename(name, new_name)
        return self.get(new_name)

    def rename(self, name: str, new_name: str) -> None:
        """Renames a camera in the list and, so that the name stays after a restart, in the store."""
        if new_name != name and any(new_name == each.name for each in self._watcher.addresses):
            raise ConflictError(f"there is a camera {new_name!r} already; choose another name")
        if self._store is not None:
            self._store.cameras.rename(self._registered(name).id, new_name)
        self._watcher.rename(name, new_name.strip())

    def place(self, name: str, place: str) -> None:
        """Says where a camera is."""
        placed = self._context.store.cameras.set_place(self._registered(name).id, place)
        self._watcher.set_place(name, placed.place)

    def mask(self, name: str, masks: Sequence[MaskOut]) -> None:
        """Sets the masks of a camera, from its next picture on and after every restart."""
        parsed = parse_masks(mask.model_dump() for mask in masks)
        self._context.store.cameras.set_masks(self._registered(name).id, parsed)
        self._watcher.set_masks(name, parsed)

    def set_rules(self, name: str, rules: CameraRules) -> None:
        """Sets the rules of a camera, from its next window on and after every restart."""
        self._context.store.cameras.set_rules(self._registered(name).id, rules.to_text())
        self._watcher.set_rules(name, rules)

    def _registered(self, name: str) -> CameraRecord:
        """The row of a camera, made now if it has never been watched."""
        address = next(each for each in self._watcher.addresses if each.name == name)
        store = self._context.store
        found = next((row for row in store.cameras.all() if row.identity == identity_of(address)), None)
        return found or store.cameras.register(record_of(address, ""))

    def _records(self) -> dict[str, CameraRecord]:
        try:
            return self._context.camera_rows.now()
        except StoreError:
            return {}

    def _camera(self, address: Address, state: SourceState, records: dict[str, CameraRecord]) -> CameraOut:
        camera_id = state.camera_id or self._id_of(address)
        row = records.get(camera_id)
        width, height = state.size_wh or (None, None)
        kept = row.rules if row else None if address.rules is None else address.rules.to_text()
        rules = rules_in_force(self._context, kept or "")
        return CameraOut(
            id=camera_id,
            name=address.name,
            place=row.place if row else address.place,
            masks=[MaskOut(**each) for each in masks_as_data((row.masks if row else address.masks) or ())],
            **rules.as_fields(),
            is_scheduled=rules.is_scheduled,
            has_usual_view=state.live and address.is_live and rules.compares_views,
            tiers=rules.tiers(),
            kind=address.kind,
            address=_redacted(address.location) if address.kind == "stream" else address.name,
            status=state.stage.value,
            detail=redact(state.detail),
            is_live=state.live,
            is_current=state.is_current,
            is_paused=address.name in self._watcher.paused,
            width_px=width,
            height_px=height,
            fps=round(state.fps, 2),
            p_alarm=state.p_alarm if state.is_current else None,
            lag_s=state.lag_s if state.is_current else None,
            latency_ms=state.latency_ms,
            frames=state.frames,
            windows=state.cut,
            judged=state.judged,
            alarms=state.alarms,
            dropped=state.dropped,
            unknown={cause.value: count for cause, count in state.unknown.items() if count},
            events=state.events,
            open_event=str(state.open_event),
            observation=state.observation,
            observed_s=state.observed_s,
            observations=state.observations,
            observations_skipped=state.observations_skipped,
            observations_as_words=state.observations_as_words,
            connections=state.connections,
            problems=[*state.problems, *state.refused_questions, *rules.problems],
        )

    def _id_of(self, address: Address) -> str:
        try:
            return (
                address.name if self._store is None else self._store.cameras.id_of(identity_of(address), address.name)
            )
        except StoreError:
            return address.name


def _is_of_network(source: Source) -> bool:
    return NETWORK.match(str(source if isinstance(source, str) else source.url)) is not None


@lru_cache(maxsize=8)
def _network_cameras(sources: tuple[Source, ...]) -> list[Address]:
    """Sources that are named by network addresses alone: always the same, since no folder is looked into."""
    return find_available_sources(sources)[0]


@lru_cache(maxsize=256)
def _redacted(location: str) -> str:
    return redact(location)


def _told(asked: CameraChange) -> dict[str, str]:
    """What the audit says of a change."""
    told = {"name": asked.name or "", "place": asked.place or "", **told_rules(asked)}
    if asked.masks is not None:
        told["masks"] = ", ".join(mask.kind for mask in asked.masks) or "none"
    return told


def cameras_router(context: ApiContext) -> APIRouter:
    """The routes of cameras."""
    router = APIRouter(tags=["cameras"])
    _add_reading(router, context)
    _add_changing(router, context)
    _add_testing(router, context)
    return router


def _add_reading(router: APIRouter, context: ApiContext) -> None:
    @router.get("/cameras", response_model=CameraListOut, responses=problems(503))
    def list_cameras(caller: CameraReader) -> Any:
        """Every camera: its state, lag, drops, and what the model last made of it."""
        cameras = WatchedCameras(context)
        warnings = list(context.watcher.warnings)
        return as_answer(CameraListOut(cameras=cameras.all(), spare=cameras.spare(), warnings=warnings))

    @router.get("/cameras/{camera}", response_model=CameraOut, responses=problems(404, 503))
    def get_camera(caller: CameraReader, camera: CameraPath) -> Any:
        """One camera."""
        return as_answer(WatchedCameras(context).get(camera))

    @router.get("/cameras/{camera}/verdicts", response_model=CameraVerdicts, responses=problems(404, 503))
    def camera_verdicts(
        caller: CameraReader, camera: CameraPath, seconds: Annotated[float, Query(gt=0, le=900)] = 180.0
    ) -> CameraVerdicts:
        """The windows of the last seconds (15 minutes at most), whether anything alarmed or not."""
        found = WatchedCameras(context).get(camera)
        points = context.watcher.history(found.name, seconds)
        told = [HistoryOut(end_s=point.end_s, p_alarm=point.p_alarm, cause=point.cause) for point in points]
        return CameraVerdicts(camera=found.id, tiers=rules_at(context, found.id).tiers(), verdicts=told)

    @router.get(
        "/cameras/{camera}/picture",
        response_class=Response,
        responses={
            200: {"description": "A JPEG; X-Second is its second", "content": {"image/jpeg": {}}},
            204: {"description": "There is no newer picture yet"},
            **problems(404, 503),
        },
    )
    async def picture(
        caller: CameraReader,
        camera: CameraPath,
        after: Annotated[
            float | None, Query(description="X-Second of the picture that you have: waits for another one.")
        ] = None,
        wait_s: Annotated[float, Query(ge=0, le=HOLD_S)] = 2.0,
    ) -> Response:
        """The newest picture of a camera. Ask on with `after` for live pictures: each comes as soon as it is there."""
        name = await anyio.to_thread.run_sync(lambda: WatchedCameras(context).name_of(camera))
        give_up_s = anyio.current_time() + wait_s
        while True:
            shot = context.watcher.preview(name)
            if shot is not None and shot[1] != after:
                headers = {"X-Second": repr(shot[1]), "Cache-Control": "no-store"}
                return Response(shot[0], media_type="image/jpeg", headers=headers)
            if anyio.current_time() >= give_up_s:
                return Response(status_code=204)
            await anyio.sleep(LOOK_S)


def _add_changing(router: APIRouter, context: ApiContext) -> None:
    @router.post("/cameras", status_code=201, response_model=CameraOut, responses=problems(400, 409, 503))
    def add_camera(caller: CameraAdmin, asked: NewCamera) -> CameraOut:
        """Starts watching a camera, now and after every restart."""
        cameras = WatchedCameras(context)
        write_down("add a camera", caller, camera=redact(asked.address), name=asked.name, **told_rules(asked))
        return cameras.add(asked)

    @router.patch("/cameras/{camera}", response_model=CameraOut, responses=problems(400, 404, 409, 503))
    def change_camera(caller: CameraAdmin, camera: CameraPath, asked: CameraChange) -> CameraOut:
        """Changes name, place, masks, rules or schedule. A new name connects the camera anew; its id and events stay.

        Masks hold from the next picture on, and for clips that are cut from then on; stored media stay as they are.
        Rules, thresholds, schedule and questions hold from the next window on.
        """
        cameras = WatchedCameras(context)
        found = cameras.get(camera)
        write_down("change a camera", caller, camera=found.name, **_told(asked))
        return cameras.change(found.name, asked)

    @router.delete("/cameras/{camera}", status_code=204, responses=problems(404, 503))
    def remove_camera(caller: CameraAdmin, camera: CameraPath) -> None:
        """Stops watching a camera, now and after every restart; its events stay."""
        found = WatchedCameras(context).get(camera)
        write_down("remove a camera", caller, camera=found.name)
        context.watcher.remove(found.name)

    @router.post("/cameras/{camera}/pause", response_model=CameraOut, responses=problems(404, 409, 503))
    def pause_camera(caller: CameraOperator, camera: CameraPath) -> CameraOut:
        """Disconnects a camera until it is resumed, also after a restart."""
        found = WatchedCameras(context).get(camera)
        write_down("pause a camera", caller, camera=found.name)
        try:
            context.watcher.pause(found.name)
        except UsageError as error:
            raise ConflictError(str(error)) from error
        return WatchedCameras(context).get(found.name)

    @router.post("/cameras/{camera}/resume", response_model=CameraOut, responses=problems(404, 409, 503))
    def resume_camera(caller: CameraOperator, camera: CameraPath) -> CameraOut:
        """Connects a paused camera again."""
        found = WatchedCameras(context).get(camera)
        write_down("resume a camera", caller, camera=found.name)
        context.watcher.resume(found.name)
        return WatchedCameras(context).get(found.name)


def _add_testing(router: APIRouter, context: ApiContext) -> None:
    places = threading.BoundedSemaphore(TESTS_AT_ONCE)

    @router.post("/cameras/test", response_model=CameraTest, responses=problems(400, 503))
    def test_address(caller: CameraAdmin, asked: CameraAddress) -> CameraTest:
        """Connects to an address and tells what is there: size, codec, frame rate and a picture. Adds nothing."""
        address = with_masks(context.site, WatchedCameras(context).admit(asked.address))
        write_down("test an address", caller, camera=address.name)
        if not places.acquire(blocking=False):
            raise BusyError(f"{TESTS_AT_ONCE} addresses are being tried already; try again in a few seconds")
        try:
            return try_address(context, address)
        finally:
            places.release()


def try_address(context: ApiContext, address: Address, *, within_s: float = TEST_S) -> CameraTest:
    """The first picture of a source and what it is; raises SourceError if none comes in time."""
    stop = threading.Event()
    clock = threading.Timer(within_s, stop.set)
    clock.daemon = True
    clock.start()
    sampling = FrameSampling(max_pixels=TEST_PIXELS)
    capture = open_capture(address, sampling, stop=stop, settings=context.site.settings.capture)
    items = capture.read()
    connected, waiting = None, ""
    try:
        for item in items:
            if isinstance(item, Disconnected):
                raise SourceError(f"{address.name}: {redact(item.reason)}")
            if isinstance(item, Waiting):
                waiting = item.reason
            elif isinstance(item, Connected):
                connected = item
            elif connected is not None and isinstance(item, Frame):
                return _found(address, connected, item)
    finally:
        stop.set()
        clock.cancel()
        close: Any = getattr(items, "close", None)
        if close is not None:
            close()
    raise SourceError(f"{address.name}: no picture within {within_s:g} s{f' ({waiting})' if waiting else ''}")


def _found(address: Address, connected: Connected, frame: Frame) -> CameraTest:
    jpeg = encode_jpeg(frame.image, quality=PICTURE_QUALITY)
    width, height = connected.size_wh
    return CameraTest(
        name=address.name,
        width_px=width,
        height_px=height,
        codec=connected.codec,
        fps=round(connected.fps, 3),
        picture=f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}",
    )
