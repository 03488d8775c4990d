"""An analysis as a visitor follows it, in whichever tab: what the page is told while it runs and when it is over."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.web import analysis_results, analysis_stage
from app.web.analysis_layout import ShownParts
from app.web.analysis_results import event_table_html
from app.web.analysis_session import AnalysisSession
from app.web.analysis_start import AnalysisStarter
from app.web.context import notice_html
from app.web.gradio_patches import SILENT
from app.web.plots import analysis_figure
from vigil.analysis import Analysis, AnalysisView
from vigil.errors import SourceError, VigilError
from vigil.sources.image_worker import worker

log = logging.getLogger(__name__)

MOST_WEBCAM_PIXELS = 3840 * 2160
MOST_WEBCAMS = 16
"""Of each tab and language: each has a picture of up to 4 MiB in memory that waits for its turn."""

WEBCAM: dict[str, Any] = {**SILENT, "stream_every": 0.2, "concurrency_limit": MOST_WEBCAMS, "preprocess": False}
"""For the event of a webcam: its pictures come as they were sent (`app.web.received`), as Gradio would decode them."""

LOOK_S = 0.12
"""How often an analysis is looked at for its visitor."""

LOOK_PER_WINDOW_S = 0.001
"""How much longer for each window that the page has to draw."""

REST_S = 1.0
"""Live, the page hears at least this often what second it is."""

Update = dict[Any, Any]
"""New values of some of the components."""


@dataclass(frozen=True, slots=True)
class AnalysisUpdates(AnalysisStarter):
    """What the handlers of one page share; of a visitor it knows only that somebody is analysed for."""

    parts: ShownParts

    def stop(self, desk: AnalysisSession | None) -> None:
        """Ends the analysis, and a video that is being drawn."""
        if desk is not None:
            desk.stop()

    def push(self, picture: Mapping[str, Any] | None, desk: AnalysisSession | None) -> None:
        """Takes a picture of the visitor's webcam, a file that goes at once; what is no such picture is left out."""
        if picture is None:
            return
        path = Path(picture["path"])
        try:
            if desk is None:
                return
            desk.webcam.push(worker().read_image(path, max_pixels=None, most_pixels=MOST_WEBCAM_PIXELS))
        except SourceError as error:
            log.info("a picture of a visitor's webcam is left out: %s", error)
        finally:
            path.unlink(missing_ok=True)

    async def follow(self, desk: AnalysisSession, analysis: Analysis) -> AsyncGenerator[Update, None]:
        """Shows an analysis until it is over or another takes its place; ends it when the visitor is gone."""
        parts, t = self.parts, self.context.t
        last: dict[str, Any] = {}
        rested_s = 0.0
        try:
            while desk.analysis is analysis:
                view = analysis.view()
                self.keep(desk)
                now = analysis_stage.stage_state(desk, analysis, view, t)
                changed = {**now, "now_s": None} != {**last, "now_s": None}
                if changed or (view.live and rested_s >= REST_S):
                    last, rested_s = now, 0.0
                    yield {parts.stage: now, **self.buttons(analysis, view)}
                if view.is_over:
                    break
                look_s = LOOK_S + len(view.judged) * LOOK_PER_WINDOW_S
                await asyncio.sleep(look_s)
                rested_s += look_s
        except BaseException:
            # Nobody looks any more: the visitor has left, or the page was loaded anew.
            if desk.analysis is analysis:
                analysis.stop()
            raise
        if desk.analysis is analysis:
            # The browser may put two updates into one, and then only what the last one holds is shown.
            yield {parts.stage: now, **self.buttons(analysis, view), **await self._results_or_why(desk, analysis)}
            await self._until_copied(desk, analysis)
        if desk.analysis is analysis and (last := analysis_stage.stage_state(desk, analysis, view, t)) != now:
            yield {parts.stage: last}

    async def _until_copied(self, desk: AnalysisSession, analysis: Analysis) -> None:
        """Waits for a copy for the browser that is still being made."""
        while desk.analysis is analysis and desk.is_converting:
            await asyncio.sleep(LOOK_S)

    async def _results_or_why(self, desk: AnalysisSession, analysis: Analysis) -> Update:
        try:
            return await self._results(desk, analysis)
        except (VigilError, OSError) as error:
            return {self.parts.notice: notice_html(self.context.t("analysis.no_results"), _why(error))}

    async def _results(self, desk: AnalysisSession, analysis: Analysis) -> Update:
        """The timeline, the events and the downloads; nothing where not one window was judged."""
        parts, t, view = self.parts, self.context.t, analysis.view()
        if not view.judged:
            return {parts.results: gr.Column(visible=False)}
        tiers = analysis.settings.events.tiers
        shown = analysis.for_verdict
        downloads = await asyncio.to_thread(analysis_results.write_results, desk, view, tiers)
        film = desk.upload is not None and analysis.address.kind == "file"
        return {
            parts.results: gr.Column(visible=True),
            parts.verdicts: gr.Column(visible=shown),
            parts.plot: analysis_figure(view, tiers=tiers, t=t) if shown else None,
            parts.events: event_table_html(view, t),
            parts.jsonl: gr.DownloadButton(value=str(downloads.jsonl)),
            parts.srt: gr.DownloadButton(value=str(downloads.srt)),
            parts.draw: gr.Button(t("analysis.draw"), visible=film, interactive=True),
            parts.film: gr.DownloadButton(value=None, visible=False),
        }

    async def draw(self, desk: AnalysisSession | None) -> AsyncIterator[Update]:
        """The annotated video, with how far it is."""
        parts, t = self.parts, self.context.t
        analysis = desk.analysis if desk is not None else None
        yield {parts.notice: ""}
        if desk is None or analysis is None or desk.upload is None:
            return
        if not self.keep(desk):
            yield {parts.notice: notice_html(self.gone(desk))}
            return
        notice = ""
        try:
            async with aclosing(analysis_results.render_annotated_video(desk, analysis, desk.upload)) as progress:
                async for percent in progress:
                    drawing = gr.Button(t("analysis.drawing", percent=percent), interactive=False)
                    yield {parts.draw: drawing, parts.stop: gr.Button(t("analysis.stop"), interactive=True)}
        except VigilError as error:
            notice = notice_html(t("analysis.phase_failed"), analysis_stage.without_paths(str(error), analysis.address))
        film = analysis_results.annotated_video_path(desk)
        yield {
            parts.notice: notice,
            parts.draw: gr.Button(t("analysis.draw"), interactive=True, visible=not film.is_file()),
            parts.film: gr.DownloadButton(value=str(film) if film.is_file() else None, visible=film.is_file()),
            **({parts.stop: gr.Button(t("analysis.stop"), interactive=False)} if desk.analysis is analysis else {}),
        }

    def buttons(self, analysis: Analysis, view: AnalysisView) -> Update:
        """The buttons as they stand beside an analysis."""
        return {self.parts.stop: gr.Button(self.context.t("analysis.stop"), interactive=not view.is_over)}


def _why(error: VigilError | OSError) -> str:
    """What went wrong, without our paths."""
    return str(error) if isinstance(error, VigilError) else error.strerror or type(error).__name__
