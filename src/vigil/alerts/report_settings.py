"""When a report of a day or a shift is sent by itself, and to which sinks; docs/ask.md explains it.

settings = ReportSettings(name="night", shift="22:00-06:00", at="06:15", sinks=("office",))
settings.due_between(after_s, now_s)            # the reports that came due since then
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from vigil.errors import UsageError
from vigil.rules.schedule import WeeklySchedule
from vigil.rules.shift import DAY, Shift, clock_of

MOST_LATE = 7
"""After a long time in which nothing ran, so many of the missed reports are sent, the newest."""


LONGEST_S = 60 * DAY.total_seconds()
"""Further back nothing is looked for: the newest seven of a report once a week lie within."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReport:
    """One report: which it is, of what time, when it was due (seconds since 1970), and its language and time zone.

    `shift` is the part of the day that it is about, empty for all of it; `link` is where its page is, empty if the
    settings do not say under which address people reach the pages.
    """

    name: str
    since: datetime
    until: datetime
    due_s: float
    shift: str = ""
    link: str = ""
    language: Literal["en", "zh"] = "en"
    timezone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """A report that is sent after each day, or after each `shift` (`22:00-06:00`), to `sinks` by their names.

    It is sent `at` a time of day after the shift is over (empty: as soon as it is), all in the local time of `timezone`
    (empty: that of the alerts, else of this machine). `days` are those on which the shift begins, such as `mon-fri`;
    empty for all. Raises UsageError for inconsistent values.
    """

    name: str
    shift: str = ""
    at: str = ""
    days: str = ""
    timezone: str = ""
    sinks: tuple[str, ...]
    language: Literal["en", "zh"] = "en"

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise UsageError("the name of a report must not be empty, and has printable characters only")
        if not self.sinks:
            raise UsageError(f"the report {self.name}: sinks names none; nobody would get it")
        try:
            Shift.parse(self.shift, timezone=self.timezone)
            self._on_days()
            _ = clock_of(self.at) if self.at.strip() else None
        except UsageError as error:
            raise UsageError(f"the report {self.name}: {error}") from error

    def due_between(self, after_s: float, until_s: float, *, timezone: str = "") -> list[DueReport]:
        """The reports that come due after one time and up to another, oldest first, the newest `MOST_LATE` of them.

        `timezone` is that of the alerts.
        """
        return self._between(max(after_s, until_s - LONGEST_S), until_s, timezone)[-MOST_LATE:]

    def next_s(self, after_s: float, *, timezone: str = "") -> float:
        """When the next report is due after a time, in seconds since 1970."""
        return self._between(after_s, after_s + LONGEST_S, timezone)[0].due_s

    def _between(self, after_s: float, until_s: float, timezone: str) -> list[DueReport]:
        zone = self.timezone or timezone
        shift = Shift.parse(self.shift, timezone=zone)
        of_days = (self._of_day(day, shift, zone) for day in _days_between(after_s, until_s, shift))
        return [each for each in of_days if each is not None and after_s < each.due_s <= until_s]

    def _of_day(self, day: date, shift: Shift, timezone: str) -> DueReport | None:
        """The report of the shift that begins on a day; None if none is wanted of that day."""
        since, until = shift.span(day)
        if not self._on_days().is_open(datetime.combine(day, since.time(), UTC).timestamp()):
            return None
        return DueReport(
            name=self.name,
            since=since,
            until=until,
            due_s=self._due(until).timestamp(),
            shift=self.shift.strip(),
            language=self.language,
            timezone=timezone,
        )

    def _due(self, until: datetime) -> datetime:
        """The first time of the wall clock that is `at`, when the shift is over or later."""
        if not self.at.strip():
            return until
        due = until.replace(hour=0, minute=0) + clock_of(self.at)
        return due if due >= until else due + DAY

    def _on_days(self) -> WeeklySchedule:
        """The days as a schedule, in no zone of its own: the day of the wall clock is looked up as if it were UTC."""
        return WeeklySchedule.parse(f"{self.days} 00:00-24:00", timezone="UTC")


def report_problems(reports: Sequence[ReportSettings], sinks: Sequence[str], taking_text: Sequence[str]) -> list[str]:
    """What is wrong with reports beside these sinks, of which some take text."""
    names = [report.name for report in reports]
    problems = [
        f"two reports are called {name}; give each its own name" for name in sorted(set(names)) if names.count(name) > 1
    ]
    return problems + [problem for report in reports for problem in _sink_problems(report, sinks, taking_text)]


def _sink_problems(report: ReportSettings, sinks: Sequence[str], taking_text: Sequence[str]) -> Iterator[str]:
    for name in report.sinks:
        if name not in sinks:
            near = difflib.get_close_matches(name, sinks, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the settings have: {', '.join(sinks) or 'none'}"
            yield f"the report {report.name}: there is no sink {name!r}; {hint}"
        elif name not in taking_text:
            yield f"the report {report.name}: the sink {name} takes no text; email, apprise and webhook do"


def _days_between(begin_s: float, end_s: float, shift: Shift) -> Iterator[date]:
    """The days on which shifts may begin whose reports come due between two times, in order."""
    first, last = (datetime.fromtimestamp(s, UTC).astimezone(shift.zone).date() for s in (begin_s, end_s))
    day = first - timedelta(days=4)
    while day <= last:
        yield day
        day += DAY
