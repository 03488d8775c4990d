"""Builds the rules of a source from their settings, and checks them against the questions they are about."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from vigil.errors import UsageError
from vigil.questions import Question, load_question
from vigil.rules.duration import DurationRule, DurationSettings
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.rules.rule import Guard, Rule, RuleSet, log_failures

RuleSettings: TypeAlias = HysteresisSettings | DurationSettings
"""The settings of one rule; `type` names its kind."""


def resolve_questions(
    rules: Sequence[RuleSettings], *, own: Question
) -> tuple[tuple[RuleSettings, ...], tuple[Question, ...]]:
    """The rules, with the names of their questions instead of file names, and the questions, the task's own first.

    Raises UsageError if two rules have one name, or one is about a question or a label that does not exist.
    """
    names = Counter(rule.name or own.name for rule in rules)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise UsageError(
            f"two rules are called {twice[0]!r}; give each its own name (a rule without one has the task's)"
        )
    questions = {own.name: own}
    resolved: list[RuleSettings] = []
    for rule in rules:
        if not isinstance(rule, DurationSettings):
            resolved.append(rule)
            continue
        question = _question_of(rule, own)
        questions.setdefault(question.name, question)
        resolved.append(replace(rule, question=question.name))
    return tuple(resolved), tuple(questions.values())


def _question_of(rule: DurationSettings, own: Question) -> Question:
    question = own if rule.question in ("", own.name) else load_question(rule.question)
    if rule.label not in question.words():
        labels = ", ".join(question.words())
        raise UsageError(
            f"the rule {rule.name} is about a label {rule.label!r}; the labels of {question.name} are: {labels}"
        )
    return question


def build_rules(
    rules: Sequence[RuleSettings],
    *,
    source: str,
    task: str = "",
    model: str = "",
    epoch_s: float | None = None,
    camera_id: str = "",
    guard: Guard = log_failures,
) -> RuleSet:
    """Builds the rules of one source; `guard` handles the exceptions of each."""

    def make(settings: RuleSettings) -> Rule:
        if isinstance(settings, DurationSettings):
            return DurationRule(settings, source=source, task=task, model=model, epoch_s=epoch_s, camera_id=camera_id)
        return HysteresisRule(settings, source=source, task=task, model=model, epoch_s=epoch_s, camera_id=camera_id)

    return RuleSet(map(make, rules), guard=guard)
