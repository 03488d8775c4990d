"""Builds the rules of a source from their settings, and checks them against the questions they are about."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from vigil.errors import UsageError
from vigil.events import EventChange
from vigil.questions import Question, load_question
from vigil.rules.camera_fault import CAMERA, CameraFaultSettings
from vigil.rules.condition import Term
from vigil.rules.count import CountRule, CountSettings
from vigil.rules.duration import DurationRule, DurationSettings
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.rules.observation import ObservationRule, ObservationSettings
from vigil.rules.rule import Guard, Rule, RuleSet, log_failures
from vigil.rules.schedule import WeeklySchedule
from vigil.rules.sequence import SequenceRule, SequenceSettings
from vigil.rules.site_count import SiteCountRule, SiteTally

RuleSettings: TypeAlias = (
    HysteresisSettings | DurationSettings | SequenceSettings | CountSettings | ObservationSettings | CameraFaultSettings
)
"""The settings of one rule; `type` names its kind."""

MADE_OF: Mapping[type[RuleSettings], Callable[..., Rule]] = {
    HysteresisSettings: HysteresisRule,
    DurationSettings: DurationRule,
    SequenceSettings: SequenceRule,
    CountSettings: CountRule,
    ObservationSettings: ObservationRule,
    CameraFaultSettings: DurationRule,
}


def resolve_questions(
    rules: Sequence[RuleSettings], *, own: Question
) -> tuple[tuple[RuleSettings, ...], tuple[Question, ...]]:
    """The rules, with the names of their questions instead of file names, and the questions, the task's own first.

    Raises UsageError if two rules have one name, or one is about a question or a label that does not exist.
    """
    questions = {own.name: own}
    resolved: list[RuleSettings] = []
    for rule in rules:
        if isinstance(rule, ObservationSettings | CameraFaultSettings):
            resolved.append(rule)
            continue
        if isinstance(rule, HysteresisSettings):
            named, question = _hysteresis(rule, own)
            questions.setdefault(question.name, question)
            resolved.append(named)
            continue
        asked = [_question_of(term, own, rule=rule.name) for term in rule.terms]
        for question in asked:
            questions.setdefault(question.name, question)
        resolved.append(rule.asking([question.name for question in asked]))
    names = Counter(rule.name or own.name for rule in resolved)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise UsageError(
            f"two rules are called {twice[0]!r}; give each its own name (a rule without one has the task's)"
        )
    return tuple(resolved), tuple(questions.values())


def questions_asked(rule: RuleSettings) -> set[str]:
    """The names of the questions that a rule is about, without the task's own where the rule leaves it unnamed."""
    if isinstance(rule, ObservationSettings | CameraFaultSettings):
        return set()
    named = {rule.question} if isinstance(rule, HysteresisSettings) else {term.question for term in rule.terms}
    return named - {""}


def _hysteresis(rule: HysteresisSettings, own: Question) -> tuple[HysteresisSettings, Question]:
    """The rule with its question's name and labels, and the question; the usual rule of the task stays as it is."""
    if not rule.question and not rule.labels:
        return rule, own
    question = own if rule.question in ("", own.name) else load_question(rule.question)
    for label in rule.labels:
        _require_label(label, question, rule=rule.name)
    is_others = question.name != own.name
    labels = rule.labels or (question.alarm_labels if is_others else ())
    name = rule.name or (question.name if is_others else "")
    return replace(rule, name=name, question=question.name if is_others else "", labels=labels), question


def _question_of(term: Term, own: Question, *, rule: str) -> Question:
    question = own if term.question in ("", own.name) else load_question(term.question)
    _require_label(term.label, question, rule=rule)
    return question


def _require_label(label: str, question: Question, *, rule: str) -> None:
    if label not in question.words():
        labels = ", ".join(question.words())
        raise UsageError(f"the rule {rule} is about a label {label!r}; the labels of {question.name} are: {labels}")


def build_rules(
    rules: Sequence[RuleSettings],
    *,
    source: str,
    task: str = "",
    model: str = "",
    epoch_s: float | None = None,
    camera_id: str = "",
    guard: Guard = log_failures,
    schedule: WeeklySchedule | None = None,
) -> RuleSet:
    """Builds the rules of one source; `guard` handles the exceptions of each, `schedule` is when they apply."""
    maker = RuleMaker(source=source, task=task, model=model, camera_id=camera_id, guard=guard)
    return maker.make_all(rules, epoch_s=epoch_s, schedule=schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMaker:
    """Makes and changes the rules of one source; `guard` handles the exceptions of each.

    `tallies` are those of the rules over the site of the source, by their names; a rule over another site is left out.
    """

    source: str
    task: str = ""
    model: str = ""
    camera_id: str = ""
    guard: Guard = log_failures
    tallies: Mapping[str, SiteTally] = field(default_factory=dict)

    def make_all(
        self, rules: Sequence[RuleSettings], *, epoch_s: float | None, schedule: WeeklySchedule | None = None
    ) -> RuleSet:
        """New rules of the source, which apply while the `schedule` is open."""
        made = [self.make(settings, epoch_s=epoch_s) for settings in rules if self._applies(settings)]
        return RuleSet(made, guard=self.guard, schedule=schedule)

    def make(self, settings: RuleSettings, *, epoch_s: float | None) -> Rule:
        """A new rule; the events of a camera rule are those of no task and no model."""
        is_about_camera = isinstance(settings, CameraFaultSettings)
        if isinstance(settings, CountSettings) and settings.site:
            return SiteCountRule(
                settings,
                tally=self.tallies[settings.name],
                source=self.source,
                task=self.task,
                model=self.model,
                camera_id=self.camera_id,
                epoch_s=epoch_s,
            )
        return MADE_OF[type(settings)](
            settings,
            source=self.source,
            task=CAMERA if is_about_camera else self.task,
            model="" if is_about_camera else self.model,
            camera_id=self.camera_id,
            epoch_s=epoch_s,
        )

    def change(
        self, running: RuleSet, rules: Sequence[RuleSettings], *, schedule: WeeklySchedule | None
    ) -> list[EventChange]:
        """Changes the rules of a source that is watched, from its next window on.

        A rule that stays keeps its open event. Returns the changes of those that do not stay: they close theirs.
        """
        known = {rule.name: rule for rule in running.rules}
        going_on = [
            self._changed(known.get(each.name or self.task), each, running.epoch_s)
            for each in rules
            if self._applies(each)
        ]
        return running.go_on_with(going_on, schedule=schedule)

    def _applies(self, settings: RuleSettings) -> bool:
        """Whether a rule is about this source: one over a site only if the source belongs to it."""
        return not (isinstance(settings, CountSettings) and settings.site) or settings.name in self.tallies

    def _changed(self, rule: Rule | None, settings: RuleSettings, epoch_s: float | None) -> Rule:
        if rule is None or type(rule.settings) is not type(settings):
            return self.make(settings, epoch_s=epoch_s)
        rule.change_to(settings)
        return rule
