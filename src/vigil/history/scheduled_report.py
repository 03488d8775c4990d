"""The report of a day or a shift as it is sent by itself, when it is due or, with a mark, later."""

from collections.abc import Mapping
from datetime import UTC, datetime

from vigil.alerts.report_planner import WrittenReport
from vigil.alerts.report_settings import DueReport
from vigil.history.report_markdown import Language, report_markdown, report_title
from vigil.history.shift_report import shift_report
from vigil.history.time_phrases import TimeRange
from vigil.store import Store

LATE_FROM_S = 900.0
"""A report that is sent later than this after it was due says so."""

LATE: Mapping[Language, tuple[str, str]] = {
    "en": ("Late: {title}", "This report was due at {due} and could not be sent before {now}."),
    "zh": ("补发：{title}", "此报告应于 {due} 发送，直到 {now} 才能发出。"),
}


def write_report(store: Store, due: DueReport, *, now_s: float) -> WrittenReport:
    """The report that is due, as Markdown; raises StoreError."""
    found = shift_report(store, TimeRange(due.since, due.until, ""))
    title = report_title(found, language=due.language)
    subject = f"{title}（{due.name}）" if due.language == "zh" else f"{title} ({due.name})"
    text = report_markdown(found, language=due.language) + (f"\n{due.link}\n" if due.link else "")
    if now_s - due.due_s < LATE_FROM_S:
        return WrittenReport(subject=subject, text=text)
    late, why = LATE[due.language]
    times = {name: f"{_local(s, due):%Y-%m-%d %H:%M}" for name, s in (("due", due.due_s), ("now", now_s))}
    return WrittenReport(subject=late.format(title=subject), text=f"{why.format(**times)}\n\n{text}")


def _local(utc_s: float, due: DueReport) -> datetime:
    return datetime.fromtimestamp(utc_s, UTC).astimezone(due.since.tzinfo)
