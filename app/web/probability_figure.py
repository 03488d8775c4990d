"""A Plotly figure of one event: probability over time, thresholds, the event, and gaps without verdicts."""

import itertools
import math
from collections.abc import Sequence
from html import escape
from typing import TypeAlias

import plotly.graph_objects as go

from vigil.events import Event, TierThresholds
from vigil.report import drawing
from vigil.report.timeline import SourceTimeline, TimelineSpan, unknown_runs
from vigil.verdict import JudgedWindow

from ..language import Translator
from . import local_times, plots

HEIGHT_PX = 280
TICKS = 7

Point: TypeAlias = tuple[float, float | None]
"""A second and the probability from then on; None if there is no verdict."""


def figure(event: Event, judged: Sequence[JudgedWindow], *, tiers: TierThresholds, t: Translator) -> go.Figure:
    """An event and the seconds around it; without verdicts the curve is interrupted and the background hatched."""
    stretches = SourceTimeline(judged).between(-math.inf, math.inf)
    points = _course(stretches) if stretches else _own(event)
    made = _blank(points, event, t)
    made.add_trace(
        go.Scatter(
            x=[second for second, _ in points],
            y=[p for _, p in points],
            mode="lines+markers",
            line={"shape": "hv", "color": "#2a9d8f", "width": 2},
            marker={"size": 5},
            text=[local_times.within(event, second, tenths=True) for second, _ in points],
            hovertemplate="%{text}: %{y:.3f}<extra></extra>",
            connectgaps=False,
        )
    )
    _hatch(made, stretches, t)
    _shade(made, event, points)
    plots.add_thresholds(made, tiers, t)
    return made


def _own(event: Event) -> list[Point]:
    """The event's own windows, used if its verdicts are no longer in the log."""
    last = [(evidence.end_s, evidence.p_alarm) for evidence in event.windows[-1:]]
    return [*((evidence.start_s, evidence.p_alarm) for evidence in event.windows), *last]


def _course(stretches: Sequence[TimelineSpan]) -> list[Point]:
    """Second and probability at the start of each window, and at its end if the next does not follow at once."""
    points: list[Point] = []
    for stretch, following in itertools.zip_longest(stretches, stretches[1:]):
        p_alarm = stretch.judged.verdict.p_alarm
        points.append((stretch.start_s, p_alarm))
        if following is None or following.start_s > stretch.end_s:
            points.append((stretch.end_s, p_alarm))
            points += [] if following is None else [(stretch.end_s, None)]
    return points


def _hatch(made: go.Figure, stretches: Sequence[TimelineSpan], t: Translator) -> None:
    """Shades gaps as the timeline strip does: windows with an unknown verdict, and times without a window."""
    holes = [
        ("", one.end_s, other.start_s) for one, other in itertools.pairwise(stretches) if other.start_s > one.end_s
    ]
    for cause, from_s, to_s in [*unknown_runs(stretches), *holes]:
        labels = t(f"room.cause_{cause}") if cause else t("room.no_picture")
        made.add_vrect(
            x0=from_s,
            x1=to_s,
            fillcolor=plots.INK,
            opacity=0.25,
            line_width=0,
            annotation={"text": escape(labels), "font": {"size": 10}},
            annotation_position="bottom left",
        )


def _shade(made: go.Figure, event: Event, points: Sequence[Point]) -> None:
    last_s = max((second for second, _ in points), default=event.onset_s)
    end_s = last_s if event.end_s is None else event.end_s
    colour = plots.css_color(drawing.TIER_COLOURS[event.tier])
    made.add_vrect(x0=event.onset_s, x1=end_s, fillcolor=colour, opacity=0.18, line_width=0)


def _blank(points: Sequence[Point], event: Event, t: Translator) -> go.Figure:
    first_s, last_s = (points[0][0], points[-1][0]) if points else (0.0, 1.0)
    seconds = [first_s + number * (last_s - first_s) / (TICKS - 1) for number in range(TICKS)]
    labels = [local_times.within(event, second, tenths=last_s - first_s < TICKS) for second in seconds]
    # The figure's label covers its upper edge.
    return plots.empty_figure(
        height_px=HEIGHT_PX, title=t("review.probability"), seconds=seconds, labels=labels, top_px=34
    )
