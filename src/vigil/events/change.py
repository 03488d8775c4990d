"""What happened to an event: the unit that is stored, then announced."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from vigil.events.event import Event

ChangeKind: TypeAlias = Literal["opened", "raised", "grew", "closed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change and the whole event after it.

    `raised` is a higher tier, `grew` more windows or better words at the same tier. Words take seconds, so a `grew`
    may follow `closed`; it then changes nothing but the text. `late` is what an earlier watch had stored and was killed
    before it told of it: it may have been told in part, and always has the same event id. `sequence` is its number in
    the store's log of changes, None where it is not in there (yet).
    """

    kind: ChangeKind
    event: Event
    late: bool = False
    sequence: int | None = None
