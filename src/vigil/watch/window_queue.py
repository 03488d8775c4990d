"""The lane between the thread that cuts windows and the loop that asks about them.

A file's lane makes the reader wait when it is full, so nothing is ever lost. A live lane never makes
a camera wait: the oldest window gives way, and is handed back as dropped, in its place in the order.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from vigil.windows import Window


@dataclass(frozen=True, slots=True)
class QueuedWindow:
    """A window in the lane: `still` when the motion gate found nothing that moves, `dropped` when a newer one won."""

    window: Window
    is_still: bool = False
    is_dropped: bool = False


class WindowQueue:
    """Windows of one source, in order; `put` and `end` are called in the reader's thread, the rest in the loop.

    `on_cut` is called in the loop for every window that is taken up.
    """

    def __init__(self, *, size: int, live: bool, on_cut: Callable[[], None] = lambda: None) -> None:
        self.is_closed = False
        self._live = live
        self._on_cut = on_cut
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[QueuedWindow] = deque()
        self._dropped: deque[QueuedWindow] = deque()
        self._something = asyncio.Event()
        self._space = threading.Semaphore(size)
        self._ended = False

    @property
    def is_over(self) -> bool:
        """Whether everything was taken and nothing will follow."""
        return self._ended and not (self._waiting or self._dropped)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, window: Window, *, still: bool = False) -> None:
        """Adds a window; waits for space in a file's lane."""
        if not self._live:
            self._space.acquire()
        self._call_in_loop(self._append, QueuedWindow(window, still))

    def end(self) -> None:
        """Says that no window will follow."""
        self._call_in_loop(self._end)

    def close(self) -> None:
        """Takes up no more windows, whatever the reader still does; those that wait can be taken."""
        self.is_closed = True
        self._end()
        # The reader may be waiting for space.
        self._space.release()

    async def wait(self) -> bool:
        """Waits until a window is there; False when there will be none."""
        await self._something.wait()
        return bool(self._waiting or self._dropped)

    def take(self) -> QueuedWindow | None:
        """The next entry, dropped ones in their place; None when newer windows have emptied the lane meanwhile."""
        source = self._dropped or self._waiting
        if not source:
            return None
        entry = source.popleft()
        if not self._live:
            self._space.release()
        if not (self._waiting or self._dropped or self._ended):
            self._something.clear()
        return entry

    def _call_in_loop(self, act: Callable[..., None], *words: QueuedWindow) -> None:
        # A reader that hangs may come back when the watch, and its loop, are over.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(act, *words)

    def _append(self, entry: QueuedWindow) -> None:
        if self.is_closed:
            return
        self._on_cut()
        self._waiting.append(entry)
        if self._live and len(self._waiting) > self._size:
            oldest = self._waiting.popleft()
            self._dropped.append(QueuedWindow(oldest.window, oldest.is_still, is_dropped=True))
        self._something.set()

    def _end(self) -> None:
        self._ended = True
        self._something.set()
