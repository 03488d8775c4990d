"""Reads the seconds that a question names: "from 3 s to 5 s", "0:03-0:05", "描述一下第三秒到第五秒".

It recognises seconds, minutes and seconds, and clock times (`m:ss`, `h:mm:ss`), in digits and in English and Chinese
number words; a single moment ("at 0:08", "第八秒"); a length at the beginning or the end ("first 5 seconds",
"最后三秒").
"""

import re
import unicodedata
from dataclasses import dataclass

CHINESE = {
    "零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9,
}  # fmt: skip
TENS = {"十": 10, "百": 100}
RUN = re.compile(f"[{''.join([*CHINESE, *TENS])}]+")

TEENS = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
CARDINALS = f"zero one two three four five six seven eight nine ten eleven twelve {TEENS}".split(" ")
ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    + " ".join(f"{word}th" for word in TEENS.split(" "))
).split(" ")
TENS_WORDS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
ROUND = {word: 10 * number for number, word in enumerate(TENS_WORDS, start=2)}
ROUND_ORDINALS = {f"{word[:-1]}ieth": number for word, number in ROUND.items()}
ONES = {word: number for number, word in enumerate(CARDINALS)}
ONE_ORDINALS = {word: number for number, word in enumerate(ORDINALS)}
NOT_TIMES = {"first", "second"}
"""Numerals that often mean something else: `first` a beginning, `second` a unit."""

WORD = re.compile(
    rf"\b(?:(?P<round>{'|'.join(ROUND)})(?:[- ](?P<one>{'|'.join([*CARDINALS[1:10], *ORDINALS[1:10]])}))?"
    rf"|(?P<plain>{'|'.join([*CARDINALS, *(set(ORDINALS) - NOT_TIMES), *ROUND_ORDINALS])})"
    r"|(?P<digits>\d+)(?:st|nd|rd|th)|(?P<ordinal>first|(?<=the )second)(?=\s+(?:second|minute|to\b|and\b|until\b)))\b",
    re.IGNORECASE,
)


def numerals_to_digits(text: str) -> str:
    """The text with number words replaced by digits."""
    return WORD.sub(_english, RUN.sub(_chinese, text))


def _chinese(found: re.Match[str]) -> str:
    """`二十三` as 23, `一百零五` as 105, `三五` as 35."""
    word = found[0]
    if not set(word) & set(TENS):
        return "".join(str(CHINESE[character]) for character in word)
    total, digit = 0, None
    for character in word:
        if character in CHINESE:
            digit = CHINESE[character]
            continue
        total += (1 if digit is None else digit) * TENS[character]
        digit = None
    return str(total + (digit or 0))


def _english(found: re.Match[str]) -> str:
    known = ONES | ONE_ORDINALS | ROUND | ROUND_ORDINALS
    if found["digits"]:
        return found["digits"]
    if found["round"]:
        return str(ROUND[found["round"].lower()] + known.get((found["one"] or "zero").lower(), 0))
    return str(known[(found["plain"] or found["ordinal"]).lower()])


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
    """A time span in seconds; both ends are equal for a moment. With `from_end`, counted back from the end."""

    start_s: float
    end_s: float
    from_end: bool = False

    @property
    def is_moment(self) -> bool:
        """Whether it is a moment rather than a range."""
        return self.start_s == self.end_s

    def within(self, length_s: float | None, *, moment_s: float) -> "TimeSpan":
        """The span counted from the beginning and clipped to `length_s`; a moment becomes `moment_s` long."""
        start_s, end_s = self.start_s, self.end_s
        if self.from_end:
            start_s, end_s = max(0.0, (length_s or 0.0) - end_s), length_s or 0.0
        if start_s == end_s:
            end_s = start_s + moment_s
        return TimeSpan(start_s=start_s, end_s=end_s if length_s is None else max(start_s, min(end_s, length_s)))


def find_time_span(question: str) -> TimeSpan | None:
    """The time span that a question names; None if it names none."""
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
        moment = found["at"] or found["named"] or found["placed"]
        if _has_unit(moment):
            at_s = _seconds(moment)
            return TimeSpan(start_s=at_s, end_s=at_s)
    return None


def _has_unit(text: str) -> bool:
    """Whether a number is marked as a time: `3 to 5` alone may be people."""
    return bool(re.search(rf":|{SECONDS}|{MINUTES}|second", text, re.IGNORECASE))


def _seconds(text: str, *, unit_of: str = "") -> float:
    """A time in seconds; a number without a unit takes the unit of the other end ("1 to 2 minutes")."""
    if ":" in text:
        parts = [float(part) for part in re.sub(r"[^\d:.]", "", text).split(":")]
        return sum(part * (1.0, 60.0, 3600.0)[power] for power, part in enumerate(reversed(parts)))
    numbers = [float(number) for number in re.findall(NUMBER, text)]
    minutes = re.search(MINUTES, text, re.IGNORECASE)
    if minutes is None and not _has_unit(text) and re.search(MINUTES, unit_of, re.IGNORECASE):
        return numbers[0] * 60 if not re.search(SECONDS, unit_of, re.IGNORECASE) else numbers[0]
    if minutes is None:
        return numbers[0]
    rest = numbers[1] if len(numbers) > 1 else 30.0 if "半" in text else 0.0
    return numbers[0] * 60 + rest
