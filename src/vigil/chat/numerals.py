"""Numbers in words of Chinese and English as digits, so that a question's times can be read."""

import re

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
"""Said of much else: `first` of a beginning, `second` of a unit."""

WORD = re.compile(
    rf"\b(?:(?P<round>{'|'.join(ROUND)})(?:[- ](?P<one>{'|'.join([*CARDINALS[1:10], *ORDINALS[1:10]])}))?"
    rf"|(?P<plain>{'|'.join([*CARDINALS, *(set(ORDINALS) - NOT_TIMES), *ROUND_ORDINALS])})"
    r"|(?P<digits>\d+)(?:st|nd|rd|th)|(?P<ordinal>first|(?<=the )second)(?=\s+(?:second|minute|to\b|and\b|until\b)))\b",
    re.IGNORECASE,
)


def numerals_to_digits(text: str) -> str:
    """The text with numbers in words written as digits."""
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
