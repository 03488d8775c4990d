"""Writing videos that every player and browser shows: H.264 in mp4, whole or not at all.

    with Movie(path, size_wh=(640, 360)) as movie:
        movie.add(image, time_s=0.0)

Compressed packets that are H.264 already are written as they are (`remux`), which costs next to nothing.
A file is written under another name and renamed at its end, so that nobody ever meets half of one.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import av
from av.video.reformatter import VideoReformatter

from vigil.errors import SourceError
from vigil.file_names import beside
from vigil.frames import RGB
from vigil.sources.container import UNREADABLE, ffmpeg_message
from vigil.sources.picture import FULL, ITU709, LIMITED, ONE_THREAD
from vigil.sources.stamps import EncodedPacket, TimedPacket, arrival_times, assign_timestamps

TICK = Fraction(1, 90_000)
FRONT_INDEX = {"movflags": "+faststart"}
MIN_SIDE_PX = 16

P = TypeVar("P", EncodedPacket, TimedPacket)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write to that becomes `path` at the end; raises SourceError where that fails."""
    partial = beside(path, ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
        raise SourceError(f"{path} cannot be written: {ffmpeg_message(error)}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remux(path: Path, template: Any, pieces: Iterable[TimedPacket], *, frame_s: float) -> None:
    """Writes packets as they are; `template` is a stream of the same kind. Raises SourceError."""
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
    # Without a length of its own the last picture is lost to players.
    packet.duration = round(frame_s / TICK)
    packet.is_keyframe = piece.is_key
    return packet


def decode_packets(codec: Any, pieces: Sequence[EncodedPacket], *, frame_s: float) -> Iterator[tuple[Any, float]]:
    """The pictures of a run of packets as `av.VideoFrame`s, each with its second of the source."""
    placed = assign_timestamps(pieces, frame_s=frame_s)
    if placed is None:
        # Without stamps the order in which a decoder gives its pictures is the only one to go by.
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
    """Each piece as an `av.Packet`, which tells the decoder where the stream is described anew."""
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
    """An H.264 file that pictures are added to, each at its own time; used as a context manager.

    `size_wh` is made even; pictures of another size are scaled to it. `crf` is x264's quality (18 is
    hardly told from the original, 28 is small), `fps` only a hint for players. An exception inside the
    `with` leaves no file. Raises SourceError where the file cannot be written.
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
        """Adds an `(H, W, 3) uint8 RGB` picture; one that is not later than the last is left out."""
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
        # Closing a file that could not be written may fail once more; that has been told already.
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()


def _container(path: Path) -> Any:
    return av.open(f"file:{path}", "w", format="mp4", container_options=FRONT_INDEX)
