"""Observations for tests."""

from typing import Any

from vigil.events import new_id
from vigil.observation import Observation
from vigil.store.times import format_utc

EPOCH_S = 1_764_000_000.0


def make_observation(second: float, text: str = "a man walks by", **values: Any) -> Observation:
    """What was observed so many seconds after `EPOCH_S`, at the door unless `values` say otherwise."""
    row: dict[str, Any] = {
        "id": new_id(),
        "camera_id": "",
        "source": "door",
        "session_id": "s",
        "start_s": second,
        "end_s": second + 2.5,
        "happened_utc": format_utc(EPOCH_S + second),
        "text": text,
    }
    return Observation(**(row | values))
