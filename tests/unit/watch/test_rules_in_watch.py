"""Several rules of one source in a watch: its state, its store, and the media of what opens long after its onset."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incidents import make_event
from judging import SAMPLING, TASK, no, yes
from scripted_server import Reply, Request, ScriptedServer
from vigil.errors import UsageError
from vigil.events import EventChange
from vigil.judge import Endpoint, Judge
from vigil.report.event_export import as_csv, as_json
from vigil.rules import DurationSettings, HysteresisSettings
from vigil.sources.address import find_sources
from vigil.sources.open_capture import open_capture
from vigil.store import Store
from vigil.watch import Watcher, WatchSettings, media_recorder
from vigil.watch import settings as watch_settings
from vigil.watch.settings import ClipSettings
from watching import Notes, bright_server, film, is_bright, look, watched

FAST = replace(SAMPLING, fps=8.0)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


class Looking(Notes):
    """Notes the state of the source at each change."""

    watch: Watcher

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str, str]] = []

    def on_change(self, change: EventChange) -> None:
        super().on_change(change)
        if change.kind != "grew":
            self.seen.append((change.event.rule, change.kind, self.watch.states["a.mp4"].open_event))


def test_a_source_has_an_open_event_until_the_last_of_its_rules_has_closed_its_own(
    server: ScriptedServer, tmp_path: Path
) -> None:
    notes = Looking()
    rules = (HysteresisSettings(quiet_s=3.0), DurationSettings(name="long", for_s=6.0, gap_s=8.0))
    source = film(tmp_path / "a.mp4", seconds=32, bright=[(6, 16)])
    with Store.open(tmp_path / "e.db") as store:
        summary = asyncio.run(
            watched(
                server,
                [source],
                notes,
                store=store,
                describe="never",
                rules=rules,
                on_start=lambda watch: setattr(notes, "watch", watch),
            )
        )
        # The first window whose last picture is bright begins at second 4.
        assert {event.rule: event.onset_s for event in store.events.find()} == {"t": 4.0, "long": 4.0}
        assert {change.event.rule for change in store.changes.after(0)} == {"t", "long"}
    assert notes.seen == [
        ("t", "opened", "high"),
        ("long", "opened", "high"),
        ("t", "closed", "high"),
        ("long", "closed", ""),
    ]
    assert summary.events == 2


def test_the_rule_of_an_event_is_stored_and_exported_and_old_ones_have_none(tmp_path: Path) -> None:
    with Store.open(tmp_path / "e.db") as store:
        event = make_event(rule="loitering")
        store.events.save(event, session=None)
        found = store.events.get(event.id)
        assert found.rule == "loitering" and store.changes.after(0)[0].event.rule == "loitering"
        assert json.loads(as_json([found], {}, {}))[0]["rule"] == "loitering"
        header, row = as_csv([found], {}, {}).splitlines()[:2]
        assert dict(zip(header.lstrip("\ufeff").split(","), row.split(","), strict=False))["rule"] == "loitering"
    with sqlite3.connect(tmp_path / "e.db") as connection:
        connection.execute("UPDATE changes SET event = json_remove(event, '$.rule')")
    connection.close()
    with Store.open(tmp_path / "e.db") as store:
        assert store.changes.after(0)[0].event.rule == ""


def test_rules_that_do_not_fit_the_question_are_refused_before_anything_is_watched(
    server: ScriptedServer, tmp_path: Path
) -> None:
    rules = (DurationSettings(name="people", label="present"),)
    with pytest.raises(UsageError, match="the rule people is about a label 'present'"):
        asyncio.run(watched(server, [film(tmp_path / "a.mp4", seconds=4)], Notes(), rules=rules))


def test_a_live_event_that_opens_long_after_its_onset_has_a_clip_of_the_time_around_its_alarm(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_settings, "CUT_WITHIN_S", 1.0)
    monkeypatch.setattr(media_recorder, "CUT_SOON_S", 0.0)
    source = film(tmp_path / "a.mp4", seconds=14, bright=[(0, 14)])
    cut: list[tuple[float, float]] = []

    def opener(*words: Any, **named: Any) -> Any:
        feed = open_capture(*words, **named)
        clip = feed.footage.clip

        def noted(path: Path, *, from_s: float, to_s: float) -> None:
            cut.append((from_s, to_s))
            clip(path, from_s=from_s, to_s=to_s)

        feed.footage.clip = noted  # type: ignore[method-assign]
        return feed

    async def run(store: Store, notes: Notes) -> None:
        made = WatchSettings(
            realtime=True,
            describe="never",
            clips=ClipSettings(before_s=0.5, after_s=0.5, max_s=2.0),
            rules=(DurationSettings(name="long", for_s=5.0),),
        )
        async with await Judge.connect(Endpoint(url=server.url), TASK, FAST, media="video", alarm_from=0.75) as judge:
            addresses = find_sources([str(source)])
            await Watcher(addresses, judge=judge, settings=made, store=store, observers=[notes], opener=opener).run()

    notes = Notes()
    with Store.open(tmp_path / "e.db") as store:
        asyncio.run(run(store, notes))
        [event] = store.events.find()
        assert {file.kind for file in store.media.of_event(event.id)} == {"snapshots", "clips"}
    [(from_s, to_s)] = cut
    assert event.onset_s == 0.0 and event.announced_s is not None and event.announced_s >= 5.0
    # It opened when it was told; half of the clip is from before that.
    assert from_s == pytest.approx(event.announced_s - 1.0, abs=0.5) and to_s - from_s <= 2.0


PEOPLE = """
name: people
question: Is somebody at the gate?
alarm_word: 'Yes'
normal_word: 'No'
"""


def test_a_rule_about_another_question_has_each_window_asked_about_it_too(
    server: ScriptedServer, tmp_path: Path
) -> None:
    def reply(request: Request) -> Reply:
        # Somebody is there while the picture is dark, which is when nothing else alarms.
        return (no() if is_bright(request) else yes(-0.02, -4.0)) if "gate" in request.text else look(request)

    server.default = reply
    (tmp_path / "people.yaml").write_text(PEOPLE)
    standing = DurationSettings(name="standing", question=str(tmp_path / "people.yaml"), for_s=4.0, gap_s=2.0)
    source = film(tmp_path / "a.mp4", seconds=24, bright=[(10, 16)])
    notes = Notes()
    with Store.open(tmp_path / "e.db") as store:
        asyncio.run(
            watched(server, [source], notes, store=store, describe="never", rules=(HysteresisSettings(), standing))
        )
        onsets = {(event.rule, event.onset_s) for event in store.events.find()}
    assert {rule for rule, _ in onsets} == {"t", "standing"} and len(onsets) == 3
    assert ("standing", 0.0) in onsets
    assert all(each.answers.keys() == {"t", "people"} for each in notes.told_)
    asked = {chat.text for chat in server.chats if chat.body["max_tokens"] == 1}
    assert asked == {TASK.text, "Is somebody at the gate?"}
    assert len([chat for chat in server.chats if "gate" in chat.text]) == len(notes.told_)
