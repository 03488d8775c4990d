"""Observations for tests, and servers that make them."""

import json
import threading
import time
from dataclasses import replace
from typing import Any

from judging import SAMPLING
from scripted_server import Reply, Request, stream
from vigil.events import new_id
from vigil.observation import Observation
from vigil.store.times import format_utc
from vigil.watch.observe_settings import ObserveSettings
from watching import look

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


OFTEN = ObserveSettings(
    every_s=4.0, changed_s=1.0, still_s=4.0, change_from=20.0, language="en", camera_tokens_per_min=60_000
)
FAST = replace(SAMPLING, fps=8.0)
"""Four times the usual pace: a window every half second."""


def scene(*, lights: str = "on") -> str:
    """An observation in the form that is asked for."""
    said = {"objects": ["door"], "people": [], "actions": ["nothing"], "lights": lights, "place": "hall"}
    return json.dumps(said | {"confidence": "high"})


def is_about_scene(request: Request) -> bool:
    """Whether a request is for an observation."""
    return "Describe what the picture shows now" in request.text or "one sentence" in request.text


TOKEN_S = 0.02
"""How long the slow server writes on a token of an observation."""

VERDICT_S = 0.1


class OneAtATime:
    """Lets time pass as a server does that computes nothing else while it writes an observation."""

    def __init__(self) -> None:
        self._wrote_s = 0.0
        self._never = threading.Event()

    def __call__(self, delay_s: float) -> None:
        if delay_s == TOKEN_S:
            self._never.wait(TOKEN_S)
            self._wrote_s = time.monotonic()
            return
        left_s = delay_s
        while left_s > 0:
            self._never.wait(TOKEN_S)
            left_s -= TOKEN_S if time.monotonic() - self._wrote_s > 3 * TOKEN_S else 0.0


def slow_look(request: Request) -> Reply:
    """An observation takes five seconds, a verdict a tenth of one."""
    if is_about_scene(request):
        return stream(*scene(), *" " * 200, event_delay_s=TOKEN_S)
    return replace(look(request), delay_s=VERDICT_S)
