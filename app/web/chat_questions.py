"""Questions about a video or camera in the chat: every window is asked, for a verdict or for text."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from vigil.analysis import Analysis
from vigil.frames import FrameSampling
from vigil.judge.discovery import ServedModel
from vigil.manifest import parse_alias
from vigil.questions import Question
from vigil.sources.address import Address
from vigil.sources.open_capture import open_capture

from .analysis_options import length_s
from .analysis_session import MY_WEBCAM
from .analysis_start import AnalysisStarter
from .chat_session import ChatSession
from .context import trained_question


@dataclass(frozen=True, slots=True)
class WindowQuestions(AnalysisStarter):
    """Starts the analysis that a question needs."""

    async def ask_windows(
        self, text: str, served: ServedModel, visit: ChatSession, address: Address, *, live: bool
    ) -> None:
        """Starts asking every window of the attachment; `follow_visit` shows the results. Raises RequestRefused."""
        self.check_place(visit.desk)
        question = self.question_of(text, served)
        upload = visit.upload if address.kind == "file" else None
        duration_s = await asyncio.to_thread(length_s, upload)
        analysis = Analysis(
            address,
            question=question,
            endpoint=replace(self.context.endpoint, model=served.name),
            settings=self.context.settings,
            live=live or address is MY_WEBCAM,
            opener=visit.desk.webcam.open if address is MY_WEBCAM else open_capture,
        )
        self.begin(visit.desk, analysis, upload, duration_s=duration_s)
        visit.show_analysis(text.strip(), self._source(address, served))
        visit.is_begun = True

    def begun(self, visit: ChatSession) -> Any:
        """Identifies a started analysis that is not shown yet; a change of this value triggers `follow_visit`."""
        return visit.desk.run if visit.is_begun else gr.skip()

    def question_of(self, text: str, served: ServedModel) -> Question:
        """Maps the text to a question of `configs/tasks` if it is one or names its labels; else to a free question."""
        t, text = self.context.t, text.strip()
        trained = trained_question(self.context.questions, served.alias)
        first = sorted(self.context.questions, key=lambda one: (one.name != trained, one.language != t.language))
        for question in first:
            if question.text.strip() == text:
                return question
        edited = (question.reworded(text) for question in first if question.labels)
        own = Question(name="own", language=t.language, text=text)
        return next((question for question in edited if question.labels), own)

    def _source(self, address: Address, served: ServedModel) -> str:
        sampling = parse_alias(served.alias) if served.alias else FrameSampling()
        name = self.context.t("chat.webcam") if address is MY_WEBCAM else address.name
        return self.context.t("chat.by_windows", name=name, frames=sampling.frames, fps=f"{sampling.fps:g}")
