"""An index of keyframes that were read before, so that the next clip need not start at the beginning of the file.

A recording whose clock may jump (MPEG-TS, AVI and others) is timed by reading it from its beginning. Each pass indexes
a keyframe every few seconds: its position in the file and the state of the clock there. An entry is used only if the
file still yields the same packet at that position.
"""

import copy
import logging
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from av.error import FFmpegError

from vigil.sources.timestamps import FileClock

log = logging.getLogger(__name__)

RESUMABLE = frozenset({"avi", "mpegts"})
"""Formats that were observed to yield the same packets after a seek as from the beginning."""

EVERY_S = 5.0
NEAR_PACKETS = 50
"""How many packets may precede the indexed one after a seek, while the demuxer resynchronises."""


@dataclass(frozen=True, slots=True)
class IndexedKeyframe:
    """A keyframe: its time, its position in the file, its timestamp, and the clock before it was placed."""

    time_s: float
    position: int
    dts: int | None
    clock: FileClock


class KeyframeIndex:
    """The indexed keyframes of one stream of a file. Thread-safe."""

    def __init__(self) -> None:
        self._marks: list[IndexedKeyframe] = []
        self._lock = threading.Lock()

    def note(self, packet: Any, clock: FileClock, time_s: float) -> None:
        """Adds a keyframe if it is at least `EVERY_S` after the last one; `clock` is the state before it was placed."""
        with self._lock:
            is_next = not self._marks or time_s >= self._marks[-1].time_s + EVERY_S
            if is_next and packet.is_keyframe and (packet.pos or -1) >= 0:
                self._marks.append(IndexedKeyframe(time_s, packet.pos, packet.dts, clock))

    def before(self, time_s: float) -> IndexedKeyframe | None:
        """Returns the last indexed keyframe at or before a second, or None."""
        with self._lock:
            index = bisect_right(self._marks, time_s, key=lambda mark: mark.time_s)
            return self._marks[index - 1] if index else None


class KeyframeMoved(Exception):
    """The file no longer yields an indexed keyframe: it was replaced, or cannot be read from there."""


def resume(container: Any, stream: Any, mark: IndexedKeyframe) -> Iterator[Any]:
    """Returns an indexed packet and those after it; raises KeyframeMoved."""
    seeks: tuple[tuple[int | None, dict[str, Any]], ...] = (
        (mark.position, {"unsupported_byte_offset": True}),
        (mark.dts, {"stream": stream, "backward": True}),
    )
    for offset, how in seeks:
        packets = None if offset is None else _sought(container, stream, mark, offset, how)
        if packets is not None:
            return packets
    raise KeyframeMoved(f"{container.name} at {mark.time_s:.1f} s")


def _sought(
    container: Any, stream: Any, mark: IndexedKeyframe, offset: int, how: dict[str, Any]
) -> Iterator[Any] | None:
    """Returns the indexed packet and those after it, by one way of seeking; None if it is not found that way."""
    try:
        container.seek(offset, **how)
        packets = container.demux(stream)
        for packet in islice(packets, NEAR_PACKETS):
            if packet.size and (packet.pos, packet.dts) == (mark.position, mark.dts):
                return chain([packet], packets)
    except FFmpegError as error:
        log.debug("%s: no way back to %.1f s: %s", container.name, mark.time_s, error)
    return None


def copy_of(clock: FileClock) -> FileClock:
    """Returns an independent copy of a clock."""
    return copy.copy(clock)
