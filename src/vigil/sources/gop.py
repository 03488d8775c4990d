"""Splits packets into GOPs and decodes each only as far as the sampled frames need.

A GOP runs from one random access point up to the next. At 2 frames a second most of a file would be decoded for
nothing: packets after the last wanted frame of a GOP are not needed, nor are unreferenced frames that are not wanted
themselves. Leaving them out saves about a fifth of the work at 50 frames per GOP, and the decoded frames are
bit-identical. If anything is doubtful (timestamps missing or out of order, a codec whose keyframes may not be random
access points), or if damage costs a wanted frame, the whole GOP is decoded.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av

from vigil.sources.container import UNREADABLE
from vigil.sources.timestamps import FileClock, FrameSampler

STARTS_AFRESH = frozenset({"av1", "h264", "hevc", "mjpeg", "mpeg2video", "mpeg4", "vp8", "vp9"})
HOLD_BYTES = 8 * 2**20
HOLD_PACKETS = 600
H264_IDR = 5
HEVC_SPS = 33


@dataclass(frozen=True, slots=True)
class Gop:
    """Packets in decoding order; `whole` if they run from one random access point up to the next."""

    packets: list[Any]
    whole: bool

    @property
    def leading(self) -> list[Any]:
        """Packets shown before the keyframe they follow; they need the previous GOP."""
        first = self.packets[0].pts
        return [p for p in self.packets[1:] if first is not None and p.pts is not None and p.pts < first]

    def without_leading(self) -> "Gop":
        """Returns the GOP without its leading packets, for when the previous one was not decoded to its end."""
        leading = {id(packet) for packet in self.leading}
        return Gop([p for p in self.packets if id(p) not in leading], self.whole)

    @property
    def sound(self) -> bool:
        """Whether every packet has a timestamp of its own and none is marked as damaged."""
        stamps = {packet.pts for packet in self.packets}
        marked = any(p.is_corrupt or p.is_discard for p in self.packets)
        return None not in stamps and len(stamps) == len(self.packets) and not marked


def split_gops(packets: Iterable[Any], *, codec: str, extradata: bytes | None) -> Iterator[Gop]:
    """Groups packets into GOPs; those too large to hold are yielded in parts."""
    pending: list[Any] = []
    pending_bytes = 0
    started = False
    for packet in packets:
        entry = is_random_access_point(packet, codec, extradata)
        too_much = pending_bytes > HOLD_BYTES or len(pending) >= HOLD_PACKETS
        if pending and (entry or too_much):
            yield Gop(pending, whole=started and entry)
            pending, pending_bytes, started = [], 0, False
        started = started or (entry and not pending)
        pending.append(packet)
        pending_bytes += packet.size
    if pending:
        yield Gop(pending, whole=started)


def is_random_access_point(packet: Any, codec: str, extradata: bytes | None) -> bool:
    """Returns whether decoding can start at this packet and yields exact frames from there on."""
    if not packet.is_keyframe or codec not in STARTS_AFRESH:
        return False
    return codec != "h264" or H264_IDR in h264_nal_types(bytes(packet), extradata)


def h264_nal_types(data: bytes, extradata: bytes | None) -> Iterator[int]:
    """Yields the types of a packet's NAL units; containers such as MPEG-TS mark more than IDR frames as keyframes."""
    if extradata and extradata[0] == 1 and len(extradata) > 4:
        yield from _prefixed_units(data, (extradata[4] & 3) + 1)
        return
    start = data.find(b"\x00\x00\x01")
    while 0 <= start < len(data) - 3:
        yield data[start + 3] & 31
        start = data.find(b"\x00\x00\x01", start + 3)


def _prefixed_units(data: bytes, prefix: int) -> Iterator[int]:
    start = 0
    while start + prefix < len(data):
        yield data[start + prefix] & 31
        start += prefix + int.from_bytes(data[start : start + prefix], "big")


def has_droppable_frames(codec: str, extradata: bytes | None) -> bool:
    """Returns whether FFmpeg's marking of unreferenced frames is reliable for this stream.

    In H.265 with temporal layers, a frame marked this way may still be referenced by a higher layer.
    """
    if codec == "hevc":
        return hevc_temporal_layers(extradata or b"") == 1
    return codec in {"h264", "mpeg2video", "mpeg4"}


def hevc_temporal_layers(extradata: bytes) -> int | None:
    """Returns the number of temporal layers of an H.265 stream; None if it is not declared."""
    if extradata[:1] == b"\x01":
        return extradata[21] >> 3 & 7 if len(extradata) > 21 else None
    start = extradata.find(b"\x00\x00\x01")
    while 0 <= start < len(extradata) - 5:
        if extradata[start + 3] >> 1 & 63 == HEVC_SPS:
            return (extradata[start + 5] >> 1 & 7) + 1
        start = extradata.find(b"\x00\x00\x01", start + 3)
    return None


SKIP_NONE, SKIP_UNREFERENCED = "DEFAULT", "NONREF"


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """What to decode of a GOP: its first `needed` packets, to get the frames with timestamps `wanted`.

    `alone` if nothing after the GOP needs it; `last_s` is the time of its last frame.
    """

    needed: int
    wanted: frozenset[int]
    alone: bool
    last_s: float


class GopDecoder:
    """Decodes the GOPs of one stream for their wanted frames.

    `tick_s` is the stream's time base in seconds. `clock` and `sampler` are those that later place and select the
    frames, so that plan and selection cannot differ. `fast` skips every unreferenced frame; the next frame takes its
    place.
    """

    def __init__(
        self, codec_context: Any, *, tick_s: float, clock: FileClock, sampler: FrameSampler, fast: bool = False
    ) -> None:
        self.bad_packets = 0
        self._fast = fast
        self._codec = codec_context
        self._tick_s = tick_s
        self._clock = clock
        self._sampler = sampler
        self._fresh = False
        self._droppable = has_droppable_frames(codec_context.codec.canonical_name, codec_context.extradata)

    def frames(
        self, groups: Iterable[Gop], *, skip: bool = True, all_wanted: Callable[[], bool] = lambda: False
    ) -> Iterator[Any]:
        """Yields decoded `av.VideoFrame`s in presentation order; all of them without `skip` or while `all_wanted()`."""
        pending: Gop | None = None
        for group in groups:
            if pending is not None:
                yield from self._decode(pending, following=group, skip=skip and not all_wanted())
            pending = group
        if pending is not None:
            yield from self._decode(pending, following=None, skip=skip and not all_wanted())
        yield from self._send(None)

    def _decode(self, group: Gop, *, following: Gop | None, skip: bool) -> Iterator[Any]:
        if self._fresh:
            group = group.without_leading()
        plan = self._plan(group, following) if skip else None
        if plan is not None and plan.alone:
            yield from self._decode_alone(group.packets, plan)
            self._clock.pass_over(plan.last_s)
            return
        self._fresh = False
        for packet in group.packets:
            yield from self._send(packet, wanted=plan.wanted if plan else None)

    def _decode_alone(self, packets: list[Any], plan: DecodePlan) -> Iterator[Any]:
        """Decodes a GOP as planned, and again in full if damage cost a wanted frame."""
        bad_before, last_pts, missing = self.bad_packets, None, set(plan.wanted)
        for frame in self._send_all(packets[: plan.needed], wanted=plan.wanted):
            last_pts = frame.pts
            missing.discard(frame.pts)
            yield frame
        self._fresh = True
        if (self._fast or not missing) and self.bad_packets == bad_before:
            return
        self.bad_packets = bad_before
        for frame in self._send_all(packets):
            if last_pts is None or (frame.pts is not None and frame.pts > last_pts):
                yield frame

    def _plan(self, group: Gop, following: Gop | None) -> DecodePlan | None:
        """Returns what to decode of a GOP; None for everything, if its timestamps are unreliable.

        Frames shown before the next keyframe but stored after it need this GOP to its end.
        """
        if not group.whole or not group.sound:
            return None
        order = {packet.pts: index + 1 for index, packet in enumerate(group.packets)}
        beyond = {packet.pts for packet in following.leading} if following else set()
        stamps = sorted(order.keys() | beyond)
        times = self._clock.preview([stamp * self._tick_s for stamp in stamps])
        if times is None:
            return None
        ahead = self._sampler.copy()
        wanted = [stamp for stamp, time_s in zip(stamps, times, strict=True) if ahead.accept(time_s)]
        needed = max((order[stamp] for stamp in wanted if stamp in order), default=0)
        last_s = max(time_s for stamp, time_s in zip(stamps, times, strict=True) if stamp in order)
        return DecodePlan(needed, frozenset(wanted) - beyond, alone=beyond.isdisjoint(wanted), last_s=last_s)

    def _send_all(self, packets: list[Any], *, wanted: frozenset[int] | None = None) -> Iterator[Any]:
        """Decodes packets, drains the decoder and resets it."""
        for packet in [*packets, None]:
            yield from self._send(packet, wanted=wanted)
        self._codec.flush_buffers()

    def _send(self, packet: Any | None, *, wanted: frozenset[int] | None = None) -> list[Any]:
        if self._droppable:
            unwanted = packet is not None and (self._fast or (wanted is not None and packet.pts not in wanted))
            self._codec.skip_frame = SKIP_UNREFERENCED if unwanted else SKIP_NONE
        try:
            frames: list[Any] = self._codec.decode(packet)
        except av.error.EOFError:
            return []
        except UNREADABLE:
            self.bad_packets += packet is not None
            return []
        return frames
