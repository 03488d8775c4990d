"""What to look for among events; `event_query` turns it into SQL."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from vigil.errors import UsageError
from vigil.events import Tier
from vigil.store.event_record import EVENT_STATES, EventState
from vigil.store.times import require_order

TIERS = (Tier.LOW, Tier.MEDIUM, Tier.HIGH)

MarkFilter: TypeAlias = Literal["true", "false_alarm", "unsure", "unmarked"]
"""The newest mark of an event; `unmarked` includes events whose mark was taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Conditions that must all hold; the default of each matches every event.

    `since_utc` and `until_utc` are times in the store's format; an event matches if it overlaps the span. `tier` is the
    lowest tier. `text` is a substring of the description, a note or the camera's name, in any case and width of
    letters. `rule` is the name of the rule that made the event, `label` its class (the corrected one, if a user
    corrected it), `place` that of the camera, `state` what the event asks of people. `source` is a camera id or a name,
    which several cameras may share. With `camera_id`, events of that camera match, and events without a known camera
    if their name is `source`. `limit` keeps the newest events and `offset` skips the newest. Raises UsageError for
    invalid values.
    """

    since_utc: str | None = None
    until_utc: str | None = None
    source: str | None = None
    camera_id: str = ""
    tier: Tier | None = None
    mark: MarkFilter | None = None
    text: str = ""
    rule: str = ""
    label: str = ""
    open_only: bool = False
    closed_only: bool = False
    place: str = ""
    state: EventState | None = None
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be at least 1, not {self.limit}")
        if self.offset < 0:
            raise UsageError(f"offset must not be negative: {self.offset}")
        if self.mark not in (None, *get_args(MarkFilter)):
            raise UsageError(f"no event is marked {self.mark!r}; there are {', '.join(get_args(MarkFilter))}")
        if self.state not in (None, *EVENT_STATES):
            raise UsageError(f"there is no state {self.state!r}; there are {', '.join(EVENT_STATES)}")
        require_order(self.since_utc, self.until_utc)
