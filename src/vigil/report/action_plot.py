"""The timeline of a film as a PNG: one row per actor and action, a bar for each time it goes on."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vigil.actions import ActionTimeline, TimedAction
from vigil.counted import counted
from vigil.files import atomic_path
from vigil.report.drawing import choose_typeface
from vigil.report.timeline import format_seconds

WIDTH_IN, HEAD_IN, ACTION_ROW_IN = 12.0, 1.2, 0.32
DPI = 110
MOST_ACTION_ROWS = 40
LONGEST_LABEL = 40
SHORTEST_SHARE = 0.004
"""A shorter action is drawn this long, as a share of the film, so that it can be seen."""

UNSEEN = "0.9"
ACTOR_COLOURS = ("#1d3557", "#2a9d8f", "#e76f51", "#8a6fb5", "#b6792b", "#457b9d", "#7f8a2b", "#c0504d")


def write_action_plot(timeline: ActionTimeline, path: Path) -> Path:
    """Draws the timeline; the rows are those of the longest actions if there are more than fit. Returns the file."""
    rows = _rows(timeline.actions)
    shown = rows[:MOST_ACTION_ROWS]
    # A Figure of its own, not pyplot: no global state, so it also works off the main thread.
    height_in = HEAD_IN + max(1, len(shown)) * ACTION_ROW_IN
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    axes = figure.add_subplot()
    _draw_rows(axes, shown, length_s=max(timeline.length_s, 1.0))
    for remark in timeline.unknown:
        axes.axvspan(remark.start_s, remark.end_s, color=UNSEEN, linewidth=0)
    hidden = f"; {counted(len(rows) - len(shown), 'shorter row')} not drawn" if len(rows) > len(shown) else ""
    unknown = f"; {counted(len(timeline.unknown), 'window')} without an answer (grey)" if timeline.unknown else ""
    count = counted(len(timeline.actions), "action")
    seen = f"{timeline.seen_s:.0f} of {timeline.length_s:.0f} s seen"
    text, font = _typeset(f"{timeline.film}: {count}, {seen}{unknown}{hidden}", size=11)
    figure.suptitle(text, fontproperties=font)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=DPI, format="png")
    return path


def _rows(actions: Sequence[TimedAction]) -> list[list[TimedAction]]:
    """The actions by actor and action; the rows with the longest total time first."""
    rows: dict[tuple[str, str], list[TimedAction]] = {}
    for action in actions:
        rows.setdefault(action.key, []).append(action)
    return sorted(rows.values(), key=lambda row: -sum(each.end_s - each.start_s for each in row))


def _draw_rows(axes: Axes, rows: Sequence[Sequence[TimedAction]], *, length_s: float) -> None:
    actors = list(dict.fromkeys(row[0].key[0] for row in rows))
    for number, row in enumerate(sorted(rows, key=lambda each: each[0].start_s)):
        colour = ACTOR_COLOURS[actors.index(row[0].key[0]) % len(ACTOR_COLOURS)]
        bars = [(each.start_s, max(each.end_s - each.start_s, SHORTEST_SHARE * length_s)) for each in row]
        axes.broken_barh(bars, (number - 0.35, 0.7), color=colour)
        label = f"{row[0].actor}: {row[0].action}" if row[0].actor else row[0].action
        text, font = _typeset(label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…", size=8)
        axes.text(-0.005, number, text, fontproperties=font, ha="right", va="center", transform=_beside(axes))
    axes.set_xlim(0, length_s)
    axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 1.5, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda second, _: format_seconds(second)))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _beside(axes: Axes) -> object:
    """Places text by the share of the width, and by the row."""
    return axes.get_yaxis_transform()


def _typeset(text: str, *, size: int) -> tuple[str, FontProperties]:
    """The text, and a font that can show it; question marks for what no font here shows."""
    chosen = choose_typeface(text)
    if chosen is None:
        return text.encode("ascii", "replace").decode(), FontProperties(size=size)
    shown, face = chosen
    # Dollar signs are escaped: matplotlib would read them as a formula.
    return shown.replace("$", r"\$"), FontProperties(fname=face.path, size=size)
