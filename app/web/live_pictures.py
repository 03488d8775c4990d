"""Incremental updates of the live camera view.

Images are drawn and encoded once for all visitors of a language; a page receives only what differs from what it has.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vigil.errors import VigilError
from vigil.events import Event

from ..endpoint_monitor import START_COMMAND
from . import local_times
from .camera_cards import CameraCards, card
from .context import SiteContext
from .event_pictures import jpeg_url, png_url
from .event_search import lasts, snapshot_url
from .event_store import open_store
from .recent_verdicts import RecentVerdicts

if TYPE_CHECKING:
    from vigil.watch.background import BackgroundWatcher


@dataclass(frozen=True, slots=True)
class PageState:
    """What a page already has: the state, the time of each camera's timeline strip and picture, the event list."""

    state: str = ""
    strips: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, float] = field(default_factory=dict)
    events: int = -1

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "PageState":
        """Parses a browser's request; invalid values are ignored."""
        events = request.get("events")
        return cls(
            state=str(request.get("state", "")),
            strips=_seconds(request.get("strips")),
            pictures=_seconds(request.get("seen")),
            events=events if isinstance(events, int) else -1,
        )


def _seconds(values: object) -> dict[str, float]:
    if not isinstance(values, dict):
        return {}
    return {str(name): float(second) for name, second in values.items() if isinstance(second, int | float)}


class LivePictures:
    """Computes the updates that pages request; its methods are thread-safe."""

    def __init__(
        self, context: SiteContext, service: "BackgroundWatcher", cameras: CameraCards, board: RecentVerdicts
    ) -> None:
        self._context = context
        self._service = service
        self._cameras = cameras
        self._board = board
        self._lock = threading.Lock()
        self._strips: dict[str, tuple[float, str]] = {}

    def has_update(self, page: PageState) -> bool:
        """Whether there is anything that the page does not have."""
        if page.state != self._state():
            return True
        return any(shot is not None and shot[1] != page.pictures.get(name) for name, shot in self._shots())

    def update(self, page: PageState) -> dict[str, Any]:
        """Everything that differs from what the page has, as JSON-serialisable values."""
        state, events_version = self._state(), self._board.events_version
        update: dict[str, Any] = {"state": state, "events_version": events_version, "strips": {}}
        update["pictures"] = {
            name: (shot[1], jpeg_url(shot[0]))
            for name, shot in self._shots()
            if shot is not None and shot[1] != page.pictures.get(name)
        }
        if state != page.state:
            update |= self._changes(page, events_version)
        return update

    def _changes(self, page: PageState, events_version: int) -> dict[str, Any]:
        t = self._context.t
        states = self._service.states()
        problem = self._problem()
        update: dict[str, Any] = {
            "cards": [card(state, t, is_judged=problem is None) for state in states],
            "spare": self._cameras.spare(),
            "problem": problem,
            "warnings": list(self._service.warnings),
        }
        strips = {state.name: self._strip(state.camera_id or state.name) for state in states}
        update["strips"] = {n: s for n, s in strips.items() if s is not None and s[0] != page.strips.get(n)}
        if events_version != page.events or not page.state:
            update["events"] = [self._row(event) for event in self._board.newest()]
        return update

    def _state(self) -> str:
        """A version string of everything that pages show besides pictures."""
        stages = "|".join(f"{state.name}={state.stage}" for state in self._service.states())
        shown = f"{stages}{self._problem()}{self._service.warnings}"
        return f"{self._board.version}/{self._board.events_version}/{hash(shown)}"

    def _shots(self) -> list[tuple[str, tuple[bytes, float] | None]]:
        return [(state.name, self._service.preview(state.name)) for state in self._service.states()]

    def _strip(self, camera: str) -> tuple[float, str] | None:
        verdict_s = self._board.last_verdict_s(camera)
        with self._lock:
            drawn = self._strips.get(camera)
            if drawn is None or drawn[0] != verdict_s:
                image = self._board.strip_of(camera)
                if image is None:
                    return None
                drawn = self._strips[camera] = (verdict_s, png_url(image))
        return drawn

    def _row(self, event: Event) -> dict[str, Any]:
        t = self._context.t
        return {
            "id": event.id,
            "source": event.source,
            "tier": str(event.tier),
            "tier_text": t(f"room.tier_{event.tier}"),
            "when": local_times.happened(event),
            "lasts": lasts(event, t),
            "text": event.text,
            "snapshot": self._snapshot(event.id),
        }

    def _snapshot(self, event_id: str) -> str:
        store = open_store(self._context)
        try:
            return "" if store is None else snapshot_url(store, event_id)
        except VigilError:
            return ""

    def _problem(self) -> dict[str, str] | None:
        """What prevents the cameras from being judged and what to do about it; None if nothing does."""
        status, t = self._context.status.now, self._context.t
        breaker = self._service.breaker
        if status.problem and not status.is_away:
            return {"title": t("room.not_judging"), "advice": "", "command": "", "why": status.problem}
        if status.is_away:
            why = status.problem or ""
            return {"title": t("room.down"), "advice": t("room.down_advice"), "command": START_COMMAND, "why": why}
        if self._service.problem:
            return {"title": t("room.not_watching"), "advice": "", "command": "", "why": self._service.problem}
        if breaker is not None and breaker.state == "open":
            return {"title": t("room.not_judging"), "advice": "", "command": "", "why": breaker.reason}
        return None
