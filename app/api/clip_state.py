"""What there is of the clip of an event: it plays, a copy of it does, it is still to come, or why there is none."""

import time

from vigil.errors import StoreError
from vigil.events import Event

from ..web.browser_copies import browser_copies
from ..web.event_store import is_media_path
from .context import ApiContext
from .review_schemas import ClipOut, ClipState

WITHIN_S = 60.0
"""A clip that is missing this long after the end of its event will not come."""

DAY_S = 86_400.0


def clip_state(context: ApiContext, event: Event) -> ClipOut:
    """The state of an event's clip, and the second at which it begins."""
    file = next((file for file in context.store.media.of_event(event.id) if file.kind == "clips"), None)
    if file is None:
        return ClipOut(state=_why_none(context, event))
    try:
        path = context.store.media.local(file)
    except StoreError:
        return ClipOut(state="deleted")
    if not path.is_file() or not is_media_path(path, context.site):
        return ClipOut(state="deleted")
    look = browser_copies(context.site).look(path)
    is_exact = file.begins_s is not None
    begins_s = max(0.0, event.onset_s - context.site.settings.clips.before_s)
    return ClipOut(
        state="whole" if look.kind == "original" else look.kind,
        codec=look.codec,
        why=look.why,
        begins_s=file.begins_s if is_exact else begins_s,
        is_exact=is_exact,
    )


def _why_none(context: ApiContext, event: Event, *, now_s: float | None = None) -> ClipState:
    settings = context.site.settings
    if event.end_s is None:
        return "open"
    if settings.clips.max_s == 0:
        return "off"
    if event.epoch_s is None:
        return "missing"
    passed_s = (time.time() if now_s is None else now_s) - event.epoch_s - event.end_s
    if passed_s < WITHIN_S:
        return "expected"
    kept_days = settings.retention.media_days
    return "deleted" if kept_days is not None and passed_s > kept_days * DAY_S else "missing"
