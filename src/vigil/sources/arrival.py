"""The time of live pictures: the camera's own spacing, kept honest by when the pictures arrive.

A camera's stamps are exact to the millisecond but may be missing, repeat, jump by hours or run at the wrong
speed; arrival is always true but trembles with the network. So stamps give the spacing, and two facts keep
them honest: no picture was taken after it arrived, and none is more than `FAR_S` late for long.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

FAR_S = 2.0
"""Stamps that stay this far from the arrival of their pictures are set anew."""

PATIENCE_S = 1.0
"""What a network held up comes late, but all at once; a clock that was set back goes on being late."""

STILL_S = 1.0
STILL_PACKETS = 4
"""One stamp on this many packets over this long is a clock that stands still, not a picture in several packets."""

BURST_S = 5.0
"""At the start of a connection a camera may send at once what it had gathered."""

GIVE_S = 0.001
"""Seconds a second by which the stamps may be slower: real clocks differ by a tenth of this."""

DOUBTS = 2
DOUBT_WITHIN_S = 60.0
"""A camera whose stamps were wrong this often within this time is timed by arrival alone."""

LIVE_JUMP_S = 10.0


class ArrivalClock:
    """Places the packets and pictures of one connection on the watch's own clock.

    `arrived_s` is always the watch's clock at arrival, `stamp_s` the stream's. `trusted` False goes by arrival alone.
    """

    def __init__(self, *, trusted: bool = True) -> None:
        self.trusted = trusted
        self.corrections = 0
        self.repeats = 0
        self._shift_s: float | None = None
        self._last_s: float | None = None
        self._first_s = 0.0
        self._seen_s = 0.0
        self._late_since_s: float | None = None
        self._pulled_s = 0.0
        self._still = StalledClock()
        self._doubts: deque[float] = deque(maxlen=DOUBTS)

    def locate(self, stamp_s: float | None, *, arrived_s: float) -> float:
        """The time of a packet that arrives now; every packet of the connection must come by, in order."""
        if stamp_s is None or not self.trusted:
            return arrived_s
        if self._still.lasts(stamp_s, arrived_s=arrived_s):
            self.corrections += 1
            self.trusted = False
            return arrived_s
        if self._shift_s is None:
            self._shift_s = arrived_s - stamp_s
            self._first_s = self._seen_s = arrived_s
        late_s = arrived_s - stamp_s - self._shift_s
        if self._is_wrong(late_s, arrived_s):
            self._correct(arrived_s)
            self._shift_s = arrived_s - stamp_s
            return arrived_s
        self._shift_s += self._pull_s(late_s, arrived_s)
        return stamp_s + self._shift_s

    def place(self, stamp_s: float | None, *, arrived_s: float) -> float | None:
        """The time of a decoded picture, or None when it is not later than the one before."""
        time_s = arrived_s
        if stamp_s is not None and self._shift_s is not None and self.trusted:
            time_s = min(stamp_s + self._shift_s, arrived_s)
        if self._last_s is not None and time_s <= self._last_s:
            self.repeats += 1
            return None
        self._last_s = time_s
        return time_s

    def _is_wrong(self, late_s: float, arrived_s: float) -> bool:
        """Whether the stamps are beyond belief: far ahead of arrival, or far behind it for a while."""
        if late_s <= FAR_S:
            self._late_since_s = None
            return late_s < -FAR_S
        if self._late_since_s is None:
            self._late_since_s = arrived_s
        return arrived_s - self._late_since_s >= PATIENCE_S

    def _pull_s(self, late_s: float, arrived_s: float) -> float:
        """How far the stamps move: back at once when ahead of arrival, forward only little by little."""
        elapsed_s, self._seen_s = arrived_s - self._seen_s, arrived_s
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
    """How long one stamp has come again and again: a clock that stands still never catches up, so one try is enough."""

    def __init__(self) -> None:
        self._stamp_s: float | None = None
        self._since_s = 0.0
        self._packets = 0

    def lasts(self, stamp_s: float, *, arrived_s: float) -> bool:
        """Whether the clock is known to stand still with the packet that arrives now."""
        if stamp_s != self._stamp_s:
            self._stamp_s, self._since_s, self._packets = stamp_s, arrived_s, 0
        self._packets += 1
        return self._packets >= STILL_PACKETS and arrived_s - self._since_s >= STILL_S


class StreamPacer:
    """Lets the pictures of a stream that comes in pieces (HLS, a file on a server) out at their own pace."""

    def __init__(self, *, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop = stop
        self._clock = clock
        self._start_s: float | None = None

    def wait(self, stamp_s: float | None) -> None:
        """Waits until a packet with this stamp is due; after a pause or a jump of the stamps it starts anew."""
        if stamp_s is None:
            return
        now_s = self._clock()
        ahead_s = 0.0 if self._start_s is None else self._start_s + stamp_s - now_s
        if self._start_s is None or not -FAR_S <= ahead_s <= LIVE_JUMP_S:
            self._start_s, ahead_s = now_s - stamp_s, 0.0
        if ahead_s > 0:
            self._stop.wait(ahead_s)
