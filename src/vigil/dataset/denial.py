"""Whether a description says the opposite of the verdict word before it.

A model that is told "the answer is yes" and then writes "no fight is visible" would teach the wrong words. The
test is one of words: an incident is asserted, or denied within a few words, clause by clause. It knows Chinese and
English; of other languages it only sees a leading verdict word.
"""

import re
from collections.abc import Iterator

from vigil.dataset.answers import label_of_answer
from vigil.tasks import LabelName, Task

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
