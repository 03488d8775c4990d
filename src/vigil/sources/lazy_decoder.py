"""Decoding a live stream for no more than the pictures that are kept, without making any of them late.

What follows the last kept picture of a group serves nothing, once the next key picture is there. So packets that
come when no picture is due before the next key picture is expected are held: the key picture throws them away,
and should a picture be due before it, they are decoded at once. A camera with a key picture every two seconds
saves a fifth of its decoding this way, one with a key picture a second almost half, and MJPEG nearly all of it.
Pictures that no other refers to are skipped unless they are kept themselves. The kept pictures are the same.

What is needed but not due soon is decoded many packets at a time: a decoder that finds the picture it refers to
still in the processor's cache takes a seventh less (docs/ingest.md). A machine that has time to spare decodes ahead
of the picture that is due, so that it waits for no others; a crowded one saves its time for more cameras.
"""

import os
import threading
import time
from typing import Any

import av

from vigil.sources.container import UNREADABLE
from vigil.sources.gop import (
    HOLD_BYTES,
    HOLD_PACKETS,
    SKIP_NONE,
    SKIP_UNREFERENCED,
    has_droppable_frames,
    is_random_access_point,
)
from vigil.sources.preview import PreviewEncoder
from vigil.sources.timestamps import FrameSampler

CLOSE_S = 0.005
"""No two pictures are closer than this, so none lies between a due time and a key picture that follows so soon."""

HALF_A_FRAME_S = 0.02

BATCH_PACKETS = 16
"""So many are decoded in one go; of 1080p they take 50 ms."""

HEAD_START_S = 0.1
"""From this long before a picture is due packets are decoded as they come, where the machine is not crowded."""

TURNS = threading.BoundedSemaphore((os.cpu_count() or 1) + 1)
"""So many cameras of a process decode at the same time: more would only push one another out of the cache."""

CROWDED = 1.25
"""A machine is crowded when decoding takes so much longer than the processor time that it needs."""

FORGETS = 0.5
CLOCK_S = 1e-4


class LazyDecoder:
    """Decodes the packets of one live stream, in one thread, as they come.

    `sampler` is the one that chooses among the pictures; `previewer` may want more of them; `fast` skips every picture
    that no other refers to.
    """

    def __init__(
        self, codec_context: Any, sampler: FrameSampler, *, previewer: PreviewEncoder | None = None, fast: bool = False
    ) -> None:
        self.bad_packets = 0
        self.left_out = 0
        self._codec = codec_context
        self._sampler = sampler
        self._previewer = previewer
        self._name = codec_context.codec.canonical_name
        self._droppable = has_droppable_frames(self._name, codec_context.extradata)
        self._fast = fast
        self._rhythm = KeyframeInterval()
        self._held: list[Any] = []
        self._held_bytes = 0
        self._crowding = 1.0
        self._sent_s = float("-inf")
        self._instants: dict[int, float] = {}
        self._leading_before: int | None = None

    @property
    def is_holding(self) -> bool:
        """Whether packets wait undecoded because no picture is due."""
        return bool(self._held)

    @property
    def _due_s(self) -> float | None:
        """The time of the next picture that anybody wants; None before the first."""
        due_s, seen_s = self._sampler.next_s, self._previewer.next_s if self._previewer else None
        return due_s if due_s is None or seen_s is None else min(due_s, seen_s)

    def push(self, packet: Any, time_s: float) -> list[Any]:
        """The pictures (`av.VideoFrame`) that come out with a packet whose picture belongs to `time_s`."""
        if is_random_access_point(packet, self._name, self._codec.extradata):
            self._on_keyframe(packet, time_s)
        elif self._is_undecodable_leading(packet):
            return []
        if self._can_defer(packet, time_s):
            self._held.append(packet)
            self._held_bytes += packet.size
            return []
        with TURNS:
            if self._held:
                self._decode_held()
            self._sent_s = max(self._sent_s, time_s)
            return self._send(packet, wanted=self._is_first(time_s))

    def _on_keyframe(self, key: Any, time_s: float) -> None:
        """Notes a point where decoding can start, and lets go of what nothing due can need any more."""
        self._rhythm.beat(time_s)
        self._leading_before = None
        if not self._held or not self._starts_clean(time_s):
            return
        self.left_out += len(self._held)
        self._held, self._held_bytes = [], 0
        self._leading_before = key.pts
        self._sent_s = float("-inf")

    def _is_undecodable_leading(self, packet: Any) -> bool:
        """Whether a picture is shown before the key picture it follows, when the group it needs was left out."""
        if self._leading_before is None or packet.pts is None:
            return False
        if packet.pts < self._leading_before:
            return True
        self._leading_before = None
        return False

    def _starts_clean(self, time_s: float) -> bool:
        """Whether nothing due can need what came before this key picture."""
        due_s = self._due_s
        return self._name == "h264" or (due_s is not None and time_s - due_s < CLOSE_S)

    def _can_defer(self, packet: Any, time_s: float) -> bool:
        """Whether no picture is due yet, this one included, nor still inside the decoder.

        Nor soon; or else the next key picture is expected before it, which may make this packet needless.
        """
        due_s, held = self._due_s, len(self._held)
        if due_s is None or packet.pts is None or self._held_bytes > HOLD_BYTES or held >= HOLD_PACKETS:
            return False
        until_due_s = due_s - max(time_s, self._sent_s)
        if self._expects_key_before(due_s):
            return until_due_s > 0
        head_start_s = 0.0 if self._crowding > CROWDED else HEAD_START_S
        return until_due_s > head_start_s and held < BATCH_PACKETS - 1

    def _expects_key_before(self, due_s: float) -> bool:
        key_s = self._rhythm.next_s
        return key_s is not None and due_s > key_s - HALF_A_FRAME_S

    def _decode_held(self) -> None:
        """None of these pictures is due; they are needed for what refers to them."""
        if self._due_s is not None and self._expects_key_before(self._due_s):
            self._rhythm.lost()
        held, self._held, self._held_bytes = self._held, [], 0
        began_s, cpu_began_s = time.perf_counter(), time.thread_time()
        for packet in held:
            self._send(packet, wanted=False)
        took_s, cpu_s = time.perf_counter() - began_s, time.thread_time() - cpu_began_s
        self._crowding += FORGETS * (took_s / max(cpu_s, CLOCK_S) - self._crowding)

    def _is_first(self, time_s: float) -> bool:
        """Whether a picture is the earliest so far that could be kept for its instant."""
        instant = self._sampler.instant_of(time_s)
        if instant is None:
            return False
        if len(self._instants) > HOLD_PACKETS:
            self._instants.clear()
        first_s = self._instants.setdefault(instant, time_s)
        self._instants[instant] = min(first_s, time_s)
        return time_s <= first_s

    def _send(self, packet: Any, *, wanted: bool) -> list[Any]:
        if self._droppable:
            self._codec.skip_frame = SKIP_UNREFERENCED if self._fast or not wanted else SKIP_NONE
        try:
            pictures: list[Any] = self._codec.decode(packet)
        except av.error.EOFError:
            return []
        except UNREADABLE:
            self.bad_packets += 1
            return []
        return pictures


class KeyframeInterval:
    """When the next key picture is to be expected, by the shorter of the last two distances."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._periods_s: list[float] = []

    @property
    def next_s(self) -> float | None:
        """The time of the next key picture, or None while there is no telling."""
        if self._last_s is None or not self._periods_s:
            return None
        return self._last_s + min(self._periods_s)

    def beat(self, time_s: float) -> None:
        """A key picture came."""
        if self._last_s is not None and time_s > self._last_s:
            self._periods_s = [*self._periods_s[-1:], time_s - self._last_s]
        self._last_s = time_s

    def lost(self) -> None:
        """It did not come when it was expected; it has to be learnt anew."""
        self._periods_s = []
