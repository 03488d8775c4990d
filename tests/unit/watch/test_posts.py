"""Sources that are added, removed, paused and resumed while a watch runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rtsp_server
from films import shoot
from judging import SAMPLING, TASK
from scripted_server import ScriptedServer
from vigil.errors import UsageError
from vigil.judge import Endpoint, Judge
from vigil.rules.hysteresis import HysteresisSettings
from vigil.sources.address import Address, find_sources
from vigil.sources.open_capture import FileCapture, open_capture
from vigil.store import Store
from vigil.watch import Watcher, WatchSettings, WatchSummary
from vigil.watch.pipeline import OpenCapture
from vigil.watch.settings import ClipSettings
from vigil.watch.state import SourceStatus
from waiting import until_async
from watching import Notes, bright_server, film

FAST = replace(SAMPLING, fps=8.0)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> list[Address]:
    """Files that play as cameras: one bright throughout, two dark."""
    folder = tmp_path_factory.mktemp("cameras")
    film(folder / "a.mp4", seconds=60, bright=[(0, 60)], size_wh=(64, 64))
    for name in ("b.mp4", "c.mp4"):
        film(folder / name, seconds=60, size_wh=(64, 64))
    return find_sources([str(folder)])


@asynccontextmanager
async def running(
    server: ScriptedServer,
    addresses: Sequence[Address],
    notes: Notes,
    *,
    store: Store | None = None,
    opener: OpenCapture = open_capture,
    **named: Any,
) -> AsyncIterator[tuple[Watcher, "asyncio.Task[WatchSummary]"]]:
    """A watch that keeps running; stopped at the end."""
    made = WatchSettings(**({"realtime": True, "describe": "never", "clips": ClipSettings(max_s=0)} | named))
    async with await Judge.connect(Endpoint(url=server.url), TASK, FAST, media="video", alarm_from=0.75) as judge:
        watch = Watcher(
            addresses, judge=judge, settings=made, store=store, observers=[notes], keep_running=True, opener=opener
        )
        task = asyncio.create_task(watch.run())
        try:
            yield watch, task
        finally:
            if not task.done():
                watch.stop()
                await task


def test_a_watch_without_sources_goes_on_until_it_is_stopped_and_takes_new_ones(
    server: ScriptedServer, cameras: list[Address]
) -> None:
    notes = Notes()

    async def run() -> WatchSummary:
        async with running(server, [], notes) as (watch, task):
            await asyncio.sleep(0.05)
            assert not task.done() and watch.states == {}
            watch.add(cameras[0])
            with pytest.raises(UsageError, match="already"):
                watch.add(cameras[0])
            await until_async(lambda: watch.states["a.mp4"].judged)
            watch.stop()
            return await task

    summary = asyncio.run(run())
    assert summary.unaccounted == 0 and summary.sources[0].judged and notes.closed


def test_a_paused_camera_closes_its_event_keeps_its_state_and_goes_on_when_resumed(
    server: ScriptedServer, cameras: list[Address], tmp_path: Path
) -> None:
    notes = Notes()

    async def run(store: Store) -> None:
        async with running(server, cameras[:2], notes, store=store) as (watch, _):
            state, other = watch.states["a.mp4"], watch.states["b.mp4"]
            await until_async(lambda: state.open_event)
            watch.pause("a.mp4")
            await until_async(lambda: notes.kinds() == ["opened", "closed"])
            assert state.stage is SourceStatus.PAUSED and state.open_event == ""
            await until_async(lambda: state.settled == state.cut)
            counted, seen = state.cut, other.cut
            await until_async(lambda: other.cut > seen + 2)
            assert state.cut == counted > 0 and watch.states["a.mp4"] is state
            watch.resume("a.mp4")
            await until_async(lambda: state.events == 2)
            assert state.stage is SourceStatus.WATCHING and state.cut > counted

    with Store.open(tmp_path / "events.db") as store:
        asyncio.run(run(store))
        found = store.events.find()
        assert [event.closed_because for event in found] == ["paused", "stopped"]
        watches = store.sessions.of_camera("a.mp4")
        assert [watch.ended_because for watch in watches] == ["ended", "paused"]
        assert all(store.verdicts.of_session(watch) for watch in watches)


def test_a_paused_camera_is_let_go_of_and_keeps_its_clock(server: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "door.mp4"
    shoot(path, frames=250, options={"g": "25", "bf": "0"}, container_options={"movflags": "faststart"})
    notes = Notes()

    async def run(camera: rtsp_server.Running, store: Store) -> WatchSummary:
        address, port = camera.address(), urlsplit(camera.address()).port or 0
        async with running(server, find_sources([address]), notes, store=store, realtime=False) as (watch, task):
            (state,) = watch.states.values()
            await until_async(lambda: state.judged >= 1)
            assert connections(port) == 1
            watch.pause(state.name)
            await until_async(lambda: connections(port) == 0)
            paused_s = state.position_s
            await asyncio.sleep(1.0)
            assert state.stage is SourceStatus.PAUSED and state.position_s == paused_s
            watch.resume(state.name)
            judged = state.judged
            await until_async(lambda: state.judged > judged)
            assert connections(port) == 1 and state.connections == 2
            assert state.position_s > paused_s + 1.0
            watch.stop()
            return await task

    with rtsp_server.running(path) as camera, Store.open(tmp_path / "events.db") as store:
        summary = asyncio.run(run(camera, store))
        watches = store.sessions.of_camera(summary.sources[0].name)
        assert len({watch.epoch_s for watch in watches}) == 1 and len(watches) == 2
    assert summary.unaccounted == 0
    times = [judged.end_s for judged in notes.told_]
    assert times == sorted(times)


def test_an_event_after_a_step_of_the_clock_is_told_by_the_new_one(server: ScriptedServer, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", seconds=6, bright=[(0.5, 2), (4, 5.5)], size_wh=(64, 64))
    feeds: list[FileCapture] = []
    notes = Notes()

    def opener(*words: Any, **named: Any) -> FileCapture:
        feeds.append(FileCapture(tmp_path / "a.mp4", FAST, stop=named["stop"], realtime=True))
        return feeds[0]

    async def run() -> None:
        rules = (HysteresisSettings(quiet_s=0.5),)
        async with running(server, find_sources([str(tmp_path)]), notes, opener=opener, rules=rules):
            await until_async(lambda: notes.kinds() == ["opened", "closed"])
            feeds[0].started_utc_s = (feeds[0].started_utc_s or 0.0) + 3600.0
            await until_async(lambda: notes.kinds()[2:] == ["opened", "closed"])

    asyncio.run(run())
    first, second = (change.event.epoch_s or 0.0 for change in notes.changes if change.kind == "closed")
    assert second - first == 3600.0


def connections(port: int) -> int:
    """Connections of this process's machine to a port here."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(line[2].partition(":")[2], 16) == port and line[3] == "01" for line in lines)


def test_a_removed_camera_is_gone_its_event_closed_and_its_windows_counted(
    server: ScriptedServer, cameras: list[Address]
) -> None:
    notes = Notes()

    async def run() -> WatchSummary:
        async with running(server, cameras[:2], notes) as (watch, task):
            await until_async(lambda: watch.states["a.mp4"].open_event)
            watch.remove("a.mp4")
            assert list(watch.states) == ["b.mp4"]
            await until_async(lambda: notes.kinds() == ["opened", "closed"])
            watch.add(cameras[0])
            await until_async(lambda: watch.states["a.mp4"].open_event)
            watch.stop()
            return await task

    summary = asyncio.run(run())
    assert [change.event.closed_because for change in notes.changes if change.kind == "closed"] == [
        "removed",
        "stopped",
    ]
    assert [state.name for state in summary.sources] == ["a.mp4", "b.mp4", "a.mp4"] and summary.unaccounted == 0


def test_what_cannot_be_paused_or_is_not_there_is_told(server: ScriptedServer, cameras: list[Address]) -> None:
    async def run() -> None:
        async with running(server, [], Notes(), realtime=False) as (watch, task):
            watch.add(cameras[0])
            with pytest.raises(UsageError, match="cannot be paused"):
                watch.pause("a.mp4")
            for act in (watch.pause, watch.resume, watch.remove):
                with pytest.raises(UsageError, match="no source 'door'"):
                    act("door")
            watch.stop()
            with pytest.raises(UsageError, match="has ended"):
                watch.add(cameras[1])
            await task

    asyncio.run(run())


def test_a_camera_that_is_over_cannot_be_paused_but_removed_and_added_again(
    server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video at all")
    addresses = find_sources([str(tmp_path / "x.mp4")])

    async def run() -> WatchSummary:
        async with running(server, addresses, Notes()) as (watch, task):
            await until_async(lambda: watch.states["x.mp4"].settled)
            await asyncio.sleep(0.05)
            with pytest.raises(UsageError, match="unreadable"):
                watch.pause("x.mp4")
            watch.remove("x.mp4")
            film(tmp_path / "x.mp4", seconds=2)
            watch.add(addresses[0])
            await until_async(lambda: watch.states["x.mp4"].judged)
            watch.stop()
            return await task

    assert asyncio.run(run()).unaccounted == 0


Step = tuple[str, int, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "pause", "resume"]), st.integers(0, 2), st.sampled_from([0, 0, 0.01, 0.15])
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=8, suppress_health_check=list(HealthCheck), derandomize=True)
@given(steps=STEPS)
def test_whatever_is_done_to_cameras_every_window_is_accounted_for_and_every_event_closed(
    server: ScriptedServer, cameras: list[Address], steps: list[Step]
) -> None:
    notes = Notes()
    watched = {address.name for address in cameras}

    async def run() -> WatchSummary:
        async with running(server, cameras, notes) as (watch, task):
            last: dict[str, str] = {}
            for action, number, then_s in steps:
                address = cameras[number]
                there = address.name in watch.states
                if action == "add" and not there:
                    watch.add(address)
                elif action != "add" and there:
                    getattr(watch, action)(address.name)
                last[address.name] = action if there or action == "add" else last.get(address.name, "")
                await asyncio.sleep(then_s)
            # One that was resumed a moment ago may still be ending what it read before.
            paused = {
                name
                for name, state in watch.states.items()
                if state.stage is SourceStatus.PAUSED and last.get(name) == "pause"
            }
            assert set(watch.states) <= watched
            await asyncio.sleep(0.1)
            assert all(watch.states[name].stage is SourceStatus.PAUSED for name in paused)
            watch.stop()
            return await task

    summary = asyncio.run(run())
    assert summary.unaccounted == 0
    assert sum(state.cut for state in summary.sources) == len(notes.told_) == len(notes.judged_)
    opened = [change.event.id for change in notes.changes if change.kind == "opened"]
    assert sorted(opened) == sorted(change.event.id for change in notes.changes if change.kind == "closed")
