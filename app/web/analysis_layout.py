"""The layout of the analysis: its components and where they stand on the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from vigil.questions import Question
from vigil.sources.address import Address

from ..language import Translator
from .analysis_stage import stage_component
from .context import NONE, SiteContext, usual_question

LONGEST_QUESTION = 100_000
"""Gradio turns a longer paste into a file, which is unexpected for a question."""

SECOND_OF_PLAYER = """(second, ...others) => {
  const video = document.querySelector("#%s-stage video");
  return [video && !video.hidden ? video.currentTime : 0, ...others];
}"""


def second_of_player(where: str) -> str:
    """Script that replaces a click's first input with the player's position in seconds, in the tab `where`."""
    return SECOND_OF_PLAYER % where


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownParts:
    """The components that show a running or finished analysis, in either tab."""

    stop: gr.Button
    notice: gr.HTML
    stage: gr.HTML
    results: gr.Column
    verdicts: gr.Column
    plot: gr.Plot
    events: gr.HTML
    jsonl: gr.DownloadButton
    srt: gr.DownloadButton
    draw: gr.Button
    film: gr.DownloadButton
    list_actions: gr.Button
    actions: gr.HTML
    action_files: gr.File
    second: gr.Number

    @property
    def shown(self) -> list[Any]:
        """The outputs of the events that show an analysis, in every tab."""
        results = [self.results, self.verdicts, self.plot, self.events, self.jsonl, self.srt, self.draw, self.film]
        return [self.notice, self.stage, self.stop, *results, *self.listed]

    @property
    def listed(self) -> list[Any]:
        """The outputs of the events that list the actions of a video."""
        return [self.list_actions, self.actions, self.action_files]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisComponents(ShownParts):
    """The components of the tab *Video & camera*."""

    source: gr.Radio
    file: gr.File
    cameras: gr.Column
    camera: gr.Dropdown
    webcam: gr.Image
    preset: gr.Dropdown
    question: gr.Textbox
    hint: gr.HTML
    start: gr.Button
    live: gr.Button
    desk: gr.State
    model: gr.State

    @property
    def followed(self) -> list[Any]:
        """The outputs of the events that show an analysis in this tab."""
        return [*self.shown, self.live]


def lay_out_analysis(
    context: SiteContext, questions: Sequence[Question], cameras: Sequence[Address], problems: Sequence[str] = ()
) -> AnalysisComponents:
    """Lays out the components in the open tab, without events; `problems` are messages about missing cameras."""
    t = context.t
    chosen = _chosen(context, questions, cameras, problems)
    with gr.Row(elem_id="analysis-buttons"):
        buttons: dict[str, Any] = {
            "start": gr.Button(t("analysis.start"), variant="primary", elem_id="analysis-start", min_width=90),
            "live": gr.Button(t("analysis.live"), interactive=False, elem_id="analysis-live", min_width=90),
            "stop": gr.Button(
                t("analysis.stop"), variant="stop", interactive=False, elem_id="analysis-stop", min_width=90
            ),
        }
    notice = gr.HTML("", elem_id="analysis-notice")
    shown = stage_component(t)
    results = lay_out_results(t)
    return AnalysisComponents(
        **chosen,
        **buttons,
        notice=notice,
        stage=shown,
        **results,
        second=gr.Number(0, visible=False),
        desk=gr.State(None),
        model=gr.State(""),
    )


def _chosen(
    context: SiteContext, questions: Sequence[Question], cameras: Sequence[Address], problems: Sequence[str]
) -> dict[str, Any]:
    """The inputs: source and question."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=300):
            source = _chosen_source(context, cameras, problems)
        with gr.Column(scale=1, min_width=300):
            question = _chosen_question(questions, context.t)
    return source | question


def _chosen_source(context: SiteContext, cameras: Sequence[Address], problems: Sequence[str]) -> dict[str, Any]:
    t = context.t
    kinds = ["file", *(["camera"] if cameras or problems else []), "webcam"]
    source = gr.Radio(
        [(t(f"analysis.source_{kind}"), kind) for kind in kinds],
        value="file",
        label=t("analysis.source"),
        elem_id="analysis-source",
    )
    file = gr.File(label=f"{t('analysis.source_file')} · {_limits(context)}", height=150, elem_id="analysis-file")
    with gr.Column(visible=False) as where:
        names = [camera.name for camera in cameras]
        camera = gr.Dropdown(
            names,
            value=next(iter(names), None),
            label=t("analysis.camera"),
            visible=bool(names),
            elem_id="analysis-camera",
        )
        gr.HTML(missing_cameras_html(problems, t), elem_id="analysis-missing", apply_default_css=False)
    webcam = gr.Image(
        sources=["webcam"],
        streaming=True,
        label=t("analysis.webcam"),
        visible=False,
        height=280,
        elem_id="analysis-webcam",
    )
    return {"source": source, "file": file, "cameras": where, "camera": camera, "webcam": webcam}


def _chosen_question(questions: Sequence[Question], t: Translator) -> dict[str, Any]:
    ordered = sorted(questions, key=lambda question: question.language != t.language)
    # Filled from the start, so that a click before the page has heard of the served model asks something.
    usual = usual_question(questions, t.language)
    preset = gr.Dropdown(
        [(t("analysis.own_words"), NONE), *((question.title, question.name) for question in ordered)],
        value=NONE if usual is None else usual.name,
        label=t("analysis.preset"),
        elem_id="analysis-preset",
    )
    question = gr.Textbox(
        "" if usual is None else usual.text,
        label=t("analysis.question"),
        lines=3,
        max_lines=6,
        max_length=LONGEST_QUESTION,
        elem_id="analysis-question",
    )
    asks = "" if usual is None else escape(t("analysis.asks_verdict" if usual.labels else "analysis.asks_words"))
    hint = gr.HTML(asks, elem_id="analysis-hint", apply_default_css=False)
    return {"preset": preset, "question": question, "hint": hint}


def _limits(context: SiteContext) -> str:
    minutes = f"{context.options.keep_uploads_s / 60:g}"
    return context.t("analysis.file_hint", limit=context.options.upload_mb, minutes=minutes)


def missing_cameras_html(problems: Sequence[str], t: Translator) -> str:
    """Configured sources that cannot be found, with the library's messages."""
    if not problems:
        return ""
    lines = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<div class="va-missing" role="status">{escape(t("analysis.missing"))}<ul>{lines}</ul></div>'


def _heading(words: str) -> str:
    return f'<h3 class="va-heading">{escape(words)}</h3>'


def lay_out_results(t: Translator, *, where: str = "analysis") -> dict[str, Any]:
    """The components for the results, in the tab `where`."""
    with gr.Column(visible=False, elem_id=f"{where}-results") as results:
        with gr.Column() as verdicts:
            gr.HTML(_heading(t("analysis.timeline")), apply_default_css=False)
            plot = gr.Plot(show_label=False, elem_id=f"{where}-plot")
            gr.HTML(_heading(t("analysis.events")), apply_default_css=False)
            events = gr.HTML("", elem_id=f"{where}-events", apply_default_css=False)
        gr.HTML(_heading(t("analysis.downloads")), apply_default_css=False)
        with gr.Row():
            jsonl = gr.DownloadButton(t("analysis.jsonl"), elem_id=f"{where}-jsonl")
            srt = gr.DownloadButton(t("analysis.srt"), elem_id=f"{where}-srt")
            draw = gr.Button(t("analysis.draw"), elem_id=f"{where}-draw")
            film = gr.DownloadButton(t("analysis.film"), variant="primary", visible=False, elem_id=f"{where}-film")
            list_actions = gr.Button(t("analysis.list_actions"), elem_id=f"{where}-list-actions")
        actions = gr.HTML("", elem_id=f"{where}-actions", apply_default_css=False)
        action_files = gr.File(
            label=t("analysis.action_files"),
            file_count="multiple",
            interactive=False,
            visible=False,
            elem_id=f"{where}-action-files",
        )
    return {
        "results": results, "verdicts": verdicts, "plot": plot, "events": events,
        "jsonl": jsonl, "srt": srt, "draw": draw, "film": film,
        "list_actions": list_actions, "actions": actions, "action_files": action_files,
    }  # fmt: skip
