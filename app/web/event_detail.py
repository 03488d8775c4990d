"""The detail view of one event: its facts, marks and media. All text from outside is HTML-escaped."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from vigil.errors import StoreError
from vigil.events import Event, Mark
from vigil.rules.rule import OUT_OF_SCHEDULE, QUIET
from vigil.store import MediaFile, Store
from vigil.store.events import STOPPED as WATCHER_STOPPED
from vigil.watch.pipeline import PAUSED

from ..language import Translator
from . import local_times, probability_figure
from .browser_copies import PlayableClip, browser_copies
from .context import SiteContext
from .event_search import lasts, tier_badge
from .event_store import is_media_path

log = logging.getLogger(__name__)

MARGIN_S = 30.0
"""Seconds before and after an event whose probability is shown with it."""

CLIP_WITHIN_S = 60.0
"""A clip that is missing this long after the end of its event will not come."""

MOST_FRAMES = 60

CLOSED: Mapping[str, str] = {
    QUIET: "quiet",
    OUT_OF_SCHEDULE: "schedule",
    PAUSED: "paused",
    "removed": "removed",
    "stopped": "stopped",
    WATCHER_STOPPED: "watcher_stopped",
    "the source ended": "source_ended",
}
"""Close reasons as watchers and stores write them, with the suffix of their translation key."""


@dataclass(frozen=True, slots=True)
class EventText:
    """The parts of an event's page that need no media files, as HTML (`note` is plain text)."""

    facts: str
    marks: str
    note: str


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """The media of an event; a file that does not exist is None.

    `clip` is the file to play. If it is a converted copy, `clip_line` says so and `original` is the recorded clip.
    """

    clip: str | None
    clip_line: str
    original: str | None
    snapshot: str | None
    frames: list[tuple[str, str]]
    curve: go.Figure


def read_event(store: Store, event_id: str, context: SiteContext) -> EventText:
    """Returns the facts and marks of one event; raises UsageError if it no longer exists."""
    event = store.events.get(event_id)
    marks, clip = store.marks.of_event(event.id), _only(_servable(store, event, context), "clips")
    is_growing = _look(clip, context).kind == "coming" or _is_growing(event, has_clip=clip is not None)
    return EventText(
        facts=facts_html(event, context.t, is_growing=is_growing),
        marks=marks_html(marks, context.t),
        note=marks[-1].note if marks else "",
    )


def read_event_media(store: Store, event_id: str, context: SiteContext) -> ShownEvent:
    """Returns the clip, pictures and probability curve of one event; raises UsageError if it no longer exists."""
    event = store.events.get(event_id)
    files = _servable(store, event, context)
    clip = _only(files, "clips")
    look = _look(clip, context)
    judged = store.verdicts.around(event, margin_s=MARGIN_S)
    return ShownEvent(
        clip=None if look.path is None else str(look.path),
        clip_line=clip_html(look, context.t),
        original=None if look.kind == "original" else clip,
        snapshot=_only(files, "snapshots"),
        frames=_frames(files, event),
        curve=probability_figure.figure(event, judged, tiers=context.settings.tiers, t=context.t),
    )


def _servable(store: Store, event: Event, context: SiteContext) -> list[MediaFile]:
    """The event's files that may be served, each at its path on this machine."""
    found = [replace(file, path=path) for file in store.media.of_event(event.id) if (path := _local(store, file))]
    return [file for file in found if is_media_path(file.path, context)]


def _local(store: Store, file: MediaFile) -> Path | None:
    try:
        return store.media.local(file)
    except StoreError as error:
        log.info("%s cannot be shown: %s", file.key, error)
        return None


def _look(clip: str | None, context: SiteContext) -> PlayableClip:
    return PlayableClip(kind="original") if clip is None else browser_copies(context).look(Path(clip))


def _only(files: Sequence[MediaFile], kind: str) -> str | None:
    return next((str(file.path.resolve()) for file in files if file.kind == kind), None)


def _frames(files: Sequence[MediaFile], event: Event) -> list[tuple[str, str]]:
    """Returns the saved frames of the event's windows, each captioned with its window's time and probability."""
    windows = {f"{evidence.window:06d}": evidence for evidence in event.windows}
    shown: list[tuple[str, str]] = []
    for folder in (file.path for file in files if file.kind == "frames"):
        evidence = windows.get(folder.name)
        known = evidence is not None and evidence.p_alarm is not None
        caption = local_times.within(event, evidence.start_s, tenths=True) if evidence else folder.name
        caption += f" · {evidence.p_alarm:.2f}" if evidence and known else ""
        shown += [(str(path.resolve()), caption) for path in _in_order(folder)]
    return shown[:MOST_FRAMES]


def _in_order(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"), key=lambda path: (len(path.name), path.name))


def _is_growing(event: Event, *, has_clip: bool) -> bool:
    """Returns whether more will follow: the event is open, or has just ended and its clip is being written."""
    if event.end_s is None:
        return True
    return not has_clip and event.epoch_s is not None and time.time() - event.epoch_s - event.end_s < CLIP_WITHIN_S


def facts_html(event: Event, t: Translator, *, is_growing: bool = False) -> str:
    """Returns the facts of an event as HTML; `is_growing` marks it, so that the page refreshes it."""
    after = "" if event.announced_s is None else t("room.seconds", seconds=f"{event.announced_s - event.onset_s:.1f}")
    pairs = [
        (t("review.when"), local_times.happened(event)),
        (t("review.lasts"), lasts(event, t)),
        (t("review.alarm_after"), after),
        (t("review.task"), event.task),
        (t("review.rule"), "" if event.rule == event.task else event.rule),
        (t("review.model"), event.model),
        (t("review.closed"), why_closed(event.closed_because, t)),
        (t("review.camera_id"), event.camera_id),
        (t("review.id"), event.id),
    ]
    told = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs if value)
    told_of = f' data-event="{escape(event.id, quote=True)}"{" data-growing" if is_growing else ""}'
    words = f'<p class="review-words">{escape(event.text)}</p>' if event.text else ""
    return (
        f'<h3 class="review-title"{told_of}>{tier_badge(event, t)} {escape(event.source)}</h3>{words}'
        f'<dl class="room-facts">{told}</dl>'
    )


def why_closed(because: str, t: Translator) -> str:
    """Returns why an event ended, translated if it is a known reason, else as it is stored."""
    key = CLOSED.get(because)
    return because if key is None else t(f"review.closed_{key}")


def clip_html(look: PlayableClip, t: Translator) -> str:
    """Returns a line that says which copy of a clip is shown, as HTML; empty if it is the recorded clip."""
    if look.kind == "original":
        return ""
    told = t(f"review.clip_{look.kind}", codec=look.codec, why=look.why)
    return f'<p class="review-copy is-{look.kind}">{escape(told)}</p>'


def marks_html(marks: Sequence[Mark], t: Translator) -> str:
    """Returns every mark of an event as HTML, newest first: what, who, when and why."""
    if not marks:
        return f'<p class="review-unmarked">{escape(t("review.unmarked"))}</p>'
    return f'<ol class="review-marks">{"".join(_mark(mark, t) for mark in reversed(marks))}</ol>'


def _mark(mark: Mark, t: Translator) -> str:
    what = t(f"review.mark_{mark.mark or 'none'}")
    note = f'<span class="review-note">{escape(mark.note)}</span>' if mark.note else ""
    return (
        f'<li><span class="mark-badge mark-{mark.mark or "none"}">{escape(what)}</span> '
        f"<b>{escape(mark.who)}</b> <time>{local_times.local(mark.marked_utc)}</time> {note}</li>"
    )
