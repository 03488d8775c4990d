"""The score of a watch of long videos as text: a column for all videos and one for each."""

from collections.abc import Sequence

from vigil.counted import counted
from vigil.report.tables import align_rows, causes_text, format_number, with_interval
from vigil.report.timeline import format_seconds
from vigil.score.metrics import Interval
from vigil.score.timeline_classes import IncidentClasses, VerdictClasses
from vigil.score.timeline_matching import WindowFigures
from vigil.score.timeline_scorecard import TimelineFigures, TimelineScore

MOST_COLUMNS = 6


def timeline_table(score: TimelineScore) -> str:
    """The figures of all videos and, if there are only a few, of each one beside them."""
    columns = [(score.model, score.figures)]
    if 1 < len(score.videos) <= MOST_COLUMNS:
        columns += [(video.watched.name, video.figures) for video in score.videos]
    table = align_rows([("", *(name for name, _ in columns)), *_timeline_rows([figures for _, figures in columns])])
    parts = [table, *([_incident_class_table(score.figures.classes)] if score.figures.classes else [])]
    return "\n\n".join([*parts, *([_brief(score)] if len(score.videos) > MOST_COLUMNS else [])])


def _timeline_rows(columns: Sequence[TimelineFigures]) -> list[tuple[str, ...]]:
    return [
        ("hours with verdicts", *(f"{f.hours:.3f} of {f.length_h:.3f}" for f in columns)),
        ("windows", *(f"{f.windows} ({f.window.positive} positive)" for f in columns)),
        ("windows: ROC AUC", *(_of_windows(f.window.roc_auc, f.window.roc_auc_ci95, f.window) for f in columns)),
        ("  guessing", *("0.500" for _ in columns)),
        ("windows: average precision", *(_precision(f) for f in columns)),
        ("  guessing", *(format_number(f.window.prevalence) for f in columns)),
        ("windows: ambiguous", *(str(f.ambiguous) for f in columns)),
        ("windows: unknown", *(causes_text(f.unknown) for f in columns)),
        *_verdict_class_rows(columns),
        ("incidents", *(str(f.incidents) for f in columns)),
        ("found", *(_found(f) for f in columns)),
        ("  same alarms at random", *(format_number(f.found_by_chance) for f in columns)),
        *_incident_class_rows(columns),
        ("missed", *(_missed(f) for f in columns)),
        ("false alarms", *(_false(f) for f in columns)),
        ("false alarms an hour", *(_per_hour(f) for f in columns)),
        ("onset to alarm p50 / p95", *(_latency(f) for f in columns)),
    ]


def _incident_class_rows(columns: Sequence[TimelineFigures]) -> list[tuple[str, ...]]:
    if all(figures.classes is None for figures in columns):
        return []
    return [
        ("found: right class", *(_right_class(figures.classes) for figures in columns)),
        ("  always the commonest class", *(_commonest_class(figures.classes) for figures in columns)),
    ]


def _verdict_class_rows(columns: Sequence[TimelineFigures]) -> list[tuple[str, ...]]:
    if all(figures.verdict_classes is None for figures in columns):
        return []
    return [
        ("windows of an incident: right class", *(_right_class(figures.verdict_classes) for figures in columns)),
        ("  always the commonest class", *(_commonest_class(figures.verdict_classes) for figures in columns)),
    ]


def _right_class(classes: IncidentClasses | VerdictClasses | None) -> str:
    if classes is None or classes.right_share is None:
        return "- (none found)"
    return f"{classes.right} of {classes.known}: {with_interval(classes.right_share, classes.right_ci95)}"


def _commonest_class(classes: IncidentClasses | VerdictClasses | None) -> str:
    return format_number(None if classes is None else classes.commonest_share)


def _incident_class_table(classes: IncidentClasses) -> str:
    """The incidents of all videos, class by class, and which classes their events bear."""
    head = ("class", "incidents", "found", "right class", "false alarms", "events bear")
    rows = [
        (
            one.label,
            str(one.incidents),
            str(one.found),
            str(one.right),
            str(one.false_alarms),
            ", ".join(f"{label or '-'} {n}" for label, n in classes.said.get(one.label, {}).items()),
        )
        for one in classes.classes
    ]
    return align_rows([head, *rows])


def _precision(figures: TimelineFigures) -> str:
    if figures.window.average_precision is None:
        return "- (no positive window)"
    return _of_windows(figures.window.average_precision, figures.window.average_precision_ci95, figures.window)


def _of_windows(value: float | None, interval: Interval | None, window: WindowFigures) -> str:
    if value is None or interval is not None:
        return with_interval(value, interval)
    return f"{value:.3f} [-] (stretches: {window.positive_blocks} positive, {window.negative_blocks} negative)"


def _found(figures: TimelineFigures) -> str:
    if figures.found_share is None:
        return "- (no incident)"
    return f"{figures.found}: {with_interval(figures.found_share, figures.found_ci95)}"


def _missed(figures: TimelineFigures) -> str:
    return f"{figures.missed} ({figures.merged} under another's alarm)" if figures.merged else str(figures.missed)


def _false(figures: TimelineFigures) -> str:
    beside = f" ({figures.repeated} repeated ones not counted)" if figures.repeated else ""
    return f"{figures.false_alarms} of {counted(figures.events, 'event')}{beside}"


def _per_hour(figures: TimelineFigures) -> str:
    if figures.false_per_hour is None or figures.false_per_hour_ci95 is None:
        return "- (nothing was watched)"
    low, high = figures.false_per_hour_ci95
    return f"{figures.false_per_hour:.2f} [{low:.2f}, {high:.2f}]"


def _latency(figures: TimelineFigures) -> str:
    if figures.latency_p50_s is None or figures.latency_p95_s is None:
        return "-"
    return f"{figures.latency_p50_s:.1f} / {figures.latency_p95_s:.1f} s (n={figures.found})"


def _brief(score: TimelineScore) -> str:
    """Many videos, one line each."""
    header = ("video", "length", "incidents", "found", "false", "ROC AUC", "unknown")
    rows = [
        (
            video.watched.name,
            format_seconds(video.watched.seconds),
            str(video.figures.incidents),
            str(video.figures.found),
            str(video.figures.false_alarms),
            format_number(video.figures.window.roc_auc),
            causes_text(video.figures.unknown),
        )
        for video in score.videos
    ]
    return align_rows([header, *rows])
