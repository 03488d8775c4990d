"""Plotly figures of probability over time: the whole analysis, and the parts that all such plots share.

Gradio fetches Plotly (4.6 MB) when the first plot is shown, which delays the click that opened it by seconds.
`plotly_preload_script` has the browser fetch and run it while idle, unless the visitor has turned on data saving.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio
import plotly.graph_objects as go

from vigil.analysis import AnalysisView
from vigil.analysis.outputs import analysed_until_s
from vigil.events import TierThresholds
from vigil.report import drawing
from vigil.report.timeline import format_seconds
from vigil.verdict import JudgedWindow

from ..language import Translator

INK = "#7c8794"
GRID = "rgba(124,135,148,.25)"
IDLE_AFTER_MS = 2500
ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"


def plotly_preload_script(assets: Path) -> str:
    """The script that preloads Gradio's Plotly; empty if Gradio has moved it."""
    found = sorted(path.name for path in assets.glob("PlotlyPlot-*.js"))
    if not found:
        return ""
    return f"""
<script>
(() => {{
  const idle = window.requestIdleCallback || ((run) => run());
  const load = () => import(new URL("assets/{found[0]}", document.baseURI)).catch(() => {{}});
  if (!navigator.connection?.saveData) setTimeout(() => idle(load), {IDLE_AFTER_MS});
}})();
</script>
"""


HEAD = plotly_preload_script(ASSETS)


def empty_figure(*, height_px: int, title: str, seconds: list[float], labels: list[str], top_px: int = 12) -> go.Figure:
    """A figure with axes and the tick labels `labels` at `seconds`; transparent, so it suits light and dark pages."""
    made = go.Figure()
    made.update_layout(
        height=height_px,
        margin={"l": 48, "r": 64, "t": top_px, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK},
        showlegend=False,
        hovermode="closest",
        xaxis={"tickvals": seconds, "ticktext": labels, "showgrid": False, "zeroline": False},
        yaxis={"range": [-0.03, 1.05], "title": title, "gridcolor": GRID, "zeroline": False},
    )
    return made


def add_thresholds(made: go.Figure, tiers: TierThresholds, t: Translator) -> None:
    """Adds a labelled dashed line for each tier, all in one call, since Plotly validates the whole figure each time."""
    levels = (("low", tiers.low), ("medium", tiers.medium), ("high", tiers.high))
    named = [(t(f"tier.{tier}"), level, css_color(drawing.color_of(level, tiers))) for tier, level in levels]
    made.update_layout(
        shapes=[*made.layout.shapes, *(_line(level, colour) for _, level, colour in named)],
        annotations=[*made.layout.annotations, *(_name(*one) for one in named)],
    )


def _line(level: float, colour: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": line}


def _name(name: str, level: float, colour: str) -> dict[str, Any]:
    font = {"size": 11, "color": colour}
    return {"text": name, "xref": "paper", "x": 1, "xanchor": "left", "y": level, "showarrow": False, "font": font}


def css_color(colour: drawing.Color) -> str:
    """A colour in CSS notation."""
    return f"rgb{colour}"


HEIGHT_PX = 300
MOST_TICKS = 10
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def analysis_figure(view: AnalysisView, *, tiers: TierThresholds, t: Translator) -> go.Figure:
    """The figure of a whole analysis; a window is drawn at its middle."""
    made = _blank(analysed_until_s(view.judged), t)
    _shade_events(made, view)
    _draw_probabilities(made, view.judged, tiers, t)
    _draw_unknown(made, view.judged, t)
    add_thresholds(made, tiers, t)
    return made


def _draw_probabilities(made: go.Figure, judged: Sequence[JudgedWindow], tiers: TierThresholds, t: Translator) -> None:
    """Draws a line that is interrupted where a window has no probability."""
    p = [each.verdict.p_alarm for each in judged]
    made.add_trace(
        go.Scatter(
            x=[_middle_s(each) for each in judged],
            y=p,
            mode="lines+markers",
            name=t("analysis.probability"),
            line={"color": css_color(drawing.NORMAL), "width": 2},
            marker={
                "size": 9,
                "color": [css_color(drawing.UNKNOWN if x is None else drawing.color_of(x, tiers)) for x in p],
            },
            customdata=[_hover(each) for each in judged],
            hovertemplate="%{customdata}<br>p = %{y:.3f}<extra></extra>",
            connectgaps=False,
        )
    )


def _draw_unknown(made: go.Figure, judged: Sequence[JudgedWindow], t: Translator) -> None:
    unknown = [each for each in judged if each.verdict.p_alarm is None]
    if not unknown:
        return
    made.add_trace(
        go.Scatter(
            x=[_middle_s(each) for each in unknown],
            y=[0.0] * len(unknown),
            mode="markers",
            name=t("analysis.unknown"),
            marker={"symbol": "x", "size": 9, "color": css_color(drawing.UNKNOWN)},
            customdata=[f"{_hover(each)}<br>{t(f'analysis.cause_{each.verdict.cause}')}" for each in unknown],
            hovertemplate="%{customdata}<extra></extra>",
            cliponaxis=False,
        )
    )


def _shade_events(made: go.Figure, view: AnalysisView) -> None:
    for event in view.events:
        end_s = analysed_until_s(view.judged) if event.end_s is None else event.end_s
        colour = css_color(drawing.TIER_COLOURS[event.tier])
        made.add_vrect(x0=event.onset_s, x1=end_s, fillcolor=colour, opacity=0.2, line_width=0, layer="below")


def _blank(end_s: float, t: Translator) -> go.Figure:
    step_s = next((step for step in STEPS_S if end_s / step <= MOST_TICKS), STEPS_S[-1])
    seconds = [float(number * step_s) for number in range(int(end_s / step_s) + 1)]
    labels = [format_seconds(second) for second in seconds]
    made = empty_figure(height_px=HEIGHT_PX, title=t("analysis.probability"), seconds=seconds, labels=labels)
    made.update_xaxes(range=[0, max(end_s, 1.0)])
    return made


def _middle_s(judged: JudgedWindow) -> float:
    return (judged.start_s + judged.end_s) / 2


def _hover(judged: JudgedWindow) -> str:
    """The times of a window; no model text, since Plotly interprets some HTML."""
    return f"{format_seconds(judged.start_s, tenths=True)} – {format_seconds(judged.end_s, tenths=True)}"
