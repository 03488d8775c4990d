"""Moments as people write them: `2026-11-20`, `2026-11-20T11:50`, `2h`, `30 m ago`."""

import re
import time
from datetime import datetime

from vigil.errors import UsageError
from vigil.store.moment import utc

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])(?:\s*ago)?", re.IGNORECASE)


def parse_moment(text: str, *, option: str) -> str:
    """A moment as the store writes them; without a zone it is meant in local time. Raises UsageError."""
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return utc(max(0.0, time.time() - float(ago[1]) * _UNITS_S[ago[2].lower()]))
        return utc(datetime.fromisoformat(text.strip()).timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{option} {text!r}: write 2026-11-20, 2026-11-20T11:50, or how long ago: 2h, 3d") from error
