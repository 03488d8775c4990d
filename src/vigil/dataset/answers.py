"""Target answers: a label word, then an optional description (`是的，画面里……`, `Yes, people ...`).

The comma keeps the label word a token of its own (没有人 would be one token), so that the judge reads the tokens that
were trained.

`contradiction` rejects a description that says the opposite of its label word, because training on it would teach the
wrong text. It matches words: clause by clause, an incident is asserted, or denied within a few words. It covers
Chinese and English; in other languages it only recognises a leading label word.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vigil.manifest import Answers
from vigil.questions import LabelName, Question, starts_with_word

CLOSING = "。.!?！？"
AFTER_WORD = "，,：:、。.！!？?；; \t\r\n\u3000"
"""Characters allowed between the label word and the description."""

AnswerPolicy: TypeAlias = Literal["auto", "words", "verdict"]
"""auto: a description only if a human or a model wrote one. words: otherwise one of the task's template sentences.
verdict: the label word alone, for every clip."""


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """A label and the description that follows its label word; the description may be empty."""

    label: LabelName
    description: str

    def text(self, task: Question) -> str:
        """The answer text that the model is trained on."""
        word = task.word(self.label)
        chinese = task.language.startswith("zh")
        if not self.description:
            return word + ("。" if chinese else ".")
        return word + ("，" if chinese else ", ") + self.description


def parse_answer(text: str, task: Question) -> TargetAnswer | None:
    """Parses an answer; returns None if the text begins with no label word."""
    label = label_of_answer(text, task)
    if label is None:
        return None
    rest = text[len(task.word(label)) :]
    return TargetAnswer(label, rest.lstrip(AFTER_WORD))


def has_description(text: str, task: Question) -> bool:
    """Whether an answer has a description after its label word."""
    answer = parse_answer(text, task)
    return bool(text.strip() if answer is None else answer.description)


def taught(answers: Iterable[str], *alarm_words: str) -> Answers:
    """What a model learns to answer for an alarm: `words` if more than half of the alarms have a description.

    A model generates whichever is more frequent after an alarm word, a description or the end of the answer.
    """
    rests = [text[len(word) :] for text in answers for word in alarm_words if starts_with_word(text, word)]
    worded = sum(bool(rest.strip(AFTER_WORD)) for rest in rests)
    return "verdict" if rests and 2 * worded <= len(rests) else "words"


def label_of_answer(text: str, task: Question) -> LabelName | None:
    """The label whose whole word the text begins with (`Nobody` does not begin with `No`); None if there is none."""
    for label in sorted(task.labels, key=lambda each: -len(each.word)):
        if starts_with_word(text, label.word):
            return label.name
    return None


def template_answer(task: Question, label: LabelName, clip: str) -> TargetAnswer:
    """An answer for a clip without a description: one of the task's template sentences, chosen by the clip's name."""
    sentences = descriptions(task, label)
    if not sentences:
        return TargetAnswer(label, "")
    digest = hashlib.sha256(clip.encode("utf-8", "backslashreplace")).digest()
    return TargetAnswer(label, sentences[int.from_bytes(digest[:8], "big") % len(sentences)])


def is_template(text: str, task: Question, label: LabelName) -> bool:
    """Whether a text is one of the task's template sentences, or the label word alone."""
    own = [TargetAnswer(label, sentence).text(task) for sentence in (*descriptions(task, label), "")]
    return text in own


def descriptions(task: Question, label: LabelName) -> tuple[str, ...]:
    """The task's template sentences for a label."""
    return task.label(label).descriptions


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


def contradiction(description: str, label: LabelName, task: Question) -> str:
    """Why a description contradicts its label; empty if it does not."""
    stated = label_of_answer(description, task)
    if stated is not None and stated != label:
        return f"it begins with {task.word(stated)!r}"
    for clause in _clauses(description, task):
        denied = _denied(clause, task)
        asserted = not denied and _asserted(clause, task)
        if task.is_alarm(label) and denied:
            return f"it denies the incident: {clause!r}"
        if not task.is_alarm(label) and asserted:
            return f"it asserts an incident: {clause!r}"
    return ""


def _clauses(text: str, task: Question) -> Iterator[str]:
    pattern = _CLAUSES_ZH if _is_chinese(task) else _CLAUSES_EN
    return (clause.strip() for clause in pattern.split(text) if clause.strip())


def _denied(clause: str, task: Question) -> bool:
    return bool((_DENIED_ZH if _is_chinese(task) else _DENIED_EN).search(clause))


def _asserted(clause: str, task: Question) -> bool:
    return bool((_INCIDENT_ZH if _is_chinese(task) else _INCIDENT_EN).search(clause))


def _is_chinese(task: Question) -> bool:
    return task.language.startswith("zh")
