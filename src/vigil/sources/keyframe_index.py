"""Landmarks: where in a file key pictures begin that were read before, so that the next clip need not start over.

A recording whose clock may leap (MPEG-TS, AVI and others) is placed by reading it from its beginning. What was read
once leaves a landmark every few seconds: the place in the file and the clock as it stood there. A landmark is only
used where the file gives the same packet at it again.
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
"""Formats that were seen to give the same packets behind a landmark as from the beginning."""

EVERY_S = 5.0
NEAR_PACKETS = 50
"""So many packets may come before the one that was meant, as a demuxer finds its place again."""


@dataclass(frozen=True, slots=True)
class IndexedKeyframe:
    """A key picture: its second, its place in the file and its stamp there, and the clock before it was placed."""

    time_s: float
    position: int
    dts: int | None
    clock: FileClock


class KeyframeIndex:
    """The landmarks of one stream of a file; may be used from several threads."""

    def __init__(self) -> None:
        self._marks: list[IndexedKeyframe] = []
        self._lock = threading.Lock()

    def note(self, packet: Any, clock: FileClock, time_s: float) -> None:
        """Remembers a packet that lies some seconds behind the last landmark; `clock` is as it was before it."""
        with self._lock:
            is_next = not self._marks or time_s >= self._marks[-1].time_s + EVERY_S
            if is_next and packet.is_keyframe and (packet.pos or -1) >= 0:
                self._marks.append(IndexedKeyframe(time_s, packet.pos, packet.dts, clock))

    def before(self, time_s: float) -> IndexedKeyframe | None:
        """The last one at or before a second."""
        with self._lock:
            index = bisect_right(self._marks, time_s, key=lambda mark: mark.time_s)
            return self._marks[index - 1] if index else None


class KeyframeMoved(Exception):
    """The file does not lead to a landmark any more: it is another one by now, or cannot be read from there."""


def resume(container: Any, stream: Any, mark: IndexedKeyframe) -> Iterator[Any]:
    """The packet of a landmark and those behind it; raises KeyframeMoved."""
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
    """The packet of a landmark and those behind it by one way of seeking; None where that does not lead there."""
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
    """A clock that goes on by itself."""
    return copy.copy(clock)
