"""Routing: which change of which event a sink is sent, and which incident it belongs to.

One incident is one notification: an event over several windows, its re-openings within the cooldown, and what
neighbouring cameras of its site see at the same time. What the decision needs of the past is in the deliveries
themselves, so that it outlives restarts; while the store is in trouble, `MemoryHistory` stands in.
"""

from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Protocol

from vigil.alerts.settings import AlertSettings, AnySink
from vigil.errors import UsageError
from vigil.rules.schedule import WeeklySchedule
from vigil.store import StoredChange
from vigil.store.deliveries import Delivery

BEGINNINGS = ("opened", "raised")
"""The changes with which a notification may begin."""

LIVELY = ("opened", "raised", "closed")
"""The changes that keep an incident going; words and marks do not, as they may come long after."""

QUIET = "quiet hours"
MOST_REMEMBERED = 1000


class History(Protocol):
    """What a sink was sent so far; `vigil.store.deliveries.DeliveryHistory` reads it from the store."""

    def of_event(self, event_id: str) -> Delivery | None:
        """The newest delivery about an event."""

    def of_scope(self, scope: str) -> Delivery | None:
        """The delivery of a scope with the newest activity."""

    def first_of(self, incident_id: str) -> Delivery | None:
        """The delivery that began an incident."""

    def revision_of(self, incident_id: str) -> int:
        """The highest revision of an incident."""

    def is_open(self, event_id: str) -> bool:
        """Whether an event is known to go on."""

    def touch(self, delivery: Delivery, active_utc: str) -> None:
        """Records that something happened that belongs to a delivery."""


class MemoryHistory:
    """The newest deliveries of a sink in memory, for the time in which the store cannot be asked."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], Delivery] = {}

    def add(self, delivery: Delivery) -> None:
        """Remembers a delivery, and forgets the oldest of more than a thousand."""
        if delivery.state != "skipped":
            self._kept[delivery.incident_id, delivery.revision] = delivery
        while len(self._kept) > MOST_REMEMBERED:
            del self._kept[next(iter(self._kept))]

    def of_event(self, event_id: str) -> Delivery | None:
        return next((each for each in self._newest() if each.event_id == event_id), None)

    def of_scope(self, scope: str) -> Delivery | None:
        mine = [each for each in self._newest() if each.scope == scope]
        return max(mine, key=lambda each: each.active_utc, default=None)

    def first_of(self, incident_id: str) -> Delivery | None:
        return next((each for each in self._kept.values() if each.incident_id == incident_id), None)

    def revision_of(self, incident_id: str) -> int:
        return max((each.revision for each in self._newest() if each.incident_id == incident_id), default=0)

    def is_open(self, event_id: str) -> bool:
        return False

    def touch(self, delivery: Delivery, active_utc: str) -> None:
        known = self._kept.get((delivery.incident_id, delivery.revision))
        if known is not None and known.active_utc < active_utc:
            self._kept[known.incident_id, known.revision] = replace(known, active_utc=active_utc)

    def _newest(self) -> list[Delivery]:
        return list(self._kept.values())[::-1]


class Router:
    """Decides for one sink."""

    def __init__(self, sink: AnySink, alerts: AlertSettings) -> None:
        self._sink = sink
        self._alerts = alerts
        self._quiet = WeeklySchedule.parse(sink.quiet_hours, timezone=sink.timezone) if sink.quiet_hours else None

    def decide(self, change: StoredChange, history: History) -> Delivery | None:
        """What the sink gets of a change: a delivery, one that is skipped for a reason, or nothing."""
        before = history.of_event(change.event_id)
        if before is not None and before.incident_id:
            return self._follow(change, before, history)
        if change.kind not in BEGINNINGS or not self.wants(change):
            return None
        if self.is_quiet(change.written_utc):
            return self._delivery(change, incident_id="", revision=0, skipped=QUIET)
        return self._begin(change, history)

    def escalate(self, change: StoredChange, history: History, *, now_utc: str) -> Delivery | None:
        """What the sink gets of an event that nobody marked in time; `change` has the present record of the event."""
        if change.record["tier"] not in self._sink.escalate or not self._covers(change):
            return None
        before = history.of_event(change.event_id)
        incident_id = before.incident_id if before is not None and before.incident_id else change.event_id
        opened_utc, change = change.written_utc, replace(change, written_utc=now_utc)
        made = self._delivery(change, incident_id=incident_id, revision=history.revision_of(incident_id) + 1)
        if self.is_quiet(now_utc):
            made = self._delivery(change, incident_id="", revision=0, skipped=QUIET)
        return replace(made, kind="escalated", active_utc=opened_utc if before is None else before.active_utc)

    def wants(self, change: StoredChange) -> bool:
        """Whether the sink gets events such as this one."""
        return change.record["tier"] in self._sink.tiers and self._covers(change)

    def is_quiet(self, when_utc: str) -> bool:
        """Whether a time lies in the sink's quiet hours."""
        return self._quiet is not None and self._quiet.is_open(epoch_s(when_utc))

    def scope_of(self, change: StoredChange) -> str:
        """What may be one incident: a site, or else a camera, and the rule."""
        camera = str(change.record["source"])
        place = self._alerts.site_of(change.camera_id, camera) or change.camera_id or camera
        return f"{place}/{change.record.get('rule') or change.record['task']}"

    def _covers(self, change: StoredChange) -> bool:
        camera, event = str(change.record["source"]), change.record
        names = (change.camera_id, camera, self._alerts.site_of(change.camera_id, camera))
        rules = (event.get("rule") or event["task"], event["task"], event.get("label", ""))
        return _matches(names, self._sink.cameras) and _matches(rules, self._sink.rules)

    def _follow(self, change: StoredChange, before: Delivery, history: History) -> Delivery | None:
        """A further change of an event of which the sink was sent something, or which belongs to such an incident."""
        active_utc = change.written_utc if change.kind in LIVELY else before.active_utc
        history.touch(before, active_utc)
        if not self._sink.sends_updates and not self._outranks(change, before):
            return None
        revision = history.revision_of(before.incident_id) + 1
        made = self._delivery(change, incident_id=before.incident_id, revision=revision)
        return replace(made, active_utc=active_utc)

    def _begin(self, change: StoredChange, history: History) -> Delivery | None:
        """The first notification of an event, or its part in an incident that the sink knows of."""
        running = self._running_incident(change, history)
        if running is None:
            return self._delivery(change, incident_id=change.event_id, revision=1)
        if self._sink.sends_updates or self._outranks(change, running):
            revision = history.revision_of(running.incident_id) + 1
            return self._delivery(change, incident_id=running.incident_id, revision=revision)
        why = f"part of incident {running.incident_id}"
        return self._delivery(change, incident_id=running.incident_id, revision=0, skipped=why)

    def _running_incident(self, change: StoredChange, history: History) -> Delivery | None:
        last = history.of_scope(self.scope_of(change))
        if last is None:
            return None
        is_near = _apart_s(last.active_utc, change.written_utc) <= self._sink.cooldown_s
        if not is_near and not history.is_open(last.event_id):
            return None
        first = history.first_of(last.incident_id) or last
        return last if _apart_s(first.happened_utc, change.written_utc) <= self._sink.incident_max_s else None

    def _outranks(self, change: StoredChange, sent: Delivery) -> bool:
        """Whether what was to be reviewed so far is an alarm now, so that a sink without updates gets that too."""
        rises = change.record["tier"] == "high" and sent.event["tier"] != "high" and change.kind in BEGINNINGS
        return rises and self.wants(change) and not self.is_quiet(change.written_utc)

    def _delivery(self, change: StoredChange, *, incident_id: str, revision: int, skipped: str = "") -> Delivery:
        return Delivery(
            sink=self._sink.name,
            incident_id=incident_id,
            revision=revision,
            event_id=change.event_id,
            camera_id=change.camera_id,
            scope=self.scope_of(change),
            kind=change.kind,
            sequence=change.sequence,
            event=change.record,
            happened_utc=change.written_utc,
            active_utc=change.written_utc,
            state="skipped" if skipped else "waiting",
            detail=skipped,
        )


def _matches(names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, each) for each in patterns for name in names if name)


def epoch_s(utc: str) -> float:
    """A time of the store in seconds since 1970; raises UsageError if it is none."""
    try:
        return datetime.fromisoformat(utc).timestamp()
    except ValueError as error:
        raise UsageError(f"{utc!r} is no time of the store") from error


def _apart_s(one_utc: str, other_utc: str) -> float:
    # A clock that was set back must not make everything that follows part of an old incident.
    return abs(epoch_s(other_utc) - epoch_s(one_utc))
