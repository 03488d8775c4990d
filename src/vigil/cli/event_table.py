"""Prints events on a terminal: a table of many, or all details of one."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vigil.cli.hints import runnable
from vigil.events import Event, EventWindow, Tier
from vigil.store import Mark, MediaFile
from vigil.store.missed_spans import MissedSpan
from vigil.store.times import local, shown

STYLES = {Tier.LOW: "yellow", Tier.MEDIUM: "dark_orange", Tier.HIGH: "bold red"}

BLOCKS = "▁▂▃▄▅▆▇█"
STRIP_CELLS = 60
WINDOWS_SHOWN = 30


def list_table(events: Sequence[Event], marks: Mapping[str, Mark]) -> Table:
    """Returns a table with one row per event; ids are shortened to a suffix that `vigil events show` accepts."""
    has_classes = any(event.label for event in events)
    heads = ("event", "when", "source", *(["class"] if has_classes else []), "tier", "peak", "lasts", "alarm after")
    table = Table(*heads, "mark", "description", box=None)
    for event in events:
        mark = marks.get(event.id)
        table.add_row(
            event.id.rsplit("-", 1)[-1],
            _when(event),
            strip_control_characters(event.source),
            *([strip_control_characters(_class_of(event, mark))] if has_classes else []),
            Text(event.tier.value, style=STYLES[event.tier]),
            f"{event.peak:.2f}",
            _lasts(event),
            "-" if event.announced_s is None else f"{event.announced_s - event.onset_s:.1f} s",
            "-" if mark is None else mark.mark.replace("_", " "),
            strip_control_characters(
                event.text if mark is None or not mark.note else f"{event.text} ({mark.who}: {mark.note})"
            ),
        )
    return table


def _class_of(event: Event, mark: Mark | None) -> str:
    """The class of an event, and beside a correction the one that it replaces."""
    if mark is None or not mark.label or mark.label == event.label:
        return event.label or "-"
    return f"{mark.label} (said: {event.label or '-'})"


def missed_table(spans: Sequence[MissedSpan]) -> Table:
    """Returns a table with one row per missed incident, in local time."""
    table = Table("missed", "from", "lasts", "camera", "marked by", "note", box=None)
    for span in spans:
        begin, end = (datetime.fromisoformat(utc).astimezone() for utc in (span.from_utc, span.to_utc))
        table.add_row(
            span.id.rsplit("-", 1)[-1],
            shown(begin),
            f"{(end - begin).total_seconds():.1f} s",
            *(strip_control_characters(text) for text in (span.source, span.who, span.note)),
        )
    return table


def show_event(out: Console, event: Event, media: Sequence[MediaFile], marks: Sequence[Mark]) -> None:
    """Prints all details of one event."""
    table = Table(box=None, show_header=False)
    rows = {
        "event": event.id,
        "source": event.source,
        "camera": event.camera_id or "-",
        "place": event.place or "-",
        "when": _when(event),
        "onset": f"{event.onset_s:.2f} s",
        "end": _end(event),
        "alarm": "-" if event.announced_s is None else f"{event.announced_s:.2f} s",
        "tier": f"{event.tier.value}, peak {event.peak:.3f} at {event.peak_s:.2f} s",
        "model": f"{event.model or '-'} (task {event.task or '-'})",
        "rule": event.rule or "-",
        **({"class": _class_of(event, marks[-1] if marks else None)} if event.label else {}),
        "description": event.text or "-",
        "windows": f"{len(event.windows)}, {event.windows[0].window} to {event.windows[-1].window}",
        "probabilities": probability_blocks(event.windows),
    }
    for name, value in rows.items():
        table.add_row(name, strip_control_characters(value))
    for mark in marks:
        table.add_row("mark", strip_control_characters(_describe_mark(mark)))
    out.print(table)
    for file in media:
        # Outside the table, which would wrap a long path.
        out.print(strip_control_characters(f" {file.kind.removesuffix('s')}: {file.place}"), soft_wrap=True)
    out.print(_window_table(event.windows[:WINDOWS_SHOWN]))
    if len(event.windows) > WINDOWS_SHOWN:
        out.print(runnable(f"and {len(event.windows) - WINDOWS_SHOWN} more; `vigil events export` tells all"))


def _describe_mark(mark: Mark) -> str:
    when = shown(datetime.fromisoformat(mark.marked_utc).astimezone())
    text = mark.mark.replace("_", " ") or "taken back"
    return f"{text}, by {mark.who}, {when}" + (f": {mark.note}" if mark.note else "")


def _window_table(windows: Sequence[EventWindow]) -> Table:
    table = Table("window", "from", "to", "probability", box=None)
    for each in windows:
        p = "unknown" if each.p_alarm is None else f"{each.p_alarm:.3f}"
        table.add_row(str(each.window), f"{each.start_s:.2f} s", f"{each.end_s:.2f} s", p)
    return table


def probability_blocks(windows: Sequence[EventWindow]) -> str:
    """Draws the probabilities as blocks of eight heights, `?` for unknown; in long events a block covers several."""
    step = math.ceil(len(windows) / STRIP_CELLS)
    cells = []
    for i in range(0, len(windows), step):
        known = [e.p_alarm for e in windows[i : i + step] if e.p_alarm is not None]
        cells.append(BLOCKS[min(7, int(max(known) * 8))] if known else "?")
    return "".join(cells)


def strip_control_characters(text: str) -> Text:
    """Returns untrusted text (from a model or a camera's name) without terminal control characters."""
    return Text("".join(c if c.isprintable() else " " for c in text))


def _when(event: Event) -> str:
    if event.epoch_s is None:
        minutes, seconds = divmod(event.onset_s, 60)
        return f"at {int(minutes)}:{seconds:04.1f}"
    return local(event.epoch_s + event.onset_s)


def _lasts(event: Event) -> str:
    return "goes on" if event.end_s is None else f"{event.end_s - event.onset_s:.1f} s"


def _end(event: Event) -> str:
    return "goes on" if event.end_s is None else f"{event.end_s:.2f} s ({event.closed_because or 'closed'})"
