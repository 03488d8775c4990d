"""The analysis of a video or a camera: it plays while the verdicts come, window by window or live."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr

from app.web import analysis_downloads, analysis_stage
from app.web.analysis_choice import MY_WEBCAM, Choice, choice_of, length_s
from app.web.analysis_desk import Desk
from app.web.analysis_events import table
from app.web.analysis_layout import Parts, lay_out
from app.web.analysis_plot import figure
from app.web.context import SiteContext
from app.web.idle import SILENT
from app.web.refusal import Refused, notice_html
from vigil.analysis import Analysis, View
from vigil.errors import SourceError, VigilError
from vigil.sources.feed import open_feed
from vigil.sources.picture_worker import worker

log = logging.getLogger(__name__)

CSS = analysis_stage.CSS

AT_ONCE = 8
"""Analyses that run at the same time on one page; a ninth visitor is told so."""

MOST_WEBCAM_PIXELS = 3840 * 2160

LOOK_S = 0.12
"""How often an analysis is looked at for its visitor."""

LOOK_PER_WINDOW_S = 0.001
"""How much longer for each window that the page has to draw."""

REST_S = 1.0
"""Live, the page hears at least this often what second it is."""

SECOND_OF_PLAYER = """(second, desk) => {
  const video = document.querySelector("#analysis-stage video");
  return [video && !video.hidden ? video.currentTime : 0, desk];
}"""

Update = dict[Any, Any]
"""New values of some of the components."""


class Places:
    """Who is being analysed for; used by the page's event loop only, so that it needs no lock."""

    def __init__(self) -> None:
        self._taken: list[Analysis] = []

    def is_full(self, *, leaving: Analysis | None = None) -> bool:
        """Whether there is no place for one more, once `leaving` has ended."""
        self._taken = [analysis for analysis in self._taken if not analysis.wait(0)]
        return sum(analysis is not leaving for analysis in self._taken) >= AT_ONCE

    def take(self, analysis: Analysis) -> None:
        """Gives an analysis that runs a place until it is over."""
        self._taken.append(analysis)


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the handlers share on one page; of a visitor it knows only that somebody is analysed for."""

    context: SiteContext
    choice: Choice
    parts: Parts
    places: Places = field(default_factory=Places)

    def arrive(self) -> Desk:
        """A desk for a visitor who has just come, so that two clicks in one moment are at the same one."""
        return Desk(self.context.uploads.visitor_folder())

    async def start(
        self,
        source: str,
        sent: str | None,
        camera: str | None,
        preset: str,
        text: str,
        desk: Desk | None,
        model: str = "",
    ) -> AsyncIterator[Update]:
        """A new analysis, followed to its end."""
        parts = self.parts
        desk = desk or self.arrive()
        try:
            question = self.choice.question_of(preset, text)
            upload, address = await self.choice.opened(source, sent, camera, desk)
            duration_s = await asyncio.to_thread(length_s, upload)
            self._check_place(desk)
        except Refused as refused:
            yield {parts.notice: notice_html(str(refused), refused.detail), parts.desk: desk}
            return
        endpoint = replace(self.context.endpoint, model=model or self.context.endpoint.model)
        opener = desk.webcam.open if address is MY_WEBCAM else open_feed
        analysis = Analysis(
            address, question=question, endpoint=endpoint, settings=self.context.settings, opener=opener
        )
        desk.begin(analysis, upload, duration_s=duration_s)
        analysis.start()
        self.places.take(analysis)
        yield {parts.notice: "", parts.results: gr.Column(visible=False), parts.desk: desk}
        async with aclosing(self._follow(desk, analysis)) as updates:
            async for update in updates:
                yield update

    async def switch(self, second: float | None, desk: Desk | None) -> AsyncIterator[Update]:
        """Live, or every window; an analysis that is over goes on."""
        analysis = desk.analysis if desk is not None else None
        # An event that gives nothing at all empties what it could have given: the words on the buttons, too.
        yield {self.parts.notice: ""}
        if desk is None or analysis is None:
            return
        if not self._keep(desk):
            yield {self.parts.notice: notice_html(self._gone(desk))}
            return
        view = analysis.view()
        if view.is_over and self.places.is_full():
            yield {self.parts.notice: notice_html(self._full)}
            return
        if view.live:
            analysis.judge_every()
        else:
            analysis.go_live(at_s=second or 0.0)
        if view.is_over:
            self.places.take(analysis)
            desk.go_on()
            yield {self.parts.results: gr.Column(visible=False)}
            async with aclosing(self._follow(desk, analysis)) as updates:
                async for update in updates:
                    yield update

    def stop(self, desk: Desk | None) -> None:
        """Ends the analysis, and a video that is being drawn."""
        if desk is not None:
            desk.stop()

    def push(self, picture: str | None, desk: Desk | None) -> None:
        """Takes a picture of the visitor's webcam, a file that goes at once; what is no such picture is left out."""
        if desk is None or picture is None:
            return
        path = Path(picture)
        try:
            desk.webcam.push(worker().read_image(path, max_pixels=None, most_pixels=MOST_WEBCAM_PIXELS))
        except SourceError as error:
            log.info("a picture of a visitor's webcam is left out: %s", error)
        finally:
            path.unlink(missing_ok=True)

    async def _follow(self, desk: Desk, analysis: Analysis) -> AsyncGenerator[Update, None]:
        """Shows an analysis until it is over or another takes its place; ends it when the visitor is gone."""
        parts, t = self.parts, self.context.t
        last: dict[str, Any] = {}
        rested_s = 0.0
        try:
            while desk.analysis is analysis:
                view = analysis.view()
                self._keep(desk)
                now = analysis_stage.shown(desk, analysis, view, t)
                changed = {**now, "now_s": None} != {**last, "now_s": None}
                if changed or (view.live and rested_s >= REST_S):
                    last, rested_s = now, 0.0
                    yield {parts.stage: now, **self._buttons(analysis, view)}
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
            yield {parts.stage: now, **self._buttons(analysis, view), **await self._results_or_why(desk, analysis)}
            await self._until_copied(desk, analysis)
        if desk.analysis is analysis and (last := analysis_stage.shown(desk, analysis, view, t)) != now:
            yield {parts.stage: last}

    async def _until_copied(self, desk: Desk, analysis: Analysis) -> None:
        """Waits for a copy for the browser that is still being made."""
        while desk.analysis is analysis and desk.is_converting:
            await asyncio.sleep(LOOK_S)

    async def _results_or_why(self, desk: Desk, analysis: Analysis) -> Update:
        try:
            return await self._results(desk, analysis)
        except (VigilError, OSError) as error:
            return {self.parts.notice: notice_html(self.context.t("analysis.no_results"), _why(error))}

    async def _results(self, desk: Desk, analysis: Analysis) -> Update:
        """The timeline, the events and the downloads; nothing where not one window was judged."""
        parts, t, view = self.parts, self.context.t, analysis.view()
        if not view.judged:
            return {parts.results: gr.Column(visible=False)}
        tiers = analysis.settings.events.tiers
        shown = analysis.for_verdict
        downloads = await asyncio.to_thread(analysis_downloads.write, desk, view, tiers)
        film = desk.upload is not None and analysis.address.kind == "file"
        return {
            parts.results: gr.Column(visible=True),
            parts.verdicts: gr.Column(visible=shown),
            parts.plot: figure(view, tiers=tiers, t=t) if shown else None,
            parts.events: table(view, t),
            parts.jsonl: gr.DownloadButton(value=str(downloads.jsonl)),
            parts.srt: gr.DownloadButton(value=str(downloads.srt)),
            parts.draw: gr.Button(t("analysis.draw"), visible=film, interactive=True),
            parts.film: gr.DownloadButton(value=None, visible=False),
        }

    async def draw(self, desk: Desk | None) -> AsyncIterator[Update]:
        """The annotated video, with how far it is."""
        parts, t = self.parts, self.context.t
        analysis = desk.analysis if desk is not None else None
        yield {parts.notice: ""}
        if desk is None or analysis is None or desk.upload is None:
            return
        if not self._keep(desk):
            yield {parts.notice: notice_html(self._gone(desk))}
            return
        notice = ""
        try:
            async with aclosing(analysis_downloads.draw(desk, analysis, desk.upload)) as progress:
                async for percent in progress:
                    drawing = gr.Button(t("analysis.drawing", percent=percent), interactive=False)
                    yield {parts.draw: drawing, parts.stop: gr.Button(t("analysis.stop"), interactive=True)}
        except VigilError as error:
            notice = notice_html(t("analysis.phase_failed"), analysis_stage.named(str(error), analysis.address))
        film = analysis_downloads.film_of(desk)
        yield {
            parts.notice: notice,
            parts.draw: gr.Button(t("analysis.draw"), interactive=True, visible=not film.is_file()),
            parts.film: gr.DownloadButton(value=str(film) if film.is_file() else None, visible=film.is_file()),
            **({parts.stop: gr.Button(t("analysis.stop"), interactive=False)} if desk.analysis is analysis else {}),
        }

    def _check_place(self, desk: Desk) -> None:
        if self.places.is_full(leaving=desk.analysis):
            raise Refused(self._full)

    @property
    def _full(self) -> str:
        return self.context.t("analysis.full", count=AT_ONCE)

    def _keep(self, desk: Desk) -> bool:
        """Whether the file is still there; what is looked at is not swept away."""
        self.context.uploads.keep(desk.folder)
        return desk.upload is None or self.context.uploads.is_there(desk.upload)

    def _buttons(self, analysis: Analysis, view: View) -> Update:
        parts = self.parts
        may_switch = analysis.address is not MY_WEBCAM
        return {
            parts.live: gr.Button(
                f"{'● ' * view.live}{self.context.t('analysis.live')}",
                variant="primary" if view.live else "secondary",
                interactive=may_switch,
            ),
            parts.stop: gr.Button(self.context.t("analysis.stop"), interactive=not view.is_over),
        }

    def _gone(self, desk: Desk) -> str:
        minutes = f"{self.context.options.keep_uploads_s / 60:g}"
        name = desk.upload.name if desk.upload is not None else ""
        return self.context.t("analysis.gone", name=name, minutes=minutes)


def panel(context: SiteContext) -> Parts:
    """Lays out the analysis in the tab that is open."""
    choice = choice_of(context)
    parts = lay_out(context, choice.questions, choice.cameras, choice.problems)
    bench = Workbench(context, choice, parts)
    at_once = {**SILENT, "queue": False}
    # By default Gradio drops a click while the one before is still followed; and nobody waits in silence.
    followed = {**SILENT, "concurrency_limit": None, "trigger_mode": "multiple"}
    outputs = [*parts.followed, parts.desk]
    asked = [parts.source, parts.file, parts.camera, parts.preset, parts.question, parts.desk, parts.model]
    parts.start.click(bench.start, asked, outputs, **followed)
    parts.live.click(bench.switch, [parts.second, parts.desk], outputs, js=SECOND_OF_PLAYER, **followed)
    parts.stop.click(bench.stop, parts.desk, None, **at_once)
    parts.draw.click(
        bench.draw, parts.desk, [parts.draw, parts.film, parts.stop, parts.notice], **SILENT, concurrency_limit=2
    )
    parts.webcam.stream(
        bench.push, [parts.webcam, parts.desk], None, stream_every=0.2, concurrency_limit=None, **SILENT
    )
    parts.source.change(choice.choose_source, parts.source, [parts.file, parts.cameras, parts.webcam], **at_once)
    parts.preset.input(choice.words_of, parts.preset, parts.question, **at_once)
    parts.question.change(choice.hint, [parts.preset, parts.question], parts.hint, **at_once)
    gr.on(None, bench.arrive, None, parts.desk, **at_once)
    gr.on(None, choice.first_preset, None, [parts.preset, parts.question], **at_once)
    return parts


def _why(error: VigilError | OSError) -> str:
    """What went wrong, without our paths."""
    return str(error) if isinstance(error, VigilError) else error.strerror or type(error).__name__
