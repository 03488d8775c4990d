"""Deinterlaces frames, which consist of two fields taken one after the other.

FFmpeg's `estdif` filter needs no neighbouring frames, so frames in between need not be decoded.
"""

import logging
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph

log = logging.getLogger(__name__)

TICK = Fraction(1, 90_000)
INTERLACED_ORDERS = frozenset({2, 3, 4, 5})
"""FFmpeg's `AV_FIELD_TT`, `BB`, `TB` and `BT`."""


def is_interlaced(codec_context: Any) -> bool:
    """Returns whether a stream declares that its frames are interlaced."""
    return getattr(codec_context, "field_order", 0) in INTERLACED_ORDERS


def deinterlace(frame: Any) -> Any:
    """Returns an interlaced `av.VideoFrame` deinterlaced at the same size; unchanged if FFmpeg cannot do it."""
    try:
        return _filter(frame)
    except (av.FFmpegError, ValueError) as error:
        log.debug("a picture stays interlaced: %s", error)
        return frame


def _filter(frame: Any) -> Any:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICK)
    filtered, sink = graph.add("estdif", "mode=frame:deint=all"), graph.add("buffersink")
    source.link_to(filtered)
    filtered.link_to(sink)
    graph.configure()
    graph.push(frame)
    graph.push(None)
    return graph.pull()
