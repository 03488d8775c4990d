"""The results of an analysis: the table of its events, and the files to download.

Rows of the table seek the player to their second. Files have names of our own, never the upload's.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from vigil.analysis import Analysis, AnalysisView
from vigil.analysis.outputs import write_annotated_video, write_jsonl, write_srt
from vigil.events import Event, TierThresholds
from vigil.report import drawing
from vigil.report.timeline import format_seconds

from ..language import Translator
from .analysis_session import AnalysisSession
from .uploads import Upload

COLUMNS = ("onset", "length", "tier", "peak", "words")


def event_table_html(view: AnalysisView, t: Translator) -> str:
    """The events as HTML; all values are escaped."""
    if not view.events:
        return f'<p class="va-quiet">{escape(t("analysis.no_events"))}</p>'
    head = "".join(f"<th>{escape(t(f'analysis.event_{name}'))}</th>" for name in COLUMNS)
    rows = "".join(_row(event, t) for event in view.events)
    return f'<table class="va-events"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(event: Event, t: Translator) -> str:
    colour = f"rgb{drawing.TIER_COLOURS[event.tier]}"
    onset = escape(format_seconds(event.onset_s, tenths=True))
    length = "" if event.end_s is None else f"{event.end_s - event.onset_s:.1f} s"
    cells = (
        f'<button type="button" class="va-jump" data-second="{event.onset_s:.3f}">▶ {onset}</button>',
        length,
        f'<span class="va-tier" style="--tier:{colour}">{escape(t(f"tier.{event.tier}"))}</span>',
        f"{event.peak:.2f}",
        escape(event.text),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


LOOK_S = 0.3


@dataclass(frozen=True, slots=True)
class AnalysisFiles:
    """The files that are written as soon as an analysis is over."""

    jsonl: Path
    srt: Path


def write_results(desk: AnalysisSession, view: AnalysisView, tiers: TierThresholds) -> AnalysisFiles:
    """Writes the files of a run; raises StoreError."""
    folder = desk.results()
    downloads = AnalysisFiles(folder / "analysis.jsonl", folder / "analysis.srt")
    write_jsonl(view, downloads.jsonl, tiers=tiers)
    write_srt(view, downloads.srt)
    annotated_video_path(desk).unlink(missing_ok=True)
    return downloads


def annotated_video_path(desk: AnalysisSession) -> Path:
    """The path of a run's annotated video, once it is rendered."""
    return desk.results() / "analysis.mp4"


async def render_annotated_video(
    desk: AnalysisSession, analysis: Analysis, upload: Upload
) -> AsyncGenerator[int, None]:
    """Renders the annotated video in a thread and yields the percentage done; raises SourceError.

    If rendering is stopped, the partial file is removed.
    """
    stop, film = threading.Event(), annotated_video_path(desk)
    desk.drawing = stop
    reached: list[tuple[float, float | None]] = [(0.0, None)]
    drawing = asyncio.create_task(
        asyncio.to_thread(
            write_annotated_video,
            analysis.view(),
            upload.path,
            film,
            tiers=analysis.settings.tiers,
            title=upload.name,
            progress=lambda second, length: reached.append((second, length)),
            stop=stop,
        )
    )
    try:
        while not drawing.done():
            second, length = reached[-1]
            yield min(99, round(100 * second / length)) if length else 0
            await asyncio.wait([drawing], timeout=LOOK_S)
        await drawing
        if stop.is_set():
            film.unlink(missing_ok=True)
    finally:
        stop.set()
        desk.drawing = None
