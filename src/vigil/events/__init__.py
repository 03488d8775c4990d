"""Events: verdicts that belong to one incident, however differently the model words them.

Every change of an event (opened, raised, grew, closed) is told as a `Change`; the watcher stores it, then announces it.
"""

from vigil.events.change import Change, ChangeKind
from vigil.events.event import Event, Evidence, Tier
from vigil.events.judged import Judged
from vigil.events.rules import EventRules, Tiers
from vigil.events.tracker import Tracker

__all__ = ["Change", "ChangeKind", "Event", "EventRules", "Evidence", "Judged", "Tier", "Tiers", "Tracker"]
