"""Verdicts in, changes of events out: hysteresis, so that one incident is one event.

    tracker = Tracker(EventRules(), source="door", task="fight", model="m", epoch_s=time.time())
    for change in tracker.push(judged):
        store.save_event(change.event)
    ...
    tracker.finish("stopped")

A rest at the end of a run may extend an event, never open one.
Unknown verdicts count neither way: they neither open nor close anything, until nothing has been known for `lost_s`.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

from vigil.events.change import Change
from vigil.events.event import Event, Evidence
from vigil.events.identifier import new_id
from vigil.events.incident import Incident
from vigil.events.judged import Judged
from vigil.events.rules import EventRules

QUIET = "quiet"
LOST_SIGHT = "lost sight"
TOO_LONG = "split after max_event_s"

EARLY_WORDS = 64
"""Descriptions kept for windows that belong to no event (yet)."""

LATE_EVENTS = 256
"""Closed events that may still get their words: in a file the verdicts run far ahead of the words."""

EPSILON_S = 1e-6


class Tracker:
    """The events of one source; at most one is open.

    Windows are pushed in order. `epoch_s` is the `time.time()` of second 0 on live sources. `clock` tells
    `time.time()`, for the seconds between capture and announcement.
    """

    def __init__(
        self,
        rules: EventRules,
        *,
        source: str,
        task: str = "",
        model: str = "",
        epoch_s: float | None = None,
        camera_id: str = "",
        clock: Callable[[], float] = time.time,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self.rules = rules
        self.source = source
        self.task = task
        self.model = model
        self.epoch_s = epoch_s
        self.camera_id = camera_id
        self._clock = clock
        self._make_id = make_id
        self._incident: Incident | None = None
        self._closed: deque[Incident] = deque(maxlen=LATE_EVENTS)
        self._words: dict[int, str] = {}
        self._since_over: list[Evidence] = []
        self._seen_until_s = 0.0
        self._known_until_s = 0.0
        self._first: list[Judged] = []
        self._pushed = 0

    @property
    def open_event(self) -> Event | None:
        """The event that is going on."""
        return None if self._incident is None else self._incident.event()

    def push(self, judged: Judged) -> list[Change]:
        """Takes the next window's verdict; returns what changed, in order."""
        evidence = Evidence(
            window=judged.window,
            start_s=judged.start_s,
            end_s=judged.end_s,
            p_alarm=self.rules.weight(judged.verdict),
        )
        self._remember(judged)
        known = evidence.p_alarm is not None
        changes = self.tick(evidence.start_s if known else evidence.end_s)
        new_footage_s = evidence.end_s - max(evidence.start_s, self._seen_until_s)
        self._seen_until_s = max(self._seen_until_s, evidence.end_s)
        if known:
            self._known_until_s = evidence.end_s
        changes += self._split(evidence)
        if self._incident is None:
            # A rest shows the frames of the window before it once more: that is no second vote.
            return changes if judged.rest else changes + self._try_to_open(evidence, judged)
        return changes + self._go_on(self._incident, evidence, new_footage_s=max(0.0, new_footage_s))

    def describe(self, window: int, text: str) -> list[Change]:
        """Gives the words of a window, whenever they come; those of an event's surest window describe it."""
        for incident in (*([self._incident] if self._incident else []), *self._closed):
            if incident.holds(window):
                return [Change("grew", incident.event())] if incident.describe(window, text) else []
        self._keep_words(window, text)
        return []

    def tick(self, now_s: float) -> list[Change]:
        """Tells what second of the source it is, for the times when no window comes at all."""
        if self._incident is None or now_s - self._known_until_s < self.rules.lost_s:
            return []
        return self._close(LOST_SIGHT)

    def finish(self, because: str) -> list[Change]:
        """Ends the source: closes what is open; a second call changes nothing.

        A source of fewer than `k` windows in all (a short clip; a rest does not count) makes an event when every known
        one is over the threshold.
        """
        changes = self._close(because) if self._incident else self._judge_short_source(because)
        self._since_over.clear()
        self._first.clear()
        self._pushed = 0
        self._seen_until_s = self._known_until_s = 0.0
        return changes

    def _remember(self, judged: Judged) -> None:
        self._pushed += not judged.rest
        if self._pushed < self.rules.k:
            self._first.append(judged)
        else:
            self._first.clear()
        if judged.verdict.text:
            self._keep_words(judged.window, judged.verdict.text)

    def _keep_words(self, window: int, text: str) -> None:
        self._words[window] = text
        while len(self._words) > EARLY_WORDS:
            del self._words[next(iter(self._words))]

    def _is_over(self, evidence: Evidence) -> bool:
        return evidence.p_alarm is not None and evidence.p_alarm >= self.rules.tiers.low

    def _try_to_open(self, evidence: Evidence, judged: Judged) -> list[Change]:
        self._since_over.append(evidence)
        forgotten_s = evidence.start_s - self.rules.lost_s
        known = [e for e in self._since_over if e.p_alarm is not None and e.end_s > forgotten_s][-self.rules.n :]
        over = [e for e in known if self._is_over(e)]
        if len(over) >= self.rules.k:
            return [self._open(self._from(over[0]), judged)]
        self._since_over = self._from(over[0]) if over else []
        return []

    def _from(self, first: Evidence) -> list[Evidence]:
        return self._since_over[self._since_over.index(first) :]

    def _open(self, evidence: Sequence[Evidence], judged: Judged) -> Change:
        incident = Incident(
            id=self._make_id(),
            source=self.source,
            camera_id=self.camera_id,
            rules=self.rules,
            task=self.task,
            model=self.model,
            epoch_s=self.epoch_s,
            announced_s=self._announced_s(judged),
        )
        self._incident = incident
        self._since_over = []
        self._take(incident, evidence)
        return Change("opened", incident.event())

    def _announced_s(self, judged: Judged) -> float:
        if judged.captured_s is None:
            return judged.end_s + judged.verdict.latency_ms / 1000.0
        return judged.end_s + max(0.0, self._clock() - judged.captured_s)

    def _take(self, incident: Incident, evidence: Sequence[Evidence]) -> None:
        before = len(incident.windows)
        incident.join(evidence)
        for each in incident.windows[before:]:
            incident.describe(each.window, self._words.pop(each.window, ""))

    def _go_on(self, incident: Incident, evidence: Evidence, *, new_footage_s: float) -> list[Change]:
        if evidence.p_alarm is None:
            incident.wait(evidence, quiet_s=0.0)
            return []
        if evidence.p_alarm < self.rules.stay:
            incident.wait(evidence, quiet_s=new_footage_s)
            return self._close(QUIET) if incident.quiet_s >= self.rules.quiet_s - EPSILON_S else []
        tier = incident.tier
        self._take(incident, [evidence])
        return [Change("grew" if incident.tier is tier else "raised", incident.event())]

    def _split(self, evidence: Evidence) -> list[Change]:
        """Ends an endless event before a window that would stretch it past the limit; the next opens as any."""
        incident = self._incident
        joins = evidence.p_alarm is not None and evidence.p_alarm >= self.rules.stay
        if incident is None or not joins:
            return []
        lasts_s = evidence.end_s - incident.windows[0].start_s
        return self._close(TOO_LONG) if lasts_s > self.rules.max_event_s + EPSILON_S else []

    def _close(self, because: str) -> list[Change]:
        incident = self._incident
        if incident is None:
            return []
        incident.close(because)
        self._incident = None
        self._closed.append(incident)
        return [Change("closed", incident.event())]

    def _judge_short_source(self, because: str) -> list[Change]:
        evidence = [
            Evidence(window=j.window, start_s=j.start_s, end_s=j.end_s, p_alarm=self.rules.weight(j.verdict))
            for j in self._first
        ]
        known = [e for e in evidence if e.p_alarm is not None]
        if not known or not all(map(self._is_over, known)):
            return []
        between = evidence[evidence.index(known[0]) : evidence.index(known[-1]) + 1]
        return [self._open(between, self._first[-1]), *self._close(because)]
