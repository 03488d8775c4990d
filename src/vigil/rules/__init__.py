"""Events: verdicts that belong to one incident, however differently the model words them.

Every change of an event (opened, raised, grew, closed) is told as a `Change`; the watcher stores it, then announces it.
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
