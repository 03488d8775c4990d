"""The probability of alarm over time as a Plotly figure: verdicts, thresholds, the event, and what is not known."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.web import curve
from app.web.language import Translator
from vigil.events.event import Event
from vigil.events.judged import Judged
from vigil.events.rules import Tiers
from vigil.report import colours
from vigil.report.strip import clock

HEIGHT_PX = 280
TICKS = 7


def figure(event: Event, judged: Sequence[Judged], *, tiers: Tiers, t: Translator) -> go.Figure:
    """One event and the seconds around it."""
    known = _known(event, judged)
    made = _blank(known, t)
    made.add_trace(
        go.Scatter(
            x=[second for second, _ in known],
            y=[p for _, p in known],
            mode="lines+markers",
            line={"shape": "hv", "color": "#2a9d8f", "width": 2},
            marker={"size": 5},
            text=[clock(second, tenths=True) for second, _ in known],
            hovertemplate="%{text}: %{y:.3f}<extra></extra>",
            connectgaps=False,
        )
    )
    _shade(made, event, known)
    curve.add_thresholds(made, tiers, t)
    return made


def _known(event: Event, judged: Sequence[Judged]) -> list[tuple[float, float | None]]:
    """Second and probability of each window's start, and of the last one's end; None where there is no verdict.

    The event's own windows where the log of verdicts is gone.
    """
    if judged:
        return [*((one.start_s, one.verdict.p_alarm) for one in judged), (judged[-1].end_s, judged[-1].verdict.p_alarm)]
    last = [(evidence.end_s, evidence.p_alarm) for evidence in event.windows[-1:]]
    return [*((evidence.start_s, evidence.p_alarm) for evidence in event.windows), *last]


def _shade(made: go.Figure, event: Event, known: Sequence[tuple[float, float | None]]) -> None:
    last_s = max((second for second, _ in known), default=event.onset_s)
    end_s = last_s if event.end_s is None else event.end_s
    colour = curve.css(colours.TIER_COLOURS[event.tier])
    made.add_vrect(x0=event.onset_s, x1=end_s, fillcolor=colour, opacity=0.18, line_width=0)


def _blank(known: Sequence[tuple[float, float | None]], t: Translator) -> go.Figure:
    first_s, last_s = (known[0][0], known[-1][0]) if known else (0.0, 1.0)
    seconds = [first_s + number * (last_s - first_s) / (TICKS - 1) for number in range(TICKS)]
    words = [clock(second, tenths=last_s - first_s < TICKS) for second in seconds]
    # The label of the plot lies over its upper edge.
    return curve.blank(height_px=HEIGHT_PX, title=t("review.probability"), seconds=seconds, words=words, top_px=34)
