"""An event as a record of plain values: the one form shared by JSON lines, exports, the change log, pages and the API.

`event_record` holds the event itself; `full_record` adds what belongs to it: marks, windows and files. The class of an
event (`label`) and a correction of it (`marked_label`) are left out if the question has no classes but two labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from vigil.events import Event, EventWindow, Mark, Tier
from vigil.store.times import format_utc

EventState: TypeAlias = Literal["alarm", "to_review", "acknowledged", "reviewed"]
"""What an event asks of people: `alarm` (tier high) and `to_review` until somebody has acknowledged or marked it."""

EVENT_STATES: tuple[EventState, ...] = get_args(EventState)


def state_of(event: Event, marks: Sequence[Mark] = (), *, is_acknowledged: bool = False) -> EventState:
    """The state of an event with these marks, oldest first."""
    if marks and marks[-1].mark:
        return "reviewed"
    if is_acknowledged:
        return "acknowledged"
    return "alarm" if event.tier is Tier.HIGH else "to_review"


def full_record(
    event: Event,
    *,
    marks: Sequence[Mark] = (),
    media: Sequence[str] = (),
    acknowledged_by: str = "",
    acknowledged_utc: str = "",
) -> dict[str, Any]:
    """The record of an event with its valid mark, all marks (oldest first), its windows, its files and its state."""
    return (
        event_record(event)
        | mark_record(marks)
        | {
            "acknowledged_by": acknowledged_by,
            "acknowledged_utc": acknowledged_utc,
            "state": state_of(event, marks, is_acknowledged=bool(acknowledged_by)),
            "marks": [
                {"mark": mark.mark, "note": mark.note, "who": mark.who, "marked_utc": mark.marked_utc}
                | _if_any(label=mark.label)
                for mark in marks
            ],
            "windows": [window_record(each) for each in event.windows],
            "media": list(media),
        }
    )


def mark_record(marks: Sequence[Mark]) -> dict[str, Any]:
    """The fields of the valid mark, which is the last one; empty texts if there is none."""
    said = marks[-1] if marks and marks[-1].mark else None
    return {
        "mark": said.mark if said else "",
        "note": said.note if said else "",
        "marked_by": said.who if said else "",
        "marked_utc": said.marked_utc if said else "",
    } | _if_any(marked_label=said.label if said else "")


def _if_any(**labels: str) -> dict[str, str]:
    return {name: label for name, label in labels.items() if label}


def window_record(window: EventWindow) -> dict[str, Any]:
    """The fields of one window of an event."""
    return {
        "window": window.window,
        "start_s": rounded(window.start_s),
        "end_s": rounded(window.end_s),
        "p_alarm": window.p_alarm,
    } | _if_any(label=window.label)


def event_record(event: Event) -> dict[str, Any]:
    """All fields of an event except its windows; times in seconds, rounded to milliseconds."""
    return {
        "event": event.id,
        "source": event.source,
        "camera_id": event.camera_id,
        "place": event.place,
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
        **_if_any(label=event.label),
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
        # Changes that an older Vigil logged have neither.
        rule=record.get("rule", ""),
        label=record.get("label", ""),
        place=record.get("place", ""),
    )


def rounded(seconds: float | None) -> float | None:
    """Seconds rounded to milliseconds."""
    return None if seconds is None else round(seconds, 3)


def _utc_text(event: Event, seconds: float | None) -> str | None:
    return None if event.epoch_s is None or seconds is None else format_utc(event.epoch_s + seconds)
