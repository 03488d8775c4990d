"""The tab *Video & camera*: a source plays while its verdicts arrive, window by window or live."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

import gradio as gr

from vigil.analysis import Analysis, AnalysisView
from vigil.sources.open_capture import open_capture

from . import analysis_stage
from .analysis_layout import AnalysisComponents, lay_out_analysis, second_of_player
from .analysis_options import AnalysisOptions, analysis_options, length_s
from .analysis_session import MY_WEBCAM, AnalysisSession
from .analysis_updates import WEBCAM, AnalysisUpdates, Update
from .context import RequestRefused, SiteContext, notice_html
from .gradio_patches import SILENT

CSS = analysis_stage.CSS


@dataclass(frozen=True, slots=True)
class AnalysisPanel(AnalysisUpdates):
    """The tab *Video & camera*: starts and shows the analysis of a chosen source and question."""

    choice: AnalysisOptions
    parts: AnalysisComponents

    def arrive(self) -> AnalysisSession:
        """Creates a visitor's session, so that two clicks in quick succession share it."""
        return AnalysisSession(self.context.uploads.visitor_folder())

    async def start(
        self,
        source: str,
        sent: str | None,
        camera: str | None,
        preset: str,
        text: str,
        desk: AnalysisSession | None,
        model: str = "",
    ) -> AsyncIterator[Update]:
        """Starts a new analysis and shows it until it ends."""
        parts = self.parts
        desk = desk or self.arrive()
        try:
            question = self.choice.question_of(preset, text)
            upload, address = await self.choice.opened(source, sent, camera, desk)
            duration_s = await asyncio.to_thread(length_s, upload)
            self.check_place(desk)
        except RequestRefused as refused:
            yield {parts.notice: notice_html(str(refused), refused.detail), parts.desk: desk}
            return
        endpoint = replace(self.context.endpoint, model=model or self.context.endpoint.model)
        opener = desk.webcam.open if address is MY_WEBCAM else open_capture
        analysis = Analysis(
            address, question=question, endpoint=endpoint, settings=self.context.settings, opener=opener
        )
        self.begin(desk, analysis, upload, duration_s=duration_s)
        yield {parts.notice: "", parts.results: gr.Column(visible=False), parts.desk: desk}
        async with aclosing(self.follow(desk, analysis)) as updates:
            async for update in updates:
                yield update

    async def switch(self, second: float | None, desk: AnalysisSession | None) -> AsyncIterator[Update]:
        """Switches between live and every window; an analysis that has ended resumes."""
        analysis = desk.analysis if desk is not None else None
        # A generator that yields nothing clears all its outputs, including the labels of the buttons.
        yield {self.parts.notice: ""}
        if desk is None or analysis is None:
            return
        if not self.keep(desk):
            yield {self.parts.notice: notice_html(self.gone(desk))}
            return
        view = analysis.view()
        if view.is_over and self.context.places.is_full():
            yield {self.parts.notice: notice_html(self.full)}
            return
        if view.live:
            analysis.judge_every()
        else:
            analysis.go_live(at_s=second or 0.0)
        if view.is_over:
            self.context.places.take(analysis)
            desk.go_on()
            yield {self.parts.results: gr.Column(visible=False)}
            async with aclosing(self.follow(desk, analysis)) as updates:
                async for update in updates:
                    yield update

    def buttons(self, analysis: Analysis, view: AnalysisView) -> Update:
        """The state of the buttons Live and Stop."""
        live = gr.Button(
            f"{'● ' * view.live}{self.context.t('analysis.live')}",
            variant="primary" if view.live else "secondary",
            interactive=analysis.address is not MY_WEBCAM,
        )
        return {self.parts.live: live, **AnalysisUpdates.buttons(self, analysis, view)}


def panel(context: SiteContext) -> AnalysisComponents:
    """Lays out the panel inside the open tab and connects its events."""
    choice = analysis_options(context)
    parts = lay_out_analysis(context, choice.questions, choice.cameras, choice.problems)
    bench = AnalysisPanel(context, parts, choice)
    at_once = {**SILENT, "queue": False}
    # By default Gradio ignores a click while the previous event is still running, without a sign to the visitor.
    followed = {**SILENT, "concurrency_limit": None, "trigger_mode": "multiple"}
    outputs = [*parts.followed, parts.desk]
    inputs = [parts.source, parts.file, parts.camera, parts.preset, parts.question, parts.desk, parts.model]
    parts.start.click(bench.start, inputs, outputs, **followed)
    parts.live.click(bench.switch, [parts.second, parts.desk], outputs, js=second_of_player("analysis"), **followed)
    parts.stop.click(bench.stop, parts.desk, None, **at_once)
    parts.draw.click(
        bench.draw, parts.desk, [parts.draw, parts.film, parts.stop, parts.notice], **SILENT, concurrency_limit=2
    )
    parts.list_actions.click(
        bench.list_actions, parts.desk, [*parts.listed, parts.stop, parts.notice], **SILENT, concurrency_limit=2
    )
    parts.webcam.stream(bench.push, [parts.webcam, parts.desk], None, **WEBCAM)
    parts.source.change(choice.choose_source, parts.source, [parts.file, parts.cameras, parts.webcam], **at_once)
    parts.preset.input(choice.question_text, parts.preset, parts.question, **at_once)
    parts.question.change(choice.hint, [parts.preset, parts.question], parts.hint, **at_once)
    gr.on(None, bench.arrive, None, parts.desk, **at_once)
    gr.on(None, choice.first_preset, [parts.preset, parts.question], [parts.preset, parts.question], **at_once)
    return parts
