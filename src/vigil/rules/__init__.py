"""Event rules: turn the verdicts of one source into events, one per incident, however the model words its answers.

Each change of an event is an `EventChange`; the watcher stores it, then publishes it.
"""

from vigil.events import ChangeKind, Event, EventChange, EventWindow, Tier, TierThresholds
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.verdict import JudgedWindow

__all__ = [
    "ChangeKind",
    "Event",
    "EventChange",
    "EventWindow",
    "HysteresisRule",
    "HysteresisSettings",
    "JudgedWindow",
    "Tier",
    "TierThresholds",
]
