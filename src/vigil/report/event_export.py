"""Events for other programs: JSON with everything, CSV with a line an event that no spreadsheet runs as a formula."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from vigil.events import Event, Mark
from vigil.store.event_record import event_record, rounded
from vigil.store.media import MediaFile

FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""Chinese and Japanese spreadsheets take the wide ones for the same."""

COLUMNS = (
    "event",
    "source",
    "camera_id",
    "onset_s",
    "end_s",
    "peak",
    "tier",
    "announced_s",
    "peak_s",
    "epoch_s",
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
        event_record(event)
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
        row = event_record(event) | _marked(marks.get(event.id, ())) | {"windows": len(event.windows), "media": paths}
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


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
        "start_s": rounded(evidence.start_s),
        "end_s": rounded(evidence.end_s),
        "p_alarm": evidence.p_alarm,
    }


def _cell(value: Any) -> Any:
    """Text from a model or a camera's name must stay text; a spreadsheet hides the quote."""
    return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(FORMULA_STARTS) else value
