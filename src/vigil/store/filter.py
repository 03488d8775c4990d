"""Which events are wanted."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, and_, or_

from vigil.errors import UsageError
from vigil.events.event import Tier
from vigil.store import camera_table, mark_table
from vigil.store.schema import events

TIERS = (Tier.LOW, Tier.MEDIUM, Tier.HIGH)

MarkFilter: TypeAlias = Literal["true", "false_alarm", "unsure", "unmarked"]
"""The mark that counts; `unmarked` also where it was taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Conditions that all hold; what is left out does not matter.

    `since_utc` and `until_utc` are moments as the store writes them and include events that only reach into the span;
    `tier` is the least; `text` is looked for anywhere in the description, in notes and in the camera's name, in any
    letter case. `source` is a camera's id or its name, which several cameras may bear; `camera_id` is the id alone,
    and with it `source` matters only for what knows no camera. `limit` keeps the newest, `offset` leaves out the newest
    of all: page after page of a long history.
    """

    since_utc: str | None = None
    until_utc: str | None = None
    source: str | None = None
    camera_id: str = ""
    tier: Tier | None = None
    mark: MarkFilter | None = None
    text: str = ""
    open_only: bool = False
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"limit must be at least 1, not {self.limit}")
        if self.offset < 0:
            raise UsageError(f"offset must not be negative: {self.offset}")
        if self.mark not in (None, *get_args(MarkFilter)):
            raise UsageError(f"no event is marked {self.mark!r}; there are {', '.join(get_args(MarkFilter))}")
        if self.since_utc and self.until_utc and self.since_utc > self.until_utc:
            raise UsageError(f"nothing lies between {self.since_utc} and {self.until_utc}: the times are the wrong way")

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same as SQL."""
        at_least = TIERS[TIERS.index(self.tier) :] if self.tier else TIERS
        # LIKE rather than a full-text index: trigrams miss the two-character words that Chinese is made of.
        words = (events.c.text, events.c.source)
        has_text = or_(*(column.icontains(self.text, autoescape=True) for column in words))
        has_text |= camera_table.has_name_like(self.text, events.c.camera_id)
        has_text |= mark_table.has_note(self.text)
        marked_so = mark_table.is_unmarked() if self.mark == "unmarked" else mark_table.newest_word() == self.mark
        wanted: list[tuple[object, ColumnElement[bool]]] = [
            (self.since_utc, events.c.ended_utc >= (self.since_utc or "")),
            (self.until_utc, events.c.happened_utc <= (self.until_utc or "")),
            (self.source or self.camera_id, self._is_of_camera()),
            (self.tier, events.c.tier.in_([tier.value for tier in at_least])),
            (self.mark, marked_so),
            (self.text, has_text),
            (self.open_only, events.c.end_s.is_(None)),
        ]
        return [condition for given, condition in wanted if given]

    def _is_of_camera(self) -> ColumnElement[bool]:
        if not self.camera_id:
            return camera_table.is_of(self.source or "", events.c.camera_id, events.c.source)
        unknown = and_(camera_table.is_unknown(events.c.camera_id), events.c.source == (self.source or ""))
        return or_(events.c.camera_id == self.camera_id, unknown)
