"""What a camera has of the rules of a watch: which of them, with which thresholds, at what times, and its questions.

    chosen = CameraRules(rules=("fight",), schedule="22:00-06:00", timezone="Asia/Shanghai")
    held = rules_of_camera(settings.rules, chosen)

It is kept with the camera as JSON (`to_text`), like its masks.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

from vigil.config import from_mapping
from vigil.errors import ConfigError, UsageError
from vigil.events import TierThresholds
from vigil.questions import Question
from vigil.rules.build import RuleSettings, questions_asked
from vigil.rules.camera_fault import CameraFaultSettings
from vigil.rules.camera_tasks import MOST_TASKS, CameraTask, ResolvedTask, resolve_tasks
from vigil.rules.count import CountSettings
from vigil.rules.duration import DurationSettings
from vigil.rules.hysteresis import HysteresisSettings
from vigil.rules.observation import ObservationSettings
from vigil.rules.schedule import WeeklySchedule
from vigil.rules.sequence import SequenceSettings

MOST_RULES = 64
LONGEST_RULE_NAME = 200
LONGEST_SCHEDULE = 500
LONGEST_TIMEZONE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTiers:
    """Tiers of one camera; None is what the rule has."""

    low: float | None = None
    medium: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnThresholds:
    """Thresholds of one rule at one camera, named as in the rule's settings; None is what the rule has.

    `THRESHOLDS` says which of them each kind of rule has.
    """

    rule: str
    tiers: OwnTiers | None = None
    k: int | None = None
    n: int | None = None
    keep_from: float | None = None
    quiet_s: float | None = None
    p_from: float | None = None
    for_s: float | None = None
    gap_s: float | None = None
    within_s: float | None = None
    times: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRules:
    """The rules of a camera by name (none: all of the watch), thresholds of its own, and when its alarms count.

    Outside of the `schedule` (empty: none, so always) no rule opens an event; `timezone` is that of the schedule, empty
    for this machine's. `tasks` are the questions it is asked beside the watch's own. Raises UsageError for what fits no
    watch; `checked_rules` holds it against the rules of one.
    """

    rules: tuple[str, ...] = ()
    thresholds: tuple[OwnThresholds, ...] = ()
    schedule: str = ""
    timezone: str = ""
    tasks: tuple[CameraTask, ...] = ()

    def __post_init__(self) -> None:
        named = [*self.rules, *(own.rule for own in self.thresholds)]
        checks = (
            (max(len(self.rules), len(self.thresholds)) <= MOST_RULES, f"a camera has at most {MOST_RULES} rules"),
            (
                all(0 < len(name) <= LONGEST_RULE_NAME and name.isprintable() for name in named),
                f"the name of a rule has 1 to {LONGEST_RULE_NAME} characters, all of them printable",
            ),
            (len(self.tasks) <= MOST_TASKS, f"a camera is asked at most {MOST_TASKS} questions of its own"),
            (len(self.schedule) <= LONGEST_SCHEDULE, f"a schedule has at most {LONGEST_SCHEDULE} characters"),
            (len(self.timezone) <= LONGEST_TIMEZONE, f"a time zone has at most {LONGEST_TIMEZONE} characters"),
            (
                bool(self.schedule.strip() or not self.timezone),
                "timezone is that of a schedule, and there is none",
            ),
        )
        problems = [message for ok, message in checks if not ok]
        problems += [f"the rule {name!r} is named twice" for name in _twice(self.rules)]
        problems += [f"the rule {name!r} has thresholds twice" for name in _twice(o.rule for o in self.thresholds)]
        if problems:
            raise UsageError("; ".join(problems))
        self.weekly()

    def weekly(self) -> WeeklySchedule | None:
        """The schedule, None if it is always open; raises UsageError if it cannot be read."""
        return WeeklySchedule.parse(self.schedule, timezone=self.timezone) if self.schedule.strip() else None

    @classmethod
    def from_data(cls, data: Mapping[str, Any], *, where: str = "the camera") -> "CameraRules":
        """Reads plain data (`as_data`); raises ConfigError with the nearest key for one that is unknown."""
        return from_mapping(cls, data, where=where)

    @classmethod
    def from_text(cls, text: str) -> "CameraRules":
        """Reads JSON (`to_text`); empty text is all rules at all times. Raises UsageError or ConfigError."""
        try:
            data = json.loads(text or "{}")
        except ValueError as error:
            raise UsageError("the rules of a camera are a mapping in JSON") from error
        if not isinstance(data, dict):
            raise UsageError("the rules of a camera are a mapping in JSON")
        return cls.from_data(data)

    def as_data(self) -> dict[str, Any]:
        """Plain data of all fields, without the thresholds that are None and what tasks leave out."""
        data = asdict(self)
        data["rules"] = list(self.rules)
        data["thresholds"] = [_said(own) for own in data["thresholds"]]
        data["tasks"] = [_said({name: value or None for name, value in task.items()}) for task in data["tasks"]]
        return data

    def to_text(self) -> str:
        """JSON of what differs from all rules at all times, the same text for the same rules."""
        told = {name: value for name, value in self.as_data().items() if value}
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    nested = {name: _said(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    return {name: value for name, value in nested.items() if value not in (None, {})}


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def with_names(rules: Sequence[RuleSettings], *, task: str) -> tuple[RuleSettings, ...]:
    """The rules, in which one without a name has the task's."""
    return tuple(rule if rule.name else replace(rule, name=task) for rule in rules)


@dataclass(frozen=True, slots=True)
class HeldRules:
    """The rules that hold for a camera, its own questions, and what is wrong with what was chosen for it."""

    rules: tuple[RuleSettings, ...]
    tasks: tuple[ResolvedTask, ...] = ()
    problems: tuple[str, ...] = ()


def rules_of_camera(rules: Sequence[RuleSettings], chosen: CameraRules, *, own: Question | None = None) -> HeldRules:
    """The rules of a camera: those chosen among the `rules` of its watch, which have names, and those of its tasks.

    A question of its own gets a rule unless one of the chosen is about it. What is wrong is left out; a camera for
    which no rule would remain has all of them, so that it is not silent. `own` is the watch's question, if it is known.
    """
    resolved = resolve_tasks(chosen.tasks, own=own, taken=[rule.name for rule in rules])
    wanted = [rule for rule in rules if rule.name in chosen.rules]
    if not wanted and not any(task.rule.name in chosen.rules for task in resolved.tasks):
        wanted = list(rules)
    covered = {name for rule in wanted for name in questions_asked(rule)}
    wanted += [task.rule for task in resolved.tasks if task.question.name not in covered]
    known = {rule.name: rule for rule in (*rules, *(task.rule for task in resolved.tasks))}
    changed, problems = _with_own_thresholds(wanted, chosen, known)
    return HeldRules(tuple(changed), resolved.tasks, (*resolved.problems, *problems))


def _with_own_thresholds(
    wanted: Sequence[RuleSettings], chosen: CameraRules, known: Mapping[str, RuleSettings]
) -> tuple[list[RuleSettings], list[str]]:
    """The rules with the camera's thresholds, and what does not fit."""
    problems = [
        _unknown_rule(name, known)
        for name in dict.fromkeys([*chosen.rules, *(own.rule for own in chosen.thresholds)])
        if name not in known
    ]
    changed: list[RuleSettings] = []
    own = {each.rule: each for each in chosen.thresholds}
    for rule in wanted:
        try:
            changed.append(_with_thresholds(rule, own[rule.name]) if rule.name in own else rule)
        except UsageError as error:
            problems.append(f"the thresholds of {rule.name}: {error}")
            changed.append(rule)
    return changed, problems


def checked_rules(rules: Sequence[RuleSettings], chosen: CameraRules, *, own: Question | None = None) -> CameraRules:
    """The choice; raises UsageError that names everything that does not fit the `rules` of the watch."""
    # Thresholds of rules that are not chosen must fit too: they hold once the rule is.
    every = replace(chosen, rules=())
    wrong = (rules_of_camera(rules, each, own=own).problems for each in (chosen, every))
    problems = dict.fromkeys(problem for each in wrong for problem in each)
    if problems:
        raise UsageError("; ".join(problems))
    return chosen


def _unknown_rule(name: str, known: Mapping[str, RuleSettings]) -> str:
    near = difflib.get_close_matches(name, [each for each in known if each], n=1)
    there = ", ".join(each for each in known if each) or "none with a name until the model has answered"
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {there}"
    return f"there is no rule {name!r}; {hint}"


THRESHOLDS: Mapping[type[RuleSettings], tuple[str, ...]] = {
    HysteresisSettings: ("tiers", "k", "n", "keep_from", "quiet_s"),
    DurationSettings: ("tiers", "p_from", "for_s", "gap_s"),
    SequenceSettings: ("tiers", "within_s", "quiet_s"),
    ObservationSettings: ("tiers", "times"),
    CountSettings: ("tiers", "p_from", "times", "within_s", "gap_s"),
    CameraFaultSettings: ("for_s", "gap_s"),
}
"""The thresholds that a camera may have of its own, by the kind of rule."""


def _with_thresholds(rule: RuleSettings, own: OwnThresholds) -> RuleSettings:
    said = {each.name: getattr(own, each.name) for each in fields(own) if each.name != "rule"}
    changes = {name: value for name, value in said.items() if value is not None}
    has = THRESHOLDS[type(rule)]
    strange = [name for name in changes if name not in has]
    if strange:
        raise UsageError(f"a {rule.type} rule has no {strange[0]}; it has {', '.join(has)}")
    if own.tiers is not None and not isinstance(rule, CameraFaultSettings):
        changes["tiers"] = _with_tiers(rule.tiers, own.tiers)
    return replace(rule, **changes)


def _with_tiers(tiers: TierThresholds, own: OwnTiers) -> TierThresholds:
    said = {each.name: getattr(own, each.name) for each in fields(own)}
    return replace(tiers, **{name: value for name, value in said.items() if value is not None})


@lru_cache(maxsize=256)
def stored_rules(text: str) -> tuple[CameraRules, str]:
    """The rules that are kept of a camera, and what is wrong with them; all rules at all times if they are damaged."""
    try:
        return CameraRules.from_text(text), ""
    except (UsageError, ConfigError) as error:
        return CameraRules(), f"what is kept of its rules cannot be read ({error}), so all rules hold"
