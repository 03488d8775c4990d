"""Writes the timeline of a film as JSON, CSV, SRT subtitles, and text."""

import csv
import io
from pathlib import Path

from vigil.actions import ActionTimeline, TimedAction
from vigil.counted import counted
from vigil.files import write_atomically, write_json
from vigil.report.event_export import spreadsheet_cell
from vigil.report.subtitles import SubtitleCue, one_line
from vigil.report.timeline import format_seconds

CSV_COLUMNS = ("start_s", "end_s", "actor", "action", "intent", "windows")

SHORTEST_CUE_S = 0.5


def write_action_json(timeline: ActionTimeline, path: Path) -> None:
    """Writes all that is known; raises OSError."""
    write_json(path, timeline.to_json())


def write_action_csv(timeline: ActionTimeline, path: Path) -> None:
    """Writes one line per action, as spreadsheets read it; raises OSError."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for each in timeline.actions:
        words = (spreadsheet_cell(word) for word in (each.actor, each.action, each.intent))
        writer.writerow([f"{each.start_s:.2f}", f"{each.end_s:.2f}", *words, each.windows])
    # Excel takes a file without this mark for one in the encoding of the machine.
    write_atomically(path, "\ufeff" + text.getvalue())


def write_action_srt(timeline: ActionTimeline, path: Path) -> None:
    """Writes one cue per action; raises OSError."""
    write_atomically(path, format_action_srt(timeline.actions))


def format_action_srt(actions: tuple[TimedAction, ...]) -> str:
    """The actions as subtitles, in order of time; cues of simultaneous actions overlap, as SRT allows."""
    cues = (
        SubtitleCue(each.start_s, max(each.end_s, each.start_s + SHORTEST_CUE_S), one_line(each.line))
        for each in actions
    )
    return "".join(cue.format(number) for number, cue in enumerate(cues, start=1))


def action_table(timeline: ActionTimeline) -> str:
    """The timeline as lines of text, with what is not known of the film."""
    lines = [
        f"{format_seconds(each.start_s, tenths=True):>9} - {format_seconds(each.end_s, tenths=True):<9} "
        f"{one_line(each.line)}"
        for each in timeline.actions
    ]
    seen = f"{timeline.seen_s:.1f} of {timeline.length_s:.1f} s seen in {counted(timeline.windows, 'window')}"
    lines.append(f"{counted(len(timeline.actions), 'action')}; {seen}")
    if timeline.words:
        why = sorted({remark.reason for remark in timeline.words})
        lines.append(
            f"{counted(len(timeline.words), 'answer')} not in the form that was asked for, kept as words: {why[0]}"
        )
    if timeline.unknown:
        lines.append(f"{counted(len(timeline.unknown), 'window')} without an answer: {timeline.unknown[0].reason}")
    return "\n".join(lines)
