"""The event list of the review: the query, one page of results, and its HTML.

Everything that comes from a model, a camera or a person is escaped here.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from html import escape

from vigil.errors import StoreError
from vigil.events import Event, Mark, Tier
from vigil.store import EventFilter, Store
from vigil.store.times import parse_time

from ..language import Translator
from . import local_times
from .event_pictures import thumbnail_url

PAGE = 25


@dataclass(frozen=True, slots=True)
class EventQuery:
    """The fields of the review as typed; empty ones match everything."""

    text: str = ""
    source: str = ""
    tier: str = ""
    mark: str = ""
    since: str = ""
    until: str = ""

    def filter(self, *, page: int) -> EventFilter:
        """The query as a filter of the store; raises UsageError if a time cannot be parsed."""
        return EventFilter(
            text=self.text.strip(),
            source=self.source or None,
            tier=Tier(self.tier) if self.tier else None,
            mark=self.mark or None,  # type: ignore[arg-type]
            since_utc=parse_time(self.since, option="from") if self.since.strip() else None,
            until_utc=parse_time(self.until, option="until") if self.until.strip() else None,
            limit=PAGE,
            offset=page * PAGE,
        )


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of results, newest first; `number` counts from 0."""

    events: tuple[Event, ...]
    marks: Mapping[str, Mark]
    snapshots: Mapping[str, str]
    number: int
    found: int

    @property
    def pages(self) -> int:
        """The number of pages, at least one."""
        return max(1, math.ceil(self.found / PAGE))


def find_event_page(store: Store, asked: EventQuery, *, number: int) -> EventPage:
    """A page of events; beyond the end, the last page."""
    found = store.events.count(asked.filter(page=0))
    number = min(max(0, number), max(0, math.ceil(found / PAGE) - 1))
    events = tuple(reversed(store.events.find(asked.filter(page=number))))
    marks = store.marks.newest([event.id for event in events])
    return EventPage(events, marks, {event.id: snapshot_url(store, event.id) for event in events}, number, found)


def snapshot_url(store: Store, event_id: str) -> str:
    """A thumbnail of an event's snapshot as a data URL; empty if there is none."""
    found = next((file for file in store.media.of_event(event_id) if file.kind == "snapshots"), None)
    with suppress(StoreError):
        return thumbnail_url(store.media.local(found)) if found else ""
    return ""


def as_html(page: EventPage, *, is_filtered: bool, t: Translator) -> str:
    """The rows of a page, or a hint if it is empty."""
    if not page.events:
        return f'<div class="room-quiet">{escape(t("review.nothing_found" if is_filtered else "review.nothing"))}</div>'
    rows = "".join(_row(event, page, t) for event in page.events)
    return f'<div class="review-rows" role="listbox" aria-label="{escape(t("review.list"))}">{rows}</div>'


def _row(event: Event, page: EventPage, t: Translator) -> str:
    mark = page.marks.get(event.id)
    snapshot = page.snapshots[event.id]
    image = (
        f'<img class="room-snapshot" src="{snapshot}" alt="">' if snapshot else '<span class="room-snapshot"></span>'
    )
    return (
        f'<button type="button" role="option" aria-selected="false" class="review-row tier-{event.tier}" '
        f'data-event="{escape(event.id, quote=True)}">{image}<span class="room-lines">'
        f'<span class="room-first">{tier_badge(event, t)}<b>{escape(event.source)}</b>{mark_badge(mark, t)}</span>'
        f'<span class="room-first"><time>{local_times.happened(event)}</time> '
        f"<span>{escape(lasts(event, t))}</span></span>"
        f'<span class="room-words">{escape(event.text)}</span></span></button>'
    )


def tier_badge(event: Event, t: Translator) -> str:
    """The tier and the peak probability, in the tier's colour."""
    return f'<span class="tier-badge tier-{event.tier}">{escape(t(f"room.tier_{event.tier}"))} {event.peak:.2f}</span>'


def mark_badge(mark: Mark | None, t: Translator) -> str:
    """The current mark, if any."""
    if mark is None or not mark.mark:
        return ""
    return f'<span class="mark-badge mark-{mark.mark}">{escape(t(f"review.mark_{mark.mark}"))}</span>'


def lasts(event: Event, t: Translator) -> str:
    """The duration of an event."""
    if event.end_s is None:
        return t("room.goes_on")
    return t("room.lasts", seconds=f"{event.end_s - event.onset_s:.1f}")
