"""A pool of freshly drawn training windows, filled by worker processes during training."""

from __future__ import annotations

import multiprocessing as mp
import queue
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import cv2
import numpy as np

from tools.tiny_base.windows import TrainingWindow, draw_window
from vigil.dataset.workers import init_worker

_CHUNK = 16


class WindowPool:
    """Holds up to `size` windows; new ones replace the oldest, batches are sampled at random."""

    def __init__(self, *, size: int, workers: int, first_seed: int) -> None:
        context = mp.get_context("spawn")
        self.size = size
        self.drawn = 0
        self._items: list[TrainingWindow] = []
        self._queue: Any = context.Queue(maxsize=16)
        self._hardest = context.Value("d", 0.2)
        self._workers = [
            context.Process(
                target=_draw_for_ever,
                args=(self._queue, self._hardest, first_seed + number * _CHUNK, workers * _CHUNK),
                daemon=True,
            )
            for number in range(workers)
        ]
        for worker in self._workers:
            worker.start()

    def set_difficulty(self, hardest: float) -> None:
        """Draw new windows with a difficulty between 0 and `hardest`."""
        self._hardest.value = hardest

    def refill(self, *, at_least: int = 0) -> None:
        """Add the windows drawn so far; waits until the pool holds `at_least` windows, or none arrives for 120 s."""
        while True:
            try:
                self._take(self._queue.get(timeout=120 if len(self._items) < at_least else 0.001))
            except queue.Empty:
                return

    def sample(self, rng: np.random.Generator, count: int) -> list[TrainingWindow]:
        """Sample windows at random, with replacement."""
        return [self._items[int(index)] for index in rng.integers(len(self._items), size=count)]

    def close(self) -> None:
        """Stop the workers."""
        for worker in self._workers:
            worker.terminate()

    def _take(self, windows: list[TrainingWindow]) -> None:
        for window in windows:
            if len(self._items) < self.size:
                self._items.append(window)
            else:
                self._items[self.drawn % self.size] = window
            self.drawn += 1


def _draw_for_ever(out: Any, hardest: Synchronized[float], seed: int, stride: int) -> None:
    init_worker()
    cv2.setNumThreads(1)
    while True:
        rng = np.random.default_rng((17, seed))
        levels = rng.uniform(0, 1, _CHUNK) ** 0.7 * hardest.value
        out.put([draw_window(seed + number, difficulty=float(levels[number])) for number in range(_CHUNK)])
        seed += stride
