"""Events: verdicts that belong to one incident, however differently the model words them.

Every change of an event (opened, raised, grew, closed) is told as a `Change`; the watcher stores it, then announces it.
"""

from vigil.events.change import ChangeKind, EventChange
from vigil.events.event import Event, EventWindow, Tier
from vigil.events.judged import JudgedWindow
from vigil.events.rules import HysteresisSettings
from vigil.events.tiers import TierThresholds
from vigil.events.tracker import HysteresisRule

__all__ = [
    "EventChange",
    "ChangeKind",
    "Event",
    "HysteresisSettings",
    "EventWindow",
    "JudgedWindow",
    "Tier",
    "TierThresholds",
    "HysteresisRule",
]
