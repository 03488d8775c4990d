"""Page updates while an analysis runs and when it is over, shared by both tabs."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from vigil.actions import ActionTimeline, TimelineSettings
from vigil.analysis import Analysis, AnalysisView
from vigil.errors import SourceError, VigilError
from vigil.sources.image_worker import worker

from . import analysis_actions, analysis_results, analysis_stage
from .analysis_layout import ShownParts
from .analysis_results import event_table_html
from .analysis_session import AnalysisSession
from .analysis_start import AnalysisStarter
from .context import notice_html
from .gradio_patches import SILENT
from .plots import analysis_figure
from .uploads import Upload

log = logging.getLogger(__name__)

MOST_WEBCAM_PIXELS = 3840 * 2160
MOST_WEBCAMS = 16
"""Webcams per tab and language: each has a picture of up to 4 MiB in memory, waiting in the queue."""

WEBCAM: dict[str, Any] = {**SILENT, "stream_every": 0.2, "concurrency_limit": MOST_WEBCAMS, "preprocess": False}
"""Options of webcam events: pictures stay undecoded (`app.web.received`); Gradio would decode them in this process."""

PAUSE_S = 0.12
"""How often the page is updated."""

PAUSE_PER_WINDOW_S = 0.001
"""Added to `PAUSE_S` for each window that the page has to draw."""

REST_S = 1.0
"""In live mode the page gets the current second at least this often."""

Update = dict[Any, Any]
"""New values of some of the components, as Gradio takes them."""


@dataclass(frozen=True, slots=True)
class AnalysisUpdates(AnalysisStarter):
    """Event handlers that both tabs share; state of a visitor is in the session."""

    parts: ShownParts

    def stop(self, desk: AnalysisSession | None) -> None:
        """Stops the analysis and the rendering of its video."""
        if desk is not None:
            desk.stop()

    def push(self, picture: Mapping[str, Any] | None, desk: AnalysisSession | None) -> None:
        """Takes a webcam picture, a temporary file that is removed at once; ignores anything else."""
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
        """Yields updates until the analysis ends or is replaced; stops the analysis if the visitor leaves."""
        parts, t = self.parts, self.context.t
        last: dict[str, Any] = {}
        paused_s = 0.0
        try:
            while desk.analysis is analysis:
                view = analysis.view()
                self.keep(desk)
                now = analysis_stage.stage_state(desk, analysis, view, t)
                changed = {**now, "now_s": None} != {**last, "now_s": None}
                if changed or (view.live and paused_s >= REST_S):
                    last, paused_s = now, 0.0
                    yield {parts.stage: now, **self.buttons(analysis, view)}
                if view.is_over:
                    break
                pause_s = PAUSE_S + len(view.judged) * PAUSE_PER_WINDOW_S
                await asyncio.sleep(pause_s)
                paused_s += pause_s
        except BaseException:
            # The generator was closed: the visitor has left, or reloaded the page.
            if desk.analysis is analysis:
                analysis.stop()
            raise
        if desk.analysis is analysis:
            # The browser may merge two updates, keeping only the values of the last.
            yield {parts.stage: now, **self.buttons(analysis, view), **await self._results_or_why(desk, analysis)}
            await self._until_copied(desk, analysis)
        if desk.analysis is analysis and (last := analysis_stage.stage_state(desk, analysis, view, t)) != now:
            yield {parts.stage: last}

    async def _until_copied(self, desk: AnalysisSession, analysis: Analysis) -> None:
        """Waits for a conversion that is still running."""
        while desk.analysis is analysis and desk.is_converting:
            await asyncio.sleep(PAUSE_S)

    async def _results_or_why(self, desk: AnalysisSession, analysis: Analysis) -> Update:
        try:
            return await self._results(desk, analysis)
        except (VigilError, OSError) as error:
            return {self.parts.notice: notice_html(self.context.t("analysis.no_results"), _why(error))}

    async def _results(self, desk: AnalysisSession, analysis: Analysis) -> Update:
        """The timeline, the events and the downloads; empty if no window was judged."""
        parts, t, view = self.parts, self.context.t, analysis.view()
        if not view.judged:
            return {parts.results: gr.Column(visible=False)}
        tiers = analysis.settings.tiers
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
            parts.list_actions: gr.Button(t("analysis.list_actions"), visible=film, interactive=True),
            parts.actions: "",
            parts.action_files: gr.File(value=None, visible=False),
        }

    def _analysed_file(self, desk: AnalysisSession) -> tuple[Analysis, Upload] | None:
        """The analysis of a file that is still there."""
        if desk.analysis is None or desk.upload is None or not self.keep(desk):
            return None
        return desk.analysis, desk.upload

    def _gone_notice(self, desk: AnalysisSession | None) -> str:
        """The notice that the file of an analysis has been removed; empty if it is there."""
        is_gone = desk is not None and desk.upload is not None and not self.keep(desk)
        return notice_html(self.gone(desk)) if is_gone and desk is not None else ""

    async def list_actions(self, desk: AnalysisSession | None) -> AsyncIterator[Update]:
        """Asks about the actions in the video, shows the progress and then the list and its files."""
        parts, t = self.parts, self.context.t
        yield {parts.notice: self._gone_notice(desk)}
        if desk is None or (analysed := self._analysed_file(desk)) is None:
            return
        analysis, upload = analysed
        done: Update = {parts.notice: ""}
        try:
            async with aclosing(self._ask_actions(desk, analysis, upload)) as progress:
                async for found in progress:
                    if isinstance(found, int):
                        listing = gr.Button(t("analysis.listing", percent=found), interactive=False)
                        yield {parts.list_actions: listing, parts.stop: gr.Button(t("analysis.stop"), interactive=True)}
                        continue
                    files = await asyncio.to_thread(analysis_actions.write_action_files, desk, found)
                    done[parts.actions] = analysis_actions.action_table_html(found, t)
                    done[parts.action_files] = gr.File(value=files, visible=True)
        except VigilError as error:
            why = analysis_stage.without_paths(str(error), analysis.address)
            done[parts.notice] = notice_html(t("analysis.phase_failed"), why)
        if desk.analysis is analysis:
            done[parts.stop] = gr.Button(t("analysis.stop"), interactive=False)
        yield done | {parts.list_actions: gr.Button(t("analysis.list_actions"), interactive=True)}

    def _ask_actions(
        self, desk: AnalysisSession, analysis: Analysis, upload: Upload
    ) -> AsyncGenerator[int | ActionTimeline, None]:
        """Asks the model that judged the video."""
        endpoint = replace(self.context.endpoint, model=analysis.view().model or self.context.endpoint.model)
        settings = TimelineSettings(
            language=self.context.t.language,
            model_dir=analysis.settings.model_dir,
            max_pixels=analysis.settings.max_pixels,
            wait_s=0.0,
        )
        return analysis_actions.ask_actions(desk, upload, endpoint, settings)

    async def draw(self, desk: AnalysisSession | None) -> AsyncIterator[Update]:
        """Renders the annotated video and shows its progress."""
        parts, t = self.parts, self.context.t
        yield {parts.notice: self._gone_notice(desk)}
        if desk is None or (analysed := self._analysed_file(desk)) is None:
            return
        analysis, upload = analysed
        notice = ""
        try:
            async with aclosing(analysis_results.render_annotated_video(desk, analysis, upload)) as progress:
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
        """The state of the buttons of an analysis."""
        return {self.parts.stop: gr.Button(self.context.t("analysis.stop"), interactive=not view.is_over)}


def _why(error: VigilError | OSError) -> str:
    """The reason for a failure, without paths of this machine."""
    return str(error) if isinstance(error, VigilError) else error.strerror or type(error).__name__
