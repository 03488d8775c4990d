"""Times and durations in the format of the pages."""

from datetime import datetime

from vigil.events import Event
from vigil.report.timeline import format_seconds
from vigil.store import times


def happened(event: Event) -> str:
    """When an event began: local time with zone for live sources, the position for files."""
    if event.epoch_s is None:
        return format_seconds(event.onset_s, tenths=True)
    return times.local(event.epoch_s + event.onset_s)


def within(event: Event, second: float, *, tenths: bool = False) -> str:
    """A second of an event's source: clock time for live sources, the position for files."""
    if event.epoch_s is None:
        return format_seconds(second, tenths=tenths)
    at = datetime.fromtimestamp(event.epoch_s + second)
    return f"{at:%H:%M:%S}.{at.microsecond // 100_000}" if tenths else f"{at:%H:%M:%S}"


def local(utc: str) -> str:
    """A stored UTC time, in local time with its zone."""
    return times.shown(datetime.fromisoformat(utc).astimezone())
