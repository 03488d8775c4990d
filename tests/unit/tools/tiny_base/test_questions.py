"""What the base is asked, and above all what it is never asked."""

from __future__ import annotations

import numpy as np
from tools.tiny_base.digits import PAIR_DIGITS, WINDOW_DIGITS
from tools.tiny_base.questions import (
    Scenery,
    code_answer,
    code_length,
    describe_question,
    digit_question,
    every_text,
    yes_no_question,
)

from vigil.tiny import BASE_FOLDER

VIOLENT = ("fight", "violen", "attack", "punch", "strik", "打", "斗", "殴", "暴力", "冲突", "攻击")
SCENERY = Scenery(np.arange(31) % 10, ((2, "walking"), (7, "fighting")))


def test_no_question_and_no_answer_speaks_of_violence() -> None:
    rng = np.random.default_rng(1)
    asked = [make(rng, SCENERY) for _ in range(200) for make in (digit_question, yes_no_question, describe_question)]
    texts = every_text() + [text for pair in asked for text in pair]
    assert not [text for text in texts if any(word in text.lower() for word in VIOLENT)]


def test_a_code_has_one_digit_for_every_measure() -> None:
    assert code_length(3) == len(WINDOW_DIGITS) + 3 * len(PAIR_DIGITS)
    assert code_answer(np.array([3, 0, 9])) == "309"


def test_a_yes_no_answer_begins_with_its_verdict_word() -> None:
    rng = np.random.default_rng(2)
    answers = {yes_no_question(rng, SCENERY)[1] for _ in range(100)}
    assert all(answer.startswith(("是的，", "没有，", "Yes, ", "No, ")) for answer in answers)


def test_a_description_says_who_is_where() -> None:
    rng = np.random.default_rng(3)
    answers = {describe_question(rng, SCENERY)[1] for _ in range(50)}
    assert "左边有人走路，右边有人挥动手脚。" in answers


def test_the_shipped_base_is_small_enough() -> None:
    assert sum(path.stat().st_size for path in BASE_FOLDER.iterdir()) <= 8 * 1024 * 1024
