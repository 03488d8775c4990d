"""The picture of a timeline score: probability against truth over time, a long video in rows.

Red ground is a true incident; the line is the probability of alarm; bars above it are the events, filled
where they found an incident and hatched where they are false alarms; grey hatching is what is not known.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vigil.events.event import Event
from vigil.events.tiers import TierThresholds
from vigil.file_names import beside
from vigil.report import colours
from vigil.report.colours import Color
from vigil.report.counted import counted
from vigil.report.course import SourceTimeline, TimelineSpan, unknown_runs
from vigil.report.lettering import choose_typeface
from vigil.report.strip import format_seconds
from vigil.score.timeline import VideoScore
from vigil.score.timeline.events import announced_s

ROW_S = 180.0
MOST_ROWS = 12
WIDTH_IN, ROW_IN, HEAD_IN = 12.0, 1.45, 1.0
TIMELINE_DPI = 110
BAR_FROM, BAR_TO = 1.06, 1.2
TRUTH = "#e5383b"


def write_timeline_plot(path: Path, video: VideoScore, *, tiers: TierThresholds | None = None) -> Path:
    """Draws one video as a PNG; returns the file."""
    length_s = max(video.watched.seconds, 1.0)
    rows = min(MOST_ROWS, math.ceil(length_s / ROW_S))
    row_s = length_s / rows
    # A Figure of its own, not pyplot: no global state, so it also works off the main thread.
    figure = Figure(figsize=(WIDTH_IN, HEAD_IN + rows * ROW_IN), layout="constrained")
    course = SourceTimeline(video.watched.judged, video.watched.events)
    for number, axes in enumerate(figure.subplots(rows, 1, squeeze=False)[:, 0]):
        _row(axes, video, course, from_s=number * row_s, to_s=(number + 1) * row_s, tiers=tiers or TierThresholds())
    _write_title(figure, video)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(path, ".partial")
    figure.savefig(partial, dpi=TIMELINE_DPI, format="png")
    partial.replace(path)
    return path


def _write_title(figure: Figure, video: VideoScore) -> None:
    figures = video.figures
    area = "" if figures.window.roc_auc is None else f", window ROC AUC {figures.window.roc_auc:.3f}"
    found = f"{figures.found} of {counted(figures.incidents, 'incident')} found"
    says = f"{found}, {counted(figures.false_alarms, 'false alarm')}{area}"
    shown = choose_typeface(f"{video.watched.name}: {says}")
    if shown is None:
        figure.suptitle(says, fontsize=11)
        return
    text, face = shown
    # A dollar sign would begin a formula, and a name comes from outside.
    figure.suptitle(text.replace("$", r"\$"), fontproperties=FontProperties(fname=face.path, size=11))


def _row(
    axes: Axes, video: VideoScore, course: SourceTimeline, *, from_s: float, to_s: float, tiers: TierThresholds
) -> None:
    for span in video.watched.spans:
        axes.axvspan(span.onset_s, span.end_s, color=TRUTH, alpha=0.22, linewidth=0)
    for span in video.matching.missed:
        if from_s <= span.onset_s < to_s:
            axes.text(span.onset_s, 0.04, "missed", fontsize=7, color=TRUTH, clip_on=True)
    for threshold in (tiers.low, tiers.medium, tiers.high):
        axes.axhline(threshold, color=_shade(colours.color_of(threshold, tiers)), linewidth=0.8, linestyle="--")
    stretches = course.between(from_s, to_s)
    _draw_probability(axes, stretches)
    _draw_unknown(axes, stretches)
    for event in course.events:
        _draw_event(axes, event, is_false=event in video.matching.false, length_s=video.watched.seconds)
    axes.set_xlim(from_s, to_s)
    axes.set_ylim(0, BAR_TO + 0.04)
    axes.set_yticks([0, 0.5, 1])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 1.5, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: format_seconds(second)))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_probability(axes: Axes, stretches: Sequence[TimelineSpan]) -> None:
    """Each window as a level from its start until the next one begins; a hole where nothing is known."""
    if not stretches:
        return
    seconds: list[float] = []
    levels: list[float] = []
    for stretch, following in zip(stretches, [*stretches[1:], None], strict=True):
        p_alarm = stretch.judged.verdict.p_alarm
        level = math.nan if p_alarm is None else p_alarm
        end_s = stretch.end_s if following is None else min(stretch.end_s, following.start_s)
        if seconds and stretch.start_s > seconds[-1]:
            seconds.append(seconds[-1])
            levels.append(math.nan)
        seconds += [stretch.start_s, end_s]
        levels += [level, level]
    axes.plot(seconds, levels, color="#1d3557", linewidth=1.3)
    axes.fill_between(seconds, levels, color="#1d3557", alpha=0.12, linewidth=0)


def _draw_unknown(axes: Axes, stretches: Sequence[TimelineSpan]) -> None:
    for _, from_s, to_s in unknown_runs(stretches):
        axes.axvspan(from_s, to_s, ymax=0.8, facecolor="0.93", edgecolor="0.6", hatch="////", linewidth=0)


def _draw_event(axes: Axes, event: Event, *, is_false: bool, length_s: float) -> None:
    end_s = length_s if event.end_s is None else event.end_s
    colour = _shade(colours.TIER_COLOURS[event.tier])
    axes.fill_between(
        [event.onset_s, end_s],
        BAR_FROM,
        BAR_TO,
        facecolor="white" if is_false else colour,
        edgecolor=colour,
        hatch="xxxx" if is_false else None,
        linewidth=1,
    )
    axes.plot([announced_s(event)], [BAR_FROM], marker="v", color="black", markersize=4, clip_on=True)


def _shade(colour: Color) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def _legend() -> list[Patch | Line2D]:
    high = _shade(next(reversed(colours.TIER_COLOURS.values())))
    return [
        Patch(facecolor=TRUTH, alpha=0.22, label="true incident"),
        Line2D([], [], color="#1d3557", label="probability of alarm"),
        Patch(facecolor=high, edgecolor=high, label="event (colour: tier)"),
        Patch(facecolor="white", edgecolor=high, hatch="xxxx", label="false alarm"),
        Line2D([], [], color="black", marker="v", linestyle="", markersize=4, label="announced"),
        Patch(facecolor="0.93", edgecolor="0.6", hatch="////", label="unknown"),
    ]
