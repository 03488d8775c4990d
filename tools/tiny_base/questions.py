"""The training questions of the tiny base and their answers, in Chinese and English.

None of them is about fights or violence: that is left to fine-tuning on a user's own clips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tools.tiny_base.digits import PAIR_DIGITS, WINDOW_DIGITS, IntArray

CODE_QUESTIONS = ("用数字描述画面。", "请写出画面的编码。", "Describe the picture in digits.", "Give the code.")
_DIGIT_QUESTIONS = {
    "people": ("画面中有几个人？", "How many people are there?"),
    "height": ("最高的人有多高？", "How tall is the tallest person?"),
    "light": ("画面有多亮？", "How bright is it?"),
    "speed": ("最快的人走得多快？", "How fast is the fastest person?"),
    "direction": ("最快的人往哪边走？", "Which way does the fastest person go?"),
    "nearness": ("最近的两个人离多远？", "How far apart are the closest two?"),
    "pair_motion": ("最近的两个人动得多快？", "How fast do the closest two move?"),
    "unrest": ("手脚动得最快的人有多快？", "How fast are the fastest arms and legs?"),
    "lying": ("有几个人躺着？", "How many people are lying?"),
    "still": ("有几个人站着不动？", "How many people stand still?"),
}
_BEHAVIOUR_ZH = {
    "standing": "站着", "walking": "走路", "talking": "说话", "running": "跑步", "dancing": "跳舞",
    "sitting": "坐着", "bending": "弯腰", "lying": "躺着", "hugging": "抱着", "fighting": "挥动手脚",
}  # fmt: skip
_BEHAVIOUR_EN = {
    "standing": "standing", "walking": "walking", "talking": "talking", "running": "running", "dancing": "dancing",
    "sitting": "sitting", "bending": "bending down", "lying": "lying", "hugging": "holding another",
    "fighting": "moving arms and legs fast",
}  # fmt: skip
DESCRIBE_QUESTIONS = ("描述画面。", "画面中发生了什么？", "Describe what happens.", "What do you see?")
_NUMBERS_EN = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
_COUNT_ZH = ("没有人", "一个人", "两个人", "三个人", "四个人", "五个人", "六个人", "七个人", "八个人", "九个人")
_COUNT_EN = ("nobody", "one person", *(f"{word} people" for word in _NUMBERS_EN))


@dataclass(frozen=True)
class Scenery:
    """The ground truth that questions are answered from: digits, and (x in tenths, behaviour) of each person."""

    digits: IntArray
    people: tuple[tuple[int, str], ...]


def code_answer(digits: IntArray) -> str:
    """All digits in their fixed order, as text."""
    return "".join(str(int(digit)) for digit in digits)


def code_length(num_pairs: int) -> int:
    """The number of digits in the answer to a code question."""
    return len(WINDOW_DIGITS) + num_pairs * len(PAIR_DIGITS)


def digit_question(rng: np.random.Generator, scenery: Scenery) -> tuple[str, str]:
    """Ask for one digit of the window."""
    number = int(rng.integers(len(WINDOW_DIGITS)))
    chinese, english = _DIGIT_QUESTIONS[WINDOW_DIGITS[number]]
    return (chinese if rng.random() < 0.5 else english), str(int(scenery.digits[number]))


@dataclass(frozen=True)
class _YesNo:
    zh: str
    en: str
    is_true: Callable[[IntArray], bool]


def _window(digits: IntArray, name: str) -> int:
    return int(digits[WINDOW_DIGITS.index(name)])


_YES_NO = (
    _YesNo("画面中有人吗？", "Is anybody there?", lambda d: _window(d, "people") > 0),
    _YesNo("有人躺着吗？", "Is anybody lying?", lambda d: _window(d, "lying") > 0),
    _YesNo("有人站着不动吗？", "Does anybody stand still?", lambda d: _window(d, "still") > 0),
    _YesNo("画面暗吗？", "Is it dark?", lambda d: _window(d, "light") < 7),
    _YesNo("有人走得很快吗？", "Does anybody go fast?", lambda d: _window(d, "speed") > 4),
    _YesNo("有两个人离得很近吗？", "Are two people close together?", lambda d: _window(d, "nearness") < 4),
    _YesNo("画面中人多吗？", "Are there many people?", lambda d: _window(d, "people") > 2),
)


def yes_no_question(rng: np.random.Generator, scenery: Scenery) -> tuple[str, str]:
    """Ask a question whose answer is yes or no, followed by a description."""
    item = _YES_NO[int(rng.integers(len(_YES_NO)))]
    is_true, count = item.is_true(scenery.digits), _window(scenery.digits, "people")
    if rng.random() < 0.6:
        number = _COUNT_ZH[count] if count == 0 else "有" + _COUNT_ZH[count]
        return item.zh, f"{'是的' if is_true else '没有'}，画面中{number}。"
    return item.en, f"{'Yes' if is_true else 'No'}, {_COUNT_EN[count]} there."


def image_question(rng: np.random.Generator, scenery: Scenery) -> tuple[str, str]:
    """Ask about the first frame only: how many people there are, or whether there are any."""
    count = int(scenery.digits[code_length(0) + PAIR_DIGITS.index("seen")])
    is_chinese = bool(rng.random() < 0.5)
    if rng.random() < 0.5:
        return _DIGIT_QUESTIONS["people"][0 if is_chinese else 1], str(count)
    if is_chinese:
        return "画面中有人吗？", f"{'是的' if count else '没有'}，画面中{'有' if count else ''}{_COUNT_ZH[count]}。"
    return "Is anybody there?", f"{'Yes' if count else 'No'}, {_COUNT_EN[count]} there."


def describe_question(rng: np.random.Generator, scenery: Scenery) -> tuple[str, str]:
    """Ask for a description: the position and behaviour of each person, from left to right."""
    number = int(rng.integers(len(DESCRIBE_QUESTIONS)))
    people = sorted(scenery.people)[:4]
    if number < 2:
        parts = [f"{_where_zh(x)}有人{_BEHAVIOUR_ZH[name]}" for x, name in people]
        return DESCRIBE_QUESTIONS[number], ("，".join(parts) or "画面中没有人") + "。"
    parts = [f"{_where_en(x)} somebody is {_BEHAVIOUR_EN[name]}" for x, name in people]
    return DESCRIBE_QUESTIONS[number], (", ".join(parts) or "Nobody is there") + "."


def _where_zh(x: int) -> str:
    return "左边" if x < 4 else "中间" if x < 6 else "右边"


def _where_en(x: int) -> str:
    return "on the left" if x < 4 else "in the middle" if x < 6 else "on the right"


def every_text() -> list[str]:
    """Every question, and every clause of an answer together with the punctuation around it."""
    texts = [*CODE_QUESTIONS, *DESCRIBE_QUESTIONS, "画面中没有人。", "Nobody is there."]
    texts += [text for pair in _DIGIT_QUESTIONS.values() for text in pair]
    texts += [text for item in _YES_NO for text in (item.zh, item.en)]
    for number, (zh, en) in enumerate(zip(_COUNT_ZH, _COUNT_EN, strict=True)):
        texts += [f"{word}，画面中{'有' if number else ''}{zh}。" for word in ("是的", "没有")]
        texts += [f"{word}, {en} there." for word in ("Yes", "No")]
    for x in (0, 5, 9):
        texts += [
            f"{start}{_where_zh(x)}有人{zh}{end}"
            for zh in _BEHAVIOUR_ZH.values()
            for start in ("", "，")
            for end in "，。"
        ]
        texts += [
            f"{start}{_where_en(x)} somebody is {en}{end}"
            for en in _BEHAVIOUR_EN.values()
            for start in ("", ", ")
            for end in ",."
        ]
    return texts
