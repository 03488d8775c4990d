"""From the chat to the analysis: the same file and the same question, for a verdict on every moment."""

from typing import Any

import gradio as gr

from app.web.analysis_layout import Parts
from app.web.chat import ChatParts
from app.web.context import SiteContext
from app.web.presets import NONE
from app.web.visit import Visit
from vigil.tasks import load_questions


def connect(context: SiteContext, chat: ChatParts, analysis: Parts, tabs: gr.Tabs) -> None:
    """Lets the chat's button open the other tab with what was attached and asked."""
    names = {question.question: question.name for question in load_questions()}

    def take_over(visit: Visit | None) -> tuple[Any, Any, Any, Any, Any]:
        if visit is None or visit.upload is None or not context.uploads.is_there(visit.upload):
            return (gr.skip(),) * 5
        turns = visit.conversation.turns
        question = turns[-1].question if turns else ""
        chosen = names.get(question, NONE)
        return gr.Tabs(selected="analysis"), "file", str(visit.upload.path), chosen, question or gr.skip()

    outputs = [tabs, analysis.source, analysis.file, analysis.preset, analysis.question]
    chat.analyse.click(take_over, chat.visit, outputs, queue=False, show_progress="hidden", api_visibility="private")
