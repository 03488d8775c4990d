"""What happened to an event: the unit that is stored, then announced."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from vigil.events.event import Event

ChangeKind: TypeAlias = Literal["opened", "raised", "grew", "closed"]


@dataclass(frozen=True, slots=True)
class EventChange:
    """One change and the whole event after it.

    `raised` is a higher tier, `grew` more windows or better words at the same tier. Words take seconds, so a `grew`
    may follow `closed`; it then changes nothing but the text. `late` is what an earlier watch had stored and was killed
    before it told of it: it may have been told in part, and always has the same event id.
    """

    kind: ChangeKind
    event: Event
    late: bool = False


def late_changes(event: Event, untold: ChangeKind) -> list[EventChange]:
    """What there is to tell of an event that was left at a change which nobody heard of, in order."""
    if untold == "closed":
        return [EventChange("closed", event, late=True)]
    first = EventChange(untold, replace(event, end_s=None, closed_because=""), late=True)
    return [first] if event.is_open else [first, EventChange("closed", event, late=True)]
