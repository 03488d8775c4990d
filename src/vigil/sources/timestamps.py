"""Repairs the timestamps of files and cameras, and samples frames by them.

`FileClock` turns a file's raw timestamps, which may be missing, repeat or jump, into strictly increasing seconds.
`ArrivalClock` does so for live frames: timestamps are exact but may run at the wrong speed, while arrival times are
true but jitter with the network. So timestamps give the spacing, corrected by two facts: no frame was captured after
it arrived, and none is more than `FAR_S` late for long. `FrameSampler` then keeps one frame for every instant
`k / fps`. Files and live sources share it, so sampling is the same everywhere. `StreamPacer` slows down segments.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

FILE_JUMP_S = 60.0
"""A longer step forward is a clock jump rather than a pause in the recording, unless the file's index covers it."""

STEP_BACK_S = 1.0
"""A step back of up to this is a frame out of order or repeated; beyond it the clock was set back."""

SAME_S = 1e-6

FRAMES_OFF = 4.5
"""Among frames without timestamps, one this near to the expected position is consistent with it."""

HALF_A_FRAME = 0.5
SPARSE_FRAMES = 50
"""For this many frames after one without a timestamp, timestamps count as sparse."""

ROUNDING_S = 0.002
"""Containers such as Matroska round timestamps to whole milliseconds."""


class FileClock:
    """Repaired times of one run of frames, in seconds from `start_s`.

    A pause of up to a minute is kept. A clock that is set back or jumps ahead is spliced: the frame follows the
    previous one at the usual interval, and later times shift with it. `first_s` is roughly the time of the first frame
    if reading begins in the middle. Up to `plausible_gap_s`, the duration in the file's own index, any step forward is
    a pause. Frames without a timestamp follow at the usual interval, as in MPEG streams, where few frames have one; if
    the next timestamp disagrees with that, they count as `missing` one.
    """

    def __init__(
        self, *, frame_s: float, start_s: float | None = None, first_s: float = 0.0, plausible_gap_s: float = 0.0
    ) -> None:
        self.frame_s = frame_s
        self.last_s: float | None = None
        self.jumps = 0
        self.repeats = 0
        self._misplaced = 0
        self._unstamped = 0
        self._has_stamps = False
        self._sparse_left = 0
        self._off_frames = 0.0
        self._jump_s = max(FILE_JUMP_S, 10 * frame_s)
        self._vouched_s = plausible_gap_s
        self._latest_first_s = max(first_s + self._jump_s, plausible_gap_s)
        self._stuck_after = max(2, round(1 / frame_s))
        self._stuck = 0
        self._shift_s = None if start_s is None else -start_s

    def place(self, stamp_s: float | None) -> float | None:
        """Returns the time of the next frame, or None if it repeats an earlier one."""
        if self.last_s is None:
            self.last_s = self._first(stamp_s)
            return self.last_s
        if stamp_s is None:
            return self._advance(self.last_s + self._unstamped_step_s())
        if self._shift_s is None:
            self._shift_s = self.last_s + self.frame_s - stamp_s
        self._has_stamps = True
        if self._sparse_left and self._is_neighbours(stamp_s + self._shift_s - self.last_s):
            return self._advance(self.last_s + self.frame_s)
        ahead_s = stamp_s + self._shift_s - self.last_s
        if self._repeats(ahead_s):
            self.repeats += 1
            return None
        if not self._is_step(self.last_s, stamp_s + self._shift_s):
            return self._advance(self._splice(stamp_s, after_s=self.last_s))
        return self._advance(stamp_s + self._shift_s)

    def preview(self, stamps_s: Sequence[float]) -> list[float] | None:
        """Returns the times that increasing timestamps would get, or None if `place` might repair any of them."""
        if self._shift_s is None or self._sparse_left:
            return None
        times = [stamp_s + self._shift_s for stamp_s in stamps_s]
        run = [-self.frame_s if self.last_s is None else self.last_s, *times]
        steady = all(self._is_step(before, after) for before, after in pairwise(run))
        return times if steady else None

    @property
    def missing(self) -> int:
        """The number of frames without a timestamp whose time is only a guess."""
        return self._misplaced if self._has_stamps else self._unstamped

    def _unstamped_step_s(self) -> float:
        self._unstamped += 1
        self._sparse_left = SPARSE_FRAMES
        return self.frame_s

    def _is_neighbours(self, ahead_s: float) -> bool:
        """Returns whether a timestamp among frames without one belongs to a neighbouring frame.

        In decoding order, a packet's timestamp may come out one frame early or late. One that is off by as much as the
        last one is right. Frames placed far from where a timestamp puts them were misplaced.
        """
        off_frames, before = ahead_s / self.frame_s - 1, self._off_frames
        self._misplaced += self._unstamped if abs(off_frames) > FRAMES_OFF else 0
        self._off_frames, self._unstamped = off_frames, 0
        self._sparse_left -= 1
        return HALF_A_FRAME < abs(off_frames) <= FRAMES_OFF and abs(off_frames - before) > HALF_A_FRAME

    def pass_over(self, time_s: float) -> None:
        """Records the time of a skipped frame, so that a jump after it is spliced at the right place."""
        self.last_s = time_s if self.last_s is None else max(self.last_s, time_s)

    def _is_step(self, before_s: float, after_s: float) -> bool:
        """Returns whether one frame can follow another at these times."""
        ahead_s = after_s - before_s
        return ahead_s > SAME_S and (ahead_s <= self._jump_s or after_s <= self._vouched_s)

    def _first(self, stamp_s: float | None) -> float:
        if stamp_s is None:
            self._unstamped_step_s()
            return 0.0
        self._has_stamps = True
        if self._shift_s is None or not 0 <= stamp_s + self._shift_s <= self._latest_first_s:
            self._shift_s = -stamp_s
        return stamp_s + self._shift_s

    def _repeats(self, ahead_s: float) -> bool:
        """Returns whether a timestamp is a repeat: it does not advance, and the clock has not stalled for a second."""
        if ahead_s > SAME_S:
            self._stuck = 0
            return False
        self._stuck += 1
        return ahead_s > -STEP_BACK_S and self._stuck <= self._stuck_after

    def _splice(self, stamp_s: float, *, after_s: float) -> float:
        self.jumps += 1
        self._shift_s = after_s + self.frame_s - stamp_s
        return after_s + self.frame_s

    def _advance(self, time_s: float) -> float:
        self.last_s = time_s
        return time_s


class FrameSampler:
    """Keeps the first frame at or after each instant `k / fps`, counted from the first frame.

    The instants are a fixed grid, so nothing drifts: 25 frames a second sampled at 2 give frames at 0, 0.52, 1.0, 1.52
    ... and 1,200 in ten minutes. During a pause, or if the source is slower than `fps`, no frame is kept twice. The
    grid begins at `origin_s` if given. With `from_s` it begins at second 0, and frames before `from_s` are not kept.
    """

    def __init__(self, fps: float, *, from_s: float = 0.0, origin_s: float | None = None) -> None:
        self.fps = fps
        self._start_s: float | None = 0.0 if from_s else origin_s
        self._next = math.ceil(from_s * fps - ROUNDING_S)

    def accept(self, time_s: float) -> bool:
        """Returns whether the frame at `time_s` is kept; times must increase from call to call."""
        if self._start_s is None:
            self._start_s = time_s
        instant = self._instant(time_s, start_s=self._start_s)
        if instant < self._next:
            return False
        self._next = instant + 1
        return True

    def instant_of(self, time_s: float) -> int | None:
        """Returns the instant for which a frame at `time_s` would be kept; None if it would not be kept."""
        if self._start_s is None:
            return 0
        instant = self._instant(time_s, start_s=self._start_s)
        return instant if instant >= self._next else None

    @property
    def next_s(self) -> float | None:
        """The time from which a frame is kept; None before the first."""
        return None if self._start_s is None else self._start_s + self._next / self.fps - ROUNDING_S

    def _instant(self, time_s: float, *, start_s: float) -> int:
        return math.floor((time_s - start_s + ROUNDING_S) * self.fps)

    def copy(self) -> "FrameSampler":
        """Returns a copy that can be advanced without changing this one."""
        twin = FrameSampler(self.fps)
        twin._start_s, twin._next = self._start_s, self._next
        return twin


FAR_S = 2.0
"""Timestamps that stay this far from the arrival of their frames are re-synchronised."""

LAG_TOLERANCE_S = 1.0
"""How long timestamps may lag: a network delay ends in a burst, a clock that was set back stays late."""

STILL_S = 1.0
STILL_PACKETS = 4
"""The same timestamp on this many packets over `STILL_S` means a stalled clock, not a frame in several packets."""

BURST_S = 5.0
"""At the start of a connection a camera may send buffered data in a burst."""

GIVE_S = 0.001
"""The rate in seconds per second at which timestamps may fall behind; real clocks drift by a tenth of this."""

DOUBTS = 2
DOUBT_WITHIN_S = 60.0
"""A camera whose timestamps were wrong `DOUBTS` times within this time is timed by arrival alone."""

LIVE_JUMP_S = 10.0


class ArrivalClock:
    """Maps packets and frames of one connection to the watcher's clock.

    `arrived_s` is the watcher's clock on arrival, `stamp_s` the stream's timestamp. If `trusted` is False, only arrival
    counts.
    """

    def __init__(self, *, trusted: bool = True) -> None:
        self.trusted = trusted
        self.corrections = 0
        self.repeats = 0
        self._shift_s: float | None = None
        self._last_s: float | None = None
        self._first_s = 0.0
        self._last_arrival_s = 0.0
        self._late_since_s: float | None = None
        self._pulled_s = 0.0
        self._still = StalledClock()
        self._doubts: deque[float] = deque(maxlen=DOUBTS)

    def locate(self, stamp_s: float | None, *, arrived_s: float) -> float:
        """Returns the time of a packet that arrives now; call it for every packet of the connection, in order."""
        if stamp_s is None or not self.trusted:
            return arrived_s
        if self._still.lasts(stamp_s, arrived_s=arrived_s):
            self.corrections += 1
            self.trusted = False
            return arrived_s
        if self._shift_s is None:
            self._shift_s = arrived_s - stamp_s
            self._first_s = self._last_arrival_s = arrived_s
        late_s = arrived_s - stamp_s - self._shift_s
        if self._is_wrong(late_s, arrived_s):
            self._correct(arrived_s)
            self._shift_s = arrived_s - stamp_s
            return arrived_s
        self._shift_s += self._pull_s(late_s, arrived_s)
        return stamp_s + self._shift_s

    def place(self, stamp_s: float | None, *, arrived_s: float) -> float | None:
        """Returns the time of a decoded frame, or None if it is not later than the previous one."""
        time_s = arrived_s
        if stamp_s is not None and self._shift_s is not None and self.trusted:
            time_s = min(stamp_s + self._shift_s, arrived_s)
        if self._last_s is not None and time_s <= self._last_s:
            self.repeats += 1
            return None
        self._last_s = time_s
        return time_s

    def _is_wrong(self, late_s: float, arrived_s: float) -> bool:
        """Returns whether timestamps are implausible: far ahead of arrival, or far behind it for a while."""
        if late_s <= FAR_S:
            self._late_since_s = None
            return late_s < -FAR_S
        if self._late_since_s is None:
            self._late_since_s = arrived_s
        return arrived_s - self._late_since_s >= LAG_TOLERANCE_S

    def _pull_s(self, late_s: float, arrived_s: float) -> float:
        """Returns the correction of the timestamps: back at once if ahead of arrival, forward only gradually."""
        elapsed_s, self._last_arrival_s = arrived_s - self._last_arrival_s, arrived_s
        if late_s >= 0:
            return min(late_s, GIVE_S * elapsed_s)
        if arrived_s - self._first_s > BURST_S:
            self._pulled_s -= late_s
        if self._pulled_s > FAR_S:
            self._correct(arrived_s)
        return late_s

    def _correct(self, now_s: float) -> None:
        self.corrections += 1
        self._pulled_s, self._late_since_s = 0.0, None
        self._doubts.append(now_s)
        if len(self._doubts) == DOUBTS and now_s - self._doubts[0] <= DOUBT_WITHIN_S:
            self.trusted = False


class StalledClock:
    """Detects a timestamp that repeats without end. A stalled clock never recovers, so it is not tried again."""

    def __init__(self) -> None:
        self._stamp_s: float | None = None
        self._since_s = 0.0
        self._packets = 0

    def lasts(self, stamp_s: float, *, arrived_s: float) -> bool:
        """Returns whether the clock is known to be stalled with the packet that arrives now."""
        if stamp_s != self._stamp_s:
            self._stamp_s, self._since_s, self._packets = stamp_s, arrived_s, 0
        self._packets += 1
        return self._packets >= STILL_PACKETS and arrived_s - self._since_s >= STILL_S


class StreamPacer:
    """Releases the frames of a stream that arrives in segments (HLS, a file on a server) at their own pace."""

    def __init__(self, *, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop = stop
        self._clock = clock
        self._start_s: float | None = None

    def wait(self, stamp_s: float | None) -> None:
        """Waits until a packet with this timestamp is due; starts anew after a pause or a jump of the timestamps."""
        if stamp_s is None:
            return
        now_s = self._clock()
        ahead_s = 0.0 if self._start_s is None else self._start_s + stamp_s - now_s
        if self._start_s is None or not -FAR_S <= ahead_s <= LIVE_JUMP_S:
            self._start_s, ahead_s = now_s - stamp_s, 0.0
        if ahead_s > 0:
            self._stop.wait(ahead_s)
