"""Makes a question with the answers yes and no of one sentence, so that a camera can be watched for it at once.

    question = question_from_sentence("有人翻越围栏吗")
    question.text      # 请看这段视频，有人翻越围栏吗？如果是，请回答“是的”，如果不是，请回答“没有”

The words of the answers are those of the presets in `configs/tasks`. The same sentence always gives the same question
under the same name, which another sentence has not.
"""

import hashlib
import re
import unicodedata

from vigil.errors import UsageError
from vigil.questions import Question
from vigil.special_tokens import special_token_in

LONGEST_SENTENCE = 500
SHOWN = 60

CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
"""Han characters; a sentence with one of them is asked in Chinese."""

ASKS_ZH = "请看这段视频，{sentence}"
ASKS_EN = "Look at this video: {sentence} "
ANSWERS_ZH = "如果是，请回答“{alarm}”，如果不是，请回答“{normal}”"
ANSWERS_EN = 'If so, answer "{alarm}", if not, answer "{normal}".'
ENDS = "?!.。？！"


def question_from_sentence(sentence: str) -> Question:
    """The question that a sentence asks; raises UsageError for one that cannot be asked.

    That is an empty sentence, one of more than 500 characters, and one with control characters or with placeholders and
    special tokens of a model, such as `<video>`.
    """
    plain = checked_sentence(sentence)
    is_chinese = CHINESE.search(plain) is not None
    mark = "？" if is_chinese else "?"
    asked = plain if plain[-1] in ENDS else plain + mark
    alarm, normal = ("是的", "没有") if is_chinese else ("Yes", "No")
    text = with_answers((ASKS_ZH if is_chinese else ASKS_EN).format(sentence=asked), alarm=alarm, normal=normal)
    return Question.with_two_labels(
        name=f"ask_{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}",
        text=text,
        title=plain,
        language="zh" if is_chinese else "en",
        alarm_word=alarm,
        normal_word=normal,
    )


def with_answers(asked: str, *, alarm: str, normal: str) -> str:
    """The text of a question, in its language, that says which word means yes and which means no."""
    answers = ANSWERS_ZH if CHINESE.search(asked) else ANSWERS_EN
    return asked + answers.format(alarm=alarm, normal=normal)


def checked_sentence(sentence: str) -> str:
    """A sentence without surrounding spaces, in Unicode's composed form; raises UsageError if it cannot be asked."""
    # Measured before anything else is done with it, as it may be of any length.
    if len(sentence) > LONGEST_SENTENCE:
        raise UsageError(
            f"a sentence to ask has at most {LONGEST_SENTENCE} characters, and this one has {len(sentence)}; "
            "put a longer question into a file of its own (docs/questions.md)"
        )
    plain = unicodedata.normalize("NFC", sentence).strip()
    if not any(character.isalnum() for character in plain):
        raise UsageError("the sentence to ask is empty; ask something like 'Is somebody climbing over the fence?'")
    if not plain.isprintable():
        raise UsageError("a sentence to ask is one line of printable characters, without control characters")
    if token := special_token_in(plain):
        raise UsageError(f"a sentence to ask must not contain {token!r}, which means something to the model; remove it")
    return plain


def short_name(sentence: str) -> str:
    """A sentence as the name of a rule: cut after 60 characters."""
    return sentence if len(sentence) <= SHOWN else f"{sentence[: SHOWN - 1]}…"
