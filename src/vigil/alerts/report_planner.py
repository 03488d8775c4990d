"""ReportPlanner: plans the reports that one sink is sent by themselves, as deliveries beside those of alarms.

How far they are planned is kept in the store, so that a report is sent once, whatever is restarted, and one that came
due while nothing ran is sent late. A report is written when it is sent: what is written depends on the caller
(`WriteReport`), as reports are made of more than alerts know.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from math import floor
from typing import Protocol
from urllib.parse import urlencode

from vigil.alerts.report_settings import DueReport, ReportSettings
from vigil.alerts.settings import AlertSettings, AnySink
from vigil.rules.shift import zone_of
from vigil.store import Store
from vigil.store.deliveries import Delivery
from vigil.store.times import format_utc

REPORT = "report"
"""The kind of such deliveries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """A report as it is sent; the text is Markdown."""

    subject: str
    text: str


class WriteReport(Protocol):
    """Writes a report from the store at a time (seconds since 1970); raises StoreError."""

    def __call__(self, store: Store, due: DueReport, *, now_s: float) -> WrittenReport: ...


class ReportPlanner:
    """Plans for one sink; its methods may take a while and raise StoreError."""

    def __init__(self, sink: AnySink, alerts: AlertSettings, store: Store, *, clock: Callable[[], float]) -> None:
        self._sink = sink
        self._timezone = alerts.timezone
        self._link = alerts.link.rstrip("/")
        self._store = store
        self._clock = clock
        self._reports = [report for report in alerts.reports if sink.name in report.sinks]
        self._next_s = 0.0

    def begin(self) -> None:
        """Notes the present for reports that are new to the sink: none of the past is sent."""
        for report in self._reports:
            self._store.deliveries.begin_reports(self._sink.name, report.name, now_s=self._clock())

    def plan(self) -> None:
        """Plans what has come due, if anything may have."""
        # Whole seconds, as they are kept; reports are due at whole minutes.
        now_s = float(floor(self._clock()))
        if not self._reports or now_s < self._next_s:
            return
        for report in self._reports:
            make = partial(self._due, report, now_s=now_s)
            self._store.deliveries.plan_reports(self._sink.name, report.name, make, now_s=now_s)
        self._next_s = min(report.next_s(now_s, timezone=self._timezone) for report in self._reports)

    def _due(self, report: ReportSettings, after_s: float, *, now_s: float) -> Sequence[Delivery]:
        due = report.due_between(after_s, now_s, timezone=self._timezone)
        return [_delivery(self._sink.name, replace(each, link=self._page_of(each))) for each in due]

    def _page_of(self, due: DueReport) -> str:
        """Where the page of a report is; empty if nobody said where the pages are."""
        query = urlencode({"day": f"{due.since:%Y-%m-%d}", "shift": due.shift, "timezone": due.timezone})
        return f"{self._link}/{due.language}/report?{query}" if self._link else ""


def _delivery(sink: str, due: DueReport) -> Delivery:
    due_utc = format_utc(due.due_s)
    told = {
        "source": f"report {due.name}",
        "name": due.name,
        "since": due.since.isoformat(),
        "until": due.until.isoformat(),
        "due_s": due.due_s,
        "shift": due.shift,
        "link": due.link,
        "language": due.language,
        "timezone": due.timezone,
    }
    return Delivery(
        sink=sink,
        incident_id=f"report/{due.name}/{due.since:%Y-%m-%dT%H:%M}",
        revision=1,
        event_id="",
        camera_id="",
        scope=REPORT,
        kind=REPORT,
        sequence=0,
        event=told,
        happened_utc=due_utc,
        active_utc=due_utc,
    )


def due_report(delivery: Delivery) -> DueReport:
    """The report that a delivery is."""
    told = delivery.event
    zone = zone_of(str(told["timezone"]))
    since, until = (datetime.fromisoformat(str(told[name])).replace(tzinfo=zone) for name in ("since", "until"))
    return DueReport(
        name=str(told["name"]),
        since=since,
        until=until,
        due_s=float(told["due_s"]),
        shift=str(told.get("shift", "")),
        link=str(told.get("link", "")),
        language="zh" if told["language"] == "zh" else "en",
        timezone=str(told["timezone"]),
    )
