"""Converts times between the store's format (UTC, in milliseconds, sortable as text) and those of users.

Every displayed time has its UTC offset, as nothing else distinguishes the two passes of the repeated hour when clocks
are set back.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from vigil.errors import UsageError

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DAY = re.compile(r"\d{4}-?\d\d-?\d\d")
BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)")
AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])(?:\s*ago)?", re.IGNORECASE)


def format_utc(epoch_s: float) -> str:
    """`time.time()` seconds as `2026-11-20T11:50:33.123Z`."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> str:
    """The current time in the store's format."""
    return format_utc(time.time())


def require_order(since_utc: str | None, until_utc: str | None) -> None:
    """Raises UsageError if a span (None: open) ends before it begins."""
    if since_utc and until_utc and since_utc > until_utc:
        raise UsageError(f"nothing lies between {since_utc} and {until_utc}: the times are the wrong way")


class SteadyClock:
    """`time.time()`, but never ahead of the time that has passed since it was made.

    A machine's clock may jump years ahead when it is set. Whoever deletes by age goes by this one: what was set back or
    ahead, nothing is deleted too early while the process lives.
    """

    def __init__(self, wall: Callable[[], float] = time.time, passed: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._passed = passed
        self._began_s = wall() - passed()

    def __call__(self) -> float:
        return min(self._wall(), self._began_s + self._passed())


def passed_s() -> float:
    """Seconds that have passed since some moment, however the clock is set; a time of sleep counts where it can."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class ExpiryClock:
    """`time.time()`, but never behind the time that has passed since it was made.

    Whoever ends what has a date goes by this one: setting the clock back prolongs nothing while the process lives. A
    clock that is set ahead counts as long as it is.
    """

    def __init__(self, wall: Callable[[], float] = time.time, passed: Callable[[], float] = passed_s) -> None:
        self._wall = wall
        self._passed = passed
        self._began_s = wall() - passed()

    def __call__(self) -> float:
        return max(self._wall(), self._began_s + self._passed())


def local(epoch_s: float) -> str:
    """`time.time()` seconds as local time for display, like `2026-10-25 02:30:00 +01:00`."""
    return shown(datetime.fromtimestamp(epoch_s, UTC).astimezone())


def shown(moment: datetime) -> str:
    """A timezone-aware time formatted for display."""
    return f"{moment:%Y-%m-%d %H:%M:%S} {_offset(moment)}"


def _offset(moment: datetime) -> str:
    """The UTC offset, like `+01:00`."""
    offset = f"{moment:%z}"
    return f"{offset[:3]}:{offset[3:5]}"


def parse_time(text: str, *, option: str) -> str:
    """Converts a time as users write it (`2026-11-20`, `2026-11-20T11:50`, `2h`, `30 m ago`) to the store's format.

    A time without a zone is local. Raises UsageError, naming `option`, if it is invalid, or is a local time that occurs
    twice or never because of a clock change.
    """
    plain = text.strip()
    ago = AGO.fullmatch(plain)
    try:
        if ago:
            return format_utc(max(0.0, time.time() - float(ago[1]) * UNITS_S[ago[2].lower()]))
        moment = datetime.fromisoformat(BEFORE_OFFSET.sub("", plain))
        if moment.tzinfo is None:
            moment = _day(moment) if DAY.fullmatch(plain) else _here(moment, f"{option} {text!r}")
        return format_utc(moment.timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{option} {text!r}: write 2026-11-20, 2026-11-20T11:50, or how long ago: 2h, 3d") from error


def _moments(wanted: datetime) -> list[datetime]:
    """The instants at which local clocks show a time: one, two in the repeated hour, none in the skipped one."""
    both = [_read(wanted, fold=fold) for fold in (0, 1)]
    there = [moment for moment in both if moment.replace(tzinfo=None, fold=0) == wanted]
    return list({moment.timestamp(): moment for moment in there}.values())


def _here(wanted: datetime, said: str) -> datetime:
    found = _moments(wanted)
    if len(found) == 1:
        return found[0]
    if found:
        first, second = (f"{moment:%Y-%m-%dT%H:%M:%S}{_offset(moment)}" for moment in found)
        raise UsageError(f"{said} comes twice here, as the clocks were set back: write {first} or {second}")
    before, after = (_read(wanted, fold=fold) for fold in (1, 0))
    raise UsageError(
        f"{said} does not exist here, as the clocks were set forward: write {shown(before)} or {shown(after)}"
    )


def _day(midnight: datetime) -> datetime:
    """The first instant of a day, even if clocks change at midnight."""
    return next(iter(_moments(midnight)), _read(midnight, fold=0))


def _read(wanted: datetime, *, fold: int) -> datetime:
    return datetime.fromtimestamp(wanted.replace(fold=fold).timestamp(), UTC).astimezone()
