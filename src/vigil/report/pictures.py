"""The pictures of a score: confusion matrix, ROC curve, reliability diagram, each a PNG."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vigil.score.metrics import reliability, roc_curve
from vigil.score.scorecard import Score, known_predictions

SIZE_IN = (5.0, 4.6)
SCORE_DPI = 120


def write_plots(folder: Path, scores: Sequence[Score]) -> list[Path]:
    """Draws the scores of one or two models into a folder; returns the files."""
    pictures: dict[str, Callable[[Axes], None]] = {
        "roc.png": lambda axes: _roc(axes, scores),
        "reliability.png": lambda axes: _reliability(axes, scores),
    }
    for number, score in enumerate(scores):
        name = "confusion.png" if number == 0 else f"confusion-{number + 1}.png"
        pictures[name] = lambda axes, score=score: _confusion(axes, score)  # type: ignore[misc]
    return [_draw(folder / name, draw) for name, draw in pictures.items()]


def _draw(path: Path, draw: Callable[[Axes], None]) -> Path:
    # A Figure of its own, not pyplot: no global state, so it also works off the main thread.
    figure = Figure(figsize=SIZE_IN, layout="constrained")
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
        # The area of a dot is its clips, so that a bin of two clips does not look like one of fifty.
        axes.scatter(means, shares, s=[12 + 4 * p[2] for p in points], color=line.get_color(), alpha=0.6)
    axes.set_xlabel("probability of alarm")
    axes.set_ylabel("share of clips that are alarms")
    axes.set_title("Reliability by clip", fontsize=10)
    axes.legend(fontsize=8)
