"""A shift: the same part of each day in local time, such as 22:00-06:00, or the whole day.

    night = Shift.parse("22:00-06:00", timezone="Europe/Berlin")
    since, until = night.span(date(2026, 11, 29))       # 22:00 on that day to 06:00 on the next

When the clock changes, a shift is an hour longer or shorter: it goes by what the clocks on the wall show.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from vigil.errors import UsageError
from vigil.rules.schedule import WeeklySchedule

SHIFT = re.compile(r"(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})")
CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """When it begins and ends, since midnight of the day on which it begins; `zone` is None for this machine's."""

    begin: timedelta = timedelta()
    end: timedelta = DAY
    zone: ZoneInfo | None = None

    @classmethod
    def parse(cls, text: str = "", *, timezone: str = "") -> "Shift":
        """Reads `22:00-06:00`, empty for the whole day, in a time zone; raises UsageError."""
        zone = zone_of(timezone)
        if not text.strip():
            return cls(zone=zone)
        found = SHIFT.fullmatch(text.strip())
        numbers = [int(word) for word in found.groups()] if found else []
        if not numbers or max(numbers[0], numbers[2]) > 24 or max(numbers[1], numbers[3]) > 59:
            raise UsageError(f"shift {text!r}: write from when until when, such as 22:00-06:00")
        begin, end = (timedelta(hours=numbers[i], minutes=numbers[i + 1]) for i in (0, 2))
        if begin == end or max(begin, end) > DAY:
            raise UsageError(f"shift {text!r} is no part of a day; write such as 22:00-06:00")
        return cls(begin=begin, end=end if end > begin else end + DAY, zone=zone)

    def span(self, day: date) -> tuple[datetime, datetime]:
        """From when until when the shift is that begins on a day; without a zone, in this machine's local time."""
        midnight = datetime.combine(day, time(), self.zone)
        return midnight + self.begin, midnight + self.end

    def last(self, now: datetime) -> tuple[datetime, datetime]:
        """The last shift that is over; `now` is in its zone."""
        for days in (0, 1, 2):
            since, until = self.span(now.date() - timedelta(days=days))
            if until <= now:
                return since, until
        raise AssertionError("a shift is over within two days")


def zone_of(timezone: str) -> ZoneInfo | None:
    """A time zone by its name, None for that of this machine; raises UsageError that names the nearest one."""
    return WeeklySchedule.parse("00:00-24:00", timezone=timezone).zone if timezone else None


def clock_of(text: str) -> timedelta:
    """A time of day such as 06:15, since midnight; raises UsageError."""
    found = CLOCK.fullmatch(text.strip())
    hour, minute = (int(found[1]), int(found[2])) if found else (99, 99)
    if hour > 23 or minute > 59:
        raise UsageError(f"at {text!r}: write a time of day such as 06:15")
    return timedelta(hours=hour, minutes=minute)
