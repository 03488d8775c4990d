"""Decodes a live stream only as far as the sampled frames need, without delaying them.

Frames after the last sampled one of a GOP are useless once the next keyframe has arrived. So while no sampled frame is
due before the next expected keyframe, packets are queued undecoded: the keyframe discards them, and if a frame becomes
due first they are decoded at once. With a keyframe every two seconds this saves a fifth of the decoding, every second
almost half, with MJPEG nearly all. Unreferenced frames are skipped unless sampled. Sampled frames are bit-identical.

Packets that are needed but not urgent are decoded in batches, which saves a seventh through the processor's cache
(docs/ingest.md). A machine with time to spare decodes ahead of the due time, so that cameras do not wait for each
other; a saturated one does not, and holds more cameras.
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
"""No two frames are closer than this, so none lies between a due time and a keyframe that follows within it."""

HALF_A_FRAME_S = 0.02

BATCH_PACKETS = 16
"""How many packets are decoded as one batch; at 1080p this takes 50 ms."""

HEAD_START_S = 0.1
"""From this long before a frame is due, packets are decoded as they arrive, unless the machine is saturated."""

DECODE_SLOTS = threading.BoundedSemaphore((os.cpu_count() or 1) + 1)
"""Limits how many cameras of a process decode at the same time; more would evict each other's data from the cache."""

CROWDED = 1.25
"""The machine is saturated if decoding takes this many times the CPU time that it uses."""

SMOOTHING = 0.5
CLOCK_S = 1e-4


class LazyDecoder:
    """Decodes the packets of one live stream as they arrive, in one thread.

    `sampler` selects the frames, `previewer` further ones; `fast` skips every unreferenced frame.
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
        self._keyframe_interval = KeyframeInterval()
        self._pending: list[Any] = []
        self._pending_bytes = 0
        self._crowding = 1.0
        self._sent_s = float("-inf")
        self._instants: dict[int, float] = {}
        self._leading_before: int | None = None

    @property
    def is_holding(self) -> bool:
        """Whether packets are queued undecoded because no frame is due."""
        return bool(self._pending)

    @property
    def _due_s(self) -> float | None:
        """The time of the next frame that is wanted, for sampling or preview; None before the first."""
        due_s, preview_s = self._sampler.next_s, self._previewer.next_s if self._previewer else None
        return due_s if due_s is None or preview_s is None else min(due_s, preview_s)

    def push(self, packet: Any, time_s: float) -> list[Any]:
        """Returns the frames (`av.VideoFrame`) that are decoded once a packet with time `time_s` arrives."""
        if is_random_access_point(packet, self._name, self._codec.extradata):
            self._on_keyframe(packet, time_s)
        elif self._is_undecodable_leading(packet):
            return []
        if self._can_defer(packet, time_s):
            self._pending.append(packet)
            self._pending_bytes += packet.size
            return []
        with DECODE_SLOTS:
            if self._pending:
                self._decode_pending()
            self._sent_s = max(self._sent_s, time_s)
            return self._send(packet, wanted=self._is_first(time_s))

    def _on_keyframe(self, key: Any, time_s: float) -> None:
        """Handles a random access point: discards queued packets that no due frame needs."""
        self._keyframe_interval.record(time_s)
        self._leading_before = None
        if not self._pending or not self._starts_clean(time_s):
            return
        self.left_out += len(self._pending)
        self._pending, self._pending_bytes = [], 0
        self._leading_before = key.pts
        self._sent_s = float("-inf")

    def _is_undecodable_leading(self, packet: Any) -> bool:
        """Returns whether a frame is shown before the keyframe it follows and its GOP was discarded."""
        if self._leading_before is None or packet.pts is None:
            return False
        if packet.pts < self._leading_before:
            return True
        self._leading_before = None
        return False

    def _starts_clean(self, time_s: float) -> bool:
        """Returns whether no due frame needs what came before this keyframe."""
        due_s = self._due_s
        return self._name == "h264" or (due_s is not None and time_s - due_s < CLOSE_S)

    def _can_defer(self, packet: Any, time_s: float) -> bool:
        """Returns whether a packet can be queued: no frame is due yet, including this one and those inside the decoder.

        Also, no frame may be due soon, unless a keyframe expected before it may make this packet needless.
        """
        due_s, pending = self._due_s, len(self._pending)
        if due_s is None or packet.pts is None or self._pending_bytes > HOLD_BYTES or pending >= HOLD_PACKETS:
            return False
        until_due_s = due_s - max(time_s, self._sent_s)
        if self._expects_key_before(due_s):
            return until_due_s > 0
        head_start_s = 0.0 if self._crowding > CROWDED else HEAD_START_S
        return until_due_s > head_start_s and pending < BATCH_PACKETS - 1

    def _expects_key_before(self, due_s: float) -> bool:
        key_s = self._keyframe_interval.next_s
        return key_s is not None and due_s > key_s - HALF_A_FRAME_S

    def _decode_pending(self) -> None:
        """Decodes the queued packets; none of their frames is due, but later frames refer to them."""
        if self._due_s is not None and self._expects_key_before(self._due_s):
            self._keyframe_interval.reset()
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        began_s, cpu_began_s = time.perf_counter(), time.thread_time()
        for packet in pending:
            self._send(packet, wanted=False)
        took_s, cpu_s = time.perf_counter() - began_s, time.thread_time() - cpu_began_s
        self._crowding += SMOOTHING * (took_s / max(cpu_s, CLOCK_S) - self._crowding)

    def _is_first(self, time_s: float) -> bool:
        """Returns whether a frame is the earliest so far that could be sampled for its instant."""
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
    """Predicts the next keyframe from the shorter of the last two intervals."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._periods_s: list[float] = []

    @property
    def next_s(self) -> float | None:
        """The time of the next keyframe, or None if it cannot be predicted."""
        if self._last_s is None or not self._periods_s:
            return None
        return self._last_s + min(self._periods_s)

    def record(self, time_s: float) -> None:
        """Records a keyframe."""
        if self._last_s is not None and time_s > self._last_s:
            self._periods_s = [*self._periods_s[-1:], time_s - self._last_s]
        self._last_s = time_s

    def reset(self) -> None:
        """Discards the prediction, because the keyframe did not arrive when expected."""
        self._periods_s = []
