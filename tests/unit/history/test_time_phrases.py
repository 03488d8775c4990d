"""When a question is about, in Chinese and English."""

import os
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.history.time_phrases import MAYBE_AFTER, find_time_range

MONDAY = datetime(2026, 11, 30, 9, 15)


@pytest.mark.parametrize(
    ("question", "since", "until", "rest"),
    [
        ("昨晚十点后门口有人打架吗", "11-29 22:00", "11-30 06:00", "门口有人打架吗"),
        ("yesterday after ten, was there a fight?", "11-29 10:00", "11-30 00:00", ", was there a fight?"),
        (f"昨晚十点{MAYBE_AFTER}有人吗", "11-29 21:30", "11-30 06:00", f"{MAYBE_AFTER}有人吗"),
        ("昨晚一点", "11-30 00:30", "11-30 01:30", ""),
        ("昨天下午三点半到五点有人吗", "11-29 15:30", "11-29 17:00", "有人吗"),
        ("昨天10点15分", "11-29 09:45", "11-29 10:45", ""),
        ("last night around 11", "11-29 22:30", "11-29 23:30", ""),
        ("between 10 and 11 pm yesterday", "11-29 22:00", "11-29 23:00", ""),
        ("from 10 pm to 6 am", "11-29 22:00", "11-30 06:00", ""),
        ("22:00-06:00", "11-29 22:00", "11-30 06:00", ""),
        ("2026-11-29 22:00到23:30", "11-29 22:00", "11-29 23:30", ""),
        ("今天早上8点前", "11-30 05:00", "11-30 08:00", ""),
        ("today before 8", "11-30 00:00", "11-30 08:00", ""),
        ("周三下午有人搬梯子吗", "11-25 12:00", "11-25 18:00", "有人搬梯子吗"),
        ("上周五晚上九点", "11-27 20:30", "11-27 21:30", ""),
        ("on Friday evening", "11-27 17:00", "11-28 00:00", ""),
        ("11月28日凌晨两点", "11-28 01:30", "11-28 02:30", ""),
        ("Nov 28 at 3 pm", "11-28 14:30", "11-28 15:30", ""),
        ("last 2 hours", "11-30 07:15", "11-30 09:15", ""),
        ("过去半小时", "11-30 08:45", "11-30 09:15", ""),
        ("两小时前", "11-30 06:45", "11-30 07:45", ""),
        ("an hour ago", "11-30 07:45", "11-30 08:45", ""),
        ("三天前", "11-27 00:00", "11-28 00:00", ""),
        ("last week", "11-23 00:00", "11-30 00:00", ""),
        ("上周", "11-23 00:00", "11-30 00:00", ""),
        ("since Friday", "11-27 00:00", "11-30 09:15", ""),
        ("晚上", "11-29 18:00", "11-30 06:00", ""),
        ("十点", "11-29 09:30", "11-29 10:30", ""),
    ],
)
def test_the_time_is_read_and_taken_out(question: str, since: str, until: str, rest: str) -> None:
    found = find_time_range(question, MONDAY)
    assert found is not None
    assert (f"{found.since:%m-%d %H:%M}", f"{found.until:%m-%d %H:%M}") == (since, until)
    assert found.rest.strip() == rest


@pytest.mark.parametrize(
    "question",
    [
        "who was there?", "2026-13-45", "0001-01-01", "9999-12-31", "did 2 people fight", "at 25",
        "一个人在门口站了很久", "有人在时间上", "2月30日", "",
    ],
)  # fmt: skip
def test_what_names_no_time_or_none_that_exists_is_no_time(question: str) -> None:
    assert find_time_range(question, MONDAY) is None


@given(st.text(alphabet="昨今前晚夜十一二三点半后到至周上个月日天小时0123456789:-/ apmlstnighyerdo", max_size=40))
def test_whatever_is_asked_ends_after_it_begins(question: str) -> None:
    found = find_time_range(question, MONDAY)
    assert found is None or (found.since <= found.until and found.since_utc <= found.until_utc)


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock as that of Berlin, which is set back on 2026-10-25 and forward on 2026-03-29."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def test_an_hour_that_comes_twice_is_taken_whole(in_berlin: None) -> None:
    found = find_time_range("2026-10-25 from 2:10 to 2:50", datetime(2026, 10, 25, 12))
    assert found is not None
    assert (found.since_utc, found.until_utc) == ("2026-10-25T00:10:00.000Z", "2026-10-25T01:50:00.000Z")


def test_an_hour_that_does_not_exist_is_read_as_the_one_around_it(in_berlin: None) -> None:
    found = find_time_range("2026-03-29 from 2:10 to 2:50", datetime(2026, 3, 29, 12))
    assert found is not None
    assert (found.since_utc, found.until_utc) == ("2026-03-29T00:10:00.000Z", "2026-03-29T01:50:00.000Z")


def test_a_day_has_as_many_hours_as_its_clocks(in_berlin: None) -> None:
    found = find_time_range("2026-10-25", datetime(2026, 10, 26, 12))
    assert found is not None
    assert (found.since_utc, found.until_utc) == ("2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z")
