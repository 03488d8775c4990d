"""The rules and questions of one source while it is watched: those chosen for it among the watch's, and its own."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vigil.events import TierThresholds
from vigil.questions import Question
from vigil.rules import (
    CameraFaultSettings,
    CameraRules,
    Fault,
    HysteresisSettings,
    ResolvedTask,
    RuleSettings,
    WeeklySchedule,
    resolve_questions,
    rules_of_camera,
    with_names,
)
from vigil.rules.build import questions_asked
from vigil.rules.camera_rules import stored_rules
from vigil.rules.camera_tasks import AskedQuestion, rounds_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRules:
    """The rules of a watch, all with names, and the questions that they are about, the task's own first."""

    rules: tuple[RuleSettings, ...]
    questions: tuple[Question, ...]

    @classmethod
    def of(cls, rules: Sequence[RuleSettings], *, own: Question) -> "WatchRules":
        """The rules of the settings of a watch whose task is `own`; raises UsageError if they do not fit it."""
        resolved, questions = resolve_questions(rules, own=own)
        return cls(rules=with_names(resolved, task=own.name), questions=questions)


class LiveRules:
    """What holds for one source; used in the event loop only.

    What does not fit the rules of the watch (they may have changed since it was chosen) is left out and told in
    `problem`: a camera is rather watched under all rules than under none. `version` rises with each change.
    """

    def __init__(self, source: str, of_watch: WatchRules) -> None:
        self._source = source
        self._of_watch = of_watch
        self._was_replaced = False
        self.version = 0
        self.problem = ""
        self.schedule: WeeklySchedule | None = None
        self.settings: tuple[RuleSettings, ...] = of_watch.rules
        self.tasks: tuple[ResolvedTask, ...] = ()
        self.rounds: tuple[tuple[AskedQuestion, ...], ...] = ()
        self._plan()

    @property
    def tiers(self) -> TierThresholds:
        """The tiers of the first rule."""
        return self.settings[0].tiers

    @property
    def questions(self) -> Mapping[str, Question]:
        """The questions that are asked of it by their names, the task's own first: that is always asked."""
        own = self._of_watch.questions[0]
        asked = {task.question.name: task.question for tasks in self.rounds for task in tasks}
        return {own.name: own} | asked

    def _plan(self) -> None:
        """Sets `rounds`: what is asked beside the task's own question, follow-ups after what they follow."""
        needed = {name for rule in self.settings for name in questions_asked(rule)}
        own_tasks = {task.question.name for task in self.tasks}
        of_rules = [
            AskedQuestion(question=question)
            for question in self._of_watch.questions[1:]
            if question.name in needed - own_tasks
        ]
        self.rounds = tuple(rounds_of([*of_rules, *self.tasks]))

    @property
    def faults(self) -> frozenset[Fault]:
        """The faults of the camera that its rules are about."""
        return frozenset(rule.fault for rule in self.settings if isinstance(rule, CameraFaultSettings))

    @property
    def windows_before_onset(self) -> int:
        """The most windows of an event when it opens; those of other rules have too many to keep their frames."""
        return max((rule.n for rule in self.settings if isinstance(rule, HysteresisSettings)), default=1)

    def begin(self, stored: str) -> None:
        """Sets the rules that were looked up (JSON), unless newer ones have been set meanwhile."""
        if self._was_replaced:
            return
        chosen, damage = stored_rules(stored)
        self._set(chosen, damage)

    def change_to(self, chosen: CameraRules) -> None:
        """Sets other rules."""
        self._was_replaced = True
        self._set(chosen)

    def _set(self, chosen: CameraRules, damage: str = "") -> None:
        self.version += 1
        held = rules_of_camera(self._of_watch.rules, chosen, own=self._of_watch.questions[0])
        self.settings, self.tasks = held.rules, held.tasks
        self._plan()
        self.schedule = chosen.weekly()
        self.problem = "; ".join([damage] * bool(damage) + list(held.problems))
        if self.problem:
            log.warning("%s: %s", self._source, self.problem)
