"""Wall-clock moments as the store writes them (UTC, to the millisecond, sorting as text) and as people do."""

import re
import time
from datetime import UTC, datetime

from vigil.errors import UsageError

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])(?:\s*ago)?", re.IGNORECASE)


def utc(epoch_s: float) -> str:
    """`time.time()` seconds as `2026-11-20T11:50:33.123Z`."""
    moment = datetime.fromtimestamp(epoch_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def utc_now() -> str:
    """This moment."""
    return utc(time.time())


def parse_moment(text: str, *, option: str) -> str:
    """What people write (`2026-11-20`, `2026-11-20T11:50`, `2h`, `30 m ago`) as the store does.

    Without a zone local time is meant. Raises UsageError, naming `option`.
    """
    ago = AGO.fullmatch(text.strip())
    try:
        if ago:
            return utc(max(0.0, time.time() - float(ago[1]) * UNITS_S[ago[2].lower()]))
        return utc(datetime.fromisoformat(text.strip()).timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{option} {text!r}: write 2026-11-20, 2026-11-20T11:50, or how long ago: 2h, 3d") from error
