"""`GET /reports`: what a day or a shift held, as `vigil report` tells it (docs/ask.md)."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from vigil.errors import UsageError
from vigil.events import Event
from vigil.history.citations import local_clock
from vigil.history.shift_report import CameraShift, ShiftReport, last_span, onset_of, shift_report, shift_span
from vigil.history.time_phrases import TimeRange
from vigil.rules.shift import zone_of
from vigil.store.times import format_utc

from .auth import EventReader
from .context import ApiContext
from .report_schemas import ReportCamera, ReportEvent, ReportMissed, ReportOut
from .schemas import problems

MOST_LISTED = 200


def reports_router(context: ApiContext) -> APIRouter:
    """The route of reports."""
    router = APIRouter(tags=["reports"])

    @router.get("/reports", response_model=ReportOut, responses=problems(400, 503))
    def get_report(
        caller: EventReader,
        day: Annotated[
            str, Query(max_length=10, description="On which the shift begins, such as 2026-11-29. Empty: the last one.")
        ] = "",
        shift: Annotated[str, Query(max_length=20, description="Such as 22:00-06:00. Empty: the whole day.")] = "",
        timezone: Annotated[
            str, Query(max_length=64, description="Such as Europe/Berlin. Empty: that of the service's machine.")
        ] = "",
    ) -> ReportOut:
        """Events by camera, rule and hour, marks, what nobody has looked at, missed incidents and outages."""
        span = _span(day.strip(), shift.strip(), timezone.strip())
        return _report_out(shift_report(context.store, span), shift=shift.strip(), timezone=timezone.strip())

    return router


def _span(day: str, shift: str, timezone: str) -> TimeRange:
    if not day:
        return last_span(datetime.now(zone_of(timezone)), shift=shift, timezone=timezone)
    try:
        found = date.fromisoformat(day)
    except ValueError as error:
        raise UsageError(f"day {day!r}: write a date such as 2026-11-29") from error
    if not 1970 < found.year < 9999:
        raise UsageError(f"day {day!r}: nothing was recorded in that year")
    return shift_span(day=found, shift=shift, timezone=timezone)


def _report_out(report: ShiftReport, *, shift: str, timezone: str) -> ReportOut:
    span = report.span
    return ReportOut(
        since=span.since.astimezone(report.zone).isoformat(),
        until=span.until.astimezone(report.zone).isoformat(),
        timezone=timezone,
        shift=shift,
        is_over=span.until_utc <= format_utc(datetime.now().timestamp()),
        events=len(report.events),
        observations=report.observations,
        rules=dict(report.rules),
        hours=dict(report.hours),
        marks=dict(report.marks),
        cameras=[_camera_out(each) for each in report.cameras],
        unseen=[_event_out(each, report) for each in report.unseen[:MOST_LISTED]],
        unseen_count=len(report.unseen),
        missed=[
            ReportMissed(
                camera=each.source, since=local_clock(each.from_utc, zone=report.zone).isoformat(), note=each.note
            )
            for each in report.missed
        ],
        is_cut=report.is_cut,
    )


def _camera_out(shift: CameraShift) -> ReportCamera:
    camera = shift.camera
    return ReportCamera(
        id=camera.id,
        name=camera.name,
        place=camera.place,
        tiers={
            "low": shift.tiers.get("low", 0),
            "medium": shift.tiers.get("medium", 0),
            "high": shift.tiers.get("high", 0),
        },
        judged_s=shift.judged_s,
        windows=shift.windows,
        unknown_windows=shift.unknown_windows,
        outages=[(begin.isoformat(), end.isoformat()) for begin, end in shift.outages],
    )


def _event_out(event: Event, report: ShiftReport) -> ReportEvent:
    onset = onset_of(event, zone=report.zone)
    return ReportEvent(
        event=event.id,
        camera=event.source,
        tier=event.tier.value,
        rule=event.rule or event.task,
        label=event.label,
        onset=None if onset is None else onset.isoformat(),
        onset_s=event.onset_s,
        text=event.text,
    )
