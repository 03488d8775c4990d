"""The choices of a visitor, source and question, validated before an analysis starts."""

import asyncio
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from vigil.errors import SourceError, UsageError, VigilError
from vigil.questions import Question
from vigil.sources.address import Address, find_available_sources
from vigil.sources.video_info import video_info

from ..camera_masks import with_masks
from .analysis_session import MY_WEBCAM, AnalysisSession
from .context import NONE, RequestRefused, SiteContext, trained_question, usual_question
from .uploads import Upload


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """The questions and cameras on offer, and messages about missing cameras; shared by all visitors."""

    context: SiteContext
    questions: tuple[Question, ...]
    cameras: tuple[Address, ...]
    problems: tuple[str, ...] = ()

    def question_of(self, preset: str, text: str) -> Question:
        """The preset with the edited text; raises RequestRefused if the text is empty."""
        if not text.strip():
            raise RequestRefused(self.context.t("analysis.no_question"))
        configured = next((question for question in self.questions if question.name == preset), None)
        if configured is None:
            return Question(name="own", language=self.context.language, text=text.strip())
        return configured if text.strip() == configured.text.strip() else configured.reworded(text)

    async def opened(
        self, source: str, sent: str | None, camera: str | None, desk: AnalysisSession
    ) -> tuple[Upload | None, Address]:
        """The chosen source, with its file if it is one; raises RequestRefused."""
        t = self.context.t
        if source == "webcam":
            return None, MY_WEBCAM
        if source == "camera":
            found = next((address for address in self.cameras if address.name == camera), None)
            if found is None:
                raise RequestRefused(t("analysis.no_camera"))
            return None, await self._masked(found)
        if not sent:
            raise RequestRefused(t("analysis.no_file"))
        return await self._file(Path(sent), desk)

    async def _file(self, sent: Path, desk: AnalysisSession) -> tuple[Upload | None, Address]:
        """The uploaded video, or the camera that an uploaded camera.txt names, if it is allowed."""
        t = self.context.t
        try:
            upload = await asyncio.to_thread(self.context.uploads.take, sent, desk.folder)
        except VigilError as error:
            raise RequestRefused(t("analysis.bad_file"), detail=str(error)) from error
        if upload.kind == "picture":
            raise RequestRefused(t("analysis.picture_file", name=upload.name))
        if upload.address is None:
            return upload, Address("file", upload.name, str(upload.path))
        try:
            return None, await self._masked(self.context.allowed.admit(upload.address))
        except UsageError as error:
            raise RequestRefused(t("analysis.bad_camera"), detail=str(error)) from error

    async def _masked(self, address: Address) -> Address:
        """The camera with its masks; raises RequestRefused if they cannot be read."""
        try:
            return await asyncio.to_thread(with_masks, self.context, address)
        except VigilError as error:
            raise RequestRefused(self.context.t("analysis.bad_camera"), detail=str(error)) from error

    def choose_source(self, source: str) -> tuple[Any, Any, Any]:
        """Shows only the inputs of the chosen kind of source."""
        kinds = ("file", "camera", "webcam")
        return tuple(gr.update(visible=kind == source) for kind in kinds)  # type: ignore[return-value]

    def question_text(self, preset: str) -> Any:
        """The text of a preset; without one, the text stays as it is."""
        return next((question.text for question in self.questions if question.name == preset), gr.skip())

    def first_preset(self, preset: str, text: str) -> tuple[Any, Any]:
        """The question that the served model was trained on, unless the visitor has already chosen another."""
        usual = usual_question(self.questions, self.context.language)
        is_untouched = usual is not None and (preset, text) == (usual.name, usual.text)
        aliases = [served.alias for served in self.context.status.now.models if served.alias]
        trained = trained_question(self.questions, aliases[0]) if aliases else NONE
        if not trained or not is_untouched:
            return gr.skip(), gr.skip()
        return trained, self.question_text(trained)

    def hint(self, preset: str, text: str) -> str:
        """Says whether the question gets verdicts or only text."""
        if not text.strip():
            return ""
        kind = "verdict" if self.question_of(preset, text).labels else "words"
        return escape(self.context.t(f"analysis.asks_{kind}"))


def analysis_options(context: SiteContext) -> AnalysisOptions:
    """All questions, and the configured cameras that can be found."""
    found, problems = find_available_sources(context.settings.sources)
    cameras = tuple(address for address in found if address.is_live)
    return AnalysisOptions(context, context.questions, cameras, tuple(problems))


def length_s(upload: Upload | None) -> float | None:
    """The duration of a video from its header, or None."""
    try:
        return None if upload is None else video_info(upload.path).duration_s
    except SourceError:
        return None
