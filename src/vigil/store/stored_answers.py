"""The answers about a window as JSON, in the column `answers` of `verdicts`; rules go on from them after a restart.

Numbers are kept to the last digit: a rule must decide about a stored answer as it did when the answer came.
"""

import json
from collections.abc import Mapping
from typing import Any

from vigil.verdict import Answer, Cause

TOLD_BY_VERDICT = frozenset({"alarm", "normal"})
"""The labels whose probabilities a verdict has."""


def answers_to_text(answers: Mapping[str, Answer]) -> str:
    """JSON of the answers by their questions; empty if the verdict says all that they say."""
    if not answers or (len(answers) == 1 and all(_is_in_verdict(answer) for answer in answers.values())):
        return ""
    data = {question: _plain(answer) for question, answer in answers.items()}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def answers_from_text(text: str) -> dict[str, Answer]:
    """The answers of a stored window; empty if it has none, or if what is stored is damaged."""
    if not text:
        return {}
    try:
        return {question: _answer(question, data) for question, data in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, KeyError):
        return {}


def _is_in_verdict(answer: Answer) -> bool:
    """Whether an answer tells alarm from normal and nothing else, as a verdict does."""
    labels = set(answer.probabilities) or {answer.stated_label or ""}
    return answer.cause is not None or labels <= TOLD_BY_VERDICT


def _plain(answer: Answer) -> dict[str, Any]:
    if answer.cause is not None:
        return {"cause": answer.cause.value}
    return {"p": dict(answer.probabilities)} if answer.probabilities else {"label": answer.stated_label}


def _answer(question: str, data: Mapping[str, Any]) -> Answer:
    if "cause" in data:
        return Answer(question=question, cause=Cause(data["cause"]))
    if "p" in data:
        return Answer(question=question, probabilities={str(name): float(p) for name, p in data["p"].items()})
    return Answer(question=question, stated_label=str(data["label"]))
