"""A weekly schedule, such as `22:00-06:00` or `mon-fri 20:00-06:00, sat sun 00:00-24:00`, in a time zone.

It follows local time: it is open whenever the local clock shows a time within one of its parts. When the clock changes,
an hour that is repeated is open twice and an hour that is skipped never, so that night is an hour longer or shorter.
"""

import difflib
import logging
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from vigil.errors import UsageError

log = logging.getLogger(__name__)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86_400
WEEK_S = 7 * DAY_S
EXAMPLE = "write it as in 22:00-06:00 or mon-fri 20:00-06:00, sat sun 00:00-24:00"

PART = re.compile(r"(?P<days>[^0-9]*)(?P<start>\d[\d:]*)\s*-\s*(?P<end>\d[\d:]*)")
TIME = re.compile(r"(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class WeeklySchedule:
    """The times of a week, in seconds since Monday 00:00, during which something applies.

    `starts_s` and `ends_s` are sorted and do not overlap; an end is not part of the time. `zone` is None for the time
    zone of this machine.
    """

    starts_s: tuple[int, ...]
    ends_s: tuple[int, ...]
    zone: ZoneInfo | None = None

    @classmethod
    def parse(cls, text: str, *, timezone: str = "") -> "WeeklySchedule":
        """Reads a schedule; `timezone` is a name such as `Europe/Berlin`, empty for that of this machine.

        Raises UsageError that says which part is wrong.
        """
        spans = [span for part in text.replace("–", "-").split(",") for span in _spans(part.strip(), text)]
        joined = list(_joined(sorted(spans)))
        return cls(tuple(s for s, _ in joined), tuple(e for _, e in joined), _zone(timezone))

    def is_open(self, utc_s: float) -> bool:
        """Whether the schedule is open at a time in seconds since 1970 (`time.time()`)."""
        now = datetime.fromtimestamp(utc_s, UTC).astimezone(self.zone)
        second = now.weekday() * DAY_S + now.hour * 3600 + now.minute * 60 + now.second
        part = bisect_right(self.starts_s, second) - 1
        return part >= 0 and second < self.ends_s[part]


class SourceSchedule:
    """Whether a schedule (None: always open) is open at a second of a source.

    A file has no time of day (no `epoch_s`): there it is never open, and `warning` is logged once.
    """

    def __init__(self, schedule: WeeklySchedule | None, *, warning: str) -> None:
        self._schedule = schedule
        self._warning = warning
        self._has_warned = False

    def is_open(self, *seconds: float, epoch_s: float | None) -> bool:
        """Whether it is open at each of these seconds; `epoch_s` is the `time.time()` of second 0."""
        if self._schedule is None:
            return True
        if epoch_s is None:
            self._warn()
            return False
        return all(self._schedule.is_open(epoch_s + second) for second in seconds)

    def _warn(self) -> None:
        if not self._has_warned:
            log.warning("%s", self._warning)
        self._has_warned = True


def _spans(part: str, text: str) -> Iterator[tuple[int, int]]:
    """The times of one part, in seconds since Monday 00:00, cut at the end of the week."""
    match = PART.fullmatch(part)
    if match is None:
        raise UsageError(f"the schedule {text!r} has a part {part!r} without times; {_advice(part)}")
    start_s, end_s = _time_s(match["start"], text), _time_s(match["end"], text)
    if start_s == DAY_S:
        raise UsageError(f"the schedule {text!r} has a part that starts at 24:00; write 00:00 of the next day")
    if start_s == end_s:
        raise UsageError(
            f"the schedule {text!r} has a part that ends when it starts ({part}); write 00:00-24:00 for a whole day"
        )
    lasts_s = end_s - start_s if end_s > start_s else end_s - start_s + DAY_S
    for day in _days(match["days"], text):
        first_s = day * DAY_S + start_s
        yield first_s, min(first_s + lasts_s, WEEK_S)
        if first_s + lasts_s > WEEK_S:
            yield 0, first_s + lasts_s - WEEK_S


def _advice(part: str) -> str:
    only_days = bool(part) and all(day in DAYS for day in re.split(r"[\s-]+", part.lower()))
    if only_days:
        return f"write {part} 00:00-24:00, and several days with blanks between them: mon wed 20:00-22:00"
    return EXAMPLE


def _time_s(text: str, whole: str) -> int:
    match = TIME.fullmatch(text)
    hour, minute = (int(match[1]), int(match[2])) if match else (99, 99)
    if minute > 59 or hour > 24 or (hour == 24 and minute):
        raise UsageError(f"the schedule {whole!r} has a time {text!r}; times go from 00:00 to 24:00")
    return hour * 3600 + minute * 60


def _days(text: str, whole: str) -> set[int]:
    """The days of a part, 0 for Monday; all if it names none."""
    names = re.sub(r"\s*-\s*", "-", text.strip().lower()).split()
    return {day for name in names for day in _range(name, whole)} if names else set(range(7))


def _range(text: str, whole: str) -> list[int]:
    first, dash, last = text.partition("-")
    ends = [_day(first, whole), _day(last if dash else first, whole)]
    count = (ends[1] - ends[0]) % 7 + 1
    return [(ends[0] + i) % 7 for i in range(count)]


def _day(name: str, whole: str) -> int:
    if name not in DAYS:
        near = difflib.get_close_matches(name, DAYS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"days are {', '.join(DAYS)}"
        raise UsageError(f"the schedule {whole!r} has a day {name!r}; {hint}")
    return DAYS.index(name)


def _joined(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted spans, with those that overlap or touch made one."""
    start_s, end_s = spans[0]
    for next_start_s, next_end_s in spans[1:]:
        if next_start_s > end_s:
            yield start_s, end_s
            start_s = next_start_s
        end_s = max(end_s, next_end_s)
    yield start_s, end_s


def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {near[0]}?" if near else "write one as in Europe/Berlin or Asia/Shanghai"
        raise UsageError(f"there is no time zone {name!r}; {hint}") from error
