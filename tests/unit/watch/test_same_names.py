"""Two sources of one name share nothing in a store: no claim, no recovery, no watch, no history."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from incidents import make_event
from scripted_server import ScriptedServer
from vigil.report.event_export import as_csv, as_json
from vigil.sources.address import find_sources
from vigil.sources.source_identity import identity_of
from vigil.store import CameraRecord, EventFilter, Store
from vigil.watch import WatchSettings
from vigil.watch.cameras import CameraList, names_in, renamed_in
from vigil.watch.file_outputs import JsonLinesWriter
from vigil.watch.observers import VerdictHistory
from vigil.watch.prometheus import PrometheusMetrics
from vigil.watch.run import run_watch
from vigil.watch.store_writer import StoreWriter
from watching import Notes, bright_server, film, watched


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Two files of one name."""
    for folder in "ab":
        (tmp_path / folder).mkdir()
    return [film(tmp_path / folder / "clip.mp4", seconds=24, bright=[(6, 14)]) for folder in "ab"]


def begin(keeping: StoreWriter, path: Path) -> "asyncio.Task[bool]":
    identity = identity_of(find_sources([str(path)])[0])
    camera = CameraRecord(id="", name="clip.mp4", identity=identity)
    return keeping.start_session("clip.mp4", epoch_s=None, model="m", task="fight", contract="c", camera=lambda: camera)


def test_what_is_open_of_one_is_not_closed_by_the_watch_of_another(
    server: ScriptedServer, tmp_path: Path, clips: list[Path]
) -> None:
    async def leave_open(store: Store) -> None:
        keeping = StoreWriter(store)
        await begin(keeping, clips[0])
        assert await keeping.save_event(make_event(id="left", source="clip.mp4"), unpublished="opened")
        await keeping.close()

    notes = Notes()
    with Store.open(tmp_path / "e.db") as store:
        asyncio.run(leave_open(store))
    with Store.open(tmp_path / "e.db") as store:
        asyncio.run(watched(server, [clips[1]], Notes(), store=store, describe="never"))
        assert [event.id for event in store.events.find_open()] == ["left"], "it is of another file"
        asyncio.run(watched(server, [clips[0]], notes, store=store, describe="never"))
        assert store.events.find_open() == [] and store.events.get("left").closed_because == "the watcher stopped"


def test_both_can_be_watched_at_once(tmp_path: Path, clips: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with Store.open(tmp_path / "e.db") as one, Store.open(tmp_path / "e.db") as other:
            for store, path in ((one, clips[0]), (other, clips[1])):
                keeping = StoreWriter(store)
                await begin(keeping, path)
                assert await keeping.save_event(make_event(id=path.parent.name, source="clip.mp4"))
                await keeping.close()
            assert len(one.events.find_open()) == 2

    asyncio.run(run())
    assert "watched into this store already" not in caplog.text


def test_each_has_a_name_and_a_history_of_its_own(server: ScriptedServer, tmp_path: Path, clips: list[Path]) -> None:
    made = WatchSettings(url=server.url, store=str(tmp_path / "e.db"), describe="never")
    for _ in range(2):
        for path in clips:
            asyncio.run(run_watch(replace(made, sources=(str(path),))))
    one, other = (identity_of(find_sources([str(path)])[0]) for path in clips)
    with Store.open(tmp_path / "e.db") as store:
        assert store.cameras.names() == {"clip.mp4": {one}, "b/clip.mp4": {other}}
        assert [len(store.sessions.of_camera(name)) for name in store.cameras.names()] == [2, 2]


def test_all_that_is_told_of_two_files_of_one_name_bears_the_id_of_its_own(
    server: ScriptedServer, tmp_path: Path, clips: list[Path]
) -> None:
    """Two watches, one after the other, as by two people: each line, number, row and export is of one camera."""
    made = WatchSettings(url=server.url, task="fight_en", store=str(tmp_path / "e.db"), describe="never")
    lines, metrics, history = io.BytesIO(), PrometheusMetrics(), VerdictHistory()
    told = JsonLinesWriter(lines, made.tiers)
    for path in clips:
        addresses = find_sources([str(path)])
        asyncio.run(run_watch(made, addresses=addresses, observers=[told, metrics, history]))
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    cameras = sorted({line["camera_id"] for line in said})
    assert len(cameras) == 2 and {line["source"] for line in said} == {"clip.mp4"}
    with Store.open(tmp_path / "e.db") as store:
        found = store.events.find()
        assert sorted(event.camera_id for event in found) == cameras
        exported = json.loads(as_json(found, {}, {})), list(csv.DictReader(io.StringIO(as_csv(found, {}, {}))))
        assert [sorted(row["camera_id"] for row in rows) for rows in exported] == [cameras, cameras]
        for camera in cameras:
            [session], [event] = store.sessions.of_camera(camera), store.events.find(EventFilter(source=camera))
            judged = store.verdicts.of_session(session)
            assert {each.camera_id for each in judged} == {event.camera_id} == {camera}
            assert len(judged) == len([line for line in said if line["camera_id"] == camera and "event" not in line])
            assert len(history.of(camera, 600)) == len(judged)
            value = {"source": "clip.mp4", "camera": camera}
            assert metrics.registry.get_sample_value("vigil_events_total", value) == 1


def test_without_a_store_two_files_have_ids_too(server: ScriptedServer, clips: list[Path]) -> None:
    notes = Notes()
    summary = asyncio.run(watched(server, clips, notes, describe="never"))
    ids = {state.name: state.camera_id for state in summary.sources}
    assert len(set(ids.values())) == 2 and "" not in ids.values()
    assert all(judged.camera_id == ids[judged.source] for judged in notes.told_)
    assert all(change.event.camera_id == ids[change.event.source] for change in notes.changes)


def test_a_camera_that_was_renamed_goes_by_its_new_name_at_the_next_start(
    server: ScriptedServer, tmp_path: Path, clips: list[Path]
) -> None:
    made = WatchSettings(url=server.url, task="fight_en", store=str(tmp_path / "e.db"), describe="never")
    made = replace(made, sources=(str(clips[0]),))
    asyncio.run(run_watch(made))
    with Store.open(tmp_path / "e.db") as store:
        camera = store.cameras.rename("clip.mp4", "porch")
    summary = asyncio.run(run_watch(made))
    assert [(state.name, state.camera_id) for state in summary.sources] == [("porch", camera.id)]
    roster = CameraList(
        [str(clips[0])],
        file=None,
        known=lambda: names_in(made.store, None),
        renamed=lambda: renamed_in(made.store, None),
    )
    assert [address.name for address in roster.addresses] == ["porch"]
    with Store.open(tmp_path / "e.db") as store:
        assert len(store.events.find(EventFilter(source="porch"))) == 2 and len(store.cameras.all()) == 1


def test_a_room_gives_no_camera_the_name_of_another(tmp_path: Path) -> None:
    db = tmp_path / "e.db"
    one, other = (find_sources([f"rtsp://10.0.0.7/live?token={token}"])[0] for token in ("aaaa", "bbbb"))
    assert one.name == other.name
    with Store.open(db) as store:
        store.sessions.start(source=one.name, identity=identity_of(one))
    for configured in (True, False):
        roster = CameraList([other.location] * configured, file=None, known=lambda: names_in(str(db), None))
        if not configured:
            roster.add(other.location)
        assert [address.name for address in roster.addresses] == [f"{one.name} (2)"]
        roster.add(one.location)
        assert roster.addresses[1].name == one.name
    named = CameraList([], file=None, known=lambda: names_in(str(db), None))
    assert named.add(other.location, name=one.name) == [one.name], "who says so knows"


def test_a_store_of_before_is_read_by_names(tmp_path: Path, clips: list[Path]) -> None:
    async def run(store: Store) -> None:
        keeping = StoreWriter(store)
        await begin(keeping, clips[0])
        await keeping.close()

    with Store.open(tmp_path / "e.db") as store:
        store.sessions.start(source="clip.mp4")
        store.events.save(make_event(id="old", source="clip.mp4"))
        assert store.cameras.names() == {}
        asyncio.run(run(store))
        assert store.events.find_open() == []
