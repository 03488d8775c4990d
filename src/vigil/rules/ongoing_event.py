"""The open event of a rule: it goes on with windows in which its condition holds, and is closed in one place.

`OngoingEventRule` is what rules with one such event have in common: a rule adds what it counts (`push`) and how it
forgets that (`begin_anew`).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from vigil.events import Event, EventChange, EventWindow, OpenEvent, TierThresholds, new_id
from vigil.rules.late_texts import LateTexts
from vigil.rules.rule import EPSILON_S, LOST_SIGHT, NEVER_S, TOO_LONG, announced_s
from vigil.verdict import JudgedWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOrigin:
    """What all events of a rule at a source have in common."""

    source: str
    rule: str
    tiers: TierThresholds
    task: str = ""
    model: str = ""
    camera_id: str = ""


class OngoingEvent:
    """Opens, continues and closes the events of a rule, at most one of which is open.

    `unknown_timeout_s` without a known window closes it as lost from sight, `max_event_s` after it opened splits it.
    `clock` returns `time.time()`, from which the delay between capture and publication is computed.
    """

    def __init__(
        self,
        *,
        unknown_timeout_s: float,
        max_event_s: float,
        clock: Callable[[], float] = time.time,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self.unknown_timeout_s = unknown_timeout_s
        self.max_event_s = max_event_s
        self.known_until_s = NEVER_S
        self._clock = clock
        self._make_id = make_id
        self._texts = LateTexts()
        self._event: OpenEvent | None = None
        self._opened_at_s = 0.0

    @property
    def open_events(self) -> tuple[Event, ...]:
        """The open event, if there is one."""
        return () if self._event is None else (self._event.snapshot(),)

    @property
    def quiet_s(self) -> float:
        """Seconds of judged footage since the open event's last window; 0 without one."""
        return 0.0 if self._event is None else self._event.quiet_s

    def see(self, judged: JudgedWindow, *, is_known: bool) -> float:
        """Notes a window before anything else is done with it; returns how many seconds of it are new, 0 if unknown."""
        self._texts.keep(judged.window, judged.verdict.text)
        if not is_known:
            return 0.0
        new_s = max(0.0, judged.end_s - max(judged.start_s, self.known_until_s))
        self.known_until_s = max(self.known_until_s, judged.end_s)
        return new_s

    def open(
        self, origin: EventOrigin, evidence: Sequence[EventWindow], judged: JudgedWindow, *, epoch_s: float | None
    ) -> EventChange:
        """Opens an event on these windows; `judged` is the last of them."""
        event = OpenEvent(
            id=self._make_id(),
            source=origin.source,
            camera_id=origin.camera_id,
            tiers=origin.tiers,
            task=origin.task,
            model=origin.model,
            rule=origin.rule,
            epoch_s=epoch_s,
            announced_s=announced_s(judged, clock=self._clock),
        )
        self._event, self._opened_at_s = event, judged.end_s
        self._texts.add_windows(event, evidence)
        return EventChange("opened", event.snapshot())

    def grow(self, evidence: EventWindow) -> list[EventChange]:
        """Adds a window in which the condition holds to the open event."""
        event = self._event
        if event is None:
            return []
        if evidence.end_s - self._opened_at_s > self.max_event_s + EPSILON_S:
            return self.close(TOO_LONG)
        tier = event.tier
        self._texts.add_windows(event, [evidence])
        return [EventChange("grew" if event.tier is tier else "raised", event.snapshot())]

    def wait(self, evidence: EventWindow, *, quiet_s: float) -> None:
        """Holds a window in which the condition does not hold, or is unknown, until the event goes on."""
        if self._event is not None:
            self._event.add_pending(evidence, quiet_s=quiet_s)

    def tick(self, now_s: float) -> list[EventChange]:
        """Closes the event if it is lost from sight at `now_s`."""
        is_lost = now_s - self.known_until_s >= self.unknown_timeout_s - EPSILON_S
        return self.close(LOST_SIGHT) if is_lost else []

    def describe(self, window: int, text: str) -> list[EventChange]:
        """Adds the description of a window, at any time; that of an event's most certain window describes the event."""
        event = self._event
        if event is None or not event.has_window(window):
            return self._texts.describe_closed(window, text)
        return [EventChange("grew", event.snapshot())] if event.describe(window, text) else []

    def close(self, because: str) -> list[EventChange]:
        """Closes the open event."""
        event, self._event = self._event, None
        if event is None:
            return []
        event.close(because)
        self._texts.closed(event)
        return [EventChange("closed", event.snapshot())]

    def finish(self, because: str) -> list[EventChange]:
        """Closes the open event as the source ends; its seconds may begin anew."""
        changes = self.close(because)
        self.known_until_s = NEVER_S
        return changes


class OngoingEventSettings(Protocol):
    """The settings that every rule with an ongoing event has."""

    @property
    def name(self) -> str:
        """The name of the rule, which its events bear."""

    @property
    def tiers(self) -> TierThresholds:
        """From which probability on an event has which tier."""

    @property
    def unknown_timeout_s(self) -> float:
        """So long without a known window ends an event."""

    @property
    def max_event_s(self) -> float:
        """An event that has been open for so long is split."""


S = TypeVar("S", bound=OngoingEventSettings)


class OngoingEventRule(ABC, Generic[S]):
    """A rule at one source that has at most one event, which goes on while its condition holds.

    `epoch_s` is the `time.time()` of second 0 on live sources; `more` is for `OngoingEvent` (its clock, its ids).
    """

    def __init__(
        self,
        settings: S,
        *,
        source: str,
        task: str = "",
        model: str = "",
        epoch_s: float | None = None,
        camera_id: str = "",
        **more: Callable[[], Any],
    ) -> None:
        self.settings = settings
        self.epoch_s = epoch_s
        self._origin = EventOrigin(
            source=source, rule=settings.name, tiers=settings.tiers, task=task, model=model, camera_id=camera_id
        )
        self._ongoing = OngoingEvent(
            unknown_timeout_s=settings.unknown_timeout_s, max_event_s=settings.max_event_s, **more
        )
        self.begin_anew()

    @abstractmethod
    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window; returns the changes, in order."""

    @abstractmethod
    def begin_anew(self) -> None:
        """Forgets the windows so far; the open event is closed by the caller."""

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.settings.name

    @property
    def open_events(self) -> tuple[Event, ...]:
        """The open event, if there is one."""
        return self._ongoing.open_events

    def tick(self, now_s: float) -> list[EventChange]:
        """Closes the open event if it is lost from sight at `now_s`."""
        return self._ongoing.tick(now_s)

    def describe(self, window: int, text: str) -> list[EventChange]:
        """Adds the description of a window, at any time."""
        return self._ongoing.describe(window, text)

    def suspend(self, because: str) -> list[EventChange]:
        """Closes the open event and forgets the windows so far, as the rule does not apply now."""
        self.begin_anew()
        return self._ongoing.close(because)

    def change_to(self, settings: S) -> None:
        """Goes on under other settings from the next window on; an open event stays, and keeps its tiers."""
        self.settings = settings
        self._origin = replace(self._origin, tiers=settings.tiers)
        self._ongoing.unknown_timeout_s = settings.unknown_timeout_s
        self._ongoing.max_event_s = settings.max_event_s

    def finish(self, because: str) -> list[EventChange]:
        """Ends the source and closes the open event; a second call changes nothing."""
        self.begin_anew()
        return self._ongoing.finish(because)
