"""Groups of pictures: the packets from one point where decoding can start to the next.

At 2 frames a second most of a file is decoded for nothing: what follows the last wanted picture of a
group serves no other one. So a group is held until it is whole, decoded up to its last wanted picture,
and the rest is left out. The pictures are the same bit for bit, for about a fifth less work at 50
frames a group. Where anything is doubtful (stamps missing or out of order, damage, a codec not known
to start afresh at its key frames) the whole group is decoded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

STARTS_AFRESH = frozenset({"av1", "h264", "hevc", "mjpeg", "mpeg2video", "mpeg4", "vp8", "vp9"})
HOLD_BYTES = 8 * 2**20
HOLD_PACKETS = 600
H264_IDR = 5
HEVC_SPS = 33


@dataclass(frozen=True, slots=True)
class Gop:
    """Packets in decoding order; `whole` when they run from one starting point up to the next."""

    packets: list[Any]
    whole: bool

    @property
    def leading(self) -> list[Any]:
        """Packets shown before the key picture they follow, which need the group before this one."""
        first = self.packets[0].pts
        return [p for p in self.packets[1:] if first is not None and p.pts is not None and p.pts < first]

    def without_leading(self) -> "Gop":
        """The group when the one before it was not decoded to its end."""
        leading = {id(packet) for packet in self.leading}
        return Gop([p for p in self.packets if id(p) not in leading], self.whole)

    @property
    def sound(self) -> bool:
        """Whether every packet has a stamp of its own and none is marked as damaged."""
        stamps = {packet.pts for packet in self.packets}
        marked = any(p.is_corrupt or p.is_discard for p in self.packets)
        return None not in stamps and len(stamps) == len(self.packets) and not marked


def split_gops(packets: Iterable[Any], *, codec: str, extradata: bytes | None) -> Iterator[Gop]:
    """Gathers packets into groups; what grows too large to hold is passed on in parts."""
    held: list[Any] = []
    held_bytes = 0
    started = False
    for packet in packets:
        entry = is_random_access_point(packet, codec, extradata)
        too_much = held_bytes > HOLD_BYTES or len(held) >= HOLD_PACKETS
        if held and (entry or too_much):
            yield Gop(held, whole=started and entry)
            held, held_bytes, started = [], 0, False
        started = started or (entry and not held)
        held.append(packet)
        held_bytes += packet.size
    if held:
        yield Gop(held, whole=started)


def is_random_access_point(packet: Any, codec: str, extradata: bytes | None) -> bool:
    """Whether decoding can start at this packet and give exact pictures from here on."""
    if not packet.is_keyframe or codec not in STARTS_AFRESH:
        return False
    return codec != "h264" or H264_IDR in h264_nal_types(bytes(packet), extradata)


def h264_nal_types(data: bytes, extradata: bytes | None) -> Iterator[int]:
    """The types of the NAL units in a packet; containers such as MPEG-TS mark more than IDR as key."""
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
    """Whether FFmpeg's mark of an unreferenced picture can be believed for this stream.

    In H.265 with temporal layers a picture marked so may still be referred to by a higher layer.
    """
    if codec == "hevc":
        return hevc_temporal_layers(extradata or b"") == 1
    return codec in {"h264", "mpeg2video", "mpeg4"}


def hevc_temporal_layers(extradata: bytes) -> int | None:
    """How many temporal layers an H.265 stream has; None when it does not say."""
    if extradata[:1] == b"\x01":
        return extradata[21] >> 3 & 7 if len(extradata) > 21 else None
    start = extradata.find(b"\x00\x00\x01")
    while 0 <= start < len(extradata) - 5:
        if extradata[start + 3] >> 1 & 63 == HEVC_SPS:
            return (extradata[start + 5] >> 1 & 7) + 1
        start = extradata.find(b"\x00\x00\x01", start + 3)
    return None
