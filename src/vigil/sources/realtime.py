"""A video file at its own pace, as if it were a camera: what `--realtime` means."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from vigil.frames import Frame

Clock: TypeAlias = Callable[[], float]


def wait_until_due(
    *, stop: threading.Event, epoch_s: float, clock: Clock = time.monotonic, wall_clock: Clock = time.time
) -> Callable[[float], bool]:
    """What waits until a second of the file has come; True when `stop` was set meanwhile."""
    started_s = clock() - (wall_clock() - epoch_s)
    return lambda time_s: stop.wait(max(0.0, started_s + time_s - clock()))


def play_in_realtime(
    frames: Iterable[Frame],
    *,
    stop: threading.Event,
    epoch_s: float,
    clock: Clock = time.monotonic,
    wall_clock: Clock = time.time,
) -> Iterator[Frame]:
    """The frames, each when `frame.time_s` seconds have passed; ends when `stop` is set.

    `captured_s` is the second at which the frame was due (`epoch_s`, the `time.time()` of second 0, plus its time), so
    that a reader which cannot keep up shows as lag.
    """
    wait = wait_until_due(stop=stop, epoch_s=epoch_s, clock=clock, wall_clock=wall_clock)
    for frame in frames:
        if wait(frame.time_s):
            return
        yield replace(frame, captured_s=epoch_s + frame.time_s)
