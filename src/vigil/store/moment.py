"""Wall-clock moments as the store writes them: UTC, to the millisecond, sorting as text."""

import time
from datetime import UTC, datetime


def utc(epoch_s: float) -> str:
    """`time.time()` seconds as `2026-11-20T11:50:33.123Z`."""
    moment = datetime.fromtimestamp(epoch_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def utc_now() -> str:
    """This moment."""
    return utc(time.time())
