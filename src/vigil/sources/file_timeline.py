"""The times of a file's pictures: one clock for the whole, for starts in the middle, for films, clips and snapshots.

Most containers say when each picture is shown, and players keep to it: a pause of an hour stays one. In MPEG streams
and the like a clock may leap where a recorder was set or a file joined, and nothing in the file tells that from a
pause: there a leap is spliced. Such a file is read from its beginning, since a start in the middle could not know of
the leaps before it; what lies before the start is not decoded.
"""

from typing import Any

from vigil.sources import container as containers
from vigil.sources.timestamps import FileClock

LEAPING = frozenset({"dhav", "mpeg", "mpegts", "mpegtsraw"}) | containers.RAW
"""Formats whose stamps are those of a running clock, which nothing vouches for."""

STORED_IN_ORDER = frozenset({"avi"})
"""No time of showing is stored, so the order of arrival has to serve."""

LONGEST_PAUSE_S = 86_400.0
"""Believed of a file whose header promises no length."""

SLACK_S = 1.0

LATE_S = 1.0
"""Pictures that begin so long after the sound begin late; less is how encoders start."""


class FileTimeline:
    """The clock of one stream of an open file, whose pictures are placed in order; `from_s` is where reading begins.

    `start_s` is the stamp of second 0 in seconds, None where there are no stamps.
    """

    def __init__(self, container: Any, stream: Any, *, from_s: float = 0.0) -> None:
        self.by_arrival = container.format.name in STORED_IN_ORDER
        self._tick_s = float(stream.time_base or 0)
        self._is_leaping = container.format.name in LEAPING
        self.start_s = None if self.by_arrival else _start_s(container, stream)
        self.clock = FileClock(
            frame_s=1 / containers.frame_rate(stream),
            start_s=self.start_s,
            first_s=from_s,
            vouched_s=vouched_s(container, stream),
        )

    @property
    def tick_s(self) -> float:
        """The stream's unit of time, in seconds."""
        return self._tick_s

    @property
    def can_seek(self) -> bool:
        """Whether reading may begin at a key picture in the middle and still know its time."""
        return self.start_s is not None and not self._is_leaping and self._tick_s > 0

    def ticks(self, time_s: float) -> int:
        """A second of the film as a stamp of its stream."""
        return round((time_s + (self.start_s or 0.0)) / self._tick_s)

    def seconds(self, ticks: int) -> float:
        """A stamp of the stream as a second of the film."""
        return ticks * self._tick_s - (self.start_s or 0.0)

    def place(self, picture: Any) -> float | None:
        """The second of a decoded `av.VideoFrame`, or None where it repeats one that was there before."""
        ticks = picture.dts if self.by_arrival else picture.pts
        return self.clock.place(None if ticks is None else ticks * self._tick_s)


def _start_s(container: Any, stream: Any) -> float | None:
    """The stamp of second 0: of the first picture, or of the sound where that begins well before it."""
    if stream.start_time is None:
        return None
    own_s = float(stream.start_time * (stream.time_base or 0))
    whole_s = own_s if container.start_time is None else container.start_time / containers.MICROSECONDS
    return whole_s if own_s - whole_s > LATE_S else own_s


def vouched_s(container: Any, stream: Any) -> float:
    """Up to which second a step of a file's clock is a pause, however long."""
    if container.format.name in LEAPING | STORED_IN_ORDER:
        return 0.0
    promised_s = containers.duration_from_header(container, stream)
    whole_s = float((container.duration or 0) / containers.MICROSECONDS)
    return LONGEST_PAUSE_S if promised_s is None else max(promised_s, whole_s) + SLACK_S
