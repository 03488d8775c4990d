"""Reads network cameras: RTSP, MJPEG, HLS and other video streams, one connection at a time.

Only packets that sampled frames need are decoded (see `lazy_decoder`), and only sampled frames are converted. Every
wait has a timeout: a session ends if the server is unreachable, silent, frozen or sends data without frames. How a
stream is opened, and what FFmpeg may open, is decided by `StreamOpener`.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from vigil.errors import SourceError
from vigil.frames import Frame, FrameSampling
from vigil.sources import container as containers
from vigil.sources.address import Address
from vigil.sources.capture import CaptureSettings, Connected, Waiting
from vigil.sources.footage import Footage
from vigil.sources.frame_converter import FrameConverter
from vigil.sources.gop import STARTS_AFRESH
from vigil.sources.lazy_decoder import LazyDecoder
from vigil.sources.preview import PreviewEncoder
from vigil.sources.ring_buffer import PacketRingBuffer
from vigil.sources.stream_opener import PLAYLIST, StreamOpener
from vigil.sources.timestamps import ArrivalClock, FrameSampler, StreamPacer

KEY_SOON_S = 5.0
"""If the first keyframe takes longer than this, `Waiting` is reported."""


GOP_ADVICE = "set a shorter interval of key pictures in the camera"


@dataclass(slots=True)
class StreamHealth:
    """Counts the problems of a stream over all its connections."""

    bad_packets: int = 0
    clock_corrections: int = 0
    clock_distrusted: int = 0
    size_changes: int = 0
    waits_for_key: int = 0

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each kind of problem."""
        counts = (
            (self.bad_packets, f"{self.bad_packets} packets could not be decoded"),
            (self.clock_corrections, f"the camera's clock was put right {self.clock_corrections} times"),
            (self.clock_distrusted, "the camera's clock runs wrong; pictures are timed by their arrival"),
            (self.size_changes, f"the picture changed its size {self.size_changes} times"),
            (self.waits_for_key, f"its first key picture came late {self.waits_for_key} times; {GOP_ADVICE}"),
        )
        return tuple(sentence for count, sentence in counts if count)


class StreamReader:
    """Reads one open stream until it ends, fails or `stop` is set.

    `started_s` is the `time.monotonic()` of second 0. `paced` plays a stream that arrives in segments in real time,
    `by_arrival` ignores its timestamps. `ring` receives every packet, `previewer` every decoded frame.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        *,
        sampling: FrameSampling,
        stop: threading.Event,
        started_s: float,
        picture_timeout_s: float,
        key_timeout_s: float,
        health: StreamHealth,
        skip_unreferenced: bool = False,
        by_arrival: bool = False,
        paced: bool = False,
        ring: PacketRingBuffer | None = None,
        previewer: PreviewEncoder | None = None,
    ) -> None:
        self._container = container
        self._stream = stream
        self._codec = stream.codec_context
        self._tick_s = float(stream.time_base or 0)
        self._stop = stop
        self._started_s = started_s
        self._picture_timeout_s = picture_timeout_s
        self._key_timeout_s = key_timeout_s
        self._health = health
        self._ring = ring
        self._previewer = previewer
        self._pacer = StreamPacer(stop=stop) if paced else None
        self._clock = ArrivalClock(trusted=not by_arrival)
        self._sampler = FrameSampler(sampling.fps)
        self._converter = FrameConverter(sampling=sampling, pixel_aspect=containers.sample_aspect_ratio(stream))
        self._packet_s = self._picture_s = time.monotonic()
        self._has_begun = False
        # Frames before the first keyframe refer to frames that were never received and decode to grey at best.
        self._awaits_key = self._codec.codec.canonical_name in STARTS_AFRESH
        self._has_warned = False
        if skip_unreferenced:
            containers.skip_loop_filter(self._codec)
        self._decoder = LazyDecoder(self._codec, self._sampler, previewer=previewer, fast=skip_unreferenced)

    @property
    def silent_s(self) -> float:
        """Seconds since the last packet."""
        return time.monotonic() - self._packet_s

    def signals(self) -> Iterator[Connected | Frame | Waiting]:
        """Yields `Connected` at the first frame, then the sampled frames; before that `Waiting`, if it takes long.

        Raises SourceError if data arrives but no frames, and PyAV's errors if the connection fails.
        """
        if self._ring is not None:
            self._ring.connected(self._stream)
        try:
            yield from self._signals()
        finally:
            self._account()
            if self._ring is not None:
                self._ring.disconnected()

    def _signals(self) -> Iterator[Connected | Frame | Waiting]:
        for packet in self._packets():
            if self._awaits_key and not self._enter(packet):
                yield from self._waiting()
                continue
            captured_s, arrived_s = time.time(), self._packet_s - self._started_s
            # Frames are not bound to a local name: it would keep one more frame per camera in memory.
            yield from self._shown(self._decode(packet, time_s=self._keep(packet, arrived_s)), captured_s, arrived_s)

    def _shown(self, pictures: list[Any], captured_s: float, arrived_s: float) -> Iterator[Connected | Frame]:
        for picture in pictures:
            if not self._has_begun:
                self._has_begun = True
                yield self._connected(picture, arrived_s)
            time_s = self._clock.place(self._seconds(picture.pts), arrived_s=arrived_s)
            if time_s is None:
                continue
            if self._sampler.accept(time_s):
                yield Frame(self._converter.convert(picture), time_s, captured_s)
            if self._previewer is not None:
                self._previewer.show_frame(picture, time_s, pixel_aspect=self._converter.pixel_aspect)

    def _packets(self) -> Iterator[Any]:
        """Yields the video packets as they arrive, or in real time if paced."""
        for packet in self._container.demux():
            if self._stop.is_set():
                return
            self._packet_s = time.monotonic()
            self._check_timeout(self._packet_s - self._picture_s)
            if packet.size and packet.stream_index == self._stream.index:
                yield self._paced(packet)

    def _check_timeout(self, waited_s: float) -> None:
        if self._awaits_key and waited_s > self._key_timeout_s:
            raise SourceError(f"data but no key picture for {self._key_timeout_s:g} s; {GOP_ADVICE}")
        if not self._awaits_key and waited_s > self._picture_timeout_s:
            raise SourceError(f"data but no picture for {self._picture_timeout_s:g} s")

    def _enter(self, packet: Any) -> bool:
        """Returns whether decoding can start with this packet; if so, the timeout of the first frame starts."""
        if not packet.is_keyframe:
            return False
        self._awaits_key = False
        self._picture_s = self._packet_s
        return True

    def _waiting(self) -> Iterator[Waiting]:
        """Yields `Waiting` once if the first keyframe takes longer than `KEY_SOON_S`."""
        if not self._has_warned and self._packet_s - self._picture_s > min(KEY_SOON_S, self._picture_timeout_s):
            self._has_warned = True
            self._health.waits_for_key += 1
            yield Waiting("it is connected, and its next key picture is waited for")

    def _paced(self, packet: Any) -> Any:
        if self._pacer is not None:
            self._pacer.wait(self._seconds(packet.dts))
            self._packet_s = time.monotonic()
        return packet

    def _keep(self, packet: Any, arrived_s: float) -> float:
        """Adds a packet to the ring buffer and returns the time of its frame in seconds."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        time_s = self._clock.locate(self._seconds(stamp), arrived_s=arrived_s)
        if self._ring is not None:
            self._ring.add(packet, time_s)
        return time_s

    def _decode(self, packet: Any, *, time_s: float) -> list[Any]:
        bad_before = self._decoder.bad_packets
        pictures = self._decoder.push(packet, time_s)
        self._health.bad_packets += self._decoder.bad_packets - bad_before
        if pictures or self._decoder.is_holding:
            self._picture_s = self._packet_s
        return pictures

    def _connected(self, picture: Any, at_s: float) -> Connected:
        size_wh = (picture.width, picture.height)
        return Connected(size_wh, containers.frame_rate(self._stream), self._codec.codec.canonical_name, at_s)

    def _seconds(self, ticks: int | None) -> float | None:
        return None if ticks is None else ticks * self._tick_s

    def _account(self) -> None:
        self._health.clock_corrections += self._clock.corrections
        self._health.clock_distrusted += self._clock.corrections > 0 and not self._clock.trusted
        self._health.size_changes += max(0, len(self._converter.sizes) - 1)


BY_ARRIVAL = frozenset({"mpjpeg", "mjpeg"})
"""Formats without timestamps; FFmpeg invents them at 25 frames per second."""


class NetworkCamera:
    """A camera at a network address; `session` is one connection to it."""

    def __init__(
        self,
        address: Address,
        sampling: FrameSampling,
        *,
        stop: threading.Event,
        settings: CaptureSettings,
        footage_s: float = 0.0,
        previewer: PreviewEncoder | None = None,
    ) -> None:
        self.name = address.name
        self._dialer = StreamOpener(address, settings=settings)
        self._sampling = sampling
        self._stop = stop
        self._settings = settings
        self._ring = PacketRingBuffer(footage_s, name=address.name)
        self._keeps = footage_s > 0
        self._previewer = previewer
        self._health = StreamHealth()
        self._was_live = False

    @property
    def footage(self) -> Footage:
        """The last seconds of the stream, as received."""
        return self._ring

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems of the stream so far, one sentence each."""
        return (*self._dialer.problems, *self._health.problems)

    def session(self, *, started_s: float) -> Iterator[Connected | Frame | Waiting]:
        """Opens one connection and yields `Connected` at its first frame, then sampled frames.

        Raises SourceError when the stream ends or fails; only a finite video on a server ends without an error.
        """
        with ExitStack() as stack, closing(self._dialer.open(stack)) as container:
            finite = self._dialer.is_finite(container)
            self._check_is_new(finite)
            stream = containers.pick_stream(container, self.name)
            discard_other_streams(container, stream)
            reading = StreamReader(
                container,
                stream,
                sampling=self._sampling,
                stop=self._stop,
                started_s=started_s,
                picture_timeout_s=self._settings.picture_timeout_s,
                key_timeout_s=self._settings.key_timeout_s,
                skip_unreferenced=self._settings.skip_unreferenced,
                by_arrival=container.format.name in BY_ARRIVAL,
                paced=finite or container.format.name == PLAYLIST,
                health=self._health,
                ring=self._ring if self._keeps else None,
                previewer=self._previewer,
            )
            yield from self._until_lost(container, reading, finite=finite)

    def _check_is_new(self, finite: bool) -> None:
        """Raises SourceError if a live playlist has become finite: read again, it would repeat old footage."""
        if finite and self._was_live:
            raise SourceError("its playlist is finished, and what it holds was seen")
        self._was_live = self._was_live or not finite

    def _until_lost(
        self, container: Any, reading: StreamReader, *, finite: bool
    ) -> Iterator[Connected | Frame | Waiting]:
        try:
            yield from reading.signals()
        except IndexError as error:
            # PyAV raises IndexError at the very end if a stream appeared late.
            if not finite:
                raise SourceError("the stream broke off") from error
        except containers.UNREADABLE as error:
            self._dialer.broke_off(container, error)
            limit_s = self._dialer.read_timeout_s
            raise SourceError(self._dialer.why(error, waited_s=reading.silent_s, limit_s=limit_s)) from None
        if not self._stop.is_set() and not finite:
            raise SourceError("the stream ended")


def discard_other_streams(container: Any, stream: Any) -> None:
    """Makes FFmpeg discard the other streams; of a playlist with several sizes it then downloads only one."""
    for other in container.streams:
        if other.index != stream.index and hasattr(other, "discard"):
            other.discard = type(other.discard).all
