"""Writes videos that every player and browser can show: H.264 in mp4, completely or not at all.

    with VideoWriter(path, size_wh=(640, 360)) as video:
        video.add(image, time_s=0.0)

Packets that are already H.264 are written without re-encoding (`remux`), which costs next to nothing. Files are written
under a temporary name and renamed at the end, so incomplete files are never visible.

`assign_timestamps` repairs the timestamps of packets before a clip is written. A camera's timestamps have the exact
spacing but may be missing, repeat, jump or run at the wrong speed, so they are used only if they agree with the times
that the source gave its packets.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self, TypeVar

import av
from av.video.reformatter import VideoReformatter

from vigil.errors import SourceError
from vigil.files import atomic_path
from vigil.frames import RGB
from vigil.sources.container import UNREADABLE, ffmpeg_message
from vigil.sources.frame_converter import FULL, ITU709, LIMITED, ONE_THREAD

STRAY_S = 5.0
"""Timestamps further than this from the times that the source gave its packets come from a broken clock."""
LOOSE_S = 0.5
LOOSE_SHARE = 0.2
"""If more than this share of timestamps is `LOOSE_S` off, the clock runs at a wrong speed."""


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One compressed frame: when it arrived or is shown, in seconds of the source, and its own timestamp in seconds.

    `setup` is FFmpeg's new description of the stream (packet side data), if it changed since the stream was opened.
    """

    data: bytes
    time_s: float
    pts_s: float | None
    is_key: bool
    setup: Any | None = None


@dataclass(frozen=True, slots=True)
class TimedPacket:
    """A packet with reliable timestamps in seconds of the source; `dts_s` only increases."""

    data: bytes
    pts_s: float
    dts_s: float
    is_key: bool
    setup: Any | None = None


def assign_timestamps(pieces: Sequence[EncodedPacket], *, frame_s: float) -> list[TimedPacket] | None:
    """Gives packets in decoding order reliable timestamps; returns None if their own cannot be trusted.

    Decoding times follow from presentation times: the same times in order, shifted early enough for all.
    """
    shown_s = _shown_s(pieces, frame_s=frame_s)
    if shown_s is None:
        return None
    in_order = sorted(shown_s)
    early_s = max((due - shown for due, shown in zip(in_order, shown_s, strict=True)), default=0.0)
    return [
        TimedPacket(piece.data, shown, due - early_s, piece.is_key, piece.setup)
        for piece, shown, due in zip(pieces, shown_s, in_order, strict=True)
    ]


def _shown_s(pieces: Sequence[EncodedPacket], *, frame_s: float) -> list[float] | None:
    """Returns the presentation time of each frame, all distinct; None if timestamps are missing, jump or run wrong."""
    stamps = _without_repeats(piece.pts_s for piece in pieces)
    present = [stamp for stamp in stamps if stamp is not None]
    reordered = any(later < earlier for earlier, later in pairwise(present))
    holes = len(stamps) - len(present)
    if not present or (holes and reordered) or 2 * holes > len(stamps):
        return None
    filled = _filled(stamps, frame_s=frame_s)
    offsets = [piece.time_s - stamp for piece, stamp in zip(pieces, filled, strict=True)]
    shift_s = median(offsets)
    strays = [abs(offset - shift_s) for offset in offsets]
    loose = sum(stray > LOOSE_S for stray in strays)
    if max(strays) > STRAY_S or loose > LOOSE_SHARE * len(strays):
        return None
    return [stamp + shift_s for stamp in filled]


def _without_repeats(stamps: Iterable[float | None]) -> list[float | None]:
    """Replaces repeated timestamps with None."""
    seen: set[float] = set()
    kept: list[float | None] = []
    for stamp in stamps:
        kept.append(None if stamp is None or stamp in seen else stamp)
        seen.update(() if stamp is None else (stamp,))
    return kept


def _filled(stamps: Sequence[float | None], *, frame_s: float) -> list[float]:
    """Fills gaps: a frame without a timestamp follows the previous one after an eighth of the usual interval."""
    first, stamp_s = next((number, stamp) for number, stamp in enumerate(stamps) if stamp is not None)
    filled = [stamp_s - (first - number) * frame_s for number in range(first)]
    for stamp in stamps[first:]:
        filled.append(filled[-1] + frame_s / 8 if stamp is None else stamp)
    return filled


def arrival_times(pieces: Sequence[EncodedPacket], frame_s: float) -> Iterator[float]:
    """Yields strictly increasing arrival times."""
    last_s = None
    for time_s in sorted(piece.time_s for piece in pieces):
        last_s = time_s if last_s is None or time_s > last_s else last_s + frame_s / 8
        yield last_s


TICK = Fraction(1, 90_000)
FRONT_INDEX = {"movflags": "+faststart"}
MIN_SIDE_PX = 16

P = TypeVar("P", EncodedPacket, TimedPacket)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path that is renamed to `path` at the end; raises SourceError if that fails."""
    try:
        with atomic_path(path) as partial:
            yield partial
    except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
        raise SourceError(f"{path} cannot be written: {ffmpeg_message(error)}") from error


def remux(path: Path, template: Any, pieces: Iterable[TimedPacket], *, frame_s: float) -> None:
    """Writes packets without re-encoding; `template` is a stream of the same kind. Raises SourceError."""
    with whole_file(path) as partial, _container(partial) as container:
        stream = container.add_stream_from_template(template)
        first_s = None
        for piece in pieces:
            first_s = piece.pts_s if first_s is None else first_s
            packet = _packet(piece, first_s=first_s, frame_s=frame_s)
            packet.stream = stream
            container.mux(packet)
        if first_s is None:
            raise ValueError("there is no picture in it")


def _packet(piece: TimedPacket, *, first_s: float, frame_s: float) -> Any:
    packet = av.Packet(piece.data)
    packet.time_base = TICK
    packet.dts = round((piece.dts_s - first_s) / TICK)
    packet.pts = round((piece.pts_s - first_s) / TICK)
    # Without a duration, players do not show the last frame.
    packet.duration = round(frame_s / TICK)
    packet.is_keyframe = piece.is_key
    return packet


def decode_packets(codec: Any, pieces: Sequence[EncodedPacket], *, frame_s: float) -> Iterator[tuple[Any, float]]:
    """Yields the frames of a run of packets as `av.VideoFrame`s, each with its time in seconds of the source."""
    placed = assign_timestamps(pieces, frame_s=frame_s)
    if placed is None:
        # Without timestamps only the decoder's output order is known.
        yield from zip(_decode(codec, pieces), arrival_times(pieces, frame_s), strict=False)
        return
    for frame in _decode_placed(codec, placed):
        yield frame, float(frame.pts * TICK)


def _decode_placed(codec: Any, pieces: Iterable[TimedPacket]) -> Iterator[Any]:
    for piece, packet in _set_up(pieces):
        packet.time_base = TICK
        packet.pts, packet.dts = round(piece.pts_s / TICK), round(piece.dts_s / TICK)
        yield from _decoded(codec, packet)
    yield from _decoded(codec, None)


def _decode(codec: Any, pieces: Iterable[EncodedPacket]) -> Iterator[Any]:
    for _, packet in _set_up(pieces):
        yield from _decoded(codec, packet)
    yield from _decoded(codec, None)


def _set_up(pieces: Iterable[P]) -> Iterator[tuple[P, Any]]:
    """Yields each packet with an `av.Packet` that passes on a new description of the stream."""
    setup = None
    for piece in pieces:
        packet = av.Packet(piece.data)
        if piece.setup is not setup:
            setup = piece.setup
            packet.set_sidedata(setup)
        yield piece, packet


def _decoded(codec: Any, packet: Any | None) -> list[Any]:
    try:
        frames: list[Any] = codec.decode(packet)
    except UNREADABLE:
        return []
    return frames


class VideoWriter:
    """Writes an H.264 file, each frame at its own time; used as a context manager.

    `size_wh` is rounded down to even numbers; images of another size are scaled to it. `crf` is x264's quality (18 is
    visually lossless, 28 is small), `fps` only a hint for players. An exception inside the `with` leaves no file.
    Raises SourceError if the file cannot be written.
    """

    def __init__(
        self, path: Path, *, size_wh: tuple[int, int], fps: float = 25.0, crf: int = 23, threads: int = 1
    ) -> None:
        self.size_wh = (max(MIN_SIDE_PX, size_wh[0] // 2 * 2), max(MIN_SIDE_PX, size_wh[1] // 2 * 2))
        self.pictures = 0
        self._path = path
        self._file = whole_file(path)
        self._fps = Fraction(fps).limit_denominator(1001)
        self._options = {"crf": str(crf), "preset": "veryfast", "threads": str(threads)}
        self._scaler = VideoReformatter()
        self._last_tick = -1

    def __enter__(self) -> Self:
        partial = self._file.__enter__()
        try:
            self._container = _container(partial)
            self._stream = self._add_stream()
        except BaseException as error:
            self._file.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except (av.FFmpegError, OSError, ValueError) as late:
            self._file.__exit__(type(late), late, late.__traceback__)
        else:
            self._file.__exit__(kind, error, trace)
        finally:
            self._close()

    def _add_stream(self) -> Any:
        stream = self._container.add_stream("libx264", rate=self._fps)
        stream.width, stream.height = self.size_wh
        stream.pix_fmt = "yuv420p"
        stream.options = self._options
        codec = stream.codec_context
        codec.time_base = TICK
        codec.colorspace = codec.color_primaries = codec.color_trc = ITU709
        codec.color_range = LIMITED
        return stream

    def add(self, image: RGB, time_s: float) -> None:
        """Adds an `(H, W, 3) uint8 RGB` image; it is skipped if it is not later than the last one."""
        self.add_frame(av.VideoFrame.from_ndarray(image, format="rgb24"), time_s)

    def add_frame(self, frame: Any, time_s: float) -> None:
        """Adds an `av.VideoFrame` of any format."""
        try:
            self._add(frame, time_s)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"{self._path} cannot be written: {ffmpeg_message(error)}") from error

    def _add(self, frame: Any, time_s: float) -> None:
        tick = max(0, round(time_s / TICK))
        if tick <= self._last_tick:
            return
        self._last_tick = tick
        ready = self._scaler.reformat(
            frame,
            width=self.size_wh[0],
            height=self.size_wh[1],
            format="yuv420p",
            src_color_range=FULL if frame.format.name.startswith(("rgb", "yuvj")) else None,
            dst_colorspace=ITU709,
            dst_color_range=LIMITED,
            **ONE_THREAD,
        )
        ready.pts, ready.time_base = tick, TICK
        ready.pict_type = 0
        self._container.mux(self._stream.encode(ready))
        self.pictures += 1

    def _finish(self) -> None:
        if not self.pictures:
            raise ValueError("there is no picture in it")
        self._container.mux(self._stream.encode())
        self._container.close()

    def _close(self) -> None:
        # Closing a file that could not be written may fail again; the error was already reported.
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()


def _container(path: Path) -> Any:
    return av.open(f"file:{path}", "w", format="mp4", container_options=FRONT_INDEX)
