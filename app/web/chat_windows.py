"""Analysis inside the chat: videos and cameras are judged window by window beside the conversation."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from vigil.analysis import Analysis

from .analysis_session import MY_WEBCAM
from .analysis_updates import AnalysisUpdates, Update
from .chat_layout import ChatComponents
from .chat_session import ChatSession
from .uploads import Upload
from .window_messages import sum_html

ON_ITS_WAY_S = 0.5


@dataclass(frozen=True, slots=True)
class ChatAnalysis(AnalysisUpdates):
    """The analysis of the chat: the same as in the other tab, with its windows as messages."""

    parts: ChatComponents

    async def follow_visit(self, visit: ChatSession | None) -> AsyncIterator[Update]:
        """Shows an analysis that was just started, on the stage and in the conversation, until it ends."""
        analysis = visit.desk.analysis if visit is not None else None
        if visit is None or analysis is None or not visit.is_begun:
            # A generator that yields nothing clears all its outputs.
            yield {self.parts.notice: gr.skip()}
            return
        visit.is_begun = False
        yield {self.parts.results: gr.Column(visible=False)}
        async with aclosing(self._updates(visit, analysis)) as updates:
            async for update in updates:
                yield update

    async def _updates(self, visit: ChatSession, analysis: Analysis) -> AsyncGenerator[Update, None]:
        parts, t = self.parts, self.context.t
        is_summed = False
        async with aclosing(self.follow(visit.desk, analysis)) as updates:
            async for update in updates:
                state = update.get(parts.stage)
                if visit.left or visit.desk.analysis is not analysis:
                    return
                if state is not None:
                    visit.show_windows(state["rows"], t)
                if state is not None and state["over"] and parts.results in update and not is_summed:
                    is_summed = True
                    events = analysis.view().events
                    visit.show_sum(sum_html(state, state["run"], events, t, for_verdict=analysis.for_verdict))
                yield {**update, parts.log: visit.shown}

    def toggle_webcam(self, visit: ChatSession | None) -> tuple[Any, ChatSession]:
        """Turns the visitor's webcam on or off as the subject of questions."""
        visit = visit or ChatSession(self.context.uploads.visitor_folder())
        if visit.uses_webcam:
            visit.detach()
        else:
            name, path = self.context.t("chat.webcam"), visit.folder / "webcam"
            path.touch()
            visit.attach(Upload(kind="camera", name=name, path=path, sent=path, address=MY_WEBCAM))
        return gr.Image(visible=visit.uses_webcam), visit

    def push_visit(self, picture: Mapping[str, Any] | None, visit: ChatSession | None) -> None:
        """Takes a picture of the visitor's webcam."""
        self.push(picture, visit.desk if visit is not None else None)

    def switch_visit(self, second: float | None, visit: ChatSession | None, mode: str) -> None:
        """Switches a running analysis between live and every window; otherwise the mode is for the next question."""
        analysis = visit.desk.analysis if visit is not None else None
        if analysis is None or analysis.address is MY_WEBCAM:
            return
        view = analysis.view()
        if view.is_over or mode == "whole" or view.live == (mode == "live"):
            return
        if mode == "live":
            analysis.go_live(at_s=second or 0.0)
        else:
            analysis.judge_every()

    def stop_visit(self, visit: ChatSession | None) -> None:
        """Stops the analysis and the answer."""
        if visit is not None:
            visit.stop.set()
            visit.desk.stop()

    async def begin_anew(self, visit: ChatSession | None) -> Update:
        """Starts an empty conversation."""
        parts = self.parts
        if visit is not None:
            visit.left = True
            self.stop_visit(visit)
            # Pieces of the answer that are already on their way must not arrive after this.
            await asyncio.sleep(ON_ITS_WAY_S)
        fresh = ChatSession(visit.folder if visit is not None else self.context.uploads.visitor_folder())
        return {
            parts.log: fresh.shown,
            parts.box: gr.MultimodalTextbox(value=None),
            parts.notice: "",
            parts.visit: fresh,
            parts.stage: None,
            parts.results: gr.Column(visible=False),
            parts.stop: gr.Button(interactive=False),
        }

    async def draw_visit(self, visit: ChatSession | None) -> AsyncIterator[Update]:
        """Renders the annotated video and shows its progress."""
        async for update in self.draw(visit.desk if visit is not None else None):
            yield update

    async def list_actions_of_visit(self, visit: ChatSession | None) -> AsyncIterator[Update]:
        """Asks about the actions in the video, and shows its progress."""
        async for update in self.list_actions(visit.desk if visit is not None else None):
            yield update
