"""Decoding groups of packets: every picture that is needed, no matter what is damaged in between.

Two kinds of packets cost nothing here: those after the last wanted picture of a group, and those of
pictures that no other picture refers to and that are not wanted themselves. What is decoded is the
same bit for bit; where damage costs a wanted picture, the whole group is decoded again in full.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av

from vigil.sources.clock import FileClock, FrameSampler
from vigil.sources.container import UNREADABLE
from vigil.sources.group import Gop, has_droppable_frames

SKIP_NONE, SKIP_UNREFERENCED = "DEFAULT", "NONREF"


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """What of a group is decoded: its first `needed` packets, to get the pictures stamped `wanted`.

    `alone` when nothing after the group needs it; `last_s` is the time of its last picture.
    """

    needed: int
    wanted: frozenset[int]
    alone: bool
    last_s: float


class GopDecoder:
    """Decodes the groups of one stream for their wanted pictures.

    `tick_s` is the stream's unit of time in seconds; `clock` and `sampler` are those the pictures will
    be placed and chosen with, so that the plan and the choice cannot differ. `fast` decodes no picture that
    no other refers to, so that the next one has to stand for it.
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
        """Decoded `av.VideoFrame`s in the order they are shown; all of them without `skip`, or while `all_wanted`."""
        held: Gop | None = None
        for group in groups:
            if held is not None:
                yield from self._decode(held, following=group, skip=skip and not all_wanted())
            held = group
        if held is not None:
            yield from self._decode(held, following=None, skip=skip and not all_wanted())
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
        """A group as planned, and all of it again should damage have cost a wanted picture."""
        bad_before, seen, missing = self.bad_packets, None, set(plan.wanted)
        for frame in self._send_all(packets[: plan.needed], wanted=plan.wanted):
            seen = frame.pts
            missing.discard(frame.pts)
            yield frame
        self._fresh = True
        if (self._fast or not missing) and self.bad_packets == bad_before:
            return
        self.bad_packets = bad_before
        for frame in self._send_all(packets):
            if seen is None or (frame.pts is not None and frame.pts > seen):
                yield frame

    def _plan(self, group: Gop, following: Gop | None) -> DecodePlan | None:
        """What to decode of a group; None for everything, where its stamps cannot be relied on.

        Pictures that are shown before the next key picture but stored after it need this group to its end.
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
        """Decodes packets to the last picture and leaves the decoder as new."""
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
