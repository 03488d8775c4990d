"""Events for other programs: JSON with everything, CSV with a line an event that no spreadsheet runs as a formula."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from vigil.events import Event, Mark
from vigil.store.media import MediaFile
from vigil.store.times import format_utc

FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""Chinese and Japanese spreadsheets take the wide ones for the same."""

COLUMNS = (
    "event",
    "source",
    "onset_s",
    "end_s",
    "peak",
    "tier",
    "announced_s",
    "peak_s",
    "onset_utc",
    "end_utc",
    "windows",
    "closed_because",
    "task",
    "model",
    "text",
    "mark",
    "note",
    "marked_by",
    "marked_utc",
    "media",
)

EventMediaFiles = Mapping[str, Sequence[MediaFile]]
"""The files of each event, by its id."""

EventMarks = Mapping[str, Sequence[Mark]]
"""The marks of each event, by its id, the oldest first."""


def as_json(events: Sequence[Event], media: EventMediaFiles, marks: EventMarks) -> str:
    """A list of events with their windows, all that was ever said of them, and the paths of their media."""
    listed = [
        _fields(event)
        | _marked(marks.get(event.id, ()))
        | {"marks": [_mark(mark) for mark in marks.get(event.id, ())]}
        | {"windows": [_window(event, i) for i in range(len(event.windows))]}
        | {"media": [str(file.path) for file in media.get(event.id, ())]}
        for event in events
    ]
    return json.dumps(listed, ensure_ascii=False, indent=2) + "\n"


def as_csv(events: Sequence[Event], media: EventMediaFiles, marks: EventMarks) -> str:
    """A table with a head and the mark that counts; media paths are separated by spaces."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for event in events:
        paths = " ".join(str(file.path) for file in media.get(event.id, ()))
        row = _fields(event) | _marked(marks.get(event.id, ())) | {"windows": len(event.windows), "media": paths}
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _fields(event: Event) -> dict[str, Any]:
    return {
        "event": event.id,
        "source": event.source,
        "onset_s": _rounded(event.onset_s),
        "end_s": _rounded(event.end_s),
        "peak": event.peak,
        "tier": event.tier.value,
        "announced_s": _rounded(event.announced_s),
        "peak_s": _rounded(event.peak_s),
        "onset_utc": _wall(event, event.onset_s),
        "end_utc": _wall(event, event.end_s),
        "closed_because": event.closed_because,
        "task": event.task,
        "model": event.model,
        "text": event.text,
    }


def _marked(marks: Sequence[Mark]) -> dict[str, Any]:
    """The mark that counts; empty where there is none."""
    said = marks[-1] if marks and marks[-1].mark else None
    fields = (
        {"mark": said.mark, "note": said.note, "marked_by": said.who, "marked_utc": said.marked_utc} if said else {}
    )
    return dict.fromkeys(("mark", "note", "marked_by", "marked_utc"), "") | fields


def _mark(mark: Mark) -> dict[str, Any]:
    return {"mark": mark.mark, "note": mark.note, "who": mark.who, "marked_utc": mark.marked_utc}


def _window(event: Event, index: int) -> dict[str, Any]:
    evidence = event.windows[index]
    return {
        "window": evidence.window,
        "start_s": _rounded(evidence.start_s),
        "end_s": _rounded(evidence.end_s),
        "p_alarm": evidence.p_alarm,
    }


def _wall(event: Event, seconds: float | None) -> str | None:
    return None if event.epoch_s is None or seconds is None else format_utc(event.epoch_s + seconds)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _cell(value: Any) -> Any:
    """Text from a model or a camera's name must stay text; a spreadsheet hides the quote."""
    return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(FORMULA_STARTS) else value
