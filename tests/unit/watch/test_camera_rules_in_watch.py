"""Rules of single cameras in a watch: which apply, when, with which thresholds; changed while an event is open."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from judging import SAMPLING, TASK
from scripted_server import ScriptedServer
from vigil.errors import UsageError
from vigil.judge import Endpoint, Judge
from vigil.rules import CameraRules, DurationSettings, HysteresisSettings
from vigil.rules.camera_rules import OwnThresholds, OwnTiers
from vigil.sources.address import Address, SourceEntry, find_sources
from vigil.store import Store
from vigil.verdict import JudgedWindow
from vigil.watch import Watcher, WatchSettings
from vigil.watch.run import run_watch
from waiting import HANG_S
from watching import Notes, bright_server, film

FAST = replace(SAMPLING, fps=8.0)
BRAWL = HysteresisSettings(name="brawl")
LONG = DurationSettings(name="long", for_s=3.0)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


def hours(from_h: int, to_h: int) -> str:
    """A schedule in UTC that is open between so many hours from now."""
    now = datetime.now(UTC)
    start, end = (now + timedelta(hours=each) for each in (from_h, to_h))
    return f"{start:%H:%M}-{end:%H:%M}"


AWAY = CameraRules(schedule=hours(2, 4), timezone="UTC")
NOW = CameraRules(schedule=hours(-2, 2), timezone="UTC")


async def watched(
    server: ScriptedServer, addresses: list[Address], notes: Notes, *, store: Store | None = None, **settings: object
) -> None:
    made = WatchSettings(deadline_s=HANG_S, describe="never", rules=(BRAWL, LONG), **settings)  # type: ignore[arg-type]
    endpoint = Endpoint(url=server.url)
    async with await Judge.connect(endpoint, TASK, FAST, media="video", deadline_s=HANG_S, retries=0) as judge:
        watch = Watcher(addresses, judge=judge, settings=made, store=store, observers=[notes])
        if isinstance(notes, Changing):
            notes.watch = watch
        await watch.run()


def bright(path: Path, *, seconds: float = 6) -> Address:
    [address] = find_sources([str(film(path, seconds=seconds, bright=[(0, seconds)]))])
    return address


def test_each_camera_has_its_rules_and_outside_of_its_schedule_it_is_judged_and_nothing_opens(
    server: ScriptedServer, tmp_path: Path
) -> None:
    all_, one, away = (bright(tmp_path / name) for name in ("all.mp4", "one.mp4", "away.mp4"))
    strict = OwnThresholds(rule="brawl", tiers=OwnTiers(low=0.999, medium=0.999, high=0.999))
    chosen = CameraRules(rules=("long",), thresholds=(strict,), schedule=NOW.schedule, timezone="UTC")
    notes = Notes()
    with Store.open(tmp_path / "e.db") as store:
        addresses = [all_, replace(one, rules=chosen), replace(away, rules=AWAY)]
        asyncio.run(watched(server, addresses, notes, store=store, realtime=True))
        assert {(each.source, each.rule) for each in store.events.find()} == {
            ("all.mp4", "brawl"),
            ("all.mp4", "long"),
            ("one.mp4", "long"),
        }
        kept = {camera.name: camera.rules for camera in store.cameras.all()}
        assert kept == {"all.mp4": "", "one.mp4": chosen.to_text(), "away.mp4": AWAY.to_text()}
    judged = {each.source for each in notes.judged_ if each.verdict.p_alarm is not None}
    assert judged == {"all.mp4", "one.mp4", "away.mp4"}


def test_thresholds_of_a_camera_decide_what_is_an_alarm_there(server: ScriptedServer, tmp_path: Path) -> None:
    strict = OwnThresholds(rule="brawl", tiers=OwnTiers(low=0.999, medium=0.999, high=0.999))
    address = replace(bright(tmp_path / "a.mp4"), rules=CameraRules(rules=("brawl",), thresholds=(strict,)))
    notes = Notes()
    asyncio.run(watched(server, [address], notes))
    assert notes.changes == [] and {str(each.verdict.outcome) for each in notes.judged_} == {"normal"}


@dataclass
class Changing(Notes):
    """Changes the rules of a source as soon as a rule has opened an event there."""

    chosen: CameraRules = field(default_factory=CameraRules)
    opened_by: str = "brawl"
    watch: Watcher | None = None

    def on_verdict(self, judged: JudgedWindow) -> None:
        super().on_verdict(judged)
        if any(change.event.rule == self.opened_by for change in self.changes) and self.watch is not None:
            self.watch.rules_of(judged.source).change_to(self.chosen)
            self.watch = None


def told(notes: Notes, rule: str) -> list[tuple[str, str]]:
    return [
        (each.kind, each.event.closed_because)
        for each in notes.changes
        if each.event.rule == rule and each.kind in ("opened", "closed")
    ]


def test_a_change_while_an_event_is_open_keeps_it_unless_its_rule_goes(server: ScriptedServer, tmp_path: Path) -> None:
    quick = OwnThresholds(rule="brawl", quiet_s=1.0, k=3)
    notes = Changing(chosen=CameraRules(rules=("brawl",), thresholds=(quick,)), opened_by="long")
    asyncio.run(watched(server, [bright(tmp_path / "a.mp4", seconds=12)], notes))
    assert told(notes, "brawl") == [("opened", ""), ("closed", "the source ended")]
    assert told(notes, "long") == [("opened", ""), ("closed", "the rule was taken from the camera")]


def test_a_schedule_that_is_set_while_an_event_is_open_closes_it(server: ScriptedServer, tmp_path: Path) -> None:
    notes = Changing(chosen=AWAY)
    asyncio.run(watched(server, [bright(tmp_path / "a.mp4", seconds=8)], notes, realtime=True))
    assert told(notes, "brawl") == [("opened", ""), ("closed", "the schedule ended")]


def test_rules_in_the_store_hold_after_a_restart_and_those_that_are_gone_leave_no_camera_silent(
    server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = bright(tmp_path / "a.mp4")
    found = {}
    with Store.open(tmp_path / "e.db") as store:
        for text in ('{"rules":["long"]}', '{"rules":["fire"]}'):
            before = {event.id for event in store.events.find()}
            asyncio.run(watched(server, [address], Notes(), store=store))
            camera = store.cameras.all()[0]
            found[camera.rules] = {event.rule for event in store.events.find() if event.id not in before}
            store.cameras.set_rules(camera.id, text)
        before = {event.id for event in store.events.find()}
        asyncio.run(watched(server, [address], Notes(), store=store))
        found["fire"] = {event.rule for event in store.events.find() if event.id not in before}
    assert found == {"": {"brawl", "long"}, '{"rules":["long"]}': {"long"}, "fire": {"brawl", "long"}}
    assert "a.mp4: there is no rule 'fire'; there are: brawl, long" in caplog.text


def test_a_rule_that_there_is_not_ends_a_watch_before_it_begins(server: ScriptedServer, tmp_path: Path) -> None:
    """The first rule has no name of its own, so it is the task's, which the settings do not know."""
    path = film(tmp_path / "a.mp4", seconds=3)
    entry = SourceEntry(url=str(path), rules=("loitering",))
    settings = WatchSettings(sources=(entry,), url=server.url, task="fight", store="")
    with pytest.raises(UsageError, match=r"a.mp4: there is no rule 'loitering'; there are: fight"):
        asyncio.run(run_watch(settings))
