"""The stamps of compressed pictures: put right, or refused, before a clip is made of them.

A camera's stamps have the exact spacing, but may be missing, repeat, jump or run at a wrong speed. They
are used where they agree with the seconds that the source gave its packets.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

STRAY_S = 5.0
"""Stamps further than this from the times that the source gave its packets are those of a broken clock."""
LOOSE_S = 0.5
LOOSE_SHARE = 0.2
"""So are those of which more than this share lies `LOOSE_S` off: a clock that runs at a wrong speed."""


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One compressed picture: when it came or is shown, in seconds of the source, and its own stamp in seconds.

    `setup` is FFmpeg's new description of the stream (side data of a packet), where it has changed since it was opened.
    """

    data: bytes
    time_s: float
    pts_s: float | None
    is_key: bool
    setup: Any | None = None


@dataclass(frozen=True, slots=True)
class TimedPacket:
    """A piece with stamps that can be relied on, in seconds of the source: `dts_s` only ever grows."""

    data: bytes
    pts_s: float
    dts_s: float
    is_key: bool
    setup: Any | None = None


def assign_timestamps(pieces: Sequence[EncodedPacket], *, frame_s: float) -> list[TimedPacket] | None:
    """Gives a run of packets, in the order of decoding, sound stamps; None where theirs cannot be trusted.

    The times of decoding follow from those of showing: the same times in order, early enough for all.
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
    """When each picture is shown, no two at once; None where stamps are missing, jump or run wrong."""
    stamps = _without_repeats(piece.pts_s for piece in pieces)
    known = [stamp for stamp in stamps if stamp is not None]
    reordered = any(later < earlier for earlier, later in pairwise(known))
    holes = len(stamps) - len(known)
    if not known or (holes and reordered) or 2 * holes > len(stamps):
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
    """A stamp that was there before says nothing."""
    seen: set[float] = set()
    kept: list[float | None] = []
    for stamp in stamps:
        kept.append(None if stamp is None or stamp in seen else stamp)
        seen.update(() if stamp is None else (stamp,))
    return kept


def _filled(stamps: Sequence[float | None], *, frame_s: float) -> list[float]:
    """Stamps without holes: a picture without one follows the last at a part of the usual distance."""
    first, stamp_s = next((number, stamp) for number, stamp in enumerate(stamps) if stamp is not None)
    filled = [stamp_s - (first - number) * frame_s for number in range(first)]
    for stamp in stamps[first:]:
        filled.append(filled[-1] + frame_s / 8 if stamp is None else stamp)
    return filled


def arrival_times(pieces: Sequence[EncodedPacket], frame_s: float) -> Iterator[float]:
    """Times of arrival that grow from picture to picture."""
    last_s = None
    for time_s in sorted(piece.time_s for piece in pieces):
        last_s = time_s if last_s is None or time_s > last_s else last_s + frame_s / 8
        yield last_s
