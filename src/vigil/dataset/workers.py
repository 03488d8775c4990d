"""Set-up of worker processes, and progress callbacks.

Workers leave Ctrl-C to their parent, and exit when the parent is gone. `CombinedProgress` reports a job of several
stages as one count.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import TypeAlias

ProgressCallback: TypeAlias = Callable[[int, int, str], None]
"""Called after each item with the number done, the total, and the name of the item."""


def no_progress(done: int, total: int, what: str) -> None:
    """Ignores progress."""


def init_worker() -> None:
    """Initializer of every worker process: ignores SIGINT, and exits with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exits when the parent dies: without this, workers of a killed parent finish the whole queue or wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    os._exit(1)


class CombinedProgress:
    """Combines the progress of several stages; `sizes` are their numbers of items."""

    def __init__(self, progress: ProgressCallback, sizes: list[int]) -> None:
        self._progress = progress
        self._sizes = sizes
        self._begun = 0

    def next(self) -> ProgressCallback:
        """The callback for the next stage."""
        before, total = sum(self._sizes[: self._begun]), sum(self._sizes)
        self._begun += 1

        def report(done: int, _of: int, what: str) -> None:
            self._progress(before + done, total, what)

        return report
