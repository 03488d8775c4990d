"""The count rule over a site: so many incidents within a time, at any of its cameras, make one event.

    tally = SiteTally()
    door, yard = (SiteCountRule(settings, source=name, task="fight", epoch_s=..., tally=tally) for name in (...))

Each camera of the site has a rule of its own, which finds the incidents there as `CountRule` does; all of them count
into one tally, by the clock on the wall. The event is one of the camera whose incident made them enough, and its text
names the cameras. While it is open, no other camera of the site opens one. A source without a clock (a file) is not
counted.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vigil.events import EventChange, EventWindow
from vigil.rules.condition import sight_of
from vigil.rules.count import CountSettings
from vigil.rules.ongoing_event import OngoingEventRule
from vigil.rules.rule import EPSILON_S, QUIET
from vigil.verdict import JudgedWindow

log = logging.getLogger(__name__)


class SiteTally:
    """When incidents began at the cameras of a site (`time.time()`), and whose rule has the open event; thread-safe."""

    def __init__(self) -> None:
        self._begins: set[tuple[float, str]] = set()
        self._holder: object | None = None
        self._lock = threading.Lock()

    def note(self, at_s: float, camera: str) -> None:
        """Counts an incident; one that was counted before, as when a rule goes on after a restart, counts once."""
        with self._lock:
            self._begins.add((round(at_s, 3), camera))

    def since(self, from_s: float) -> list[tuple[float, str]]:
        """The incidents that began after a time, oldest first; older ones are forgotten."""
        with self._lock:
            self._begins = {each for each in self._begins if each[0] > from_s + EPSILON_S}
            return sorted(self._begins)

    def take(self, holder: object) -> bool:
        """Whether a rule may open the event of the site, which it then has until `release`."""
        with self._lock:
            if self._holder is None:
                self._holder = holder
            return self._holder is holder

    def release(self, holder: object) -> None:
        """Lets others open the next event, if this rule has the one that is over."""
        with self._lock:
            if self._holder is holder:
                self._holder = None


class SiteTallies:
    """The tallies of all rules of a watch that count over a site."""

    def __init__(self, rules: Sequence[object]) -> None:
        self._by_rule = {
            (rule.site, rule.name): SiteTally() for rule in rules if isinstance(rule, CountSettings) and rule.site
        }

    def of_site(self, site: str) -> dict[str, SiteTally]:
        """Those of one site, by the names of the rules."""
        return {name: tally for (of, name), tally in self._by_rule.items() if of == site}


class SiteCountRule(OngoingEventRule[CountSettings]):
    """The part of one camera in the count over its site; windows are pushed in order."""

    def __init__(self, settings: CountSettings, *, tally: SiteTally, **more: Any) -> None:
        self._tally = tally
        self._cameras: Sequence[str] = ()
        self._has_warned = False
        super().__init__(settings, **more)

    def begin_anew(self) -> None:
        """Forgets what is going on at this camera; the incidents of the site still count."""
        self._held: list[EventWindow] = []
        self._is_on = False
        self._off_s = 0.0

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window; returns the changes, in order."""
        if self.epoch_s is None:
            self._warn_no_clock()
            return []
        sight = sight_of(self.settings.terms, judged, task=self._origin.task, tiers=self.settings.tiers)
        is_known = sight.holds is not None
        changes = self.tick(judged.start_s if is_known else judged.end_s)
        new_s = self._ongoing.see(judged, is_known=is_known)
        evidence = EventWindow(window=judged.window, start_s=judged.start_s, end_s=judged.end_s, p_alarm=sight.p)
        if sight.holds is False:
            self._off_s += new_s
            self._is_on = self._is_on and self._off_s < self.settings.gap_s - EPSILON_S
        elif sight.holds:
            changes += self._named(self._count(evidence, judged, epoch_s=self.epoch_s))
        return changes

    def tick(self, now_s: float) -> list[EventChange]:
        """Closes the event if too few incidents are left at `now_s`, or the camera that has it is lost from sight."""
        self._held = [each for each in self._held if each.start_s > now_s - self.settings.within_s + EPSILON_S]
        if not self._ongoing.open_events or self.epoch_s is None:
            return []
        changes = self._ongoing.tick(now_s)
        if not changes and len(self._tally.since(self.epoch_s + now_s - self.settings.within_s)) < self.settings.times:
            changes = self._ongoing.close(QUIET)
        return self._named(changes)

    def describe(self, window: int, text: str) -> list[EventChange]:
        """Adds the description of a window, at any time."""
        return self._named(super().describe(window, text))

    def suspend(self, because: str) -> list[EventChange]:
        """Closes the open event, as the rule does not apply at this camera now."""
        return self._named(super().suspend(because))

    def finish(self, because: str) -> list[EventChange]:
        """Ends the source and closes the open event; a second call changes nothing."""
        return self._named(super().finish(because))

    def _count(self, evidence: EventWindow, judged: JudgedWindow, *, epoch_s: float) -> list[EventChange]:
        if not self._is_on:
            self._tally.note(epoch_s + evidence.start_s, self._origin.source)
        self._is_on, self._off_s = True, 0.0
        self._held.append(evidence)
        if self._ongoing.open_events:
            return self._ongoing.grow(evidence)
        counted = self._tally.since(epoch_s + evidence.start_s - self.settings.within_s)
        if len(counted) < self.settings.times or not self._tally.take(self):
            return []
        self._cameras = list(dict.fromkeys(camera for _, camera in counted))
        return [self._ongoing.open(self._origin, self._held, judged, epoch_s=self.epoch_s)]

    def _named(self, changes: Sequence[EventChange]) -> list[EventChange]:
        """The changes with the cameras in the text of the event; once it is closed, others may open the next."""
        if any(change.kind == "closed" for change in changes):
            self._tally.release(self)
        names = f"{self.settings.site}: {', '.join(self._cameras)}"
        return [
            replace(change, event=replace(change.event, text="; ".join(filter(None, (names, change.event.text)))))
            for change in changes
        ]

    def _warn_no_clock(self) -> None:
        if not self._has_warned:
            log.warning(
                "%s: the rule %s counts over a site by the wall clock, and a file has none: it does not run here",
                self._origin.source,
                self.name,
            )
        self._has_warned = True
