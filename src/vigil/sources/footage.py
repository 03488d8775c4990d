"""Writes clips and snapshots of a source at full size and full frame rate.

The model reads small frames, two per second. Clips and snapshots come from the source itself: from the file, or from
the ring buffer of a live source's last packets (`vigil.sources.ring_buffer`). H.264 is remuxed without decoding, so a
clip starts at the keyframe at or before the requested time; other codecs are re-encoded to H.264, which every browser
plays. Clips have no sound.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from vigil.errors import SourceError
from vigil.frames import RGB, encode_jpeg
from vigil.sources import container as containers
from vigil.sources.deinterlace import is_interlaced
from vigil.sources.file_timeline import FileTimeline
from vigil.sources.frame_converter import FrameConverter
from vigil.sources.keyframe_index import RESUMABLE, IndexedKeyframe, KeyframeIndex, KeyframeMoved, copy_of, resume
from vigil.sources.picture_sizes import keep_one_size
from vigil.sources.timestamps import FileClock
from vigil.sources.tone_mapping import is_high_range
from vigil.sources.video_tracks import main_video_stream
from vigil.sources.video_writer import EncodedPacket, VideoWriter, assign_timestamps, decode_packets, remux, whole_file

log = logging.getLogger(__name__)

SNAPSHOT_QUALITY = 90
NEAR_S = 5.0
"""The greatest distance of a snapshot from the requested time."""
LOOK_BACK_S = 60.0
"""If a file's index is wrong, the search restarts this much earlier, then at the beginning of the file."""
SEEKABLE = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
PLAYED = frozenset({"yuv420p", "yuvj420p"})


Retouch: TypeAlias = Callable[[RGB], RGB]
"""Paints over what nobody may see of an upright picture `(H, W, 3) uint8 RGB` at display size."""


class Footage(Protocol):
    """The source of an event's clip and snapshot; times are seconds of the source.

    With `retouch` each picture is decoded, painted over and encoded anew; packets are never copied.
    """

    def clip(self, path: Path, *, from_s: float, to_s: float, retouch: Retouch | None = None) -> float:
        """Writes an mp4 of these seconds, from the key picture at or before them; returns the second it begins at.

        Raises SourceError.
        """

    def snapshot(self, path: Path, *, at_s: float, retouch: Retouch | None = None) -> None:
        """Writes the picture nearest to a second as a JPEG of full size; raises SourceError."""


class FileFootage:
    """The footage of a video file; each call opens the file again."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._landmarks = KeyframeIndex()

    def clip(self, path: Path, *, from_s: float, to_s: float, retouch: Retouch | None = None) -> float:
        """Writes an mp4 of these seconds, from the key picture at or before them; returns the second it begins at.

        Raises SourceError.
        """
        check_span(from_s, to_s)
        with self._opened(from_s=from_s, to_s=to_s) as (stream, pieces):
            return write_clip(path, stream, pieces, from_s=from_s, where=str(self.path), retouch=retouch)

    def snapshot(self, path: Path, *, at_s: float, retouch: Retouch | None = None) -> None:
        """Writes the picture nearest to a second as a JPEG of full size; raises SourceError."""
        with self._opened(from_s=at_s, to_s=at_s + NEAR_S) as (stream, pieces):
            write_snapshot(path, stream, pieces, at_s=at_s, where=str(self.path), retouch=retouch)

    @contextmanager
    def _opened(self, *, from_s: float, to_s: float) -> Iterator[tuple[Any, list[EncodedPacket]]]:
        """Opens the file and provides its stream and the packets of these seconds."""
        with ExitStack() as stack:
            try:
                found = self._found(stack, from_s=from_s, to_s=to_s)
            except KeyframeMoved as error:
                log.debug("%s is read from its beginning: %s", self.path, error)
                self._landmarks = KeyframeIndex()
                found = self._found(stack, from_s=from_s, to_s=to_s)
            yield found

    def _found(self, stack: ExitStack, *, from_s: float, to_s: float) -> tuple[Any, list[EncodedPacket]]:
        container = stack.enter_context(containers.open_container(self.path))
        stream = main_video_stream(container, self.path)
        return stream, _pieces(container, stream, from_s=from_s, to_s=to_s, landmarks=self._landmarks)


def check_span(from_s: float, to_s: float) -> None:
    """Raises SourceError if the span is empty."""
    if not from_s < to_s:
        raise SourceError(f"a clip from {from_s:.2f} s to {to_s:.2f} s has no length")


def write_clip(
    path: Path,
    stream: Any,
    pieces: Sequence[EncodedPacket],
    *,
    from_s: float,
    where: str,
    retouch: Retouch | None = None,
) -> float:
    """Writes packets of `stream` as an mp4, remuxed if browsers play them, else re-encoded; raises SourceError.

    Returns the second of the source at which it begins.

    With `retouch` they are always re-encoded, because a copied packet holds what is to be painted over.
    """
    if not pieces:
        raise SourceError(f"{where} holds no pictures from {from_s:.2f} s on; no clip was written")
    frame_s = 1 / containers.frame_rate(stream)
    # An mp4 describes its frames once, in its header: players stop at a later change of size.
    copied = retouch is None and is_browser_playable(stream) and keep_one_size(stream, pieces)
    placed = assign_timestamps(pieces, frame_s=frame_s) if copied else None
    if placed is not None:
        try:
            remux(path, stream, placed, frame_s=frame_s)
        except SourceError as error:
            log.debug("%s: encoded anew, as its packets cannot be copied: %s", path, error)
        else:
            return min(piece.time_s for piece in pieces)
    return _encode(path, stream, pieces, from_s=from_s, retouch=retouch)


def is_browser_playable(stream: Any) -> bool:
    """Returns whether browsers play this stream as it is: progressive 8-bit 4:2:0 H.264, not HDR."""
    codec = stream.codec_context
    is_usual = codec.codec.canonical_name == "h264" and codec.pix_fmt in PLAYED
    return is_usual and not is_high_range(codec) and not is_interlaced(codec)


def _encode(
    path: Path, stream: Any, pieces: Sequence[EncodedPacket], *, from_s: float, retouch: Retouch | None
) -> float:
    """Re-encodes, starting exactly at `from_s`; returns the second of the first picture."""
    pictures = ((p, t) for p, t in _pictures(stream, pieces, retouch) if t >= from_s)
    first = next(pictures, None)
    if first is None:
        raise SourceError(f"{path}: no picture from {from_s:.2f} s on can be decoded; no clip was written")
    start_s = first[1]
    height, width = first[0].shape[:2]
    with VideoWriter(path, size_wh=(width, height), fps=containers.frame_rate(stream)) as movie:
        for picture, time_s in chain([first], pictures):
            movie.add(picture, time_s - start_s)
    return start_s


def write_snapshot(
    path: Path,
    stream: Any,
    pieces: Sequence[EncodedPacket],
    *,
    at_s: float,
    where: str,
    retouch: Retouch | None = None,
) -> None:
    """Writes the frame of `stream` nearest to `at_s` as a JPEG; raises SourceError if none is within `NEAR_S`."""
    best = nearest_frame(_pictures(stream, pieces), at_s)
    if best is None:
        raise SourceError(f"{where} has no picture within {NEAR_S:g} s of {at_s:.2f} s; no snapshot was written")
    write_jpeg(path, best if retouch is None else retouch(best))


def write_jpeg(path: Path, image: RGB) -> None:
    """Writes an image as a JPEG file atomically; raises SourceError."""
    with whole_file(path) as partial:
        partial.write_bytes(encode_jpeg(image, quality=SNAPSHOT_QUALITY))


def nearest_frame(pictures: Iterable[tuple[RGB, float]], at_s: float) -> RGB | None:
    """Returns the picture nearest to `at_s`, or None if none is within `NEAR_S`; stops reading after `at_s`."""
    best: tuple[RGB, float] | None = None
    for picture, time_s in pictures:
        if best is None or abs(time_s - at_s) <= abs(best[1] - at_s):
            best = (picture, time_s)
        if time_s >= at_s:
            break
    return best[0] if best is not None and abs(best[1] - at_s) <= NEAR_S else None


def _pictures(
    stream: Any, pieces: Sequence[EncodedPacket], retouch: Retouch | None = None
) -> Iterator[tuple[RGB, float]]:
    """Yields upright pictures at display size, with their times in seconds."""
    converter = FrameConverter(sampling=None, pixel_aspect=containers.sample_aspect_ratio(stream))
    frame_s = 1 / containers.frame_rate(stream)
    for frame, time_s in decode_packets(stream.codec_context, pieces, frame_s=frame_s):
        image = converter.convert(frame)
        yield image if retouch is None else retouch(image), time_s


def _pieces(
    container: Any, stream: Any, *, from_s: float, to_s: float, landmarks: KeyframeIndex
) -> list[EncodedPacket]:
    """Returns the packets from the keyframe at or before `from_s` up to `to_s`."""
    timeline = FileTimeline(container, stream)
    if not timeline.can_seek:
        return _gather(_by_clock(container, stream, timeline, landmarks, from_s=from_s), from_s=from_s, to_s=to_s)
    if container.format.name not in SEEKABLE:
        return _gather(_by_stamp(container, stream, timeline), from_s=from_s, to_s=to_s)
    for start_s in (from_s, from_s - LOOK_BACK_S, 0.0):
        container.seek(timeline.ticks(max(0.0, start_s)), stream=stream, backward=True)
        found = _gather(_by_stamp(container, stream, timeline), from_s=from_s, to_s=to_s)
        if found and (found[0].time_s <= from_s or start_s <= 0):
            break
    return found


def _gather(pieces: Iterable[EncodedPacket], *, from_s: float, to_s: float) -> list[EncodedPacket]:
    """Returns the packets from the last keyframe at or before `from_s` up to `to_s`; holds one earlier GOP at most."""
    kept: list[EncodedPacket] = []
    for piece in pieces:
        if piece.time_s > to_s and kept:
            break
        if piece.is_key and piece.time_s <= from_s:
            kept.clear()
        if kept or piece.is_key:
            kept.append(piece)
    return kept if kept and kept[0].time_s <= to_s else []


def _by_stamp(container: Any, stream: Any, timeline: FileTimeline) -> Iterator[EncodedPacket]:
    """Yields packets with times from the file's own timestamps."""
    for packet in read_packets(container, stream):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            yield encoded_packet(packet, timeline.seconds(stamp))


def _by_clock(
    container: Any, stream: Any, timeline: FileTimeline, landmarks: KeyframeIndex, *, from_s: float
) -> Iterator[EncodedPacket]:
    """Yields packets of a file whose timestamps may jump or be missing, timed as its frames are.

    Starts at the last indexed keyframe before `from_s`, or at the start of the file; raises KeyframeMoved.
    """
    mark = landmarks.before(from_s) if container.format.name in RESUMABLE else None
    began = FileClock(frame_s=1 / containers.frame_rate(stream), start_s=timeline.start_s)
    clock = began if mark is None else copy_of(mark.clock)
    for packet in read_packets(container, stream, mark):
        before = copy_of(clock) if packet.is_keyframe else clock
        placed_s = clock.place(None if packet.dts is None else packet.dts * timeline.tick_s)
        time_s = placed_s if placed_s is not None else clock.last_s or 0.0
        landmarks.note(packet, before, time_s)
        yield encoded_packet(packet, time_s)


def read_packets(container: Any, stream: Any, mark: IndexedKeyframe | None = None) -> Iterator[Any]:
    """Yields the readable packets of a stream, from an indexed keyframe if given; raises KeyframeMoved."""
    try:
        for packet in container.demux(stream) if mark is None else resume(container, stream, mark):
            if packet.size:
                yield packet
    except (IndexError, *containers.UNREADABLE) as error:
        log.debug("%s breaks off: %s", container.name, error)


def encoded_packet(packet: Any, time_s: float, *, setup: Any | None = None) -> EncodedPacket:
    """Copies the needed part of an `av.Packet`; `time_s` is its time in the source (`setup`: see `EncodedPacket`)."""
    tick_s = float(packet.time_base or 0)
    pts_s = None if packet.pts is None or not tick_s else packet.pts * tick_s
    return EncodedPacket(bytes(packet), time_s, pts_s, bool(packet.is_keyframe), setup)
