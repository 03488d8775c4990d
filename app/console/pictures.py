"""Live pictures of all cameras that a page shows, over one connection.

`GET /console/pictures?camera=ID&camera=ID&fps=5` answers with pictures one after the other, each behind a header of 22
bytes (big endian): the number of the camera in the request (uint16), the time of its arrival here in ms since 1970
(float64), its second of the source (float64), and its size in bytes (uint32). A header alone, with the number 65535, is
sent while there is nothing else, so that a page can tell a quiet stream from a broken one.

A page that reads slowly gets fewer pictures, always the newest. Pictures are compressed once for all pages, and only
of the cameras and as often as somebody looks.
"""

import asyncio
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import FastAPI, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from vigil.watch import SourceState, WatchObserver

from ..web.context import SiteContext

HEADER = struct.Struct(">HddI")
NOTHING = 65535
MEDIA_TYPE = "application/vnd.vigil.pictures"
MOST_VIEWERS = 64
MOST_CAMERAS = 64
BEAT_S = 5.0

LASTS_S = 300.0
"""How long a stream lasts; then the page asks again, and is checked again."""

EARLY = 0.8
"""A picture is wanted this part of its interval after the last one: a camera's own pictures do not come on time."""


@dataclass(frozen=True, slots=True)
class LivePicture:
    """The newest picture of a camera; `number` increases with every picture of any camera."""

    number: int
    jpeg: bytes
    time_s: float
    arrived_s: float


@dataclass(eq=False, slots=True)
class PictureViewer:
    """One page: the cameras that it shows, by their ids, and how many pictures a second it wants of each."""

    cameras: tuple[str, ...]
    fps: float
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    sent: dict[int, int] = field(default_factory=dict)


class PictureHub(WatchObserver):
    """Holds the newest picture of each camera that somebody looks at; the methods of an observer are thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._viewers: set[PictureViewer] = set()
        self._names: dict[str, str] = {}
        self._intervals_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}
        self._latest: dict[str, LivePicture] = {}
        self._number = 0

    @property
    def viewers(self) -> int:
        """The number of pages that look now."""
        return len(self._viewers)

    def wants_preview(self, source: str) -> bool:
        return source in self._intervals_s and self._clock() >= self._due_s.get(source, 0.0)

    def on_preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        with self._lock:
            interval_s = self._intervals_s.get(source)
            if interval_s is None:
                return
            self._due_s[source] = self._clock() + EARLY * interval_s
            self._number += 1
            self._latest[source] = LivePicture(self._number, jpeg, time_s, time.time())
            loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._wake, source)

    def on_state(self, state: SourceState) -> None:
        if state.camera_id and self._names.get(state.camera_id) != state.name:
            with self._lock:
                self._names[state.camera_id] = state.name
                self._note_wanted()

    def join(self, viewer: PictureViewer) -> bool:
        """Adds a page; returns False if there are too many."""
        if len(self._viewers) >= MOST_VIEWERS:
            return False
        self._loop = asyncio.get_running_loop()
        with self._lock:
            self._viewers.add(viewer)
            self._note_wanted()
        return True

    def leave(self, viewer: PictureViewer) -> None:
        """Removes a page; pictures that nobody wants any more are dropped."""
        with self._lock:
            self._viewers.discard(viewer)
            self._note_wanted()

    def _note_wanted(self) -> None:
        wanted: dict[str, float] = {}
        for viewer in self._viewers:
            for camera in viewer.cameras:
                name = self._name(camera)
                wanted[name] = min(1 / viewer.fps, wanted.get(name, 1 / viewer.fps))
        self._intervals_s = wanted
        self._latest = {name: picture for name, picture in self._latest.items() if name in wanted}
        self._due_s = {name: due_s for name, due_s in self._due_s.items() if name in wanted}

    def _name(self, camera: str) -> str:
        return self._names.get(camera, camera)

    def _wake(self, source: str) -> None:
        for viewer in self._viewers:
            if not viewer.woken.is_set() and any(self._name(camera) == source for camera in viewer.cameras):
                viewer.woken.set()

    def newer(self, viewer: PictureViewer) -> bytes:
        """The pictures that a page does not have yet, with their headers."""
        parts: list[bytes] = []
        for index, camera in enumerate(viewer.cameras):
            picture = self._latest.get(self._name(camera))
            if picture is None or viewer.sent.get(index) == picture.number:
                continue
            viewer.sent[index] = picture.number
            parts += [
                HEADER.pack(index, picture.arrived_s * 1000, picture.time_s, len(picture.jpeg)),
                picture.jpeg,
            ]
        return b"".join(parts)


async def pictures_of(hub: PictureHub, viewer: PictureViewer, *, lasts_s: float = LASTS_S) -> AsyncIterator[bytes]:
    """The stream of a page, until its time is up."""
    loop = asyncio.get_running_loop()
    over_s = loop.time() + lasts_s
    yield _beat()
    while (left_s := over_s - loop.time()) > 0:
        viewer.woken.clear()
        found = hub.newer(viewer)
        if found:
            yield found
            # Pictures that come one after the other travel together.
            await asyncio.sleep(min(left_s, EARLY / viewer.fps))
            continue
        try:
            async with asyncio.timeout(min(left_s, BEAT_S)):
                await viewer.woken.wait()
        except TimeoutError:
            yield _beat()


def _beat() -> bytes:
    return HEADER.pack(NOTHING, time.time() * 1000, 0.0, 0)


class _PictureResponse(StreamingResponse):
    """A stream whose page is removed however it ends, even if it never began."""

    def __init__(self, content: AsyncIterator[bytes], *, on_end: Callable[[], None]) -> None:
        super().__init__(
            content, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self._on_end = on_end

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        try:
            await super().__call__(scope, receive, send)  # type: ignore[arg-type]
        finally:
            self._on_end()


def add_pictures(app: FastAPI, context: SiteContext) -> PictureHub:
    """Adds the route of live pictures."""
    hub = PictureHub()
    if context.service is not None:
        context.service.subscribe(hub)

    @app.get("/console/pictures")
    async def pictures(
        camera: Annotated[Sequence[str], Query(max_length=MOST_CAMERAS)],
        fps: Annotated[float, Query(ge=0.1, le=25)] = 5.0,
    ) -> Response:
        viewer = PictureViewer(tuple(name[:200] for name in camera), fps)
        if not hub.join(viewer):
            return PlainTextResponse("too many pages show live pictures; close some\n", status_code=429)
        return _PictureResponse(pictures_of(hub, viewer), on_end=lambda: hub.leave(viewer))

    return hub
