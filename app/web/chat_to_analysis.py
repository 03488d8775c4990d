"""Opens a chat's attachment and question in the tab *Video & camera*, for a verdict on every window."""

from pathlib import Path
from typing import Any

import gradio as gr

from .analysis_layout import AnalysisComponents
from .chat_layout import ChatComponents
from .chat_session import ChatSession
from .context import NONE, SiteContext, notice_html
from .gradio_patches import SILENT
from .uploads import Upload


def connect_chat_to_analysis(
    context: SiteContext, chat: ChatComponents, analysis: AnalysisComponents, tabs: gr.Tabs
) -> None:
    """Connects the chat's button to the other tab."""
    names = {question.text: question.name for question in context.questions}
    minutes = f"{context.options.keep_uploads_s / 60:g}"

    def take_over(visit: ChatSession | None, model: str | None) -> dict[Any, Any]:
        if visit is None or visit.upload is None:
            return {chat.notice: ""}
        if not context.uploads.exists(visit.upload):
            message = context.t("chat.gone", name=visit.upload.name, minutes=minutes)
            return {chat.notice: notice_html(message)}
        turns = visit.conversation.turns
        question = turns[-1].question if turns else ""
        return {
            chat.notice: "",
            tabs: gr.Tabs(selected="analysis"),
            analysis.source: "file",
            analysis.model: model or "",
            analysis.file: str(_named(visit.upload)),
            analysis.preset: names.get(question, NONE),
            analysis.question: question or gr.skip(),
        }

    outputs = [chat.notice, tabs, analysis.source, analysis.file, analysis.preset, analysis.question, analysis.model]
    chat.analyse.click(take_over, [chat.visit, chat.model], outputs, queue=False, **SILENT)


def _named(upload: Upload) -> Path:
    """The file under the visitor's name for it, or under ours if only that is left."""
    return upload.sent if upload.sent.is_file() else upload.path
