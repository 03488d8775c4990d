"""Timestamps of a file's frames, the same for reading, seeking, annotated videos, clips and snapshots.

Most containers store the time at which each frame is shown, so an hour's pause is a pause. In MPEG streams and the
like the clock may jump where a recorder was reset or files were joined, and nothing distinguishes a jump from a pause,
so jumps are spliced. Such files are read from the beginning, because earlier jumps must be known; frames before the
start are not decoded.
"""

from typing import Any

from vigil.sources import container as containers
from vigil.sources.timestamps import FileClock

LEAPING = frozenset({"dhav", "mpeg", "mpegts", "mpegtsraw"}) | containers.RAW
"""Formats whose timestamps come from a running clock that may jump."""

STORED_IN_ORDER = frozenset({"avi"})
"""Formats that store no presentation times; the order of arrival is used instead."""

LONGEST_PAUSE_S = 86_400.0
"""The longest pause accepted in a file whose header declares no duration."""

SLACK_S = 1.0

LATE_S = 1.0
"""If the video begins this much later than the audio, it begins late; smaller gaps come from encoders."""


class FileTimeline:
    """Maps timestamps of one stream of an open file to seconds; frames are placed in order from `from_s` on.

    `start_s` is the timestamp of second 0, in seconds; None if there are no timestamps.
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
            plausible_gap_s=plausible_gap_s(container, stream),
        )

    @property
    def tick_s(self) -> float:
        """The stream's time base in seconds."""
        return self._tick_s

    @property
    def can_seek(self) -> bool:
        """Whether reading can start at a keyframe in the middle and still know its time."""
        return self.start_s is not None and not self._is_leaping and self._tick_s > 0

    def ticks(self, time_s: float) -> int:
        """Converts seconds of the video to a timestamp of the stream."""
        return round((time_s + (self.start_s or 0.0)) / self._tick_s)

    def seconds(self, ticks: int) -> float:
        """Converts a timestamp of the stream to seconds of the video."""
        return ticks * self._tick_s - (self.start_s or 0.0)

    def place(self, picture: Any) -> float | None:
        """Returns the time of a decoded `av.VideoFrame` in seconds, or None if it repeats an earlier one."""
        ticks = picture.dts if self.by_arrival else picture.pts
        return self.clock.place(None if ticks is None else ticks * self._tick_s)


def _start_s(container: Any, stream: Any) -> float | None:
    """Returns the timestamp of second 0: the first frame, or the audio if that begins well before it."""
    if stream.start_time is None:
        return None
    own_s = float(stream.start_time * (stream.time_base or 0))
    whole_s = own_s if container.start_time is None else container.start_time / containers.MICROSECONDS
    return whole_s if own_s - whole_s > LATE_S else own_s


def plausible_gap_s(container: Any, stream: Any) -> float:
    """Returns the second up to which a forward step of the file's clock is a pause, however long."""
    if container.format.name in LEAPING | STORED_IN_ORDER:
        return 0.0
    promised_s = containers.duration_from_header(container, stream)
    whole_s = float((container.duration or 0) / containers.MICROSECONDS)
    return LONGEST_PAUSE_S if promised_s is None else max(promised_s, whole_s) + SLACK_S
