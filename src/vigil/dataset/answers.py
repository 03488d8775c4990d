"""An answer is a verdict word and a description: `是的，画面里……`, `Yes, people ...`; the word always comes first.

The comma keeps the word apart from what follows (没有人 would be one token), so that the judge reads what was taught.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vigil.manifest import Answers
from vigil.tasks import LabelName, Task, starts_with_word

CLOSING = "。.!?！？"
AFTER_WORD = "，,：:、。.！!？?；; \t\r\n\u3000"
"""What may stand between a verdict word and the description."""

AnswerPolicy: TypeAlias = Literal["auto", "words", "verdict"]
"""auto: words only where a human or a model described the clip. words: else one of the task's own sentences.
verdict: the verdict word alone, for every clip."""


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """A label and the words that follow its verdict word; the words may be missing."""

    label: LabelName
    description: str

    def text(self, task: Task) -> str:
        """The answer as the model is trained to give it."""
        word = task.word(self.label)
        chinese = task.language.startswith("zh")
        if not self.description:
            return word + ("。" if chinese else ".")
        return word + ("，" if chinese else ", ") + self.description


def parse_answer(text: str, task: Task) -> TargetAnswer | None:
    """The answer in a text; None when it begins with neither verdict word."""
    label = label_of_answer(text, task)
    if label is None:
        return None
    rest = text[len(task.word(label)) :]
    return TargetAnswer(label, rest.lstrip(AFTER_WORD))


def has_words(text: str, task: Task) -> bool:
    """Whether an answer says more than its verdict word."""
    answer = parse_answer(text, task)
    return bool(text.strip() if answer is None else answer.description)


def taught(answers: Iterable[str], alarm_word: str) -> Answers:
    """What a model learns to answer to an alarm: words, where more than half of the alarms have some.

    Which comes more often after the alarm word, the description or the end, is what it will say.
    """
    rests = [text[len(alarm_word) :] for text in answers if starts_with_word(text, alarm_word)]
    worded = sum(bool(rest.strip(AFTER_WORD)) for rest in rests)
    return "verdict" if rests and 2 * worded <= len(rests) else "words"


def label_of_answer(text: str, task: Task) -> LabelName | None:
    """The label whose verdict word the text begins with; `Nobody` does not begin with `No`."""
    words: tuple[LabelName, LabelName] = ("alarm", "normal")
    for label in sorted(words, key=lambda each: -len(task.word(each))):
        if starts_with_word(text, task.word(label)):
            return label
    return None


def template_answer(task: Task, label: LabelName, clip: str) -> TargetAnswer:
    """The answer for a clip that nobody has described: one of the task's sentences, chosen by the clip's name."""
    sentences = descriptions(task, label)
    if not sentences:
        return TargetAnswer(label, "")
    digest = hashlib.sha256(clip.encode("utf-8", "backslashreplace")).digest()
    return TargetAnswer(label, sentences[int.from_bytes(digest[:8], "big") % len(sentences)])


def is_template(text: str, task: Task, label: LabelName) -> bool:
    """Whether a text is one of the task's own sentences, so nobody wrote it for this clip."""
    own = [TargetAnswer(label, sentence).text(task) for sentence in (*descriptions(task, label), "")]
    return text in own


def descriptions(task: Task, label: LabelName) -> tuple[str, ...]:
    """The sentences that the task offers for a label."""
    return task.alarm_descriptions if label == "alarm" else task.normal_descriptions
