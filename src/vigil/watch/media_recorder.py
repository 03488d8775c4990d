"""What is kept to show of an event: a snapshot at once, a clip when it is over, the judged frames if wanted.

The clip of a live source is cut as soon as its longest length is over, as the source's last seconds are all that is
held; pictures are kept until the event is closed. All of it is made beside the watch, by threads. What the store cannot
take is tried again for some minutes; what cannot be made is a warning and is counted, never the end of a watch.
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
from vigil.watch.pipeline import SourcePipeline
from vigil.watch.settings import WatchSettings

log = logging.getLogger(__name__)

THREADS = 2
AGAIN_AFTER_S = (5.0, 15.0, 60.0, 240.0)
"""When it is tried again, from the failure before: a full disk is often noticed, and helped, within minutes."""

LAST_S = 30.0
"""How long the end of a watch waits for clips that are being written."""


@dataclass(slots=True)
class EventMedia:
    """What is being kept of one event: its latest state, the judged picture of its peak, and what was made so far."""

    event: Event
    peak_jpeg: bytes | None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    shown_s: float | None = None
    kept: set[int] = field(default_factory=set)


class MediaRecorder:
    """Collects the pictures of events into the store."""

    def __init__(self, store: Store | None, settings: WatchSettings) -> None:
        self.lost = 0
        self._store = store
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="evidence")
        self._under_way: set[asyncio.Task[None]] = set()
        self._exhibits: dict[str, EventMedia] = {}
        self._closing = asyncio.Event()
        self._last_s = LAST_S

    def on_change(self, source: SourcePipeline, change: EventChange) -> None:
        """Takes note of a change of an event, and starts what there is to make of it."""
        if self._store is None:
            return
        event = change.event
        if change.kind == "opened":
            self._exhibits[event.id] = EventMedia(event, _judged_picture(source, event))
            self._begin(event, self._record(source, self._exhibits[event.id]))
        exhibit = self._exhibits.get(event.id)
        if exhibit is None:
            return
        if event.peak_s != exhibit.event.peak_s:
            exhibit.peak_jpeg = _judged_picture(source, event)
        exhibit.event = event
        if self._settings.keep_frames:
            self._begin(event, self._keep_frames(source, exhibit))
        if change.kind == "closed":
            del self._exhibits[event.id]
            exhibit.over.set()

    async def close(self) -> None:
        """Finishes what is under way, without waiting for pictures that are still to come."""
        self._closing.set()
        until_s = time.monotonic() + self._last_s
        # What fails now begins its last try.
        while self._under_way and (left_s := until_s - time.monotonic()) > 0:
            await asyncio.wait(self._under_way, timeout=left_s)
        # What is left would ask threads that are gone.
        self.lost += len(self._under_way)
        for task in self._under_way:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def cancel(self) -> None:
        """Has `close` wait for nothing: the watch is to end at once."""
        self._last_s = 0.0

    def _begin(self, event: Event, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(self._see_through(event, work))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _see_through(self, event: Event, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            log.exception("pictures of event %s were given up; this is a fault in Vigil, please report it", event.id)
            self._count_lost(event, "more pictures", error)

    async def _record(self, source: SourcePipeline, exhibit: EventMedia) -> None:
        """The snapshot now, so that an alarm has a picture; clip and picture of the peak when they are there."""
        await self._snapshot(source, exhibit)
        await self._wait_for_footage(source, exhibit)
        await self._snapshot(source, exhibit)
        if self._settings.clips.most_s:
            await self._clip(source, exhibit.event)
        await self._wait_for(exhibit.over, until_s=math.inf, source=source)
        await self._snapshot(source, exhibit)

    async def _wait_for_footage(self, source: SourcePipeline, exhibit: EventMedia) -> None:
        """Until the event is closed or, on live sources, as long as their last seconds are still held."""
        clips = self._settings.clips
        longest_s = exhibit.event.onset_s - clips.before_s + clips.most_s
        enough_s = longest_s if source.state.live else math.inf
        await self._wait_for(exhibit.over, until_s=enough_s, source=source)
        if source.state.live:
            await self._wait_for(asyncio.Event(), until_s=self._clip_ends_s(exhibit.event), source=source)

    async def _wait_for(self, happened: asyncio.Event, *, until_s: float, source: SourcePipeline) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (happened, self._closing)]
        timeout_s = None if math.isinf(until_s) else max(0.0, until_s - source.now_s)
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _clip_ends_s(self, event: Event) -> float:
        clips = self._settings.clips
        longest_s = event.onset_s - clips.before_s + clips.most_s
        return longest_s if event.end_s is None else min(event.end_s + clips.after_s, longest_s)

    async def _clip(self, source: SourcePipeline, event: Event) -> None:
        from_s = max(0.0, event.onset_s - self._settings.clips.before_s)
        to_s = self._clip_ends_s(event)
        await self._keep(
            event, "clips", ".mp4", lambda path: source.capture.footage.clip(path, from_s=from_s, to_s=to_s)
        )

    async def _snapshot(self, source: SourcePipeline, exhibit: EventMedia) -> None:
        """The peak at full size, or where the source cannot give it any more, the frame that was judged."""
        at_s, judged = exhibit.event.peak_s, exhibit.peak_jpeg
        if at_s == exhibit.shown_s:
            return
        exhibit.shown_s = at_s

        def write(path: Path) -> None:
            try:
                source.capture.footage.snapshot(path, at_s=at_s)
            except Exception as error:
                if judged is None:
                    raise
                if not isinstance(error, VigilError):
                    log.exception("%s: a snapshot failed; this is a fault in Vigil, please report it", source.name)
                path.write_bytes(judged)

        await self._keep(exhibit.event, "snapshots", ".jpg", write)

    async def _keep(self, event: Event, kind: MediaKind, name: str, write: Callable[[Path], None]) -> None:
        store = self._store
        if store is not None:
            await self._in_thread(event, kind, lambda: store.keep(event.id, kind, name, write))

    async def _keep_frames(self, source: SourcePipeline, exhibit: EventMedia) -> None:
        store, event = self._store, exhibit.event
        members = {evidence.window for evidence in event.windows} - exhibit.kept
        windows = [window for window in source.recent_windows if window.index in members]
        exhibit.kept |= {window.index for window in windows}
        if store is not None:
            for window in windows:
                await self._in_thread(event, "frames", partial(store.keep_frames, event.id, window.index, window.jpegs))

    async def _in_thread(self, event: Event, what: str, make: Callable[[], object]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, make)
        except StoreError as error:
            log.warning("%s: no %s of event %s yet: %s", event.source, what, event.id, error)
            self._begin(event, self._again(event, what, make))
        except VigilError as error:
            self._count_lost(event, what, error)
        except Exception as error:
            log.exception("%s of event %s failed; this is a fault in Vigil, please report it", what, event.id)
            self._count_lost(event, what, error)

    async def _again(self, event: Event, what: str, make: Callable[[], object]) -> None:
        """Beside the rest: the seconds that a camera's clip is cut from do not wait for a picture."""
        problem: Exception | None = None
        for wait_s in AGAIN_AFTER_S:
            # Not `wait_for`, which forgets in Python 3.11 that it was cancelled.
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


def _judged_picture(source: SourcePipeline, event: Event) -> bytes | None:
    near = min(
        (shot for window in source.recent_windows for shot in window.shots),
        key=lambda shot: abs(shot.time_s - event.peak_s),
        default=None,
    )
    return None if near is None else near.jpeg
