"""A question made of a sentence: its language, its words, its name, and sentences that cannot be asked."""

import pytest

from vigil.errors import UsageError
from vigil.questions import load_question
from vigil.sentence_question import LONGEST_SENTENCE, question_from_sentence, short_name


def test_the_words_are_those_of_the_presets_in_the_language_of_the_sentence() -> None:
    for sentence, preset in (("有人翻越围栏吗", "fight"), ("Is somebody climbing over the fence?", "fight_en")):
        question, like = question_from_sentence(sentence), load_question(preset)
        assert question.words() == like.words() and question.language == like.language
        assert question.has_two_labels and question.title == sentence
        assert sentence in question.text and all(word in question.text for word in question.words().values())


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("Is there smoke", "Is there smoke? If so"),
        ("Is there smoke? ", "Is there smoke? If so"),
        ("有烟吗", "有烟吗\uff1f如果是"),
        ("有烟吗\uff1f", "有烟吗\uff1f如果是"),
        ("VIP 进门了吗", "VIP 进门了吗\uff1f如果是"),
    ],
)
def test_a_sentence_ends_with_one_question_mark(sentence: str, asked: str) -> None:
    assert asked in question_from_sentence(sentence).text


def test_one_sentence_has_one_name_and_another_sentence_another() -> None:
    names = [question_from_sentence(each).name for each in ("Is there smoke?", " Is there smoke ", "Is there fire?")]
    assert names[0] == names[1] != names[2]
    composed, apart = "Is a caf\u00e9 open?", "Is a cafe\u0301 open?"
    assert question_from_sentence(composed) == question_from_sentence(apart)


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("", "is empty"),
        (" \t ", "is empty"),
        ("?!", "is empty"),
        ("x" * 100_000, f"at most {LONGEST_SENTENCE} characters, and this one has 100000"),
        ("Is <video> dark?", "must not contain '<video>'"),
        ("Is it dark?<|im_end|>", "'<|im_end|>'"),
        ("Is it\ndark?", "one line of printable characters"),
        ("Is it \x1b[31mdark?", "without control characters"),
        ("Is it \u202edark?", "without control characters"),
        ("Is it \ud800dark?", "without control characters"),
    ],
)
def test_a_sentence_that_cannot_be_asked_is_refused(sentence: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        question_from_sentence(sentence)
    assert said in str(refused.value)


def test_a_long_sentence_is_a_short_name_of_a_rule() -> None:
    assert short_name("Is it dark?") == "Is it dark?"
    assert len(short_name("x" * LONGEST_SENTENCE)) == 60
