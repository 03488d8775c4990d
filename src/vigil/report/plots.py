"""The plots of a score as PNG files: confusion matrix, ROC curve, reliability diagram, and timelines of long videos.

A timeline shows probability against truth over time, in rows. A red background is a true incident; the line is the
probability of alarm; bars above it are the events, filled if they found an incident and hatched if they are false
alarms; grey hatching is unknown.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vigil.counted import counted
from vigil.events import Event, TierThresholds
from vigil.files import atomic_path
from vigil.report import drawing
from vigil.report.drawing import Color, choose_typeface
from vigil.report.timeline import SourceTimeline, TimelineSpan, format_seconds, unknown_runs
from vigil.score.classes import ClassScore
from vigil.score.metrics import reliability, roc_curve
from vigil.score.scorecard import Score, known_predictions
from vigil.score.timeline_matching import announced_s
from vigil.score.timeline_scorecard import VideoScore

SIZE_IN = (5.0, 4.6)
SCORE_DPI = 120


def write_plots(folder: Path, scores: Sequence[Score]) -> list[Path]:
    """Draws the scores of one or two models into a folder; returns the files."""
    pictures: dict[str, Callable[[Axes], None]] = {
        "roc.png": lambda axes: _roc(axes, scores),
        "reliability.png": lambda axes: _reliability(axes, scores),
    }
    files = [_draw(folder / name, draw) for name, draw in pictures.items()]
    for number, score in enumerate(scores):
        files.append(_write_confusion(folder, score, suffix="" if number == 0 else f"-{number + 1}"))
    return files


def _write_confusion(folder: Path, score: Score, *, suffix: str) -> Path:
    classes = score.classes
    if classes is None:
        return _draw(folder / f"confusion{suffix}.png", lambda axes: _confusion(axes, score))
    side_in = 2.0 + 0.75 * len(classes.confusion)
    return _draw(
        folder / f"confusion{suffix}.png",
        lambda axes: _class_confusion(axes, score.model, classes),
        size_in=(side_in, side_in),
    )


def _draw(path: Path, draw: Callable[[Axes], None], *, size_in: tuple[float, float] = SIZE_IN) -> Path:
    # A Figure of its own, not pyplot: no global state, so it also works off the main thread.
    figure = Figure(figsize=size_in, layout="constrained")
    draw(figure.add_subplot())
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=SCORE_DPI)
    return path


def _confusion(axes: Axes, score: Score) -> None:
    cells = score.figures.confusion
    rows = [[cells["tp"], cells["fn"]], [cells["fp"], cells["tn"]]]
    axes.imshow(rows, cmap="Blues", vmin=0)
    darkest = max(1, *cells.values())
    for y, row in enumerate(rows):
        for x, count in enumerate(row):
            colour = "white" if count > darkest / 2 else "black"
            axes.text(x, y, str(count), ha="center", va="center", fontsize=18, color=colour)
    axes.set_xticks([0, 1], ["alarm", "normal"])
    axes.set_yticks([0, 1], ["alarm", "normal"], rotation=90, va="center")
    axes.set_xlabel("said")
    axes.set_ylabel("true")
    unknown = sum(score.figures.unknown.values())
    beside = f", {unknown} unknown" if unknown else ""
    axes.set_title(f"{score.model}: {score.figures.n} clips{beside}", fontsize=10)


def _class_confusion(axes: Axes, model: str, score: ClassScore) -> None:
    """All labels by all labels, and a last column of clips without an answer; shades are shares of the true class."""
    said = list(next(iter(score.confusion.values())))
    counts = np.array([[row[column] for column in said] for row in score.confusion.values()])
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (y, x), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[y, x] > 0.5 else "black"
            axes.text(x, y, str(count), ha="center", va="center", fontsize=10, color=colour)
    names, font = _label_texts(said)
    axes.set_xticks(range(len(said)), names, rotation=45, ha="right", fontproperties=font)
    axes.set_yticks(range(len(score.confusion)), names[: len(score.confusion)], fontproperties=font)
    axes.set_xlabel("said")
    axes.set_ylabel("true")
    interval = score.macro_f1_ci95
    beside = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    axes.set_title(f"{model}: {score.n} clips, macro-F1 {score.macro_f1:.3f}{beside}", fontsize=10)


def _label_texts(labels: Sequence[str]) -> tuple[list[str], FontProperties | None]:
    """The names of labels in a typeface that has them all; numbered if there is none."""
    shown = choose_typeface("".join(labels))
    if shown is None:
        return [f"label {number + 1}" for number in range(len(labels))], None
    return [label.replace("$", r"\$") for label in labels], FontProperties(fname=shown[1].path, size=9)


def _roc(axes: Axes, scores: Sequence[Score]) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--", label="chance, area 0.5")
    for score in scores:
        p_alarm, is_alarm = known_predictions(score.answers)
        false_alarms, hits = roc_curve(p_alarm, is_alarm)
        axes.plot(false_alarms, hits, label=f"{score.model}, {_area(score)}")
    axes.set_xlabel("share of normal clips that alarm")
    axes.set_ylabel("share of incidents found")
    axes.set_title("ROC by clip", fontsize=10)
    axes.legend(loc="lower right", fontsize=8)


def _area(score: Score) -> str:
    if score.figures.roc_auc is None:
        return "no area: one class only"
    interval = score.figures.roc_auc_ci95
    beside = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"area {score.figures.roc_auc:.3f}{beside}"


def _reliability(axes: Axes, scores: Sequence[Score]) -> None:
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--", label="perfect")
    for score in scores:
        points = reliability(*known_predictions(score.answers))
        error = "" if score.figures.ece is None else f", error {score.figures.ece:.3f}"
        means, shares = [p[0] for p in points], [p[1] for p in points]
        line = axes.plot(means, shares, linewidth=1, label=f"{score.model}{error}")[0]
        # The area of a dot shows its number of clips, so that a bin of two does not look like one of fifty.
        axes.scatter(means, shares, s=[12 + 4 * p[2] for p in points], color=line.get_color(), alpha=0.6)
    axes.set_xlabel("probability of alarm")
    axes.set_ylabel("share of clips that are alarms")
    axes.set_title("Reliability by clip", fontsize=10)
    axes.legend(fontsize=8)


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
    timeline = SourceTimeline(video.watched.judged, video.watched.events)
    for number, axes in enumerate(figure.subplots(rows, 1, squeeze=False)[:, 0]):
        _row(axes, video, timeline, from_s=number * row_s, to_s=(number + 1) * row_s, tiers=tiers or TierThresholds())
    _write_title(figure, video)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=TIMELINE_DPI, format="png")
    return path


def _write_title(figure: Figure, video: VideoScore) -> None:
    figures = video.figures
    area = "" if figures.window.roc_auc is None else f", window ROC AUC {figures.window.roc_auc:.3f}"
    found = f"{figures.found} of {counted(figures.incidents, 'incident')} found"
    title = f"{found}, {counted(figures.false_alarms, 'false alarm')}{area}"
    shown = choose_typeface(f"{video.watched.name}: {title}")
    if shown is None:
        figure.suptitle(title, fontsize=11)
        return
    text, face = shown
    # Escape dollar signs: matplotlib would read them in a file name as a formula.
    figure.suptitle(text.replace("$", r"\$"), fontproperties=FontProperties(fname=face.path, size=11))


def _row(
    axes: Axes, video: VideoScore, timeline: SourceTimeline, *, from_s: float, to_s: float, tiers: TierThresholds
) -> None:
    for span in video.watched.spans:
        axes.axvspan(span.onset_s, span.end_s, color=TRUTH, alpha=0.22, linewidth=0)
    for span in video.matching.missed:
        if from_s <= span.onset_s < to_s:
            axes.text(span.onset_s, 0.04, "missed", fontsize=7, color=TRUTH, clip_on=True)
    for threshold in (tiers.low, tiers.medium, tiers.high):
        axes.axhline(threshold, color=_shade(drawing.color_of(threshold, tiers)), linewidth=0.8, linestyle="--")
    shown = timeline.between(from_s, to_s)
    _draw_probability(axes, shown)
    _draw_unknown(axes, shown)
    for event in timeline.events:
        _draw_event(axes, event, is_false=event in video.matching.false, length_s=video.watched.seconds)
    axes.set_xlim(from_s, to_s)
    axes.set_ylim(0, BAR_TO + 0.04)
    axes.set_yticks([0, 0.5, 1])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 1.5, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: format_seconds(second)))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_probability(axes: Axes, shown: Sequence[TimelineSpan]) -> None:
    """Each window as a level from its start until the next one begins; a gap where nothing is known."""
    if not shown:
        return
    seconds: list[float] = []
    levels: list[float] = []
    for span, following in zip(shown, [*shown[1:], None], strict=True):
        p_alarm = span.judged.verdict.p_alarm
        level = math.nan if p_alarm is None else p_alarm
        end_s = span.end_s if following is None else min(span.end_s, following.start_s)
        if seconds and span.start_s > seconds[-1]:
            seconds.append(seconds[-1])
            levels.append(math.nan)
        seconds += [span.start_s, end_s]
        levels += [level, level]
    axes.plot(seconds, levels, color="#1d3557", linewidth=1.3)
    axes.fill_between(seconds, levels, color="#1d3557", alpha=0.12, linewidth=0)


def _draw_unknown(axes: Axes, shown: Sequence[TimelineSpan]) -> None:
    for _, from_s, to_s in unknown_runs(shown):
        axes.axvspan(from_s, to_s, ymax=0.8, facecolor="0.93", edgecolor="0.6", hatch="////", linewidth=0)


def _draw_event(axes: Axes, event: Event, *, is_false: bool, length_s: float) -> None:
    end_s = length_s if event.end_s is None else event.end_s
    colour = _shade(drawing.TIER_COLOURS[event.tier])
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
    high = _shade(next(reversed(drawing.TIER_COLOURS.values())))
    return [
        Patch(facecolor=TRUTH, alpha=0.22, label="true incident"),
        Line2D([], [], color="#1d3557", label="probability of alarm"),
        Patch(facecolor=high, edgecolor=high, label="event (colour: tier)"),
        Patch(facecolor="white", edgecolor=high, hatch="xxxx", label="false alarm"),
        Line2D([], [], color="black", marker="v", linestyle="", markersize=4, label="announced"),
        Patch(facecolor="0.93", edgecolor="0.6", hatch="////", label="unknown"),
    ]
