"""Ring buffers of a live source's last seconds, from which event clips are cut afterwards.

`PacketRingBuffer` holds the compressed packets of a stream: half a megabyte a second, without decoding. The stream's
description (codec, size, parameter sets) is kept as the header of a NUT file, so a clip can be written after the
connection is gone. `JpegRingBuffer` is for sources without packets, such as webcams.
"""

import io
import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import av

from vigil.errors import SourceError
from vigil.frames import RGB, decode_jpeg, encode_jpeg
from vigil.sources import container as containers
from vigil.sources.footage import NEAR_S, Retouch, check_span, encoded_packet, write_clip, write_jpeg, write_snapshot
from vigil.sources.video_writer import EncodedPacket, VideoWriter

log = logging.getLogger(__name__)

KEEP_S = 60.0
MAX_BYTES = 64 * 2**20
RAW_FORMATS = {"h264": "h264", "hevc": "hevc", "mpeg2video": "mpegvideo", "mpeg4": "m4v"}
"""FFmpeg's raw bitstream formats, by codec."""
PICTURE_QUALITY = 90
NEW_EXTRADATA = "new_extradata"


@dataclass(slots=True)
class PacketRun:
    """The packets of one connection, from a keyframe on; `head` is a file that describes their stream.

    `setup` is the stream's new description if it changed since (see `EncodedPacket`).
    """

    stream: Any
    head: bytes = b""
    setup: Any | None = None
    pieces: deque[EncodedPacket] = field(default_factory=deque)
    buffered_bytes: int = 0

    def covers_s(self, from_s: float, to_s: float) -> float:
        """Returns how many of these seconds the run covers; below 0 if none."""
        return min(to_s, self.pieces[-1].time_s) - max(from_s, self.pieces[0].time_s) if self.pieces else -1.0

    def note_setup(self, packet: Any) -> None:
        """Records a new description of the stream, as FLV sends when a camera changes its size."""
        if packet.has_sidedata(NEW_EXTRADATA):
            setup = packet.get_sidedata(NEW_EXTRADATA)
            current = self.stream.codec_context.extradata if self.setup is None else self.setup
            self.setup = self.setup if current is not None and bytes(setup) == bytes(current) else setup

    def drop_group(self) -> None:
        """Evicts the oldest GOP."""
        self._drop()
        while self.pieces and not self.pieces[0].is_key:
            self._drop()

    def _drop(self) -> None:
        self.buffered_bytes -= len(self.pieces.popleft().data)

    def second_key_s(self) -> float | None:
        """Returns the time of the second keyframe; None if there is only one."""
        keys = (piece.time_s for number, piece in enumerate(self.pieces) if number and piece.is_key)
        return next(keys, None)


class PacketRingBuffer:
    """The last `keep_s` seconds of a stream's packets, at most `max_bytes`.

    One thread writes (`connected`, `add`, `disconnected`), others read clips. Packets from before a reconnection are a
    run of their own. Runs may differ in size and codec, so a clip is cut from the single run that covers most of it.
    """

    def __init__(self, keep_s: float = KEEP_S, max_bytes: int = MAX_BYTES, *, name: str = "the stream") -> None:
        self.keep_s = keep_s
        self.max_bytes = max_bytes
        self.name = name
        self._runs: deque[PacketRun] = deque()
        self._lock = threading.Lock()
        self._open = False

    def connected(self, stream: Any) -> None:
        """Starts a run; `stream` is the `av` video stream and must stay open until `disconnected`."""
        with self._lock:
            self._begin(stream)

    def disconnected(self) -> None:
        """Ends the run; its packets stay."""
        with self._lock:
            self._end()

    def add(self, packet: Any, time_s: float) -> None:
        """Adds an `av.Packet` that arrived at `time_s` (seconds of the source); cheap, never raises."""
        with self._lock:
            if not self._open or not packet.size:
                return
            run = self._runs[-1]
            run.note_setup(packet)
            if not run.pieces and not packet.is_keyframe:
                return
            if not run.head:
                run.head = _head(run.stream, packet)
            piece = encoded_packet(packet, time_s, setup=run.setup)
            run.pieces.append(piece)
            run.buffered_bytes += len(piece.data)
            self._trim(time_s)

    @property
    def buffered_bytes(self) -> int:
        """The size of all buffered packets."""
        with self._lock:
            return sum(run.buffered_bytes for run in self._runs)

    @property
    def span_s(self) -> tuple[float, float] | None:
        """The first and last second that are buffered; None if there are none."""
        with self._lock:
            kept = [run for run in self._runs if run.pieces]
            return (kept[0].pieces[0].time_s, kept[-1].pieces[-1].time_s) if kept else None

    def clip(self, path: Path, *, from_s: float, to_s: float, retouch: Retouch | None = None) -> float:
        """Writes an mp4 of these seconds, from the keyframe at or before `from_s`; returns the second it begins at.

        Raises SourceError.
        """
        check_span(from_s, to_s)
        head, pieces = self._cut(from_s, to_s)
        with _template(head, self.name) as stream:
            return write_clip(path, stream, pieces, from_s=from_s, where=self.name, retouch=retouch)

    def snapshot(self, path: Path, *, at_s: float, retouch: Retouch | None = None) -> None:
        """Writes the frame nearest to a second as a full-size JPEG; raises SourceError."""
        head, pieces = self._cut(at_s - NEAR_S, at_s + NEAR_S, entry_s=at_s)
        with _template(head, self.name) as stream:
            write_snapshot(path, stream, pieces, at_s=at_s, where=self.name, retouch=retouch)

    def _begin(self, stream: Any) -> None:
        self._end()
        self._runs.append(PacketRun(stream))
        self._open = True

    def _end(self) -> None:
        self._open = False
        if self._runs:
            self._runs[-1].stream = None
        while self._runs and not self._runs[-1].pieces:
            self._runs.pop()

    def _trim(self, now_s: float) -> None:
        oldest = self._runs[0]
        second_s = oldest.second_key_s() if now_s - oldest.pieces[0].time_s > self.keep_s else None
        if second_s is not None and now_s - second_s >= self.keep_s:
            oldest.drop_group()
        elif len(self._runs) > 1 and now_s - oldest.pieces[-1].time_s > self.keep_s:
            self._runs.popleft()
        while sum(run.buffered_bytes for run in self._runs) > self.max_bytes:
            self._shed()

    def _shed(self) -> None:
        """Evicts the oldest GOP, even if it is still incomplete and alone exceeds the limit."""
        self._runs[0].drop_group()
        if not self._runs[0].pieces and len(self._runs) > 1:
            self._runs.popleft()

    def _cut(self, from_s: float, to_s: float, *, entry_s: float | None = None) -> tuple[bytes, list[EncodedPacket]]:
        entry_s = from_s if entry_s is None else entry_s
        with self._lock:
            run = max(self._runs, key=lambda run: run.covers_s(from_s, to_s), default=None)
            if run is None or run.covers_s(from_s, to_s) < 0:
                raise SourceError(
                    f"{self.name}: nothing is kept of {from_s:.1f} to {to_s:.1f} s (the last {self.keep_s:g} s are)"
                )
            head, pieces = run.head, list(run.pieces)
        return head, _from_key(pieces, entry_s, to_s)


def _from_key(pieces: Sequence[EncodedPacket], from_s: float, to_s: float) -> list[EncodedPacket]:
    keys = [number for number, piece in enumerate(pieces) if piece.is_key and piece.time_s <= from_s]
    first = keys[-1] if keys else 0
    # Frames after the first one past `to_s` may refer to it, so the clip ends there.
    return list(takewhile(lambda piece: piece.time_s <= to_s, pieces[first:]))


def _head(stream: Any, packet: Any) -> bytes:
    """Returns a NUT file of one packet: all that a decoder or an mp4 needs to know of a stream after it is closed."""
    file = io.BytesIO()
    try:
        with _described(stream, packet) as template, av.open(file, "w", format="nut") as container:
            first = av.Packet(bytes(packet))
            first.stream = container.add_stream_from_template(template)
            first.time_base, first.pts, first.dts, first.is_keyframe = stream.time_base, 0, 0, True
            container.mux(first)
    except containers.UNREADABLE as error:
        log.debug("a stream cannot be described: %s", error)
        return b""
    return file.getvalue()


@contextmanager
def _described(stream: Any, packet: Any) -> Iterator[Any]:
    """Yields the stream, or a description read from its keyframe.

    A connection that starts between two keyframes has no frame size when it is opened.
    """
    codec = stream.codec_context.codec.canonical_name
    if codec not in RAW_FORMATS or stream.codec_context.width:
        yield stream
        return
    with av.open(io.BytesIO(bytes(packet)), format=RAW_FORMATS[codec], **containers.FIRST_LOOK) as container:
        yield container.streams.video[0]


@contextmanager
def _template(head: bytes, name: str) -> Iterator[Any]:
    try:
        container = av.open(io.BytesIO(head), format="nut")
    except containers.UNREADABLE as error:
        raise SourceError(f"{name}: what was kept of its stream cannot be read back") from error
    with container:
        yield containers.pick_stream(container, Path(name))


@dataclass(frozen=True, slots=True)
class _Still:
    jpeg: bytes
    time_s: float


def _shown(still: _Still, retouch: Retouch | None) -> RGB:
    image = decode_jpeg(still.jpeg)
    return image if retouch is None else retouch(image)


class JpegRingBuffer:
    """The last `keep_s` seconds of a source's frames as JPEGs, at most `max_bytes`."""

    def __init__(self, keep_s: float = KEEP_S, max_bytes: int = MAX_BYTES, *, name: str = "the camera") -> None:
        self.keep_s = keep_s
        self.max_bytes = max_bytes
        self.name = name
        self._stills: deque[_Still] = deque()
        self._buffered_bytes = 0
        self._lock = threading.Lock()

    def add(self, image: RGB, time_s: float) -> None:
        """Adds an `(H, W, 3) uint8 RGB` image that arrived at `time_s` (seconds of the source)."""
        still = _Still(encode_jpeg(image, quality=PICTURE_QUALITY), time_s)
        with self._lock:
            self._stills.append(still)
            self._buffered_bytes += len(still.jpeg)
            while len(self._stills) > 1 and (
                time_s - self._stills[0].time_s > self.keep_s or self._buffered_bytes > self.max_bytes
            ):
                self._buffered_bytes -= len(self._stills.popleft().jpeg)

    @property
    def buffered_bytes(self) -> int:
        """The size of all buffered images."""
        with self._lock:
            return self._buffered_bytes

    def clip(self, path: Path, *, from_s: float, to_s: float, retouch: Retouch | None = None) -> float:
        """Writes an mp4 of these seconds, each frame at its own time; returns the second it begins at.

        Raises SourceError.
        """
        check_span(from_s, to_s)
        pictures = self._pictures(from_s, to_s)
        height, width = decode_jpeg(pictures[0].jpeg).shape[:2]
        with VideoWriter(path, size_wh=(width, height)) as movie:
            for still in pictures:
                movie.add(_shown(still, retouch), still.time_s - pictures[0].time_s)
        return pictures[0].time_s

    def snapshot(self, path: Path, *, at_s: float, retouch: Retouch | None = None) -> None:
        """Writes the frame nearest to a second as a JPEG; raises SourceError."""
        stills = self._pictures(at_s - NEAR_S, at_s + NEAR_S)
        best = min(stills, key=lambda still: abs(still.time_s - at_s))
        write_jpeg(path, _shown(best, retouch))

    def _pictures(self, from_s: float, to_s: float) -> list[_Still]:
        with self._lock:
            found = [still for still in self._stills if from_s <= still.time_s <= to_s]
        if not found:
            raise SourceError(
                f"{self.name}: nothing is kept of {from_s:.1f} to {to_s:.1f} s (the last {self.keep_s:g} s are)"
            )
        return found
