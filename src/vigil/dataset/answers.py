"""An answer is a verdict word and a description: `是的，画面里……`, `Yes, people ...`; the word always comes first.

The comma keeps the word apart from what follows (没有人 would be one token), so that the judge reads what was taught.

Whether a description says the opposite of the verdict word before it.

A model that is told "the answer is yes" and then writes "no fight is visible" would teach the wrong words. The
test is one of words: an incident is asserted, or denied within a few words, clause by clause. It knows Chinese and
English; of other languages it only sees a leading verdict word.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vigil.manifest import Answers
from vigil.questions import LabelName, Task, starts_with_word

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


_INCIDENTS_ZH = "打架|斗殴|打斗|互殴|殴打|扭打|厮打|肢体冲突|冲突|暴力|攻击|袭击|异常"
_DENIED_ZH = re.compile(
    rf"(?:没有|没|未|无|并非|不存在|不是|非|看不到|不属于|不构成)[^，。；！？]{{0,12}}?(?:{_INCIDENTS_ZH})"
)
_INCIDENT_ZH = re.compile(_INCIDENTS_ZH)
_CLAUSES_ZH = re.compile(r"[，。；！？,;!?]|但是?|然而|不过")

_INCIDENTS_EN = (
    r"(?:fight\w*|brawl\w*|violen\w*|assault\w*|attack\w*|punch\w*|altercation\w*|abnormal\w*|anomal\w*|aggressi\w*)"
)
_DENIED_EN = re.compile(
    rf"\b(?:no|not|without|never|none|neither|nor|free of|absence of|isn't|aren't|nobody|unlikely)\b"
    rf"(?:\W+\w+){{0,6}}?\W+{_INCIDENTS_EN}",
    re.IGNORECASE,
)
_INCIDENT_EN = re.compile(rf"\b{_INCIDENTS_EN}", re.IGNORECASE)
_CLAUSES_EN = re.compile(r"[.;!?]|\bbut\b|\bhowever\b|\balthough\b", re.IGNORECASE)


def contradiction(description: str, label: LabelName, task: Task) -> str:
    """Why a description contradicts its label, in words; empty when it does not."""
    said = label_of_answer(description, task)
    if said is not None and said != label:
        return f"it begins with {task.word(said)!r}"
    for clause in _clauses(description, task):
        denied = _denied(clause, task)
        asserted = not denied and _asserted(clause, task)
        if label == "alarm" and denied:
            return f"it denies the incident: {clause!r}"
        if label == "normal" and asserted:
            return f"it asserts an incident: {clause!r}"
    return ""


def _clauses(text: str, task: Task) -> Iterator[str]:
    pattern = _CLAUSES_ZH if _is_chinese(task) else _CLAUSES_EN
    return (clause.strip() for clause in pattern.split(text) if clause.strip())


def _denied(clause: str, task: Task) -> bool:
    return bool((_DENIED_ZH if _is_chinese(task) else _DENIED_EN).search(clause))


def _asserted(clause: str, task: Task) -> bool:
    return bool((_INCIDENT_ZH if _is_chinese(task) else _INCIDENT_EN).search(clause))


def _is_chinese(task: Task) -> bool:
    return task.language.startswith("zh")
