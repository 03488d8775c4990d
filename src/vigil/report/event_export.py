"""Exports events as JSON with all fields, or as CSV with one line per event, safe from spreadsheet formulas."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from vigil.events import Event, Mark
from vigil.store.acknowledgements import Acknowledgement
from vigil.store.event_record import event_record, full_record, mark_record
from vigil.store.media import MediaFile
from vigil.store.missed_spans import MissedSpan, missed_record

FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""The full-width forms are included, as Chinese and Japanese spreadsheets treat them like the ASCII ones."""

COLUMNS = (
    "event",
    "source",
    "camera_id",
    "place",
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
    "rule",
    "text",
    "mark",
    "note",
    "marked_by",
    "marked_utc",
    "media",
)

LABEL_COLUMNS = ("label", "marked_label")
"""Columns of tables in which an event has a class."""

MISSED_COLUMNS = (
    "missed",
    "source",
    "camera_id",
    "from_utc",
    "to_utc",
    "note",
    "marked_by",
    "marked_utc",
    "taken_back_by",
    "taken_back_utc",
)

EventMediaFiles = Mapping[str, Sequence[MediaFile]]
"""The files of each event, by event id."""

EventMarks = Mapping[str, Sequence[Mark]]
"""The marks of each event, oldest first, by event id."""


def as_json(
    events: Sequence[Event],
    media: EventMediaFiles,
    marks: EventMarks,
    seen: Mapping[str, Acknowledgement] | None = None,
) -> str:
    """A JSON list of events with their windows, marks and acknowledgements, and the paths of their media."""
    acknowledged = {} if seen is None else {event_id: (ack.who, ack.acknowledged_utc) for event_id, ack in seen.items()}
    listed = [
        full_record(
            event,
            marks=marks.get(event.id, ()),
            media=[file.place for file in media.get(event.id, ())],
            acknowledged_by=acknowledged.get(event.id, ("", ""))[0],
            acknowledged_utc=acknowledged.get(event.id, ("", ""))[1],
        )
        for event in events
    ]
    return json.dumps(listed, ensure_ascii=False, indent=2) + "\n"


def as_csv(
    events: Sequence[Event], media: EventMediaFiles, marks: EventMarks, *, has_labels: bool | None = None
) -> str:
    """A table with a header row and each event's valid mark; media paths are separated by spaces.

    It has columns for classes if an event has one, or if `has_labels` says so: for tables that are made in pieces.
    """
    out = io.StringIO()
    if has_labels is None:
        has_labels = any(event.label for event in events)
    columns = (*COLUMNS, *LABEL_COLUMNS) if has_labels else COLUMNS
    writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for event in events:
        paths = " ".join(file.place for file in media.get(event.id, ()))
        row = (
            event_record(event) | mark_record(marks.get(event.id, ())) | {"windows": len(event.windows), "media": paths}
        )
        writer.writerow({name: spreadsheet_cell(value) for name, value in row.items()})
    return out.getvalue()


def missed_as_json(spans: Sequence[MissedSpan]) -> str:
    """A JSON list of missed incidents."""
    return json.dumps([missed_record(span) for span in spans], ensure_ascii=False, indent=2) + "\n"


def missed_as_csv(spans: Sequence[MissedSpan]) -> str:
    """A table of missed incidents with a header row."""
    out = io.StringIO()
    writer = csv.DictWriter(out, MISSED_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for span in spans:
        writer.writerow({name: spreadsheet_cell(value) for name, value in missed_record(span).items()})
    return out.getvalue()


def spreadsheet_cell(value: Any) -> Any:
    """Quotes text that a spreadsheet would run as a formula; the spreadsheet does not display the quote."""
    return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(FORMULA_STARTS) else value
