"""Reads video files as sampled frames, in constant memory, and reports any damage.

    with open_video(path, sampling) as video:
        for frame in video.frames():
            ...
        print(video.problems)

PyAV decodes in one thread: to use more cores, read several files in several threads. A damaged file yields every frame
that can still be decoded, and a `DecodeReport` counts what was lost; only a file without any frame is an error.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from vigil.errors import SourceError, UsageError
from vigil.frames import Frame, FrameSampling
from vigil.sources import container as containers
from vigil.sources.file_timeline import FileTimeline
from vigil.sources.frame_converter import FrameConverter
from vigil.sources.gop import GopDecoder, split_gops
from vigil.sources.preview import PreviewEncoder
from vigil.sources.timestamps import FrameSampler
from vigil.sources.video_tracks import main_video_track

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeReport:
    """The damage that a reader worked around, counted; `problems` describes it.

    `ended_by` is the error that ended the file early. `missing_s` is how much longer the header says the file is.
    """

    bad_packets: int = 0
    damaged_pictures: int = 0
    spliced_jumps: int = 0
    repeated_stamps: int = 0
    missing_stamps: int = 0
    size_changes: int = 0
    missing_s: float = 0.0
    ended_by: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each kind of damage; empty for an intact file."""
        findings = (
            (self.ended_by, f"it breaks off early ({self.ended_by}); what comes before was read"),
            (self.missing_s, f"the last {self.missing_s:.1f} s that its header promises are not there"),
            (self.bad_packets, f"packets that could not be decoded: {self.bad_packets}"),
            (self.damaged_pictures, f"pictures that show damage: {self.damaged_pictures}"),
            (self.spliced_jumps, f"jumps of its clock, spliced: {self.spliced_jumps}"),
            (self.repeated_stamps, f"frames left out because they repeat a time: {self.repeated_stamps}"),
            (self.missing_stamps, f"frames without a time, placed by the frame rate: {self.missing_stamps}"),
            (self.size_changes, f"changes of its picture size: {self.size_changes}"),
        )
        return tuple(sentence for found, sentence in findings if found)

    def __bool__(self) -> bool:
        return bool(self.problems)


ReaderName = Literal["pyav", "decord"]

SLACK_S = 1.0
"""Audio often lasts a little longer than video; only a longer difference is reported."""


def read_frames(
    path: Path, sampling: FrameSampling, *, reader: ReaderName = "pyav", fast: bool = False
) -> Iterator[Frame]:
    """Yields the frames of a video file, sampled at `sampling.fps` and resized by `FrameSampling.fit`.

    The first frame at or after each instant `k / fps` is kept (see `FrameSampler`). Damage is logged as warnings.
    `fast` is for watching: see `open_video`. Raises SourceError if no frame can be decoded.
    """
    if fast and reader != "pyav":
        raise UsageError(f"only the reader pyav can read fast; leave out the reader {reader}")
    if reader == "decord":
        from vigil.sources import decord_reader

        yield from decord_reader.read_frames_decord(path, sampling)
        return
    if reader != "pyav":
        raise UsageError(f"no reader {reader!r}; there are pyav and decord")
    with open_video(path, sampling, fast=fast) as video:
        yield from video.frames()
        for remark in (*video.problems, *video.notes):
            log.warning("%s: %s", path, remark)


def open_video(path: Path, sampling: FrameSampling, *, fast: bool = False, start_s: float = 0.0) -> "VideoFile":
    """Opens a video file; raises SourceError if it cannot be read.

    `fast` skips unreferenced frames, so that with B-frames a sampled frame may be one or two later than the exact one,
    and the loop filter (half a grey level on average). It is meant for watching, not for datasets or scores.
    `start_s` starts in the middle; times still count from the beginning of the file.
    """
    return VideoFile(Path(path), sampling, fast=fast, start_s=start_s)


class VideoFile:
    """One open video file: its properties, its frames (readable once) and its damage.

    `duration_s` is the length according to the header (None if it gives none), `source_fps` the frame rate, `size_wh`
    the `(width, height)` as stored, `codec` the codec's name.
    """

    def __init__(self, path: Path, sampling: FrameSampling, *, fast: bool = False, start_s: float = 0.0) -> None:
        self.path = path
        self.sampling = sampling
        self._from_s = start_s
        self._fast = fast
        self._container = containers.open_container(path)
        try:
            track = main_video_track(self._container, path, fast=fast)
            self._stream = track.stream
            self._track_note = track.note
            self._describe()
            self._go_to_start()
        except BaseException:
            self._container.close()
            raise
        self._started = False
        self._finished = False
        self._ended_by = ""
        self._damaged_pictures = 0
        self._kept = 0
        self._reached: int | None = None
        self._audio_s = 0.0

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _describe(self) -> None:
        stream = self._stream
        self._is_raw = containers.is_raw(self._container)
        self._is_rate_guessed = self._is_raw and containers.declared_rate(stream) is None
        self.source_fps = containers.frame_rate(stream)
        self.size_wh = (int(stream.codec_context.width), int(stream.codec_context.height))
        self.codec = str(stream.codec_context.codec.canonical_name)
        self.duration_s = containers.duration_from_header(self._container, stream)
        self._others = self._vouching_streams()
        self._timeline = FileTimeline(self._container, stream, from_s=self._from_s)
        self._sampler = FrameSampler(self.sampling.fps, from_s=self._from_s, origin_s=0.0)
        self._converter = FrameConverter(sampling=self.sampling, pixel_aspect=containers.sample_aspect_ratio(stream))
        self._decoder = GopDecoder(
            stream.codec_context,
            tick_s=self._timeline.tick_s,
            clock=self._timeline.clock,
            sampler=self._sampler,
            fast=self._fast,
        )

    def _vouching_streams(self) -> list[Any]:
        """Returns the audio streams if the header gives only the length of the whole file, which they may determine."""
        own_s = containers.own_length_s(self._container, self._stream)
        return list(self._container.streams.audio) if own_s is None else []

    def _go_to_start(self) -> None:
        """Seeks to the last keyframe before `start_s`; if seeking fails, earlier frames are read and skipped."""
        if not self._from_s or not self._timeline.can_seek:
            return
        try:
            self._container.seek(self._timeline.ticks(self._from_s), stream=self._stream)
        except containers.UNREADABLE as error:
            log.info("%s: no way to second %.1f but from the beginning: %s", self.path, self._from_s, error)

    @property
    def damage(self) -> DecodeReport:
        """The damage found so far; complete once the frames are exhausted."""
        return DecodeReport(
            bad_packets=self._decoder.bad_packets,
            damaged_pictures=self._damaged_pictures,
            spliced_jumps=self._timeline.clock.jumps,
            repeated_stamps=self._timeline.clock.repeats,
            missing_stamps=0 if self._timeline.by_arrival or self._is_raw else self._timeline.clock.missing,
            size_changes=max(0, len(self._converter.sizes) - 1),
            missing_s=self._missing_s() if self._finished else 0.0,
            ended_by=self._ended_by,
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """The damage, one sentence each; empty for an intact file."""
        return self.damage.problems

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about the file that are not damage, one sentence each."""
        rate = f"nothing in it tells its frame rate; {containers.USUAL_RATE:g} a second is a guess"
        none = self._finished and not self._kept
        findings = (
            (self._track_note, self._track_note),
            (self._is_rate_guessed, rate),
            (none, f"it has no picture from second {self._from_s:.1f} on"),
        )
        return tuple(sentence for found, sentence in findings if found)

    def frames(self, *, skip: bool = True, previewer: PreviewEncoder | None = None) -> Iterator[Frame]:
        """Yields the sampled frames in order; raises SourceError if there is none, or if called twice.

        `Frame.time_s` counts from the start of the stream, as a player shows it. With `skip`, frames that no sampled
        one depends on are not decoded; the result is the same. `previewer` receives every decoded frame.
        """
        if self._started:
            raise SourceError(f"{self.path} has been read to its end; open it again")
        self._started = True
        for picture in self._pictures(skip=skip, previewer=previewer):
            self._damaged_pictures += picture.is_corrupt
            time_s = self._timeline.place(picture)
            if time_s is None:
                continue
            if self._sampler.accept(time_s):
                self._kept += 1
                yield Frame(self._converter.convert(picture), time_s)
            if previewer is not None:
                previewer.show_frame(picture, time_s, pixel_aspect=self._converter.pixel_aspect)
        self._finished = True
        if not self._kept and not self._from_s:
            why = "; ".join(self.problems) or "it holds no picture data"
            raise SourceError(f"{self.path} gives no picture at all: {why}")

    def _pictures(self, *, skip: bool, previewer: PreviewEncoder | None) -> Iterator[Any]:
        codec = self._stream.codec_context
        packets = split_gops(self._packets(), codec=codec.codec.canonical_name, extradata=codec.extradata)
        skip = skip and not self._timeline.by_arrival
        if previewer is None:
            return self._decoder.frames(packets, skip=skip)
        return self._decoder.frames(packets, skip=skip, all_wanted=previewer.is_wanted)

    def _packets(self) -> Iterator[Any]:
        packets = self._container.demux([self._stream, *self._others])
        try:
            for packet in packets:
                if packet.stream_index != self._stream.index:
                    self._audio_s = max(self._audio_s, float((packet.pts or 0) * (packet.time_base or 0)))
                elif packet.size:
                    self._reached = max(packet.pts or 0, self._reached or 0)
                    yield packet
        except IndexError:
            # PyAV raises IndexError at the very end if a stream appeared late; every packet has been read.
            return
        except containers.UNREADABLE as error:
            self._ended_by = containers.ffmpeg_message(error)

    def _missing_s(self) -> float:
        """Returns by how many seconds the packets fall short of the header; 0 if at most `SLACK_S`."""
        if self._reached is None or self.duration_s is None or self._timeline.clock.jumps:
            return 0.0
        # Matroska counts its duration from zero even if the first frame is later.
        reached_s = max(self._reached, self._reached - (self._stream.start_time or 0)) * self._timeline.tick_s
        missing_s = self.duration_s - max(reached_s, self._audio_s) - 1 / self.source_fps
        return missing_s if missing_s > SLACK_S else 0.0
