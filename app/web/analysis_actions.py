"""The actions of an analysed video: who does what, with seconds, asked on demand; a table, and files to download."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from html import escape
from pathlib import Path

from vigil.actions import ActionTimeline, TimedAction, TimelineSettings, read_timeline
from vigil.errors import JobError
from vigil.judge import Endpoint
from vigil.report.action_files import write_action_csv, write_action_json, write_action_srt
from vigil.report.timeline import format_seconds

from ..language import Translator
from .analysis_session import AnalysisSession
from .uploads import Upload

LOOK_S = 0.3
COLUMNS = ("time", "actor", "action", "intent")


async def ask_actions(
    desk: AnalysisSession, upload: Upload, endpoint: Endpoint, settings: TimelineSettings
) -> AsyncGenerator[int | ActionTimeline, None]:
    """Yields the percentage asked, and at last the timeline, unless Stop ends it. Raises VigilError."""
    stop = threading.Event()
    desk.drawing = stop
    percent = [0]

    def note(at_s: float, length_s: float) -> None:
        percent[0] = min(99, round(100 * at_s / length_s)) if length_s else 0

    asking = asyncio.create_task(read_timeline(upload.path, endpoint, settings, on_progress=note))
    try:
        while not asking.done() and not stop.is_set():
            yield percent[0]
            await asyncio.wait([asking], timeout=LOOK_S)
        if asking.done():
            yield replace(asking.result(), film=upload.name)
    finally:
        asking.cancel()
        await asyncio.wait([asking])
        desk.drawing = None


def write_action_files(desk: AnalysisSession, timeline: ActionTimeline) -> list[str]:
    """Writes the files of a timeline, under names of our own; raises JobError."""
    folder = desk.results()
    files = [folder / f"actions.{ending}" for ending in ("json", "csv", "srt", "png")]
    try:
        _write(timeline, *files)
    except OSError as error:
        raise JobError(f"the actions cannot be written: {error.strerror}") from error
    return [str(file) for file in files]


def _write(timeline: ActionTimeline, as_json: Path, as_csv: Path, srt: Path, picture: Path) -> None:
    from vigil.report.action_plot import write_action_plot

    write_action_json(timeline, as_json)
    write_action_csv(timeline, as_csv)
    write_action_srt(timeline, srt)
    write_action_plot(timeline, picture)


def action_table_html(timeline: ActionTimeline, t: Translator) -> str:
    """The actions as HTML, with what is not known; all values are escaped."""
    notes = [
        t(f"analysis.actions_{name}", count=len(remarks), why=remarks[0].reason)
        for name, remarks in (("words", timeline.words), ("unknown", timeline.unknown))
        if remarks
    ]
    lines = "".join(f'<p class="va-quiet">{escape(note)}</p>' for note in notes)
    if not timeline.actions:
        return f'<p class="va-quiet">{escape(t("analysis.no_actions"))}</p>{lines}'
    head = "".join(f"<th>{escape(t(f'analysis.action_{name}'))}</th>" for name in COLUMNS)
    rows = "".join(map(_row, timeline.actions))
    return f'<table class="va-events va-actions"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{lines}'


def _row(action: TimedAction) -> str:
    start, end = (escape(format_seconds(second, tenths=True)) for second in (action.start_s, action.end_s))
    jump = f'<button type="button" class="va-jump" data-second="{action.start_s:.3f}">▶ {start} – {end}</button>'
    cells = (jump, *(escape(word) for word in (action.actor, action.action, action.intent)))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
