"""Live: server-sent events of changes, verdicts, observations and states, for up to `MOST_CLIENTS` clients at once.

One reader of the change log serves all clients. A change carries its sequence number as the event's id: a client that
was away comes back with `Last-Event-ID` and first gets every change that it has missed, from the store. Each client
has a queue of its own; one that does not keep up is disconnected, and comes back the same way. Verdicts, observations
and states are of the moment and are not repeated.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, get_args

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from vigil.errors import StoreError, redact
from vigil.events import EventChange
from vigil.observation import Observation, observation_record
from vigil.store import Store, StoredChange
from vigil.store.event_record import event_record
from vigil.verdict import JudgedWindow
from vigil.watch import SourceState, WatchObserver

from ..problems import BusyError
from ..web.event_store import open_store
from .auth import LiveReader
from .context import ApiContext
from .schemas import problems

log = logging.getLogger(__name__)

MOST_CLIENTS = 500
QUEUE = 512
"""Events that wait for a client, about a minute of eight busy cameras; one that is further behind is disconnected."""

POLL_S = 0.5
"""How often the change log is read when nothing wakes the reader: changes of other processes."""

BEAT_S = 15.0
"""A comment is sent when nothing else was for this long, so that proxies keep the connection."""

LASTS_S = 300.0
"""How long a stream lasts: its client connects again, and is checked again."""

AT_ONCE = 200
LARGEST = 2**62

LiveKind: TypeAlias = Literal["change", "verdict", "camera", "observation"]


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One event, written once for all clients; `sequence` is 0 unless it is a change of the log."""

    kind: LiveKind
    camera_id: str
    data: bytes
    sequence: int = 0


@dataclass(eq=False, slots=True)
class Subscription:
    """One client: what it asked for, and what waits for it. `is_behind` is True once it has missed something."""

    kinds: frozenset[str]
    camera_id: str
    queue: "asyncio.Queue[LiveMessage]" = field(default_factory=lambda: asyncio.Queue(maxsize=QUEUE))
    is_behind: bool = False

    def wants(self, message: LiveMessage) -> bool:
        """Whether the client asked for such events."""
        return message.kind in self.kinds and self.camera_id in ("", message.camera_id)


class LiveHub(WatchObserver):
    """Reads the change log once and hands everything to all clients; the methods of an observer are thread-safe."""

    def __init__(self, open_store: Callable[[], Store | None], *, most_clients: int = MOST_CLIENTS) -> None:
        self._open_store = open_store
        self._most_clients = most_clients
        self._store: Store | None = None
        self._clients: set[Subscription] = set()
        self._position = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    @property
    def clients(self) -> int:
        """The number of clients now."""
        return len(self._clients)

    @property
    def position(self) -> int:
        """The sequence number of the last change that was handed out."""
        return self._position

    def on_verdict(self, judged: JudgedWindow) -> None:
        self._from_watch("verdict", judged.camera_id, verdict_record(judged))

    def on_state(self, state: SourceState) -> None:
        told = {"camera_id": state.camera_id, "name": state.name, "status": state.stage.value}
        self._from_watch("camera", state.camera_id, told | {"detail": redact(state.detail)})

    def on_observation(self, observation: Observation) -> None:
        self._from_watch("observation", observation.camera_id, observation_record(observation))

    def on_change(self, change: EventChange) -> None:
        loop = self._loop
        if loop is None or not self._clients:
            return
        if self._store is not None and change.sequence is not None:
            self._call(self._wake.set)
            return
        # It is not in the log (yet): an alarm that could not be stored is told all the same, without a number.
        record = {"sequence": None, "kind": change.kind, "written_utc": None, "event": event_record(change.event)}
        self._from_watch("change", change.event.camera_id, record)

    def _from_watch(self, kind: LiveKind, camera_id: str, record: Mapping[str, Any]) -> None:
        if self._clients:
            message = LiveMessage(kind, camera_id, encoded(kind, record))
            self._call(lambda: self.hand_out(message))

    def _call(self, act: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(act)

    async def join(self, subscription: Subscription) -> int:
        """Adds a client and returns up to which change the others have been told; raises BusyError."""
        if len(self._clients) >= self._most_clients:
            raise BusyError(f"{self._most_clients} clients listen already; try again later")
        if self._task is None or self._task.done() or self._loop is not asyncio.get_running_loop():
            await self._begin()
        self._clients.add(subscription)
        return self._position

    def leave(self, subscription: Subscription) -> None:
        """Removes a client; the log is not read while there are none."""
        self._clients.discard(subscription)
        if not self._clients and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._store = await asyncio.to_thread(self._open_store)
        newest = self._position if self._store is None else await self._newest()
        if not self._clients:
            # Nobody can miss what lies between.
            self._position = newest
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    async def _newest(self) -> int:
        assert self._store is not None
        return await asyncio.to_thread(self._store.changes.last)

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            self._wake.clear()
            await self._read_on()

    async def _read_on(self) -> None:
        if self._store is None:
            return
        try:
            found = await asyncio.to_thread(self._store.changes.after, self._position, limit=AT_ONCE)
        except StoreError as error:
            log.warning("live: the log of changes cannot be read now: %s", error)
            return
        for change in found:
            self._position = change.sequence
            self.hand_out(message_of(change))
        if len(found) == AT_ONCE:
            self._wake.set()

    async def missed(self, after: int, upto: int) -> list[StoredChange]:
        """Some changes after one number, up to another; empty once there are no more."""
        if self._store is None or after >= upto:
            return []
        found = await asyncio.to_thread(self._store.changes.after, after, limit=AT_ONCE)
        return [change for change in found if change.sequence <= upto]

    def hand_out(self, message: LiveMessage) -> None:
        """Puts a message into the queue of every client that wants it; marks those whose queue is full."""
        for client in tuple(self._clients):
            if not client.wants(message) or client.is_behind:
                continue
            try:
                client.queue.put_nowait(message)
            except asyncio.QueueFull:
                client.is_behind = True


def verdict_record(judged: JudgedWindow) -> dict[str, Any]:
    """The fields of a verdict as clients get them."""
    verdict = judged.verdict
    return {
        "camera_id": judged.camera_id,
        "source": judged.source,
        "window": judged.window,
        "start_s": judged.start_s,
        "end_s": judged.end_s,
        "outcome": verdict.outcome.value,
        "cause": None if verdict.cause is None else verdict.cause.value,
        "p_alarm": verdict.p_alarm,
        "label": verdict.alarm_label,
        "latency_ms": verdict.latency_ms,
        "captured_s": judged.captured_s,
    }


def message_of(change: StoredChange) -> LiveMessage:
    """A change of the log as clients get it: the event in the form of lists and exports, as it was then."""
    record = {
        "sequence": change.sequence,
        "kind": change.kind,
        "written_utc": change.written_utc,
        "event": dict(change.record),
    }
    return LiveMessage("change", change.camera_id, encoded("change", record, change.sequence), change.sequence)


def encoded(kind: str, record: Mapping[str, Any], sequence: int = 0) -> bytes:
    """An event in the text form of server-sent events; JSON has no line breaks of its own."""
    number = f"id: {sequence}\n" if sequence else ""
    return f"{number}event: {kind}\ndata: {json.dumps(record, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


def live_router(context: ApiContext, hub: LiveHub) -> APIRouter:
    """The route of the stream."""
    router = APIRouter(tags=["live"])

    @router.get(
        "/live",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Server-sent events", "content": {"text/event-stream": {}}},
            **problems(404, 503),
        },
    )
    async def live(
        caller: LiveReader,
        kinds: Annotated[
            list[LiveKind] | None,
            Query(description="Which events: change, verdict, camera, observation. All if left out."),
        ] = None,
        camera: Annotated[str, Query(max_length=200, description="Only of the camera with this id.")] = "",
        after: Annotated[
            int | None, Query(ge=0, le=LARGEST, description="Begin after this change; Last-Event-ID goes before it.")
        ] = None,
        lasts_s: Annotated[float, Query(gt=0, le=LASTS_S, description="When the stream ends by itself.")] = LASTS_S,
        last_event_id: Annotated[str, Header(max_length=40)] = "",
    ) -> StreamingResponse:
        """Changes, verdicts, observations and camera states as they happen.

        Each change has its sequence number as `id`, so that a client that comes back misses none.
        """
        number = int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() else after
        wanted = frozenset(kinds or get_args(LiveKind))
        subscription = Subscription(wanted, camera)
        upto = await hub.join(subscription)
        begin = upto if number is None or number > upto else number
        stream = _stream(hub, subscription, begin, upto, lasts_s=lasts_s)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return _LiveResponse(
            stream, on_end=lambda: hub.leave(subscription), media_type="text/event-stream", headers=headers
        )

    return router


class _LiveResponse(StreamingResponse):
    """A stream whose client is removed however it ends, even if it never began."""

    def __init__(self, content: AsyncIterator[bytes], *, on_end: Callable[[], None], **more: Any) -> None:
        super().__init__(content, **more)
        self._on_end = on_end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


async def _stream(hub: LiveHub, client: Subscription, begin: int, upto: int, *, lasts_s: float) -> AsyncIterator[bytes]:
    """What was missed, then what happens, until the client falls behind or the time is up."""
    loop = asyncio.get_running_loop()
    over_s = loop.time() + lasts_s
    yield f"retry: 1000\nid: {begin}\nevent: ready\ndata: {json.dumps({'sequence': begin})}\n\n".encode()
    while found := await hub.missed(begin, upto):
        begin = found[-1].sequence
        for change in found:
            message = message_of(change)
            if client.wants(message):
                yield message.data
    while (left_s := over_s - loop.time()) > 0 and not (client.is_behind and client.queue.empty()):
        try:
            async with asyncio.timeout(min(left_s, BEAT_S)):
                message = await client.queue.get()
        except TimeoutError:
            yield b": still here\n\n"
            continue
        yield message.data


def make_hub(context: ApiContext) -> LiveHub:
    """The hub of a site, subscribed to its watch."""
    # Those who listen leave half of the connections to those who ask.
    connections = context.site.options.connection_limits.in_all
    hub = LiveHub(lambda: open_store(context.site), most_clients=min(MOST_CLIENTS, max(1, connections // 2)))
    if context.site.service is not None:
        context.site.service.subscribe(hub)
    return hub
