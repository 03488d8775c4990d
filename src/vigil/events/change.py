"""What happened to an event: the unit that is stored, then announced."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from vigil.events.event import Event

ChangeKind: TypeAlias = Literal["opened", "raised", "grew", "closed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change and the whole event after it.

    `raised` is a higher tier, `grew` more windows or better words at the same tier. Words take seconds, so a `grew`
    may follow `closed`; it then changes nothing but the text.
    """

    kind: ChangeKind
    event: Event
