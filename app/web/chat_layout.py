"""The layout of the chat: the stage, the conversation, and the message box with its modes."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from vigil.questions import Question

from .analysis_layout import LONGEST_QUESTION, ShownParts, lay_out_results
from .analysis_stage import stage_component
from .context import SiteContext, preset_choices

LONGEST_ANSWER = 2048
USUAL_ANSWER = 512

MODES = ("every", "live", "whole")
"""Every window at full speed, the latest window at the source's pace, or the whole source in one question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatComponents(ShownParts):
    """The components of the tab *Chat*; `about` is the selected part of a video, `begun` identifies an analysis."""

    model: gr.Dropdown
    preset: gr.Dropdown
    log: gr.Chatbot
    box: gr.MultimodalTextbox
    mode: gr.Radio
    webcam: gr.Image
    use_webcam: gr.Button
    analyse: gr.Button
    fresh: gr.Button
    tokens: gr.Slider
    visit: gr.State
    last_models: gr.State
    begun: gr.State
    about: gr.Textbox


def lay_out_chat(context: SiteContext, questions: Sequence[Question]) -> ChatComponents:
    """Lays out the components in the open tab, without events."""
    t = context.t
    visit, last_models = gr.State(None), gr.State(())
    with gr.Row(equal_height=False, elem_id="chat-choices"):
        model = gr.Dropdown([], label=t("chat.model"), elem_id="chat-model", scale=1, min_width=140)
        preset = gr.Dropdown(
            preset_choices(questions, t),
            value="",
            label=t("chat.preset"),
            elem_id="chat-preset",
            scale=2,
            min_width=140,
        )
    with gr.Row(elem_id="chat-desk", equal_height=False):
        with gr.Column(elem_id="chat-watch", min_width=0):
            watch: dict[str, Any] = {
                "webcam": gr.Image(
                    sources=["webcam"],
                    streaming=True,
                    label=t("analysis.webcam"),
                    visible=False,
                    height=240,
                    elem_id="chat-webcam",
                ),
                "stage": stage_component(t, where="chat"),
            }
        with gr.Column(elem_id="chat-talk", min_width=0):
            talk = _talk(context)
    below = _below(context)
    with gr.Accordion(t("chat.more"), open=False):
        tokens = gr.Slider(1, LONGEST_ANSWER, USUAL_ANSWER, step=1, label=t("chat.tokens"), elem_id="chat-tokens")
    return ChatComponents(
        model=model,
        preset=preset,
        **watch,
        **talk,
        **below,
        **lay_out_results(t, where="chat"),
        tokens=tokens,
        visit=visit,
        last_models=last_models,
        begun=gr.State(""),
        second=gr.Number(0, visible=False),
        about=gr.Textbox("", visible=False),
    )


def _talk(context: SiteContext) -> dict[str, Any]:
    """The conversation and the message box."""
    t = context.t
    log = gr.Chatbot(
        label=t("chat.conversation"),
        show_label=False,
        elem_id="chat-log",
        height="100%",
        placeholder=html.escape(t("chat.empty")).replace("\n", "<br>"),
        render_markdown=False,
        feedback_options=None,
        buttons=["copy"],
        allow_tags=False,
    )
    with gr.Column(elem_id="chat-ask"):
        notice = gr.HTML("", elem_id="chat-notice")
        box = gr.MultimodalTextbox(
            placeholder=t("chat.placeholder"),
            show_label=False,
            file_count="multiple",
            sources=["upload"],
            max_plain_text_length=LONGEST_QUESTION,
            elem_id="chat-box",
            max_lines=8,
        )
        with gr.Row(elem_id="chat-modes", equal_height=True):
            mode = gr.Radio(
                [(t(f"chat.mode_{name}"), name) for name in MODES],
                value="every",
                show_label=False,
                container=False,
                elem_id="chat-mode",
            )
            stop = gr.Button(
                t("chat.stop"), variant="stop", size="sm", interactive=False, elem_id="chat-stop", min_width=80, scale=0
            )
    return {"log": log, "notice": notice, "box": box, "mode": mode, "stop": stop}


def _below(context: SiteContext) -> dict[str, Any]:
    t = context.t
    minutes = f"{context.options.keep_uploads_s / 60:g}"
    limit = html.escape(t("chat.upload_limit", limit=context.options.upload_mb, minutes=minutes))
    with gr.Row(elem_id="chat-below"):
        gr.HTML(f'<div id="chat-hint">{limit}</div>', scale=3, min_width=240)
        analyse = gr.Button(
            t("chat.analyse"),
            size="sm",
            variant="primary",
            visible=False,
            scale=1,
            min_width=200,
            elem_id="chat-analyse",
        )
        use_webcam = gr.Button(t("chat.webcam"), size="sm", scale=1, min_width=110, elem_id="chat-use-webcam")
        fresh = gr.Button(t("chat.new"), size="sm", scale=1, min_width=140, elem_id="chat-new")
    return {"analyse": analyse, "use_webcam": use_webcam, "fresh": fresh}
