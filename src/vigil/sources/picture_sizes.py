"""Checks that H.264 packets keep one frame size; reconfiguring a camera changes it in the middle of a connection.

An mp4 describes its frames once, at its beginning; browsers stop playing if that is no longer true.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import av

from vigil.sources.container import UNREADABLE
from vigil.sources.video_writer import EncodedPacket

H264_SPS = 7
"""The type of the NAL unit that holds the frame size."""
START = b"\x00\x00\x01"


def keep_one_size(stream: Any, pieces: Sequence[EncodedPacket]) -> bool:
    """Returns whether all frames of an H.264 stream have the size and parameter sets of `stream`.

    A keyframe is decoded only if its parameter sets differ from the last ones, which is rare.
    """
    codec = stream.codec_context
    extradata = bytes(codec.extradata or b"")
    last: frozenset[bytes] = frozenset()
    if any(piece.setup is not None for piece in pieces):
        return False
    for piece in pieces:
        described = _descriptions(piece.data, extradata) if piece.is_key else last
        if not described or described == last:
            continue
        last = described
        if _size(piece.data, extradata) not in (None, (codec.width, codec.height)):
            return False
    return True


def _descriptions(data: bytes, extradata: bytes) -> frozenset[bytes]:
    return frozenset(unit for unit in _units(data, extradata) if unit[0] & 31 == H264_SPS)


def _units(data: bytes, extradata: bytes) -> Iterator[bytes]:
    """Yields the NAL units of a packet, in the format of mp4 or of MPEG-TS and RTSP."""
    if extradata[:1] != b"\x01" or len(extradata) < 5:
        yield from (unit.rstrip(b"\x00") for unit in data.split(START)[1:] if unit.strip(b"\x00"))
        return
    prefix, start = (extradata[4] & 3) + 1, 0
    while start + prefix < len(data):
        end = start + prefix + int.from_bytes(data[start : start + prefix], "big")
        if end > start + prefix:
            yield data[start + prefix : end]
        start = end


def _size(data: bytes, extradata: bytes) -> tuple[int, int] | None:
    """Returns width and height of a keyframe; None if it cannot be decoded."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = extradata or None
    try:
        for packet in (av.Packet(data), None):
            for picture in decoder.decode(packet):
                return picture.width, picture.height
    except UNREADABLE:
        return None
    return None
