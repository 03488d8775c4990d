"""A worker process of ours: Ctrl-C is its parent's to handle, and it ends where its parent is gone.

The progress of a job that goes through the same things several times, as one count.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import TypeAlias

ProgressCallback: TypeAlias = Callable[[int, int, str], None]
"""Told after each piece of work: how many are done, of how many, and which one it was."""


def no_progress(done: int, total: int, what: str) -> None:
    """Progress that nobody watches."""


def init_worker() -> None:
    """Called first in every worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed can tell its workers nothing: they would finish all that is queued, or wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os._exit(1)


class CombinedProgress:
    """Hands out the progress of one stage after the other; `sizes` are how many things each goes through."""

    def __init__(self, progress: ProgressCallback, sizes: list[int]) -> None:
        self._progress = progress
        self._sizes = sizes
        self._begun = 0

    def next(self) -> ProgressCallback:
        """The progress of the next stage."""
        before, total = sum(self._sizes[: self._begun]), sum(self._sizes)
        self._begun += 1

        def told(done: int, _of: int, what: str) -> None:
            self._progress(before + done, total, what)

        return told
