"""Which change a sink is sent: one incident is one notification."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from alerting import alarm, webhook
from vigil.alerts.routing import MemoryHistory, Router
from vigil.alerts.settings import AlertSettings, CommandSettings, SiteSettings
from vigil.events import Event, Tier
from vigil.store import StoredChange
from vigil.store.changes import StoredKind
from vigil.store.deliveries import Delivery
from vigil.store.event_record import event_record
from vigil.store.times import format_utc

MONDAY_S = 1_795_996_800.0
"""2026-11-30 00:00 UTC."""


class Told:
    """What one sink is sent of changes, one after another."""

    def __init__(self, *, sites: Sequence[SiteSettings] = (), updates: bool = False, **settings: Any) -> None:
        common = {"name": "s", "updates": updates} | settings
        sink = webhook("http://h.example/", **common) if updates else CommandSettings(argv=("true",), **common)
        self._router = Router(sink, AlertSettings(sinks=(sink,), sites=tuple(sites)))
        self._history = MemoryHistory()
        self.skipped: list[Delivery] = []

    def of(self, event: Event, kind: StoredKind = "opened", *, at_s: float = 0.0) -> tuple[str, int] | None:
        """The incident and revision that the sink is sent of a change at so many seconds; None for nothing."""
        change = StoredChange(
            sequence=1,
            kind=kind,
            event_id=event.id,
            camera_id=event.camera_id,
            record=event_record(event),
            written_utc=format_utc(MONDAY_S + at_s),
        )
        made = self._router.decide(change, self._history)
        if made is None or made.state == "skipped":
            self.skipped += [] if made is None else [made]
            if made is not None and made.incident_id:
                self._history.add(replace(made, state="waiting"))
            return None
        self._history.add(made)
        return made.incident_id, made.revision


def test_only_the_high_tier_goes_out_unless_the_policy_says_otherwise() -> None:
    low, medium, high = (alarm(tier=tier) for tier in Tier)
    told = Told(cooldown_s=0.0)
    assert [told.of(each) for each in (low, medium, high)] == [None, None, (high.id, 1)]
    everything = Told(tiers=("low", "medium"), cooldown_s=0.0)
    assert [everything.of(each, at_s=n) for n, each in enumerate((low, medium, high))] == [
        (low.id, 1),
        (medium.id, 1),
        None,
    ]


def test_an_event_goes_out_when_its_tier_rises_to_one_that_does() -> None:
    told, event = Told(), alarm(tier=Tier.MEDIUM)
    assert told.of(event) is None
    assert told.of(replace(event, tier=Tier.HIGH), "raised", at_s=4.0) == (event.id, 1)


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"cameras": ("door",)}, True),
        ({"cameras": ("cam_1",)}, True),
        ({"cameras": ("do*",)}, True),
        ({"cameras": ("yard",)}, False),
        ({"cameras": ("gate",), "sites": [SiteSettings(name="gate", cameras=("door",))]}, True),
        ({"rules": ("fight",)}, True),
        ({"rules": ("brawl",)}, True),
        ({"rules": ("loitering",)}, False),
    ],
)
def test_a_sink_gets_the_cameras_and_rules_that_it_names(settings: dict[str, Any], sent: bool) -> None:
    event = alarm(camera_id="cam_1", rule="brawl")
    assert (Told(**settings).of(event) is not None) is sent


def test_nothing_begins_in_quiet_hours_of_the_sinks_time_zone() -> None:
    told = Told(quiet_hours="22:00-06:00", timezone="Asia/Shanghai", cooldown_s=0.0)
    events = [alarm() for _ in range(3)]
    # Midnight UTC is 08:00 there.
    assert told.of(events[0], at_s=0.0) == (events[0].id, 1)
    assert told.of(events[1], at_s=14 * 3600.0) is None
    assert [each.detail for each in told.skipped] == ["quiet hours"]
    assert told.of(events[2], at_s=22 * 3600.0) == (events[2].id, 1)


@pytest.mark.parametrize("updates", [False, True])
def test_what_opens_again_within_the_cooldown_belongs_to_the_incident(updates: bool) -> None:
    told = Told(updates=updates, cooldown_s=60.0)
    first, again, later = alarm(), alarm(), alarm()
    assert told.of(first) == (first.id, 1)
    closed = told.of(replace(first, end_s=200.0), "closed", at_s=200.0)
    reopened = told.of(again, at_s=230.0)
    assert (closed, reopened) == (((first.id, 2), (first.id, 3)) if updates else (None, None))
    assert told.of(later, at_s=330.0) == (later.id, 1)


def test_a_long_incident_is_notified_of_again() -> None:
    told = Told(cooldown_s=60.0, incident_max_s=100.0)
    events = [alarm() for _ in range(4)]
    assert [told.of(event, at_s=50.0 * n) for n, event in enumerate(events)] == [
        (events[0].id, 1),
        None,
        None,
        (events[3].id, 1),
    ]


def test_what_neighbouring_cameras_see_is_one_incident_and_what_others_see_another() -> None:
    told = Told(sites=[SiteSettings(name="gate", cameras=("c1", "c2"))])
    one, two, other = alarm(source="c1"), alarm(source="c2"), alarm(source="c3")
    assert [told.of(each, at_s=n) for n, each in enumerate((one, two, other))] == [(one.id, 1), None, (other.id, 1)]
    assert [each.detail for each in told.skipped] == [f"part of incident {one.id}"]


def test_two_rules_of_one_camera_are_two_incidents() -> None:
    told = Told()
    fight, loitering = alarm(rule="fight"), alarm(rule="loitering")
    assert [told.of(each) for each in (fight, loitering)] == [(fight.id, 1), (loitering.id, 1)]


def test_an_incident_that_was_to_be_reviewed_and_is_an_alarm_now_goes_out_again() -> None:
    told = Told(tiers=("medium", "high"))
    event, neighbour = alarm(tier=Tier.MEDIUM), alarm(tier=Tier.HIGH)
    assert told.of(event) == (event.id, 1)
    assert told.of(replace(event, text="words"), "described", at_s=1.0) is None
    assert told.of(neighbour, at_s=2.0) == (event.id, 2)
    assert told.of(alarm(tier=Tier.HIGH), at_s=3.0) is None


def test_a_clock_that_was_set_back_silences_no_camera() -> None:
    told = Told()
    first, second = alarm(), alarm()
    assert told.of(first, at_s=7200.0) == (first.id, 1)
    assert told.of(second, at_s=0.0) == (second.id, 1)


def test_a_mark_or_words_that_come_later_silence_no_new_alarm() -> None:
    told, first, second = Told(updates=True), alarm(), alarm()
    assert told.of(first) == (first.id, 1)
    assert told.of(replace(first, end_s=5.0), "closed", at_s=5.0) == (first.id, 2)
    assert told.of(replace(first, text="late"), "described", at_s=90.0) == (first.id, 3)
    assert told.of(first, "marked", at_s=100.0) == (first.id, 4)
    assert told.of(second, at_s=110.0) == (second.id, 1)
