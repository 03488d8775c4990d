"""The whole course of an analysis as a Plotly figure: probabilities, thresholds, events, windows without a verdict."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.web import curve
from app.web.language import Translator
from vigil.analysis import AnalysisView
from vigil.analysis.outputs import analysed_until_s
from vigil.events.judged import JudgedWindow
from vigil.events.tiers import TierThresholds
from vigil.report import colours
from vigil.report.strip import format_seconds

HEIGHT_PX = 300
MOST_TICKS = 10
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def analysis_figure(view: AnalysisView, *, tiers: TierThresholds, t: Translator) -> go.Figure:
    """The figure; a window stands at its middle."""
    made = _blank(analysed_until_s(view.judged), t)
    _shade_events(made, view)
    _draw_known(made, view.judged, tiers, t)
    _draw_unknown(made, view.judged, t)
    curve.add_thresholds(made, tiers, t)
    return made


def _draw_known(made: go.Figure, judged: Sequence[JudgedWindow], tiers: TierThresholds, t: Translator) -> None:
    """A line that breaks where a window has no probability."""
    p = [each.verdict.p_alarm for each in judged]
    made.add_trace(
        go.Scatter(
            x=[_middle_s(each) for each in judged],
            y=p,
            mode="lines+markers",
            name=t("analysis.probability"),
            line={"color": curve.css_color(colours.NORMAL), "width": 2},
            marker={
                "size": 9,
                "color": [curve.css_color(colours.UNKNOWN if x is None else colours.color_of(x, tiers)) for x in p],
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
            marker={"symbol": "x", "size": 9, "color": curve.css_color(colours.UNKNOWN)},
            customdata=[f"{_hover(each)}<br>{t(f'analysis.cause_{each.verdict.cause}')}" for each in unknown],
            hovertemplate="%{customdata}<extra></extra>",
            cliponaxis=False,
        )
    )


def _shade_events(made: go.Figure, view: AnalysisView) -> None:
    for event in view.events:
        end_s = analysed_until_s(view.judged) if event.end_s is None else event.end_s
        colour = curve.css_color(colours.TIER_COLOURS[event.tier])
        made.add_vrect(x0=event.onset_s, x1=end_s, fillcolor=colour, opacity=0.2, line_width=0, layer="below")


def _blank(end_s: float, t: Translator) -> go.Figure:
    step_s = next((step for step in STEPS_S if end_s / step <= MOST_TICKS), STEPS_S[-1])
    seconds = [float(number * step_s) for number in range(int(end_s / step_s) + 1)]
    words = [format_seconds(second) for second in seconds]
    made = curve.empty_figure(height_px=HEIGHT_PX, title=t("analysis.probability"), seconds=seconds, words=words)
    made.update_xaxes(range=[0, max(end_s, 1.0)])
    return made


def _middle_s(judged: JudgedWindow) -> float:
    return (judged.start_s + judged.end_s) / 2


def _hover(judged: JudgedWindow) -> str:
    """The window's times; Plotly reads a little HTML, so nothing of a model goes in."""
    return f"{format_seconds(judged.start_s, tenths=True)} – {format_seconds(judged.end_s, tenths=True)}"
