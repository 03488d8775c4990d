"""The bounded queue between a source's reader thread and the event loop.

For files, `put` blocks while the queue is full, so no window is lost. For live sources it never blocks: the oldest
window is evicted and later returned by `take`, in order and marked `is_dropped`, so that it is counted.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from vigil.verdict import Answer
from vigil.windows import Window


@dataclass(frozen=True, slots=True)
class QueuedWindow:
    """A window in the queue; `is_skipped` if the gate found nothing in it, `is_dropped` if it was evicted.

    `health` holds the answers about the camera itself (`vigil.watch.camera_health`).
    """

    window: Window
    is_skipped: bool = False
    is_dropped: bool = False
    health: Mapping[str, Answer] = field(default_factory=dict)


class WindowQueue:
    """The windows of one source, in order. `put` and `end` are called in the reader thread, all else in the event loop.

    `on_cut` is called in the event loop for every window that is accepted.
    """

    def __init__(self, *, size: int, live: bool, on_cut: Callable[[], None] = lambda: None) -> None:
        self.is_closed = False
        self._live = live
        self._on_cut = on_cut
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[QueuedWindow] = deque()
        self._dropped: deque[QueuedWindow] = deque()
        self._is_ready = asyncio.Event()
        self._space = threading.Semaphore(size)
        self._ended = False

    @property
    def is_over(self) -> bool:
        """Whether the queue is empty and has ended."""
        return self._ended and not (self._waiting or self._dropped)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, entry: QueuedWindow) -> None:
        """Adds a window; for files, blocks while the queue is full."""
        if not self._live:
            self._space.acquire()
        self._call_in_loop(self._append, entry)

    def end(self) -> None:
        """Marks the end: no window will follow."""
        self._call_in_loop(self._end)

    def close(self) -> None:
        """Accepts no more windows, whatever the reader does; queued windows can still be taken."""
        self.is_closed = True
        self._end()
        # The reader may be blocked in `put`.
        self._space.release()

    async def wait(self) -> bool:
        """Waits for a window; returns False if none will come."""
        await self._is_ready.wait()
        return bool(self._waiting or self._dropped)

    def take(self) -> QueuedWindow | None:
        """Returns the next window, evicted ones in their place; returns None if the queue is empty."""
        source = self._dropped or self._waiting
        if not source:
            return None
        queued = source.popleft()
        if not self._live:
            self._space.release()
        if not (self._waiting or self._dropped or self._ended):
            self._is_ready.clear()
        return queued

    def _call_in_loop(self, act: Callable[..., None], *args: QueuedWindow) -> None:
        # A hanging reader may return after the watcher has ended and its loop is closed.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act, *args)

    def _append(self, queued: QueuedWindow) -> None:
        if self.is_closed:
            return
        self._on_cut()
        self._waiting.append(queued)
        if self._live and len(self._waiting) > self._size:
            oldest = self._waiting.popleft()
            self._dropped.append(replace(oldest, is_dropped=True))
        self._is_ready.set()

    def _end(self) -> None:
        self._ended = True
        self._is_ready.set()
