"""Records the media of each event: a snapshot when it opens, a clip when it ends, on request the judged frames.

The clip of a live source is written as soon as its maximum length has passed, because the ring buffer holds only the
last seconds. Snapshots are updated until the event closes. All work runs in background threads. Failed writes are
retried for about five minutes, then logged and counted; they never stop the watcher.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from vigil.errors import StoreError, VigilError
from vigil.events import Event, EventChange
from vigil.store import MediaKind, Store
from vigil.store.media_store import WriteMedia
from vigil.watch.pipeline import SourcePipeline
from vigil.watch.settings import WatchSettings

log = logging.getLogger(__name__)

THREADS = 2
RETRY_DELAYS_S = (5.0, 15.0, 60.0, 240.0)
"""Delays between retries; a full disk is often noticed and fixed within minutes."""

CUT_SOON_S = 5.0
"""Footage that leaves the ring buffer within this time is not counted on: cutting a clip begins a moment later."""

CLOSE_TIMEOUT_S = 30.0
"""How long `close` waits for clips that are being written."""


@dataclass(slots=True)
class EventMedia:
    """The media state of one event: its latest version, the judged frame at its peak, and what was written so far.

    `clip_from_s` is where its clip begins.
    """

    event: Event
    peak_jpeg: bytes | None
    clip_from_s: float
    over: asyncio.Event = field(default_factory=asyncio.Event)
    shown_s: float | None = None
    kept: set[int] = field(default_factory=set)


class MediaRecorder:
    """Writes the snapshots, clips and frames of events to the store."""

    def __init__(self, store: Store | None, settings: WatchSettings) -> None:
        self.lost = 0
        self._store = store
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="evidence")
        self._under_way: set[asyncio.Task[None]] = set()
        self._media: dict[str, EventMedia] = {}
        self._closing = asyncio.Event()
        self._close_timeout_s = CLOSE_TIMEOUT_S

    def on_change(self, source: SourcePipeline, change: EventChange) -> None:
        """Updates the state of the event and starts recording what the change requires."""
        if self._store is None:
            return
        event = change.event
        if change.kind == "opened":
            self._media[event.id] = EventMedia(
                event, _judged_frame(source, event), clip_from_s=self._clip_starts_s(source, event)
            )
            self._begin(event, self._record(source, self._media[event.id]))
        media = self._media.get(event.id)
        if media is None:
            return
        if event.peak_s != media.event.peak_s:
            media.peak_jpeg = _judged_frame(source, event)
        media.event = event
        if self._settings.keep_frames:
            self._begin(event, self._keep_frames(source, media))
        if change.kind == "closed":
            del self._media[event.id]
            media.over.set()

    async def close(self) -> None:
        """Finishes pending work without waiting for frames that have not arrived yet."""
        self._closing.set()
        until_s = time.monotonic() + self._close_timeout_s
        # Work that fails now is retried once more.
        while self._under_way and (left_s := until_s - time.monotonic()) > 0:
            await asyncio.wait(self._under_way, timeout=left_s)
        # Remaining tasks would use threads that no longer exist.
        self.lost += len(self._under_way)
        for task in self._under_way:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def cancel(self) -> None:
        """Makes `close` return without waiting, because the watcher must end at once."""
        self._close_timeout_s = 0.0

    def _begin(self, event: Event, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(self._run_logged(event, work))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _run_logged(self, event: Event, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("recording of event %s failed; this is a fault in Vigil, please report it", event.id)
            self._count_lost(event, "more media", error)

    async def _record(self, source: SourcePipeline, media: EventMedia) -> None:
        """Writes a snapshot at once, so that the alarm has an image; later a snapshot of the peak, and the clip."""
        await self._snapshot(source, media)
        await self._wait_for_footage(source, media)
        await self._snapshot(source, media)
        if self._settings.clips.max_s:
            await self._clip(source, media)
        await self._wait_for(media.over, until_s=math.inf, source=source)
        await self._snapshot(source, media)

    async def _wait_for_footage(self, source: SourcePipeline, media: EventMedia) -> None:
        """Waits until the event closes or, for live sources, only as long as the ring buffer still holds the clip."""
        enough_s = media.clip_from_s + self._settings.clips.max_s if source.state.live else math.inf
        await self._wait_for(media.over, until_s=enough_s, source=source)
        if source.state.live:
            await self._wait_for(asyncio.Event(), until_s=self._clip_ends_s(media), source=source)

    async def _wait_for(self, happened: asyncio.Event, *, until_s: float, source: SourcePipeline) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (happened, self._closing)]
        timeout_s = None if math.isinf(until_s) else max(0.0, until_s - source.now_s)
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _clip_starts_s(self, source: SourcePipeline, event: Event) -> float:
        """Where the clip of an event that opens now begins: before the onset, or else with what is still in memory.

        A live event that opens minutes after its onset, as loitering does, has a clip of the time around its alarm.
        """
        clips = self._settings.clips
        starts_s = event.onset_s - clips.before_s
        if not source.state.live or source.now_s - starts_s <= clips.memory_s - CUT_SOON_S:
            return starts_s
        return source.now_s - clips.max_s / 2

    def _clip_ends_s(self, media: EventMedia) -> float:
        clips, event = self._settings.clips, media.event
        longest_s = media.clip_from_s + clips.max_s
        return longest_s if event.end_s is None else min(event.end_s + clips.after_s, longest_s)

    async def _clip(self, source: SourcePipeline, media: EventMedia) -> None:
        event, from_s = media.event, max(0.0, media.clip_from_s)
        to_s = self._clip_ends_s(media)
        await self._keep(
            event, "clips", ".mp4", lambda path: source.capture.footage.clip(path, from_s=from_s, to_s=to_s)
        )

    async def _snapshot(self, source: SourcePipeline, media: EventMedia) -> None:
        """Writes the peak at full size or, if the source no longer has it, the frame that was judged."""
        at_s, judged = media.event.peak_s, media.peak_jpeg
        if at_s == media.shown_s:
            return
        media.shown_s = at_s

        def write(path: Path) -> None:
            try:
                source.capture.footage.snapshot(path, at_s=at_s)
            except Exception as error:
                if judged is None:
                    raise
                if not isinstance(error, VigilError):
                    log.exception("%s: a snapshot failed; this is a fault in Vigil, please report it", source.name)
                path.write_bytes(judged)

        await self._keep(media.event, "snapshots", ".jpg", write)

    async def _keep(self, event: Event, kind: MediaKind, name: str, write: WriteMedia) -> None:
        store = self._store
        if store is not None:
            await self._in_thread(event, kind, lambda: store.media.keep(event.id, kind, name, write))

    async def _keep_frames(self, source: SourcePipeline, media: EventMedia) -> None:
        store, event = self._store, media.event
        members = {member.window for member in event.windows} - media.kept
        windows = [window for window in source.recent_windows if window.index in members]
        media.kept |= {window.index for window in windows}
        if store is not None:
            for window in windows:
                await self._in_thread(
                    event, "frames", partial(store.media.keep_frames, event.id, window.index, window.jpegs)
                )

    async def _in_thread(self, event: Event, what: str, make: Callable[[], object]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, make)
        except StoreError as error:
            log.warning("%s: no %s of event %s yet: %s", event.source, what, event.id, error)
            self._begin(event, self._retry(event, what, make))
        except VigilError as error:
            self._count_lost(event, what, error)
        except Exception as error:
            log.exception("%s of event %s failed; this is a fault in Vigil, please report it", what, event.id)
            self._count_lost(event, what, error)

    async def _retry(self, event: Event, what: str, make: Callable[[], object]) -> None:
        """Retries in a separate task, so that the clip is cut while the ring buffer still holds it."""
        problem: Exception | None = None
        for wait_s in RETRY_DELAYS_S:
            # Not `wait_for`, which can lose a cancellation in Python 3.11.
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._closing.wait()
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, make)
            except VigilError as error:
                problem = error
            else:
                return
            if self._closing.is_set():
                break
        self._count_lost(event, what, problem)

    def _count_lost(self, event: Event, what: str, why: Exception | None) -> None:
        self.lost += 1
        log.warning("%s: no %s of event %s: %s", event.source, what, event.id, why)


def _judged_frame(source: SourcePipeline, event: Event) -> bytes | None:
    near = min(
        (frame for window in source.recent_windows for frame in window.shots),
        key=lambda frame: abs(frame.time_s - event.peak_s),
        default=None,
    )
    return None if near is None else near.jpeg
