"""What to look for among events: a filter, and the SQL conditions that it stands for."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, and_, func, or_, tuple_

from vigil.errors import UsageError
from vigil.events import Tier
from vigil.store import acknowledgements, cameras, marks
from vigil.store.event_record import EVENT_STATES, EventState
from vigil.store.schema import events

TIERS = (Tier.LOW, Tier.MEDIUM, Tier.HIGH)

MarkFilter: TypeAlias = Literal["true", "false_alarm", "unsure", "unmarked"]
"""The newest mark of an event; `unmarked` includes events whose mark was taken back."""

EventKey: TypeAlias = tuple[str, str]
"""The place of an event in the order of lists: when it happened, and its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Conditions that must all hold; the default of each matches every event.

    `since_utc` and `until_utc` are times in the store's format; an event matches if it overlaps the span. `tier` is the
    lowest tier. `text` is a case-insensitive substring of the description, a note or the camera's name. `source` is a
    camera id or a name, which several cameras may share. With `camera_id`, events of that camera match, and events
    without a known camera if their name is `source`. `place` is that of the camera, `rule` the name of the rule that
    made the event, `state` what the event asks of people. `before` is an `EventKey`: older events match. `limit` keeps
    the newest events and `offset` skips the newest, for paging. Raises UsageError for invalid values.
    """

    since_utc: str | None = None
    until_utc: str | None = None
    source: str | None = None
    camera_id: str = ""
    tier: Tier | None = None
    mark: MarkFilter | None = None
    text: str = ""
    open_only: bool = False
    closed_only: bool = False
    place: str = ""
    rule: str = ""
    state: EventState | None = None
    before: "EventKey | None" = None
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
        if self.since_utc and self.until_utc and self.since_utc > self.until_utc:
            raise UsageError(f"nothing lies between {self.since_utc} and {self.until_utc}: the times are the wrong way")

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter as SQL conditions."""
        at_least = TIERS[TIERS.index(self.tier) :] if self.tier else TIERS
        # LIKE rather than a full-text index: a trigram index cannot find two-character words, which are common in
        # Chinese.
        words = (events.c.text, events.c.source)
        has_text = or_(*(column.icontains(self.text, autoescape=True) for column in words))
        has_text |= cameras.has_name_like(self.text, events.c.camera_id)
        has_text |= marks.note_contains(self.text)
        marked_so = marks.is_unmarked() if self.mark == "unmarked" else marks.newest_mark_value() == self.mark
        wanted: list[tuple[object, ColumnElement[bool]]] = [
            (self.since_utc, events.c.ended_utc >= (self.since_utc or "")),
            (self.until_utc, events.c.happened_utc <= (self.until_utc or "")),
            (self.source or self.camera_id, self._is_of_camera()),
            (self.tier, events.c.tier.in_([tier.value for tier in at_least])),
            (self.mark, marked_so),
            (self.text, has_text),
            (self.open_only, events.c.end_s.is_(None)),
            (self.closed_only, events.c.end_s.is_not(None)),
            (self.place, cameras.is_at(self.place, events.c.camera_id)),
            (self.rule, events.c.rule == self.rule),
            (self.state, self._is_in_state()),
            (self.before, tuple_(events.c.happened_utc, events.c.id) < (self.before or ("", ""))),
        ]
        return [condition for given, condition in wanted if given]

    def _is_in_state(self) -> ColumnElement[bool]:
        """Matches the events whose `event_record.state_of` is the state."""
        if self.state == "reviewed":
            return func.coalesce(marks.newest_mark_value(), "") != ""
        acknowledged = acknowledgements.is_acknowledged()
        if self.state == "acknowledged":
            return and_(marks.is_unmarked(), acknowledged)
        is_alarm = events.c.tier == Tier.HIGH.value
        return and_(marks.is_unmarked(), ~acknowledged, is_alarm if self.state == "alarm" else ~is_alarm)

    def _is_of_camera(self) -> ColumnElement[bool]:
        """Matches the camera by id, or else by name events whose camera is unknown."""
        if not self.camera_id:
            return cameras.is_of(self.source or "", events.c.camera_id, events.c.source)
        unknown = and_(cameras.is_unknown(events.c.camera_id), events.c.source == (self.source or ""))
        return or_(events.c.camera_id == self.camera_id, unknown)
