"""The analysis of a video or a camera: it plays while the verdicts come, window by window or live."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from app.web import analysis_downloads, analysis_stage
from app.web.analysis_desk import Desk
from app.web.analysis_events import table
from app.web.analysis_layout import Parts, lay_out
from app.web.analysis_plot import figure
from app.web.context import SiteContext
from app.web.presets import NONE, trained_question
from app.web.uploads import Upload
from vigil.analysis import Analysis, View
from vigil.analysis.asking import asks_for_verdict
from vigil.errors import SourceError, UsageError, VigilError
from vigil.sources.address import Address, find_sources
from vigil.sources.feed import open_feed
from vigil.sources.fullrate import shape_of
from vigil.tasks import Question, load_questions

CSS = analysis_stage.CSS

AT_ONCE = 8
"""Analyses that run at the same time; a ninth visitor waits."""

LOOK_S = 0.12
"""How often an analysis is looked at for its visitor."""

LOOK_PER_WINDOW_S = 0.001
"""How much longer for each window that the page has to draw."""

REST_S = 1.0
"""Live, the page hears at least this often what second it is."""

MY_WEBCAM = Address("webcam", "webcam", "")
USUAL = {"en": "fight_en", "zh": "fight"}

SECOND_OF_PLAYER = """(second, desk) => {
  const video = document.querySelector("#analysis-stage video");
  return [video && !video.hidden ? video.currentTime : 0, desk];
}"""

Update = dict[Any, Any]
"""New values of some of the components."""


class _Refused(Exception):
    """An analysis that cannot begin: why, in words for the visitor."""

    def __init__(self, words: str, detail: str = "") -> None:
        self.detail = detail
        super().__init__(words)


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the handlers share on one page; nothing of a visitor is in it."""

    context: SiteContext
    questions: tuple[Question, ...]
    cameras: tuple[Address, ...]
    parts: Parts

    async def start(
        self, source: str, sent: str | None, camera: str | None, preset: str, text: str, desk: Desk | None
    ) -> AsyncIterator[Update]:
        """A new analysis, followed to its end."""
        parts = self.parts
        desk = desk or Desk(self.context.uploads.visitor_folder())
        try:
            question = self.question_of(preset, text)
            upload, address = await self._opened(source, sent, camera, desk)
            duration_s = await asyncio.to_thread(_length_s, upload)
        except _Refused as refused:
            yield {parts.notice: _notice(str(refused), refused.detail), parts.desk: desk}
            return
        opener = desk.webcam.open if address is MY_WEBCAM else open_feed
        analysis = Analysis(
            address, question=question, endpoint=self.context.endpoint, settings=self.context.settings, opener=opener
        )
        desk.begin(analysis, upload, duration_s=duration_s)
        analysis.start()
        yield {parts.notice: "", parts.results: gr.Column(visible=False), parts.desk: desk}
        async with aclosing(self._follow(desk, analysis)) as updates:
            async for update in updates:
                yield update

    async def switch(self, second: float | None, desk: Desk | None) -> AsyncIterator[Update]:
        """Live, or every window; an analysis that is over goes on."""
        analysis = desk.analysis if desk is not None else None
        if desk is None or analysis is None:
            return
        if desk.upload is not None and not self.context.uploads.is_there(desk.upload):
            yield {self.parts.notice: _notice(self._gone())}
            return
        view = analysis.view()
        if view.live:
            analysis.judge_every()
        else:
            analysis.go_live(at_s=second or 0.0)
        if view.is_over:
            yield {self.parts.results: gr.Column(visible=False)}
            async with aclosing(self._follow(desk, analysis)) as updates:
                async for update in updates:
                    yield update

    def stop(self, desk: Desk | None) -> None:
        """Ends the analysis, and a video that is being drawn."""
        if desk is not None:
            desk.stop()

    def push(self, picture: NDArray[np.uint8] | None, desk: Desk | None) -> None:
        """Takes a picture of the visitor's webcam."""
        if desk is not None and picture is not None:
            desk.webcam.push(picture)

    async def _follow(self, desk: Desk, analysis: Analysis) -> AsyncGenerator[Update, None]:
        """Shows an analysis until it is over or another takes its place; ends it when the visitor is gone."""
        parts, t = self.parts, self.context.t
        last: dict[str, Any] = {}
        rested_s = 0.0
        try:
            while desk.analysis is analysis:
                view = analysis.view()
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
            yield {parts.stage: now, **self._buttons(analysis, view), **await self._results(desk, analysis)}

    async def _results(self, desk: Desk, analysis: Analysis) -> Update:
        """The timeline, the events and the downloads; nothing where not one window was judged."""
        parts, t, view = self.parts, self.context.t, analysis.view()
        if desk.upload is not None:
            self.context.uploads.is_there(desk.upload)
        if not view.judged:
            return {parts.results: gr.Column(visible=False)}
        tiers = analysis.settings.events.tiers
        shown = analysis.for_verdict
        downloads = await asyncio.to_thread(analysis_downloads.write, desk, view, tiers)
        film = desk.upload is not None and analysis.address.kind == "file"
        return {
            parts.results: gr.Column(visible=True),
            parts.plot: gr.Plot(figure(view, tiers=tiers, t=t) if shown else None, visible=shown),
            parts.events: gr.HTML(table(view, t), visible=shown),
            parts.jsonl: gr.DownloadButton(value=str(downloads.jsonl)),
            parts.srt: gr.DownloadButton(value=str(downloads.srt)),
            parts.draw: gr.Button(t("analysis.draw"), visible=film, interactive=True),
            parts.film: gr.DownloadButton(value=None, visible=False),
        }

    async def draw(self, desk: Desk | None) -> AsyncIterator[Update]:
        """The annotated video, with how far it is."""
        parts, t = self.parts, self.context.t
        analysis = desk.analysis if desk is not None else None
        if desk is None or analysis is None or desk.upload is None:
            return
        if not self.context.uploads.is_there(desk.upload):
            yield {parts.notice: _notice(self._gone())}
            return
        try:
            async with aclosing(analysis_downloads.draw(desk, analysis, desk.upload)) as progress:
                async for percent in progress:
                    yield {parts.draw: gr.Button(t("analysis.drawing", percent=percent), interactive=False)}
        except VigilError as error:
            yield {
                parts.notice: _notice(t("analysis.phase_failed"), str(error)),
                parts.draw: gr.Button(t("analysis.draw"), interactive=True),
            }
            return
        film = analysis_downloads.film_of(desk)
        yield {
            parts.draw: gr.Button(t("analysis.draw"), interactive=True, visible=not film.is_file()),
            parts.film: gr.DownloadButton(value=str(film) if film.is_file() else None, visible=film.is_file()),
        }

    def _buttons(self, analysis: Analysis, view: View) -> Update:
        parts = self.parts
        may_switch = analysis.address is not MY_WEBCAM
        return {
            parts.live: gr.Button(
                f"{'● ' * view.live}{self.context.t('analysis.live')}",
                variant="primary" if view.live else "secondary",
                interactive=may_switch,
            ),
            parts.stop: gr.Button(interactive=not view.is_over),
        }

    def question_of(self, preset: str, text: str) -> Question:
        """The preset with the words as they were edited."""
        if not text.strip():
            raise _Refused(self.context.t("analysis.no_question"))
        known = next((question for question in self.questions if question.name == preset), None)
        if known is None:
            return Question(name="own", title="", language=self.context.language, question=text.strip())
        return replace(known, question=text if text.strip() != known.question.strip() else known.question)

    async def _opened(
        self, source: str, sent: str | None, camera: str | None, desk: Desk
    ) -> tuple[Upload | None, Address]:
        t = self.context.t
        if source == "webcam":
            return None, MY_WEBCAM
        if source == "camera":
            found = next((address for address in self.cameras if address.name == camera), None)
            if found is None:
                raise _Refused(t("analysis.no_camera"))
            return None, found
        if not sent:
            raise _Refused(t("analysis.no_file"))
        return await self._file(Path(sent), desk)

    async def _file(self, sent: Path, desk: Desk) -> tuple[Upload | None, Address]:
        """The video that was sent, or the camera that a camera.txt names, where it is allowed."""
        t = self.context.t
        try:
            upload = await asyncio.to_thread(self.context.uploads.take, sent, desk.folder)
        except VigilError as error:
            raise _Refused(t("analysis.bad_file"), str(error)) from error
        if upload.kind == "picture":
            raise _Refused(t("analysis.picture_file", name=upload.name))
        if upload.address is None:
            return upload, Address("file", upload.name, str(upload.path))
        try:
            self.context.allowed.check(upload.address)
        except UsageError as error:
            raise _Refused(t("analysis.bad_camera"), str(error)) from error
        return None, upload.address

    def _gone(self) -> str:
        return self.context.t("analysis.gone", minutes=f"{self.context.options.keep_uploads_s / 60:g}")

    def choose_source(self, source: str) -> tuple[Any, Any, Any]:
        """Shows what belongs to the kind of source that was chosen."""
        kinds = ("file", "camera", "webcam")
        return tuple(gr.update(visible=kind == source) for kind in kinds)  # type: ignore[return-value]

    def words_of(self, preset: str) -> Any:
        """The words of a preset; one's own stay as they are."""
        return next((question.question for question in self.questions if question.name == preset), gr.skip())

    def first_preset(self) -> tuple[str, str]:
        """What the served model was trained on, else the usual question of the page's language."""
        aliases = [served.alias for served in self.context.status.now.models if served.alias]
        trained = trained_question(self.questions, aliases[0]) if aliases else NONE
        name = trained or USUAL[self.context.language]
        return name, str(self.words_of(name))

    def hint(self, preset: str, text: str) -> str:
        """Whether the question as it stands gets verdicts or words."""
        if not text.strip():
            return ""
        kind = "verdict" if asks_for_verdict(self.question_of(preset, text)) else "words"
        return escape(self.context.t(f"analysis.asks_{kind}"))


def panel(context: SiteContext) -> Parts:
    """Lays out the analysis in the tab that is open."""
    questions = tuple(load_questions())
    cameras = _cameras(context)
    parts = lay_out(context, questions, cameras)
    bench = Workbench(context, questions, cameras, parts)
    private: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    at_once = {**private, "queue": False}
    followed = {**private, "concurrency_limit": AT_ONCE, "concurrency_id": "analysis"}
    outputs = [*parts.followed, parts.desk]
    asked = [parts.source, parts.file, parts.camera, parts.preset, parts.question, parts.desk]
    parts.start.click(bench.start, asked, outputs, **followed)
    parts.live.click(bench.switch, [parts.second, parts.desk], outputs, js=SECOND_OF_PLAYER, **followed)
    parts.stop.click(bench.stop, parts.desk, None, **at_once)
    parts.draw.click(bench.draw, parts.desk, [parts.draw, parts.film, parts.notice], **private, concurrency_limit=2)
    parts.webcam.stream(
        bench.push, [parts.webcam, parts.desk], None, stream_every=0.2, concurrency_limit=None, **private
    )
    parts.source.change(bench.choose_source, parts.source, [parts.file, parts.camera, parts.webcam], **at_once)
    parts.preset.input(bench.words_of, parts.preset, parts.question, **at_once)
    parts.question.change(bench.hint, [parts.preset, parts.question], parts.hint, **at_once)
    gr.on(None, bench.first_preset, None, [parts.preset, parts.question], **at_once)
    return parts


def _cameras(context: SiteContext) -> tuple[Address, ...]:
    """The cameras of the server's own configuration."""
    sources = context.settings.sources
    return tuple(address for address in find_sources(sources) if address.is_live) if sources else ()


def _length_s(upload: Upload | None) -> float | None:
    try:
        return None if upload is None else shape_of(upload.path).duration_s
    except SourceError:
        return None


def _notice(words: str, detail: str = "") -> str:
    """A notice as HTML, all of it escaped; the details are the library's own words."""
    more = f"<small>{escape(detail)}</small>" if detail else ""
    return f'<div class="vigil-notice" role="alert">{escape(words)}{more}</div>'
