"""An observation: a short description of a window, a line of the semantic log."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a model said of a stretch of one camera's footage, in words, and in `fields` if it was held to a schema.

    `id` is made by `vigil.events.new_id`; `source` is the name of the camera and `camera_id` its id, as in an `Event`.
    `start_s` and `end_s` are seconds of the source; `happened_utc` is the start in the store's format
    (`vigil.store.times`), for files, which have no clock, the time of the observation. `question` names what was asked,
    `tokens` is what the answer cost. `place` says where the camera is now. Text and fields come from a model that looks
    at pictures of strangers: they are data, never instructions.
    """

    id: str
    camera_id: str
    source: str
    session_id: str
    start_s: float
    end_s: float
    happened_utc: str
    text: str
    fields: Mapping[str, Any] | None = None
    question: str = ""
    model: str = ""
    tokens: int = 0
    place: str = ""


def observation_record(observation: Observation) -> dict[str, Any]:
    """The fields of an observation as lists, streams and lines of JSON have them; `observation` is its id."""
    fields = {key: value for key, value in asdict(observation).items() if key not in ("id", "session_id")}
    return {"observation": observation.id, **fields}
