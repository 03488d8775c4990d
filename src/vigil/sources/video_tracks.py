"""Selects the main video track of a file: not a one-frame preview, not the smaller of two cameras."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av.stream import Disposition

from vigil.sources import container as containers

LOOK_PACKETS = 4000
LOOK_BYTES = 64 * 2**20
"""How far into a file to look for the second frame of a track."""

BESIDE_THE_FILM = Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """An `av` video stream, ready to decode: number `number`, counted from 1, of `count` tracks with frames."""

    stream: Any
    number: int
    count: int

    @property
    def note(self) -> str:
        """A note about the selection for the user; empty if there was only one track."""
        if self.count == 1:
            return ""
        codec = self.stream.codec_context
        what = f"{codec.codec.canonical_name}, {codec.width}x{codec.height}"
        return f"it holds several tracks of pictures ({self.count}); number {self.number} is read ({what})"


def main_video_track(container: Any, path: Path, *, fast: bool = False) -> VideoTrack:
    """Returns the track that a player shows; raises SourceError if there is none.

    Tracks with more than one frame come first, then the file's default, then the largest area.
    """
    streams = containers.moving_streams(container, path)
    best = streams[0]
    if len(streams) > 1:
        counts = _pictures(path, [stream.index for stream in streams])
        best = max(streams, key=lambda stream: _worth(stream, counts[stream.index]))
    return VideoTrack(containers.prepared(best, fast=fast), 1 + streams.index(best), len(streams))


def main_video_stream(container: Any, path: Path) -> Any:
    """Returns the `av` stream of `main_video_track`; raises SourceError."""
    return main_video_track(container, path).stream


def _worth(stream: Any, pictures: int) -> tuple[int, bool, bool, int]:
    area = int(stream.codec_context.width) * int(stream.codec_context.height)
    beside, default = stream.disposition & BESIDE_THE_FILM, stream.disposition & Disposition.default
    return min(pictures, 2), not beside, bool(default), area


def _pictures(path: Path, indices: list[int]) -> Counter[int]:
    """Counts the frames of each track, where two stand for any more; opens the file a second time."""
    counts: Counter[int] = Counter()
    read_bytes = 0
    with containers.open_container(path) as container:
        for number, packet in enumerate(_packets(container, indices)):
            counts[packet.stream_index] += packet.size > 0
            read_bytes += packet.size
            if all(counts[index] > 1 for index in indices) or number > LOOK_PACKETS or read_bytes > LOOK_BYTES:
                break
    return counts


def _packets(container: Any, indices: list[int]) -> Any:
    try:
        yield from container.demux([stream for stream in container.streams if stream.index in indices])
    except (IndexError, *containers.UNREADABLE):
        return
