"""An event as a record of plain values: the one form shared by JSON lines, exports, the change log and web pages."""

from collections.abc import Mapping
from typing import Any

from vigil.events import Event, EventWindow, Tier
from vigil.store.times import format_utc


def event_record(event: Event) -> dict[str, Any]:
    """All fields of an event except its windows; times in seconds, rounded to milliseconds."""
    return {
        "event": event.id,
        "source": event.source,
        "camera_id": event.camera_id,
        "onset_s": rounded(event.onset_s),
        "end_s": rounded(event.end_s),
        "peak": event.peak,
        "tier": event.tier.value,
        "announced_s": rounded(event.announced_s),
        "peak_s": rounded(event.peak_s),
        "epoch_s": event.epoch_s,
        "onset_utc": _utc_text(event, event.onset_s),
        "end_utc": _utc_text(event, event.end_s),
        "closed_because": event.closed_because,
        "task": event.task,
        "model": event.model,
        "rule": event.rule,
        "text": event.text,
    }


def event_of(record: Mapping[str, Any], *, windows: tuple[EventWindow, ...] = ()) -> Event:
    """The event described by a record."""
    return Event(
        id=record["event"],
        source=record["source"],
        camera_id=record["camera_id"],
        onset_s=record["onset_s"],
        end_s=record["end_s"],
        peak=record["peak"],
        peak_s=record["peak_s"],
        tier=Tier(record["tier"]),
        windows=windows,
        announced_s=record["announced_s"],
        epoch_s=record["epoch_s"],
        text=record["text"],
        task=record["task"],
        model=record["model"],
        closed_because=record["closed_because"],
        # Changes that an older Vigil logged have none.
        rule=record.get("rule", ""),
    )


def rounded(seconds: float | None) -> float | None:
    """Seconds rounded to milliseconds."""
    return None if seconds is None else round(seconds, 3)


def _utc_text(event: Event, seconds: float | None) -> str | None:
    return None if event.epoch_s is None or seconds is None else format_utc(event.epoch_s + seconds)
