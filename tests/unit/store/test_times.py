"""Local times in the zones of Berlin, New York and Shanghai, through the night when the clocks are set."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from vigil.errors import UsageError
from vigil.store.times import SteadyClock, format_utc, local, parse_time, shown

BERLIN, NEW_YORK, SHANGHAI = "Europe/Berlin", "America/New_York", "Asia/Shanghai"


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def epoch_s(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


@pytest.mark.parametrize(
    ("zone", "moment", "told"),
    [
        (BERLIN, "2026-10-25T00:30:00Z", "2026-10-25 02:30:00 +02:00"),
        (BERLIN, "2026-10-25T01:30:00Z", "2026-10-25 02:30:00 +01:00"),
        (NEW_YORK, "2026-11-01T05:30:00Z", "2026-11-01 01:30:00 -04:00"),
        (NEW_YORK, "2026-11-01T06:30:00Z", "2026-11-01 01:30:00 -05:00"),
        (SHANGHAI, "2026-07-01T00:00:00Z", "2026-07-01 08:00:00 +08:00"),
        ("UTC", "2026-07-01T00:00:00Z", "2026-07-01 00:00:00 +00:00"),
        ("Asia/Kathmandu", "2026-07-01T00:00:00Z", "2026-07-01 05:45:00 +05:45"),
    ],
    indirect=["zone"],
)
def test_a_time_that_is_shown_bears_its_zone_and_is_understood_again(zone: str, moment: str, told: str) -> None:
    assert local(epoch_s(moment)) == told == shown(datetime.fromisoformat(moment).astimezone())
    assert parse_time(told, option="--since") == format_utc(epoch_s(moment))


@pytest.mark.parametrize(
    ("zone", "text", "moments"),
    [
        (BERLIN, "2026-10-25T02:30", ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]),
        (NEW_YORK, "2026-11-01 01:59:59", ["2026-11-01T01:59:59-04:00", "2026-11-01T01:59:59-05:00"]),
    ],
    indirect=["zone"],
)
def test_the_hour_that_comes_twice_is_asked_back_and_told_apart(zone: str, text: str, moments: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        parse_time(text, option="--since")
    assert f"--since {text!r} comes twice here" in str(refused.value)
    assert f"write {moments[0]} or {moments[1]}" in str(refused.value)
    first, second = (parse_time(moment, option="--since") for moment in moments)
    assert datetime.fromisoformat(second) - datetime.fromisoformat(first) == datetime.fromtimestamp(3600, UTC) - (
        datetime.fromtimestamp(0, UTC)
    )


@pytest.mark.parametrize(
    ("zone", "text", "around"),
    [
        (BERLIN, "2026-03-29T02:30", ["2026-03-29 01:30:00 +01:00", "2026-03-29 03:30:00 +02:00"]),
        (NEW_YORK, "2026-03-08T02:00", ["2026-03-08 01:00:00 -05:00", "2026-03-08 03:00:00 -04:00"]),
    ],
    indirect=["zone"],
)
def test_the_hour_that_is_missing_is_refused(zone: str, text: str, around: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        parse_time(text, option="--until")
    assert f"--until {text!r} does not exist here" in str(refused.value)
    assert f"write {around[0]} or {around[1]}" in str(refused.value)


@pytest.mark.parametrize(
    ("zone", "text", "moment"),
    [
        (BERLIN, "2026-10-25T01:59", "2026-10-24T23:59:00.000Z"),
        (BERLIN, "2026-10-25T03:00", "2026-10-25T02:00:00.000Z"),
        (BERLIN, "2026-03-29T03:00", "2026-03-29T01:00:00.000Z"),
        (BERLIN, "2026-10-25", "2026-10-24T22:00:00.000Z"),
        (SHANGHAI, "2026-03-29T02:30", "2026-03-28T18:30:00.000Z"),
        (SHANGHAI, "2026-03-29T02:30Z", "2026-03-29T02:30:00.000Z"),
        # Where the day begins at one o'clock, and where midnight comes twice.
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00.000Z"),
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00.000Z"),
    ],
    indirect=["zone"],
)
def test_other_local_times_and_whole_days_are_what_the_clocks_showed(zone: str, text: str, moment: str) -> None:
    assert parse_time(text, option="--since") == moment


def test_a_clock_that_jumps_ahead_makes_nothing_older_and_one_that_is_set_back_is_followed() -> None:
    wall, passed = 1000.0, 50.0
    clock = SteadyClock(lambda: wall, lambda: passed)
    wall, passed = 1010.0, 60.0
    assert clock() == 1010.0
    wall = 2e9
    assert clock() == 1010.0
    wall, passed = 400.0, 70.0
    assert clock() == 400.0
    wall = 1025.0
    assert clock() == 1020.0
