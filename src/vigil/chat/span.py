"""The seconds that a question names: "from 3 s to 5 s", "0:03-0:05", "描述一下第三秒到第五秒".

What is read: seconds, minutes and seconds, and clock times (`m:ss`, `h:mm:ss`), in digits and in words of both
languages; a single moment ("at 0:08", "第八秒"); how much of the beginning or the end ("first 5 seconds", "最后三秒").
"""

import re
import unicodedata
from dataclasses import dataclass

from vigil.chat.numerals import numerals_to_digits

NUMBER = r"\d+(?:\.\d+)?"
SECONDS = r"(?:秒钟|秒|(?:seconds?|secs?|s)(?![a-z]))"
MINUTES = r"(?:分钟|分|(?:minutes?|mins?|m)(?![a-z]))"
CLOCK = r"\d{1,3}(?::[0-5]\d){1,2}(?:\.\d+)?"
NAMED = r"(?:第\s*|(?:the\s+)?seconds?\s+(?=\d))"
TIME = (
    rf"(?:{CLOCK}(?!\d)|(?:{NAMED})?(?:{NUMBER}\s*{MINUTES}\s*(?:and\s+)?(?:{NUMBER}\s*{SECONDS}|半)?|"
    rf"{NUMBER}\s*{SECONDS}?))"
)
BETWEEN = r"\s*(?:-+|–|—|~|到|至|直到|to|until|till|through|and)\s*(?:the\s+)?"
RANGE = re.compile(rf"(?<![a-z0-9.:])(?P<first>{TIME})(?:开始|处|时)?{BETWEEN}(?P<last>{TIME})", re.IGNORECASE)
EDGE = re.compile(
    rf"(?:(?P<front>前|开头|最初|first\s+)|(?P<back>最后|末尾|结尾|last\s+|final\s+))的?\s*(?P<long>{TIME})",
    re.IGNORECASE,
)
MOMENT = re.compile(
    rf"(?:(?:\bat\s+(?:about\s+|around\s+)?|\baround\s+|在|大约)(?P<at>{TIME})|(?P<named>{NAMED}{NUMBER}(?:\s*秒)?)|"
    rf"(?P<placed>{TIME})\s*(?:处|左右|的时候|时))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpan:
    """From which second to which; both the same for a moment. `from_end` where they count back from the end."""

    start_s: float
    end_s: float
    from_end: bool = False

    @property
    def is_moment(self) -> bool:
        """Whether it is one second and no range."""
        return self.start_s == self.end_s

    def within(self, length_s: float | None, *, moment_s: float) -> "TimeSpan":
        """The same counted from the beginning, cut at `length_s`; a moment becomes `moment_s` long."""
        start_s, end_s = self.start_s, self.end_s
        if self.from_end:
            start_s, end_s = max(0.0, (length_s or 0.0) - end_s), length_s or 0.0
        if start_s == end_s:
            end_s = start_s + moment_s
        return TimeSpan(start_s=start_s, end_s=end_s if length_s is None else max(start_s, min(end_s, length_s)))


def find_time_span(question: str) -> TimeSpan | None:
    """The seconds that a question names; None where it names none."""
    text = numerals_to_digits(unicodedata.normalize("NFKC", question))
    return _range(text) or _edge(text) or _moment(text)


def _range(text: str) -> TimeSpan | None:
    for found in RANGE.finditer(text):
        first, last = found["first"], found["last"]
        if not (_has_unit(first) or _has_unit(last)):
            continue
        ends = sorted((_seconds(first, unit_of=last), _seconds(last, unit_of=first)))
        return TimeSpan(start_s=ends[0], end_s=ends[1])
    return None


def _edge(text: str) -> TimeSpan | None:
    found = next((one for one in EDGE.finditer(text) if _has_unit(one["long"])), None)
    if found is None:
        return None
    return TimeSpan(start_s=0.0, end_s=_seconds(found["long"]), from_end=found["back"] is not None)


def _moment(text: str) -> TimeSpan | None:
    for found in MOMENT.finditer(text):
        told = found["at"] or found["named"] or found["placed"]
        if _has_unit(told):
            at_s = _seconds(told)
            return TimeSpan(start_s=at_s, end_s=at_s)
    return None


def _has_unit(told: str) -> bool:
    """Whether a number is told to be a time: `3 to 5` alone may be people."""
    return bool(re.search(rf":|{SECONDS}|{MINUTES}|second", told, re.IGNORECASE))


def _seconds(told: str, *, unit_of: str = "") -> float:
    """A time in seconds; a number without a unit takes that of the other end ("1 to 2 minutes")."""
    if ":" in told:
        parts = [float(part) for part in re.sub(r"[^\d:.]", "", told).split(":")]
        return sum(part * (1.0, 60.0, 3600.0)[power] for power, part in enumerate(reversed(parts)))
    numbers = [float(number) for number in re.findall(NUMBER, told)]
    minutes = re.search(MINUTES, told, re.IGNORECASE)
    if minutes is None and not _has_unit(told) and re.search(MINUTES, unit_of, re.IGNORECASE):
        return numbers[0] * 60 if not re.search(SECONDS, unit_of, re.IGNORECASE) else numbers[0]
    if minutes is None:
        return numbers[0]
    rest = numbers[1] if len(numbers) > 1 else 30.0 if "半" in told else 0.0
    return numbers[0] * 60 + rest
