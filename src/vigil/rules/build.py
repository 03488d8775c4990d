"""The rules of a source from settings: which kinds there are, what they must agree with, and how they are made."""

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from vigil.errors import UsageError
from vigil.rules.duration import DurationRule, DurationSettings
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.rules.rule import LABELS, Guard, Rule, RuleSet, log_failures

RuleSettings: TypeAlias = HysteresisSettings | DurationSettings
"""The settings of one rule; `type` says of which kind."""


def check_rules(rules: Sequence[RuleSettings], *, task: str) -> None:
    """Raises UsageError if two rules have one name, or one asks for a label that the task does not have."""
    names = Counter(rule.name or task for rule in rules)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise UsageError(
            f"two rules are called {twice[0]!r}; give each its own name (a rule without one has the task's)"
        )
    for rule in rules:
        if isinstance(rule, DurationSettings):
            _check_label(rule, task)


def _check_label(rule: DurationSettings, task: str) -> None:
    if rule.question not in ("", task):
        raise UsageError(
            f"the rule {rule.name} asks about {rule.question!r}, and the question of this watch is {task!r}; leave "
            "question out"
        )
    if rule.label not in LABELS:
        raise UsageError(f"the rule {rule.name} is about a label {rule.label!r}; there are {', '.join(LABELS)}")


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
    """Makes the rules of one source; `guard` handles the exceptions of each."""

    def make(settings: RuleSettings) -> Rule:
        if isinstance(settings, DurationSettings):
            return DurationRule(settings, source=source, task=task, model=model, epoch_s=epoch_s, camera_id=camera_id)
        return HysteresisRule(settings, source=source, task=task, model=model, epoch_s=epoch_s, camera_id=camera_id)

    return RuleSet(map(make, rules), guard=guard)
