"""Days and parts of days as people write them in Chinese and English: 昨天, 上周三, 11月29日, last night, on Friday.

Days are counted from the day on which it is asked. A phrase that names no day ("晚上", "in the morning") means the last
time that it was so.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from vigil.chat.time_span import numerals_to_digits

ENGLISH = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
NUMBER = rf"(?:\d{{1,4}}|[零〇一二两三四五六七八九十]{{1,3}}|(?:{ENGLISH})\b)"

ZH_WEEKDAYS = "一二三四五六日"
EN_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EN_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in EN_MONTHS)

FIRST_YEAR, LAST_YEAR = 1971, 2999
"""Outside of these a date is a slip, and its seconds fit no clock."""

DAYS_AGO = {
    "大前天": 3, "前天": 2, "前日": 2, "前晚": 2, "昨天": 1, "昨日": 1, "昨晚": 1, "昨夜": 1, "昨早": 1, "今天": 0,
    "今日": 0, "今晚": 0, "今夜": 0, "今早": 0, "今晨": 0, "the day before yesterday": 2, "yesterday": 1,
    "last night": 1, "today": 0, "tonight": 0, "this morning": 0, "this afternoon": 0, "this evening": 0,
}  # fmt: skip

EARLY, MORNING, NOON, AFTERNOON, EVENING, NIGHT, LATE = (
    (0, 6),
    (5, 12),
    (11, 14),
    (12, 18),
    (17, 24),
    (18, 30),
    (22, 29),
)
"""Hours of a day from its midnight on; a night reaches into the next day."""

PARTS = {
    "凌晨": EARLY, "清晨": MORNING, "早上": MORNING, "早晨": MORNING, "上午": MORNING, "中午": NOON, "下午": AFTERNOON,
    "傍晚": EVENING, "晚上": NIGHT, "夜里": NIGHT, "夜晚": NIGHT, "夜间": NIGHT, "半夜": LATE, "深夜": LATE,
    "午夜": LATE, "昨晚": NIGHT, "昨夜": NIGHT, "前晚": NIGHT, "今晚": NIGHT, "今夜": NIGHT, "昨早": MORNING,
    "今早": MORNING, "今晨": MORNING, "last night": NIGHT, "tonight": NIGHT, "morning": MORNING, "midday": NOON,
    "afternoon": AFTERNOON,
    "evening": EVENING, "midnight": LATE, "night": NIGHT,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DayPhrase:
    """The day, or the days, that a phrase names, and where it stands in the text."""

    first: date
    days: int
    place: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PartPhrase:
    """The part of a day that a phrase names, in hours from midnight on, and where it stands."""

    hours: tuple[int, int]
    place: tuple[int, int]


def _words(words: tuple[str, ...]) -> str:
    """A pattern of any of these words, the longest first; those of letters stand alone."""
    longest_first = sorted(words, key=len, reverse=True)
    return "|".join(rf"\b{word}\b" if word.isascii() else word for word in longest_first)


PART = re.compile(f"(?:in the |during the |at )?({_words(tuple(PARTS))})", re.IGNORECASE)
AGO = re.compile(_words(tuple(DAYS_AGO)), re.IGNORECASE)
ISO = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*[日号]?")
ZH_DATE = re.compile(rf"({NUMBER})月({NUMBER})[日号]")
EN_DATE = re.compile(
    rf"\b(?:on\s+)?(?:({MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?|(\d{{1,2}})(?:st|nd|rd|th)?\s+({MONTH}))\b",
    re.IGNORECASE,
)
ZH_WEEKDAY = re.compile(rf"(上上|上个?|这个?|本)?(?:周|星期|礼拜)([{ZH_WEEKDAYS}天])")
EN_WEEKDAY = re.compile(rf"\b(?:on\s+)?(last\s+|this\s+)?({'|'.join(EN_WEEKDAYS)})\b", re.IGNORECASE)
WEEK = re.compile(r"(上个?|这个?|本)(?:周|星期|礼拜)(?![一二三四五六日天末])|\b(last|this)\s+week\b", re.IGNORECASE)
DAYS_BACK = re.compile(rf"({NUMBER})\s*(?:天(?:以|之)?前|days?\s+ago\b)", re.IGNORECASE)


def find_day(text: str, today: date) -> DayPhrase | None:
    """The first day, date, weekday or week that a text names; None if it names none, or one that does not exist."""
    for read in _READERS:
        found = read(text, today)
        if found is not None:
            return found
    return None


def find_part(text: str) -> PartPhrase | None:
    """The first part of a day that a text names."""
    found = PART.search(text)
    return None if found is None else PartPhrase(PARTS[found[1].lower()], found.span())


def number_of(word: str) -> int:
    """A number in digits, Chinese characters or English words."""
    return int(numerals_to_digits(word))


def _iso(text: str, today: date) -> DayPhrase | None:
    found = ISO.search(text)
    return found and _dated(found, int(found[1]), int(found[2]), int(found[3]))


def _zh_date(text: str, today: date) -> DayPhrase | None:
    found = ZH_DATE.search(text)
    return found and _last_date(found, number_of(found[1]), number_of(found[2]), today)


def _en_date(text: str, today: date) -> DayPhrase | None:
    found = EN_DATE.search(text)
    if found is None:
        return None
    name, day = (found[1], found[2]) if found[1] else (found[4], found[3])
    month = next(i for i, each in enumerate(EN_MONTHS, start=1) if each.startswith(name[:3].lower()))
    return _last_date(found, month, int(day), today)


def _last_date(found: "re.Match[str]", month: int, day: int, today: date) -> DayPhrase | None:
    """The last date of that day and month that is not yet to come."""
    this_year = _dated(found, today.year, month, day)
    return this_year if this_year and this_year.first <= today else _dated(found, today.year - 1, month, day)


def _dated(found: "re.Match[str]", year: int, month: int, day: int) -> DayPhrase | None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return DayPhrase(date(year, month, day), 1, found.span())
    except ValueError:
        return None


def _ago(text: str, today: date) -> DayPhrase | None:
    found = AGO.search(text)
    return None if found is None else _back(found, DAYS_AGO[found[0].lower()], today)


def _days_back(text: str, today: date) -> DayPhrase | None:
    found = DAYS_BACK.search(text)
    return None if found is None else _back(found, number_of(found[1]), today)


def _back(found: "re.Match[str]", days: int, today: date) -> DayPhrase | None:
    return DayPhrase(today - timedelta(days=days), 1, found.span())


def _zh_weekday(text: str, today: date) -> DayPhrase | None:
    found = ZH_WEEKDAY.search(text)
    if found is None:
        return None
    weekday = ZH_WEEKDAYS.index(found[2].replace("天", "日"))
    weeks = {"上上": 2, "上": 1, "上个": 1, "这": 0, "这个": 0, "本": 0}.get(found[1] or "")
    return _weekday(found, weekday, weeks, today)


def _en_weekday(text: str, today: date) -> DayPhrase | None:
    found = EN_WEEKDAY.search(text)
    if found is None:
        return None
    weeks = 0 if (found[1] or "").lower().startswith("this") else None
    return _weekday(found, EN_WEEKDAYS.index(found[2].lower()), weeks, today)


def _weekday(found: "re.Match[str]", weekday: int, weeks: int | None, today: date) -> DayPhrase:
    """The weekday of a week so many weeks ago; without that, the last one before today, or today itself."""
    if weeks is None:
        return DayPhrase(today - timedelta(days=(today.weekday() - weekday) % 7), 1, found.span())
    monday = today - timedelta(days=today.weekday() + 7 * weeks)
    return DayPhrase(monday + timedelta(days=weekday), 1, found.span())


def _week(text: str, today: date) -> DayPhrase | None:
    found = WEEK.search(text)
    if found is None:
        return None
    is_last = (found[1] or "").startswith("上") or (found[2] or "").lower() == "last"
    monday = today - timedelta(days=today.weekday() + 7 * is_last)
    return DayPhrase(monday, 7, found.span())


_READERS: tuple[Callable[[str, date], DayPhrase | None], ...] = (
    _iso, _zh_date, _en_date, _ago, _days_back, _zh_weekday, _en_weekday, _week,
)  # fmt: skip
