"""Reads from when until when a question is about: "昨晚十点后", "yesterday after ten", "last 2 hours", "周三下午".

A moment ("at ten") is widened by half an hour to both sides, since nobody remembers the minute. What is ambiguous is
read generously: an hour that the clocks show twice is taken from its first pass to its second.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from vigil.history.day_phrases import NUMBER, DayPhrase, PartPhrase, find_day, find_part, number_of
from vigil.store.times import format_utc

AROUND = timedelta(minutes=30)

MAYBE_AFTER = "\ue000"
"""Stands for a name that begins with 后: 十点后门 may be 十点 and 后门, or 十点后 and 门."""

UNITS = {
    "分钟": timedelta(minutes=1), "小时": timedelta(hours=1), "天": timedelta(days=1), "周": timedelta(weeks=1),
    "星期": timedelta(weeks=1), "minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}  # fmt: skip
MOST_UNITS = 1000

NOT_A_COUNT = (
    r"(?!\s*(?:[:.\d%]|people|men|women|persons?|cars?|vans?|minutes?|hours?|days?|weeks?|times?|个|人|辆|次))"
)
CLOCK = (
    rf"(?:(?:\d{{1,2}}:\d{{2}}(?::\d{{2}})?|{NUMBER})\s*(?:[ap]\.?m\b\.?)"
    rf"|\d{{1,2}}:\d{{2}}(?::\d{{2}})?"
    rf"|{NUMBER}\s*(?:点钟?|时(?!间|候))(?:\s*(?:半|一刻|三刻|{NUMBER}分?))?"
    rf"|{NUMBER}\s*o'?clock)"
)
BARE = rf"(?:{CLOCK}|{NUMBER}{NOT_A_COUNT})"
FROM_TO = re.compile(
    rf"(?P<first>{CLOCK})\s*(?:到|至|-|~|–|—)\s*(?P<last>{BARE})"
    rf"|\b(?:between|from)\s+(?P<first_en>{BARE})\s+(?:and|to|until|till)\s+(?P<last_en>{BARE})",
    re.IGNORECASE,
)
ONE = re.compile(
    rf"(?:\b(?P<word>after|since|from|before|until|till|by|at|around|about)\s+(?P<en>{BARE})"
    rf"|(?P<zh>{CLOCK})\s*(?P<relation>之后|以后|过后|后|起|开始|之前|以前|前|{MAYBE_AFTER})?)",
    re.IGNORECASE,
)
RECENT = re.compile(
    rf"(?:最近|过去|近)\s*({NUMBER}|半)\s*个?(分钟|小时|天|周|星期)"
    rf"|\b(?:in\s+|within\s+|during\s+)?(?:the\s+)?(?:last|past)\s+({NUMBER}\s+)?"
    r"(minute|hour|day|week)s?\b(?<!last week)",
    re.IGNORECASE,
)
AGO = re.compile(
    rf"({NUMBER}|半)\s*个?(分钟|小时)(?:以|之)?前|\b({NUMBER}|an?)\s+(minute|hour)s?\s+ago\b", re.IGNORECASE
)

SINCE = re.compile(r"\bsince\b|自从|以来|至今|之后|以后", re.IGNORECASE)

AFTER = {"after", "since", "from", "之后", "以后", "过后", "后", "起", "开始"}
BEFORE = {"before", "until", "till", "by", "之前", "以前", "前"}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From when until when, in local time without a zone; `rest` is the question without the words that said so."""

    since: datetime
    until: datetime
    rest: str

    @property
    def since_utc(self) -> str:
        """The start in the store's format; the first pass of an hour that comes twice."""
        return format_utc(max(0.0, min(_epochs(self.since))))

    @property
    def until_utc(self) -> str:
        """The end in the store's format; the second pass of an hour that comes twice."""
        return format_utc(max(0.0, *_epochs(self.until)))


def find_time_range(question: str, now: datetime) -> TimeRange | None:
    """What a question says of the time; None if it says nothing. `now` is local time without a zone."""
    return _recent(question, now) or _clocked(question, now) or _dayed(question, now)


def _epochs(moment: datetime) -> list[float]:
    return [moment.replace(fold=fold).timestamp() for fold in (0, 1)]


def _recent(question: str, now: datetime) -> TimeRange | None:
    """The last so many hours, or about so many hours ago."""
    if found := RECENT.search(question):
        length = _length(found[1] or found[3] or "1", found[2] or found[4])
        return TimeRange(now - length, now, _without(question, [found.span()]))
    if found := AGO.search(question):
        unit = found[2] or found[4]
        middle, around = now - _length(found[1] or found[3], unit), max(_length("1", unit) / 2, timedelta(minutes=5))
        return TimeRange(middle - around, min(now, middle + around), _without(question, [found.span()]))
    return None


def _length(count: str, unit: str) -> timedelta:
    one = UNITS[unit.lower()]
    if count == "半":
        return one / 2
    return min(MOST_UNITS, 1 if count.strip().lower() in ("a", "an") else number_of(count.strip())) * one


def _dayed(question: str, now: datetime) -> TimeRange | None:
    """A day, or a part of one, without a time of the clock."""
    day, part = find_day(question, now.date()), find_part(question)
    if day is None and part is None:
        return None
    since, until = _window(day, part, now)
    places = _places(day, part)
    if day is not None and (found := SINCE.search(question)):
        places, until = [*places, found.span()], max(now, until)
    return TimeRange(since, until, _without(question, places))


def _clocked(question: str, now: datetime) -> TimeRange | None:
    """One or two times of the clock, within the day that the question names or the last that has them."""
    day, part = find_day(question, now.date()), find_part(question)
    # A date like 2026-11-29 is none of the times that a range of clock times is made of.
    blank = _blanked(question, _places(day, None))
    places = _places(day, part)
    if found := FROM_TO.search(blank):
        first, last = found["first"] or found["first_en"], found["last"] or found["last_en"]
        first_at, is_fixed = _clock(_with_half(first, last))
        last_at, _ = _clock(last)
        if first_at is None or last_at is None:
            return None
        since = _at(first_at, is_fixed, day, part, now)
        until = since.replace(hour=0, minute=0, second=0) + last_at
        while until <= since:
            until += timedelta(hours=12 if not _clock(last)[1] else 24)
        return TimeRange(since, until, _without(question, [*places, found.span()]))
    if found := ONE.search(blank):
        at, is_fixed = _clock(found["en"] or found["zh"])
        if at is None:
            return None
        moment = _at(at, is_fixed, day, part, now)
        return _around(question, found, moment, _window(day, part, moment), places)
    return None


def _around(
    question: str,
    found: "re.Match[str]",
    moment: datetime,
    window: tuple[datetime, datetime],
    places: Sequence[tuple[int, int]],
) -> TimeRange:
    """After a moment, before it, or about then."""
    relation = (found["word"] or found["relation"] or "").lower()
    begin, end = found.span()
    since, until = moment - AROUND, moment + AROUND
    if relation in AFTER:
        since, until = moment, max(window[1], until)
    elif relation in BEFORE:
        since, until = min(window[0], since), moment
    elif relation == MAYBE_AFTER:
        until, end = max(window[1], until), end - 1
    return TimeRange(since, until, _without(question, [*places, (begin, end)]))


def _with_half(first: str, last: str) -> str:
    """In "between 10 and 11 pm" both are of the same half of the day."""
    half = re.search(r"[ap]\.?m\b", last, re.IGNORECASE)
    is_bare = re.fullmatch(NUMBER, first, re.IGNORECASE) is not None
    return f"{first} {half[0]}" if half and is_bare else first


def _clock(said: str) -> tuple[timedelta | None, bool]:
    """A time of day from midnight on (None if there is no such time), and whether its half of the day is certain."""
    numbers = [number_of(word) for word in re.findall(NUMBER, said, re.IGNORECASE)]
    quarter = {"半": 30, "一刻": 15, "三刻": 45}
    minutes = next((m for word, m in quarter.items() if word in said), numbers[1] if len(numbers) > 1 else 0)
    hour = numbers[0]
    half = re.search(r"([ap])\.?m\b", said, re.IGNORECASE)
    if half:
        hour = hour % 12 + (12 if half[1].lower() == "p" else 0)
    if hour > 24 or minutes > 59:
        return None, True
    is_fixed = bool(half) or hour > 12 or hour == 0 or re.match(r"0\d", said) is not None
    return timedelta(hours=hour, minutes=minutes), is_fixed


def _at(clock: timedelta, is_fixed: bool, day: DayPhrase | None, part: PartPhrase | None, now: datetime) -> datetime:
    """The moment at which the clock shows a time, within the part of the day that is named."""
    first = now.date() if day is None else day.first
    midnight = datetime.combine(first, time())
    if part is None:
        moment = midnight + clock
        return moment if day is not None or moment <= now else moment - timedelta(days=1)
    if day is None:
        midnight = datetime.combine(_window(None, part, now)[0].date(), time())
    steps = (0, 24) if is_fixed else (0, 12, 24)
    begin, end = (timedelta(hours=hours) for hours in part.hours)
    inside = [midnight + clock + timedelta(hours=step) for step in steps]
    return next((each for each in inside if midnight + begin <= each < midnight + end), inside[0])


def _window(day: DayPhrase | None, part: PartPhrase | None, now: datetime) -> tuple[datetime, datetime]:
    """The day, its part, or the last part of this name that has begun."""
    midnight = datetime.combine(now.date() if day is None else day.first, time())
    if part is None:
        return midnight, midnight + timedelta(days=1 if day is None else day.days)
    begin, end = (timedelta(hours=hours) for hours in part.hours)
    if day is None and midnight + begin > now:
        midnight -= timedelta(days=1)
    return midnight + begin, midnight + end


def _places(day: DayPhrase | None, part: PartPhrase | None) -> list[tuple[int, int]]:
    return [phrase.place for phrase in (day, part) if phrase is not None]


def _blanked(text: str, places: Sequence[tuple[int, int]]) -> str:
    for begin, end in places:
        text = f"{text[:begin]}{' ' * (end - begin)}{text[end:]}"
    return text


def _without(text: str, places: Sequence[tuple[int, int]]) -> str:
    return _blanked(text, places)
