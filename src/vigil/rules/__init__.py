"""Event rules: turn the judged windows of one source into events, one per incident.

Each change of an event is an `EventChange`; the watcher stores it, then publishes it.
"""

from vigil.events import ChangeKind, Event, EventChange, EventWindow, Tier, TierThresholds
from vigil.rules.build import RuleSettings, build_rules, resolve_questions
from vigil.rules.camera_fault import CameraFaultSettings, Fault
from vigil.rules.camera_rules import CameraRules, HeldRules, checked_rules, rules_of_camera, with_names
from vigil.rules.camera_tasks import CameraTask, ResolvedTask
from vigil.rules.condition import Term
from vigil.rules.count import CountRule, CountSettings
from vigil.rules.duration import DurationRule, DurationSettings
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.rules.observation import ObservationRule, ObservationSettings, ObservedTerm
from vigil.rules.rule import Rule, RuleSet
from vigil.rules.schedule import WeeklySchedule
from vigil.rules.sequence import SequenceRule, SequenceSettings
from vigil.verdict import JudgedWindow

__all__ = [
    "CameraFaultSettings",
    "CameraRules",
    "CameraTask",
    "ChangeKind",
    "CountRule",
    "CountSettings",
    "DurationRule",
    "DurationSettings",
    "Event",
    "EventChange",
    "EventWindow",
    "Fault",
    "HeldRules",
    "HysteresisRule",
    "HysteresisSettings",
    "JudgedWindow",
    "ObservationRule",
    "ObservationSettings",
    "ObservedTerm",
    "ResolvedTask",
    "Rule",
    "RuleSet",
    "RuleSettings",
    "SequenceRule",
    "SequenceSettings",
    "Term",
    "Tier",
    "TierThresholds",
    "WeeklySchedule",
    "build_rules",
    "checked_rules",
    "resolve_questions",
    "rules_of_camera",
    "with_names",
]
