"""Text tables of scores and timeline scores: every figure with its interval, the baseline and n."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from vigil.score.classes import ClassScore
from vigil.score.metrics import Interval
from vigil.score.question_tuning import TriedQuestion
from vigil.score.scorecard import ModelComparison, Score, ScoreFigures


def score_table(scores: Sequence[Score]) -> str:
    """One or more scores as columns of text, per clip first, then per window and throughput."""
    rows = [("", *(score.model for score in scores))]
    if any(score.notes.get("calibration") for score in scores):
        rows.append(("probabilities", *map(_calibrated, scores)))
    rows += _score_rows([score.figures for score in scores])
    windows = [score.windows for score in scores if score.windows is not None]
    if len(windows) == len(scores) and any(w.n != s.figures.n for w, s in zip(windows, scores, strict=True)):
        rows += _window_rows(windows)
    if any(score.pace.requests for score in scores):
        rows += _pace_rows(scores)
    classes = [score.classes for score in scores if score.classes is not None]
    if len(classes) < len(scores):
        return align_rows(rows)
    parts = [align_rows([*rows, *_class_mean_rows(classes)])]
    parts += [class_table(score.model, score.classes) for score in scores if score.classes is not None]
    return "\n\n".join(parts)


def _class_mean_rows(columns: Sequence[ClassScore]) -> list[tuple[str, ...]]:
    return [
        ("classes: macro-F1", *(with_interval(c.macro_f1, c.macro_f1_ci95) for c in columns)),
        ("  always the commonest class", *(f"{c.macro_f1_majority:.3f}" for c in columns)),
        ("classes: accuracy", *(with_interval(c.accuracy, c.accuracy_ci95) for c in columns)),
        ("  always the commonest class", *(f"{c.accuracy_majority:.3f}" for c in columns)),
        (
            "classes: mean average precision",
            *(with_interval(c.macro_average_precision, c.macro_average_precision_ci95) for c in columns),
        ),
        ("classes: calibration error", *(format_number(c.ece) for c in columns)),
    ]


def class_table(model: str, score: ClassScore) -> str:
    """The figures of each class and the confusion matrix, as text."""
    figures = [
        (
            one.label,
            str(one.n),
            with_interval(one.average_precision, one.average_precision_ci95),
            f"{one.baseline:.3f}",
            f"{one.precision:.3f}",
            f"{one.recall:.3f}",
            f"{one.f1:.3f}",
            format_number(one.ece),
        )
        for one in score.classes
    ]
    head = (model, "clips", "average precision", "guessing", "precision", "recall", "F1", "calibration error")
    lines = [align_rows([head, *figures]), "", align_rows(_confusion_rows(score))]
    if score.without_clips:
        lines.append(f"no clips, so no figures: {', '.join(score.without_clips)}")
    return "\n".join(lines)


def _confusion_rows(score: ClassScore) -> list[tuple[str, ...]]:
    """A row for each true class that has clips, a column for each that was said; labels without either are left out."""
    rows = {true: said for true, said in score.confusion.items() if true not in score.without_clips}
    columns = [said for said in next(iter(score.confusion.values())) if said in rows or _is_said(said, score)]
    table = [(true, *(str(said[column] or ".") for column in columns)) for true, said in rows.items()]
    return [("true \\ said", *columns), *table]


def _is_said(label: str, score: ClassScore) -> bool:
    return any(said[label] for said in score.confusion.values())


def question_table(ranked: Sequence[TriedQuestion]) -> str:
    """Wordings of a question as rows, the best first, each with its area and the paired difference to the old one's."""
    rows: list[tuple[str, ...]] = [("", "ROC AUC", "difference to the old", "clips", "no answer")]
    for number, tried in enumerate(ranked, start=1):
        compared = tried.comparison
        difference = (
            "the old question"
            if compared is None
            else with_interval(compared.roc_auc_difference, compared.roc_auc_difference_ci95)
        )
        rows.append((str(number), _area(tried.figures), difference, str(tried.figures.n), str(tried.unknown)))
    texts = (f"{number}  {tried.question.text}" for number, tried in enumerate(ranked, start=1))
    return "\n".join([align_rows(rows), "", *texts])


def _score_rows(columns: Sequence[ScoreFigures]) -> list[tuple[str, ...]]:
    return [
        ("clips", *(str(f.n) for f in columns)),
        ("accuracy", *(with_interval(f.accuracy, f.accuracy_ci95) for f in columns)),
        ("always the commoner class", *(f"{f.baseline_majority:.3f}" for f in columns)),
        ("ROC AUC", *map(_area, columns)),
        ("precision", *(f"{f.precision:.3f}" for f in columns)),
        ("recall", *(f"{f.recall:.3f}" for f in columns)),
        ("F1", *(f"{f.f1:.3f}" for f in columns)),
        ("calibration error", *(format_number(f.ece) for f in columns)),
        ("tp fp fn tn", *(" ".join(str(count) for count in f.confusion.values()) for f in columns)),
        ("unknown", *(causes_text(f.unknown) for f in columns)),
    ]


def _calibrated(score: Score) -> str:
    return "calibrated" if score.notes.get("calibration") else "as the model gives them"


def _window_rows(columns: Sequence[ScoreFigures]) -> list[tuple[str, ...]]:
    return [
        ("windows", *(str(f.n) for f in columns)),
        ("windows: accuracy", *(with_interval(f.accuracy, f.accuracy_ci95) for f in columns)),
        ("windows: ROC AUC", *map(_area, columns)),
        ("windows: unknown", *(causes_text(f.unknown) for f in columns)),
    ]


def _pace_rows(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    return [
        (
            "latency p50 / p95",
            *(f"{format_number(s.pace.p50_ms, 0)} / {format_number(s.pace.p95_ms, 0)} ms" for s in scores),
        ),
        ("requests/s", *(format_number(score.pace.requests_per_s, 1) for score in scores)),
    ]


def format_number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def _area(figures: ScoreFigures) -> str:
    if figures.roc_auc is not None or not figures.unknown:
        return with_interval(figures.roc_auc, figures.roc_auc_ci95)
    return "- (nothing answered)" if sum(figures.unknown.values()) == figures.n else "- (one class answered)"


def with_interval(value: float | None, interval: Interval | None) -> str:
    """A figure with its interval, or why there is none."""
    if value is None:
        return "- (one class only)"
    beside = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{value:.3f}{beside}"


def causes_text(unknown: dict[str, int]) -> str:
    """How many are unknown, and why."""
    causes = ", ".join(f"{cause} {count}" for cause, count in unknown.items())
    return f"{sum(unknown.values())} ({causes})" if unknown else "0"


def align_rows(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of cells as lines of text, aligned in columns; a Chinese character is two columns wide."""
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def comparison_text(comparison: ModelComparison) -> str:
    """McNemar's test and the difference of areas, in words."""
    c = comparison
    lines = [
        f"{c.second} against {c.first}, the same {c.n} clips:",
        f"  both right {c.both_right}, only {c.first} {c.only_first_right}, only {c.second} {c.only_second_right}, "
        f"both wrong {c.both_wrong}",
        f"  accuracy {c.accuracy_difference:+.3f}, McNemar's exact test p = {_p_value(c.mcnemar_p)}",
    ]
    if c.roc_auc_difference is not None:
        interval = c.roc_auc_difference_ci95
        beside = f" [{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else ""
        lines.append(f"  ROC AUC {c.roc_auc_difference:+.3f}{beside}")
    return "\n".join(lines)


def _p_value(p: float) -> str:
    return f"{p:.3g}" if p >= 0.0001 else "below 0.0001"
