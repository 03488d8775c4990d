"""What is kept to show of an event: a snapshot at once, a clip when it is over, the judged frames if wanted.

All of it is made beside the watch, by threads. What cannot be made is a warning, never the end of a watch.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from vigil.errors import VigilError
from vigil.events.change import Change
from vigil.events.event import Event
from vigil.store import MediaKind, Store
from vigil.watch.settings import WatchSettings
from vigil.watch.source import WatchedSource

log = logging.getLogger(__name__)

THREADS = 2
LAST_S = 30.0
"""How long the end of a watch waits for clips that are being written."""


class Evidence:
    """Collects the pictures of events into the store."""

    def __init__(self, store: Store | None, settings: WatchSettings) -> None:
        self._store = store
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="evidence")
        self._under_way: set[asyncio.Task[None]] = set()
        self._latest: dict[str, Event] = {}
        self._over: dict[str, asyncio.Event] = {}
        self._kept: dict[str, set[int]] = {}
        self._hurry = asyncio.Event()

    def collect(self, source: WatchedSource, change: Change) -> None:
        """Takes note of a change of an event, and starts what there is to make of it."""
        if self._store is None:
            return
        event = change.event
        if change.kind == "opened":
            self._over[event.id] = asyncio.Event()
            self._begin(self._show(source, event.id))
        if event.id not in self._over:
            return
        self._latest[event.id] = event
        if self._settings.keep_frames:
            self._begin(self._keep_frames(source, event))
        if change.kind == "closed":
            self._over[event.id].set()

    async def close(self) -> None:
        """Finishes what is under way, without waiting for pictures that are still to come."""
        self._hurry.set()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=LAST_S)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _show(self, source: WatchedSource, event_id: str) -> None:
        """The snapshot now, so that an alarm has a picture; the clip, and the picture of the peak, at the end."""
        first = self._latest[event_id]
        await self._snapshot(source, first)
        await self._until_over(source, event_id)
        last = self._latest.pop(event_id)
        if last.peak_s != first.peak_s:
            await self._snapshot(source, last)
        if self._settings.clips.most_s:
            await self._clip(source, last)
        self._over.pop(event_id, None)
        self._kept.pop(event_id, None)

    async def _until_over(self, source: WatchedSource, event_id: str) -> None:
        """Until the event is closed or, on live sources, as long as their last seconds are still held."""
        clips = self._settings.clips
        longest_s = self._latest[event_id].onset_s - clips.before_s + clips.most_s
        enough_s = longest_s if source.state.live else math.inf
        await self._wait_for(self._over[event_id], until_s=enough_s, source=source)
        if source.state.live:
            await self._wait_for(asyncio.Event(), until_s=self._clip_ends_s(self._latest[event_id]), source=source)

    async def _wait_for(self, happened: asyncio.Event, *, until_s: float, source: WatchedSource) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (happened, self._hurry)]
        timeout_s = None if math.isinf(until_s) else max(0.0, until_s - source.now_s)
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _clip_ends_s(self, event: Event) -> float:
        clips = self._settings.clips
        longest_s = event.onset_s - clips.before_s + clips.most_s
        return longest_s if event.end_s is None else min(event.end_s + clips.after_s, longest_s)

    async def _clip(self, source: WatchedSource, event: Event) -> None:
        from_s = max(0.0, event.onset_s - self._settings.clips.before_s)
        to_s = self._clip_ends_s(event)
        await self._keep(event, "clips", ".mp4", lambda path: source.feed.footage.clip(path, from_s=from_s, to_s=to_s))

    async def _snapshot(self, source: WatchedSource, event: Event) -> None:
        """At full size, or where the source cannot give it, the frame that was judged."""
        judged = _judged_picture(source, event)

        def write(path: Path) -> None:
            try:
                source.feed.footage.snapshot(path, at_s=event.peak_s)
            except VigilError:
                if judged is None:
                    raise
                path.write_bytes(judged)

        await self._keep(event, "snapshots", ".jpg", write)

    async def _keep(self, event: Event, kind: MediaKind, name: str, write: Callable[[Path], None]) -> None:
        store = self._store
        if store is not None:
            await self._in_thread(event, kind, lambda: store.keep(event.id, kind, name, write))

    async def _keep_frames(self, source: WatchedSource, event: Event) -> None:
        store = self._store
        kept = self._kept.setdefault(event.id, set())
        members = {evidence.window for evidence in event.windows} - kept
        windows = [window for window in source.recent if window.index in members]
        kept |= {window.index for window in windows}
        if store is not None:
            for window in windows:
                await self._in_thread(event, "frames", partial(store.keep_frames, event.id, window.index, window.jpegs))

    async def _in_thread(self, event: Event, what: str, make: Callable[[], object]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, make)
        except VigilError as error:
            log.warning("%s: no %s of event %s: %s", event.source, what, event.id, error)


def _judged_picture(source: WatchedSource, event: Event) -> bytes | None:
    near = min(
        (shot for window in source.recent for shot in window.shots),
        key=lambda shot: abs(shot.time_s - event.peak_s),
        default=None,
    )
    return None if near is None else near.jpeg
