"""The stage of an analysis: video, timeline strip and window list, drawn by `scripts/analysis.js`.

State goes to the browser as plain data and into the page by `textContent`, so no text from a model, a file or a
camera is ever parsed as HTML.
"""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from vigil.analysis import Analysis, AnalysisView
from vigil.analysis.analysis import AnalysisPhase
from vigil.events import TierThresholds
from vigil.report import drawing
from vigil.report.timeline import format_seconds
from vigil.sources.address import Address
from vigil.verdict import Cause, JudgedWindow, Outcome

from ..language import Translator
from .analysis_session import AnalysisSession
from .chat_session import pretty_json

SCRIPTS = Path(__file__).resolve().parent / "scripts"
CSS = (SCRIPTS / "analysis.css").read_text(encoding="utf-8")
SCRIPT = (SCRIPTS / "analysis.js").read_text(encoding="utf-8")
CHAT_SCRIPT = (SCRIPTS / "chat_stage.js").read_text(encoding="utf-8")
MOST_ROWS = 400
"""Windows of a camera that the page keeps; the downloads have the newest 10,000 (`vigil.analysis.segments`)."""

WORDS = (
    "empty",
    "none_yet",
    "seek",
    "list",
    "strip",
    "cannot_play",
    "no_copy",
    "waiting_words",
    "live_at",
    "live_hint",
)

SKELETON = """
<div class="va">
  <div class="va-main">
    <p class="va-told" role="status"><b class="va-name"></b><span class="va-facts"></span></p>
    <p class="va-detail" role="alert" hidden></p>
    <div class="va-screen">
      <video class="va-video" controls muted playsinline preload="auto" hidden></video>
      <img class="va-picture" alt="" hidden>
      <p class="va-empty"></p>
      <span class="va-live" hidden></span>
    </div>
    <div class="va-strip" role="slider" tabindex="0" aria-valuemin="0" hidden><i class="va-cursor"></i></div>
    <div class="va-now"></div>
  </div>
  <div class="va-side"><h3 class="va-head"></h3><ol class="va-rows"></ol></div>
</div>
"""


def stage_component(t: Translator, *, where: str = "analysis") -> gr.HTML:
    """The component in the tab `where`; its value comes from `stage_state`."""
    words = {name: t(f"analysis.{name}") for name in WORDS} | {"where": where}
    script = SCRIPT
    if where == "chat":
        words |= {"about": t("chat.about", time="{time}"), "about_none": t("chat.about_none")}
        script = f"{SCRIPT}\n{CHAT_SCRIPT}"
    return gr.HTML(
        None,
        html_template=SKELETON,
        js_on_load=f"const words = {json.dumps(words)};\n{script}",
        elem_id=f"{where}-stage",
        apply_default_css=False,
    )


def stage_state(desk: AnalysisSession, analysis: Analysis, view: AnalysisView, t: Translator) -> dict[str, Any]:
    """Everything that the stage shows at one moment, as JSON data."""
    tiers = analysis.settings.tiers
    plays = desk.playable
    kind = "file" if not analysis.address.is_live else "camera" if analysis.address.location else "webcam"
    judged = view.judged if not analysis.address.is_live else view.judged[-MOST_ROWS:]
    return {
        "run": desk.run,
        "name": analysis.address.name if kind != "webcam" else "",
        "kind": kind,
        "video": "" if plays is None else file_url(plays),
        "unplayable": kind == "file" and plays is None,
        "converting": desk.is_converting,
        "picture": _picture(view) if kind == "camera" or (kind == "file" and plays is None) else "",
        "live": view.live,
        "over": view.is_over,
        "lost": view.phase is AnalysisPhase.LOST,
        "now_s": view.now_s if view.live else None,
        "duration_s": desk.duration_s,
        "rows": [window_row(each, tiers, t, waits=each.window in view.awaiting_description) for each in judged],
        "phase": phase_text(view, t),
        "facts": analysis_facts(analysis, view, t),
        "detail": without_paths(problem_text(view, t, kind=kind), analysis.address),
    }


def window_row(judged: JudgedWindow, tiers: TierThresholds, t: Translator, *, waits: bool) -> dict[str, Any]:
    """One window: times, verdict, probability, colour and description."""
    verdict = judged.verdict
    return {
        "n": judged.window,
        "s": round(judged.start_s, 3),
        "e": round(judged.end_s, 3),
        "time": f"{format_seconds(judged.start_s, tenths=True)} – {format_seconds(judged.end_s, tenths=True)}",
        "kind": verdict_kind(judged, tiers),
        "label": verdict_label(judged, tiers, t),
        "p": verdict.p_alarm,
        "colour": verdict_css_color(judged, tiers),
        "words": pretty_json(verdict.text or ""),
        "waits": waits,
        "why": verdict.detail if verdict.cause not in {None, Cause.WORDS_ONLY} else "",
    }


def verdict_kind(judged: JudgedWindow, tiers: TierThresholds) -> str:
    """`alarm`, `normal`, `unknown` or `words` (a question without labels)."""
    if judged.verdict.cause is Cause.WORDS_ONLY:
        return "words"
    return str(judged.verdict.outcome)


def verdict_label(judged: JudgedWindow, tiers: TierThresholds, t: Translator) -> str:
    """The verdict in a word or two: an alarm's tier, or the cause of an unknown one."""
    verdict = judged.verdict
    if verdict.cause is not None:
        return t(f"analysis.cause_{verdict.cause}")
    if verdict.outcome is Outcome.NORMAL:
        return t("analysis.normal")
    tier = tiers.of(verdict.p_alarm) if verdict.p_alarm is not None else "low"
    return t(f"analysis.alarm_{tier}")


def verdict_css_color(judged: JudgedWindow, tiers: TierThresholds) -> str:
    """The colour of a verdict, the same as in annotated videos."""
    verdict = judged.verdict
    if verdict.p_alarm is not None:
        return f"rgb{drawing.color_of(verdict.p_alarm, tiers)}"
    if verdict.outcome is Outcome.ALARM:
        return f"rgb{drawing.color_of(tiers.low, tiers)}"
    return f"rgb{drawing.NORMAL if verdict.outcome is Outcome.NORMAL else drawing.UNKNOWN}"


def phase_text(view: AnalysisView, t: Translator) -> str:
    """The phase of the analysis, in a word or two."""
    if view.away:
        return t("analysis.phase_away")
    return t(f"analysis.phase_{view.phase}")


def analysis_facts(analysis: Analysis, view: AnalysisView, t: Translator) -> str:
    """The counts: windows, alarms, unknown and dropped ones; for live sources also the delay."""
    verdicts = [each.verdict for each in view.judged]
    words = sum(verdict.cause is Cause.WORDS_ONLY for verdict in verdicts)
    unknown = sum(verdict.cause is not None for verdict in verdicts) - words - view.dropped
    parts = [*([view.model] if view.model else []), t("analysis.count_windows", count=len(verdicts))]
    if view.forgotten:
        parts.append(t("analysis.count_forgotten", count=view.forgotten))
    if analysis.for_verdict:
        parts.append(t("analysis.count_alarms", count=sum(v.outcome is Outcome.ALARM for v in verdicts)))
        parts.append(t("analysis.count_events", count=len(view.events)))
    if unknown:
        parts.append(t("analysis.count_unknown", count=unknown))
    if view.live or view.dropped:
        parts.append(t("analysis.count_dropped", count=view.dropped))
    if view.live and view.lag_s is not None and not view.is_over:
        parts.append(t("analysis.lag", seconds=f"{view.lag_s:.1f}"))
    return " · ".join(parts)


def problem_text(view: AnalysisView, t: Translator, *, kind: str) -> str:
    """The current problem in the library's words; for a webcam that sends nothing yet, how to allow it."""
    if view.away:
        return t("analysis.away", why=view.away)
    if kind == "webcam" and view.phase is AnalysisPhase.LOST and not view.judged:
        return t("analysis.webcam_waits")
    if view.phase in {AnalysisPhase.FAILED, AnalysisPhase.LOST}:
        return view.detail
    return "; ".join(view.notes) if view.is_over else ""


def without_paths(text: str, address: Address) -> str:
    """A message of the library with the file's name in place of its path on this machine."""
    return text.replace(address.location, address.name) if address.kind == "file" else text


def file_url(path: Path) -> str:
    """The URL of a file in a visitor's folder, relative to the page."""
    return f"gradio_api/file={quote(str(path))}"


def _picture(view: AnalysisView) -> str:
    return "" if view.picture is None else f"data:image/jpeg;base64,{b64encode(view.picture).decode()}"
