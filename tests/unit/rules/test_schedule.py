"""A weekly schedule against a slow one that looks at every minute, and on the days on which the clock is changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigil.errors import UsageError
from vigil.rules.schedule import DAYS, WeeklySchedule

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "America/Santiago")

Part = tuple[tuple[int, ...], int, int]
"""Days, first minute of the day, last minute."""


@st.composite
def parts(draw: st.DrawFn) -> Part:
    days = draw(st.lists(st.integers(0, 6), max_size=3).map(tuple))
    start = draw(st.integers(0, 1439))
    end = draw(st.integers(0, 1440).filter(lambda minute: minute != start))
    return days, start, end


def written(part: Part) -> str:
    days, start, end = part
    words = " ".join(DAYS[day] for day in days)
    return f"{words} {start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}".strip()


def is_open_at(local: datetime, part: Part) -> bool:
    """What a person would say who looks at the clock on the wall and at one part of the schedule."""
    days, start, end = part
    minute = local.hour * 60 + local.minute
    today, yesterday = local.weekday(), (local.weekday() - 1) % 7
    is_of = [not days or day in days for day in (today, yesterday)]
    if start < end:
        return is_of[0] and start <= minute < end
    return (is_of[0] and minute >= start) or (is_of[1] and minute < end)


def local_time(utc: datetime, zone: str) -> datetime:
    return utc.astimezone(ZoneInfo(zone))


@given(st.lists(parts(), min_size=1, max_size=4), st.sampled_from(ZONES), st.integers(0, 12 * 7 * 1440))
def test_it_is_open_when_the_clock_on_the_wall_says_so(schedule: list[Part], zone: str, first_minute: int) -> None:
    made = WeeklySchedule.parse(", ".join(map(written, schedule)), timezone=zone)
    first = datetime(2026, 9, 20, tzinfo=UTC) + timedelta(minutes=first_minute)
    for minute in range(0, 1440, 7):
        utc = first + timedelta(minutes=minute)
        expected = any(is_open_at(local_time(utc, zone), part) for part in schedule)
        assert made.is_open(utc.timestamp()) == expected, (utc, written(schedule[0]))


@given(st.lists(parts(), min_size=1, max_size=3))
@example([((6,), 1320, 360)])
@example([((), 0, 1440)])
def test_every_minute_of_a_week_is_as_in_the_slow_one(schedule: list[Part]) -> None:
    made = WeeklySchedule.parse(",".join(map(written, schedule)), timezone="UTC")
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    found = [made.is_open((monday + timedelta(minutes=minute)).timestamp()) for minute in range(7 * 1440)]
    expected = [
        any(is_open_at(monday + timedelta(minutes=minute), part) for part in schedule) for minute in range(7 * 1440)
    ]
    assert found == expected


def open_minutes(text: str, zone: str, first_utc: str, hours: int) -> int:
    made = WeeklySchedule.parse(text, timezone=zone)
    first = datetime.fromisoformat(first_utc)
    return sum(made.is_open((first + timedelta(minutes=i)).timestamp()) for i in range(hours * 60))


def test_a_night_is_an_hour_longer_or_shorter_when_the_clock_is_changed() -> None:
    """In Berlin the clock showed 02:00 to 03:00 twice on 25 October 2026, and not at all on 29 March 2026."""
    assert open_minutes("22:00-06:00", "Europe/Berlin", "2026-10-24T12:00+00:00", 24) == 9 * 60
    assert open_minutes("22:00-06:00", "Europe/Berlin", "2026-03-28T12:00+00:00", 24) == 7 * 60
    assert open_minutes("02:15-02:45", "Europe/Berlin", "2026-10-24T22:00+00:00", 12) == 60
    assert open_minutes("02:15-02:45", "Europe/Berlin", "2026-03-28T23:00+00:00", 12) == 0
    assert open_minutes("01:00-02:30", "Europe/Berlin", "2026-03-28T23:00+00:00", 12) == 60


def test_a_night_that_begins_on_friday_ends_on_saturday() -> None:
    made = WeeklySchedule.parse("mon-fri 20:00-06:00", timezone="UTC")
    at = {
        name: datetime.fromisoformat(f"2026-11-{day}T{time}+00:00").timestamp()
        for name, day, time in [
            ("friday night", 27, "23:00"), ("saturday morning", 28, "05:59:59"), ("saturday at six", 28, "06:00"),
            ("saturday night", 28, "23:00"), ("monday morning", 30, "05:00"), ("monday night", 30, "20:00"),
        ]
    }  # fmt: skip
    assert {name for name, utc_s in at.items() if made.is_open(utc_s)} == {
        "friday night", "saturday morning", "monday night"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Sat-Mon 8:00 - 9:00", "sat sun mon 08:00-09:00"),
        ("tue - thu 08:00-09:00", "tue wed thu 08:00-09:00"),
        ("mon 22:00-00:00", "mon 22:00-24:00"),
        ("08:00–09:00", "08:00-09:00"),
        ("mon 08:00-10:00, mon 09:00-11:00", "mon 08:00-11:00"),
    ],
)
def test_a_schedule_may_be_written_in_several_ways(text: str, same: str) -> None:
    assert WeeklySchedule.parse(text) == WeeklySchedule.parse(same)


@pytest.mark.parametrize(
    ("text", "timezone", "said"),
    [
        ("", "", "has a part '' without times; write it as in 22:00-06:00 or"),
        ("at night", "", "has a part 'at night' without times"),
        ("22:00-06:00,", "", "has a part '' without times"),
        (
            "mon, wed 20:00-22:00",
            "",
            "has a part 'mon' without times; write mon 00:00-24:00, and several days with blan",
        ),
        ("22-06", "", "has a time '22'; times go from 00:00 to 24:00"),
        ("22:60-06:00", "", "has a time '22:60'"),
        ("22:00-24:30", "", "has a time '24:30'"),
        ("24:00-06:00", "", "starts at 24:00; write 00:00 of the next day"),
        ("08:00-08:00", "", "ends when it starts (08:00-08:00); write 00:00-24:00 for a whole day"),
        ("monday 20:00-22:00", "", "has a day 'monday'; did you mean mon?"),
        ("xyz 20:00-22:00", "", "has a day 'xyz'; days are mon, tue"),
        ("mon- 20:00-22:00", "", "has a day"),
        ("22:00-06:00", "Europe/Berln", "there is no time zone 'Europe/Berln'; did you mean Europe/Berlin?"),
        ("22:00-06:00", "../etc/passwd", "there is no time zone '../etc/passwd'"),
        ("22:00-06:00", "Europe", "there is no time zone 'Europe'"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_said(text: str, timezone: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        WeeklySchedule.parse(text, timezone=timezone)
    assert said in str(error.value)


def test_without_a_name_the_time_zone_is_that_of_the_machine() -> None:
    made = WeeklySchedule.parse("12:00-13:00")
    noon = datetime(2026, 11, 29, 12, 30).astimezone()
    assert made.is_open(noon.timestamp()) and not made.is_open((noon - timedelta(hours=1)).timestamp())
