"""What a camera has of the rules of a watch: which of them, with which thresholds, and at what times.

    chosen = CameraRules(rules=("fight",), schedule="22:00-06:00", timezone="Asia/Shanghai")
    rules, problems = rules_of_camera(settings.rules, chosen)

It is kept with the camera as JSON (`to_text`), like its masks.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from vigil.config import from_mapping
from vigil.errors import ConfigError, UsageError
from vigil.events import TierThresholds
from vigil.rules.build import RuleSettings
from vigil.rules.camera_fault import CameraFaultSettings
from vigil.rules.count import CountSettings
from vigil.rules.duration import DurationSettings
from vigil.rules.hysteresis import HysteresisSettings
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
    for this machine's. Raises UsageError for what fits no watch; `checked_rules` holds it against the rules of one.
    """

    rules: tuple[str, ...] = ()
    thresholds: tuple[OwnThresholds, ...] = ()
    schedule: str = ""
    timezone: str = ""

    def __post_init__(self) -> None:
        named = [*self.rules, *(own.rule for own in self.thresholds)]
        checks = (
            (max(len(self.rules), len(self.thresholds)) <= MOST_RULES, f"a camera has at most {MOST_RULES} rules"),
            (
                all(0 < len(name) <= LONGEST_RULE_NAME and name.isprintable() for name in named),
                f"the name of a rule has 1 to {LONGEST_RULE_NAME} characters, all of them printable",
            ),
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
        """Plain data of all fields, without the thresholds that are None."""
        data = asdict(self)
        data["rules"] = list(self.rules)
        data["thresholds"] = [_said(own) for own in data["thresholds"]]
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


def rules_of_camera(
    rules: Sequence[RuleSettings], chosen: CameraRules
) -> tuple[tuple[RuleSettings, ...], tuple[str, ...]]:
    """The rules of a camera among the `rules` of its watch, which have names, and what is wrong with the choice.

    What is wrong is left out; a camera for which no rule would remain has all of them, so that it is not silent.
    """
    known = {rule.name: rule for rule in rules}
    problems = [
        _unknown_rule(name, known)
        for name in dict.fromkeys([*chosen.rules, *(own.rule for own in chosen.thresholds)])
        if name not in known
    ]
    wanted = [known[name] for name in known if name in chosen.rules] or list(rules)
    changed: list[RuleSettings] = []
    own = {each.rule: each for each in chosen.thresholds}
    for rule in wanted:
        try:
            changed.append(_with_thresholds(rule, own[rule.name]) if rule.name in own else rule)
        except UsageError as error:
            problems.append(f"the thresholds of {rule.name}: {error}")
            changed.append(rule)
    return tuple(changed), tuple(problems)


def checked_rules(rules: Sequence[RuleSettings], chosen: CameraRules) -> CameraRules:
    """The choice; raises UsageError that names everything that does not fit the `rules` of the watch."""
    # Thresholds of rules that are not chosen must fit too: they hold once the rule is.
    every = replace(chosen, rules=())
    problems = dict.fromkeys([*rules_of_camera(rules, chosen)[1], *rules_of_camera(rules, every)[1]])
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


def stored_rules(text: str) -> tuple[CameraRules, str]:
    """The rules that are kept of a camera, and what is wrong with them; all rules at all times if they are damaged."""
    try:
        return CameraRules.from_text(text), ""
    except (UsageError, ConfigError) as error:
        return CameraRules(), f"what is kept of its rules cannot be read ({error}), so all rules hold"
