"""The event that is going on: windows join it, words describe it, and at any moment it can be read as an Event."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from vigil.events.event import Event, Evidence, Tier
from vigil.events.rules import EventRules


@dataclass(slots=True, kw_only=True)
class Incident:
    """An event under construction.

    `waiting` holds the windows since the last that joined: they belong to the event only when another one joins.
    `quiet_s` is how much judged footage since then lies below the threshold to stay.
    """

    id: str
    source: str
    rules: EventRules
    task: str = ""
    model: str = ""
    epoch_s: float | None = None
    camera_id: str = ""
    announced_s: float | None = None
    end_s: float | None = None
    closed_because: str = ""
    windows: list[Evidence] = field(default_factory=list)
    waiting: list[Evidence] = field(default_factory=list)
    quiet_s: float = 0.0
    peak: Evidence | None = None
    text: str = ""
    text_p: float = -1.0
    text_window: int = -1

    def join(self, evidence: Sequence[Evidence]) -> None:
        """Takes in windows, the last of them over the threshold, with those that waited before them."""
        joining = [*self.waiting, *evidence]
        self.windows += joining
        self.waiting.clear()
        self.quiet_s = 0.0
        for each in joining:
            if each.p_alarm is not None and each.p_alarm > self.peak_p:
                self.peak = each

    @property
    def peak_p(self) -> float:
        """The highest probability so far."""
        return -1.0 if self.peak is None or self.peak.p_alarm is None else self.peak.p_alarm

    @property
    def tier(self) -> Tier:
        """The tier of the highest probability so far."""
        return self.rules.tiers.of(self.peak_p)

    def wait(self, evidence: Evidence, *, quiet_s: float) -> None:
        """Notes a window that does not join, with the seconds of quiet footage that it adds."""
        self.waiting.append(evidence)
        self.quiet_s += quiet_s

    def describe(self, window: int, text: str) -> bool:
        """Offers the words of one of its windows; True when they are taken, as it is the surest with words."""
        p = next((e.p_alarm for e in reversed(self.windows) if e.window == window), None)
        if not text or p is None or p < self.text_p or text == self.text:
            return False
        if p == self.text_p and window != self.text_window:
            return False
        self.text, self.text_p, self.text_window = text, p, window
        return True

    def holds(self, window: int) -> bool:
        """Whether a window is part of it."""
        return any(evidence.window == window for evidence in reversed(self.windows))

    def close(self, because: str) -> None:
        """Ends it with its last window."""
        self.end_s = max(evidence.end_s for evidence in self.windows)
        self.closed_because = because
        self.waiting.clear()

    def event(self) -> Event:
        """The event as it stands."""
        peak = self.peak or self.windows[0]
        return Event(
            id=self.id,
            source=self.source,
            camera_id=self.camera_id,
            onset_s=self.windows[0].start_s,
            end_s=self.end_s,
            peak=self.peak_p,
            peak_s=(peak.start_s + peak.end_s) / 2,
            tier=self.tier,
            windows=tuple(self.windows),
            announced_s=self.announced_s,
            epoch_s=self.epoch_s,
            text=self.text,
            task=self.task,
            model=self.model,
            closed_because=self.closed_because,
        )
