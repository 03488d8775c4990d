import asyncio
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judging import SAMPLING, TASK
from scripted_server import Reply, Request, ScriptedServer, error
from vigil.errors import ConfigError, SourceError, UsageError, VigilError
from vigil.events import EventChange
from vigil.frames import decode_jpeg
from vigil.judge import Judge
from vigil.judge.circuit_breaker import ENDPOINT_CAUSES
from vigil.manifest import Contract, Manifest
from vigil.questions import load_question
from vigil.rules.hysteresis import HysteresisSettings
from vigil.serving.server import free_port
from vigil.store import Store
from vigil.verdict import Cause
from vigil.watch import BackgroundWatcher, WatchSettings, watcher
from vigil.watch import background as watch_service
from vigil.watch.settings import ClipSettings
from vigil.watch.state import SourceState, SourceStatus
from waiting import HANG_S, until
from watching import Notes, bright_server, film

CAMERA = "rtsp://admin:s3cret@127.0.0.1:9/door"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    return film(tmp_path / "a.mp4", seconds=40, bright=[(0, 40)], size_wh=(64, 64))


def settings_for(url: str, tmp_path: Path, *sources: Path | str, **named: Any) -> WatchSettings:
    """A room whose files play as cameras and alarm at their first bright window."""
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    contract = Contract.of(TASK, replace(SAMPLING, fps=8.0))
    Manifest(contract=contract, base_model="tiny", template="t").write(folder)
    quick = {"realtime": True, "describe": "never", "model_dir": folder, "clips": ClipSettings(max_s=0)}
    quick |= {"rules": (HysteresisSettings(k=1, n=1),)}
    store = str(tmp_path / "room" / "events.db")
    return WatchSettings(**({"sources": tuple(map(str, sources)), "url": url, "store": store} | quick | named))


@contextmanager
def started(settings: WatchSettings, **named: Any) -> Iterator[BackgroundWatcher]:
    service = BackgroundWatcher(settings, **named)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def state_of(service: BackgroundWatcher, name: str = "a.mp4") -> SourceState:
    return next(state for state in service.states() if state.name == name)


def held_back(server: ScriptedServer, until_set: threading.Event) -> None:
    """Has a server not tell its models before an event."""
    cards = [{"id": "tiny", "object": "model", "created": 1, "root": "m"}]

    def tell(_: Request) -> Reply:
        until_set.wait(HANG_S)
        return Reply(body={"object": "list", "data": cards})

    server.routes["/v1/models"] = tell


def test_a_service_watches_beside_the_program_and_stops_in_order(
    server: ScriptedServer, tmp_path: Path, bright: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stop that waited for the next attempt, or for the grace of a watcher, would not end in time.
    monkeypatch.setattr(watch_service, "ASK_AGAIN_S", 3600.0)
    monkeypatch.setattr(watcher, "GRACE_S", 3600.0)
    notes, started_ = Notes(), threading.Event()
    held_back(server, started_)
    service = BackgroundWatcher(settings_for(server.url, tmp_path, bright), observers=[notes])
    assert service.problem and service.judge is None and service.breaker is None
    service.start()
    service.start()
    assert service.problem == watch_service.STARTING, "the start waited for the server"
    started_.set()
    assert [state.name for state in service.states()] == ["a.mp4"]
    until(lambda: state_of(service).open_event)
    assert service.problem == "" and service.judge is not None and service.breaker is not None
    assert service.judge.model == "tiny" and service.breaker.state == "closed"
    points = service.history("a.mp4", 60)
    assert points and all(point.cause is None and (point.p_alarm or 0) > 0.9 for point in points)
    assert service.history("a.mp4", 0) == [] == service.history("other", 60)
    service.stop()
    service.stop()
    assert notes.closed and service.problem == watch_service.STOPPED
    with Store.open(service.settings.store) as store:
        assert [event.closed_because for event in store.events.find()] == ["stopped"]
    service.start()
    until(lambda: state_of(service).judged)
    service.stop()


def test_a_stop_that_arrives_just_before_the_watcher_begins_ends_it(
    server: ScriptedServer, tmp_path: Path, bright: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "GRACE_S", 3600.0)
    service = BackgroundWatcher(settings_for(server.url, tmp_path, bright))
    stopping = threading.Thread(target=service.stop)
    connect = Judge.connect

    async def connect_and_be_stopped(*words: Any, **named: Any) -> Judge:
        judge = await connect(*words, **named)
        stopping.start()
        assert service._stopped is not None
        # The watcher begins in the same turn of the event loop in which the stop is told.
        while not service._stopped.is_set():
            await asyncio.sleep(0)
        return judge

    monkeypatch.setattr(Judge, "connect", connect_and_be_stopped)
    service.start()
    until(lambda: stopping.ident is not None)
    stopping.join(HANG_S)
    assert not stopping.is_alive() and service.problem == watch_service.STOPPED and service.watch is None


def test_a_server_that_comes_back_with_another_contract_is_watched_by_that(
    server: ScriptedServer, tmp_path: Path, bright: Path
) -> None:
    task = load_question("fall_en")
    first, second = replace(SAMPLING, fps=8.0), replace(SAMPLING, fps=4.0)

    def serve(contract: Contract) -> None:
        cards = [{"id": name, "object": "model", "created": 1, "root": "m"} for name in ("tiny", contract.alias)]
        server.routes["/v1/models"] = Reply(body={"object": "list", "data": cards})

    serve(Contract.of(task, first))
    notes = Notes()
    settings = settings_for(server.url, tmp_path, bright, model_dir=None, task="fall_en")
    with started(settings, observers=[notes]) as service:
        until(lambda: state_of(service).judged)
        assert service.judge is not None and service.judge.sampling == first
        serve(Contract.of(task, second))
        server.queue(*[error(503, "restarting")] * 5)
        until(lambda: service.judge is not None and service.judge.sampling == second)
        until(lambda: state_of(service).judged)
    causes = {judged.verdict.cause for judged in notes.judged_}
    assert Cause.EXCHANGED in causes and causes <= {None, *ENDPOINT_CAUSES, Cause.DROPPED, Cause.CANCELLED}


def test_states_are_copies(server: ScriptedServer, tmp_path: Path, bright: Path) -> None:
    with started(settings_for(server.url, tmp_path, bright)) as service:
        until(lambda: state_of(service).judged)
        mine = state_of(service)
        mine.unknown["mine"] += 1  # type: ignore[index]
        mine.judged = -1
        assert state_of(service).judged > 0 and not state_of(service).unknown


def test_it_waits_for_an_endpoint_that_is_down_and_comes_up_by_itself(tmp_path: Path, bright: Path) -> None:
    port = free_port()
    with started(settings_for(f"http://127.0.0.1:{port}/v1", tmp_path)) as service:
        service.add(str(bright))
        until(lambda: str(port) in service.problem)
        assert state_of(service).stage is SourceStatus.WAITING and str(port) in state_of(service).detail
        service.pause("a.mp4")
        assert state_of(service).stage is SourceStatus.PAUSED
        service.resume("a.mp4")
        with bright_server(port=port):
            until(lambda: service.problem == "" and state_of(service).judged)


def test_it_stops_at_once_while_the_endpoint_is_down_or_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_service, "ASK_AGAIN_S", 3600.0)
    down = free_port()
    service = BackgroundWatcher(settings_for(f"http://127.0.0.1:{down}/v1", tmp_path))
    service.start()
    until(lambda: str(down) in service.problem)
    service.stop()
    assert service.problem == watch_service.STOPPED
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(HANG_S)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        service = BackgroundWatcher(settings_for(url, tmp_path, deadline_s=3600.0))
        service.start()
        asking, _ = silent.accept()
        with asking:
            assert asking.recv(3) == b"GET"
            service.stop()
        assert service.problem == watch_service.STOPPED


def test_cameras_are_added_paused_resumed_and_removed_while_it_runs(
    server: ScriptedServer, tmp_path: Path, bright: Path
) -> None:
    notes = Notes()
    with started(settings_for(server.url, tmp_path)) as service:
        until(lambda: service.problem == "")
        service.subscribe(notes)
        assert service.states() == []
        assert service.add(str(bright)) == ["a.mp4"]
        until(lambda: state_of(service).open_event)
        service.pause("a.mp4")
        assert state_of(service).stage is SourceStatus.PAUSED
        until(lambda: notes.kinds() == ["opened", "closed"])
        assert notes.changes[-1].event.closed_because == "paused"
        counted = state_of(service).cut
        service.unsubscribe(notes)
        service.resume("a.mp4")
        until(lambda: state_of(service).cut > counted)
        service.remove("a.mp4")
        assert service.states() == [] and service.history("a.mp4", 60) == []
        assert service.watch is not None and service.watch.states == {}
    assert not notes.closed


def test_what_makes_no_sense_is_told_to_the_one_who_asks(server: ScriptedServer, tmp_path: Path, bright: Path) -> None:
    with started(settings_for(server.url, tmp_path, bright)) as service:
        with pytest.raises(UsageError, match=r"a\.mp4 is being watched already"):
            service.add(str(bright))
        with pytest.raises(SourceError, match="there is no"):
            service.add(str(tmp_path / "missing.mp4"))
        with pytest.raises(UsageError, match="only"):
            service.add("ftp://10.0.0.7/x")
        with pytest.raises(UsageError, match="80 characters"):
            service.add("rtsp://10.0.0.7/1", name="x" * 81)
        for act in (service.remove, service.pause, service.resume):
            with pytest.raises(UsageError, match="no camera 'door'"):
                act("door")
        assert [state.name for state in service.states()] == ["a.mp4"]


def test_added_cameras_come_back_at_the_next_start_and_removed_ones_do_not(
    server: ScriptedServer, tmp_path: Path, bright: Path
) -> None:
    settings = settings_for(server.url, tmp_path, bright)
    with started(settings) as service:
        assert service.add(CAMERA, name="门口") == ["门口"]
        assert service.add(CAMERA.replace("door", "yard")) == ["rtsp://127.0.0.1:9/yard"]
        service.remove("a.mp4")
    with started(settings) as service:
        assert [state.name for state in service.states()] == ["门口", "rtsp://127.0.0.1:9/yard"]
        assert service.add(str(bright)) == ["a.mp4"]
        service.remove("门口")
    with started(settings) as service:
        assert [state.name for state in service.states()] == ["a.mp4", "rtsp://127.0.0.1:9/yard"]


def test_the_file_that_remembers_passwords_is_its_owners_alone_and_nothing_shows_them(
    server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = os.umask(0)
    try:
        with started(settings_for(server.url, tmp_path)) as service:
            service.add(CAMERA)
            until(lambda: "next try" in service.states()[0].detail)
            shown = repr(service.states()) + repr(service.watch.addresses if service.watch else "") + caplog.text
            with pytest.raises(UsageError) as refused:
                service.add(CAMERA)
    finally:
        os.umask(old)
    room = tmp_path / "room" / "room.yaml"
    assert "s3cret" in room.read_text() and stat.S_IMODE(room.stat().st_mode) == 0o600
    assert "s3cret" not in shown + str(refused.value)
    assert [path.name for path in room.parent.glob("*.partial")] == []


def test_a_damaged_memory_is_told_left_as_it_is_and_read_when_it_is_mended(
    server: ScriptedServer, tmp_path: Path
) -> None:
    room = tmp_path / "room.yaml"
    room.write_text("added: [what is this")
    with started(settings_for(server.url, tmp_path), room=room) as service:
        until(lambda: "room.yaml" in service.problem)
        assert service.states() == []
        with pytest.raises(ConfigError):
            service.add("rtsp://10.0.0.7/1")
        assert room.read_text() == "added: [what is this"
        room.write_text("added: [{name: door, location: 'rtsp://127.0.0.1:9/door'}]")
        until(lambda: service.problem == "")
        assert [state.name for state in service.states()] == ["door"]


def test_an_observer_that_fails_or_stops_the_service_harms_nobody(
    server: ScriptedServer, tmp_path: Path, bright: Path
) -> None:
    seen: list[str] = []

    class Wild(Notes):
        def on_change(self, change: EventChange) -> None:
            seen.append(change.kind)
            service.stop()
            raise RuntimeError("a page that is gone")

    service = BackgroundWatcher(settings_for(server.url, tmp_path, bright), observers=[Wild()])
    service.start()
    until(lambda: "closed" in seen)
    service.stop()
    assert seen[0] == "opened" and service.problem


def test_a_preview_is_made_for_who_looks_and_forgotten_with_its_camera(
    server: ScriptedServer, tmp_path: Path, bright: Path
) -> None:
    with started(settings_for(server.url, tmp_path, bright, preview_fps=8, preview_px=48)) as service:
        until(lambda: state_of(service).judged)
        assert service.preview("a.mp4") is None
        until(lambda: service.preview("a.mp4") is not None)
        jpeg, first_s = service.preview("a.mp4") or (b"", 0.0)
        assert decode_jpeg(jpeg).shape == (48, 48, 3)
        until(lambda: (service.preview("a.mp4") or (b"", 0.0))[1] > first_s)
        service.remove("a.mp4")
        assert service.preview("a.mp4") is None and service.preview("other") is None


def test_without_the_setting_there_are_no_previews(server: ScriptedServer, tmp_path: Path, bright: Path) -> None:
    with started(settings_for(server.url, tmp_path, bright)) as service:
        until(lambda: state_of(service).judged)
        service.preview("a.mp4")
        judged = state_of(service).judged
        until(lambda: state_of(service).judged > judged + 2)
        assert service.preview("a.mp4") is None


def test_many_threads_steer_at_once_and_the_watch_ends_as_the_last_one_wanted(
    server: ScriptedServer, tmp_path: Path
) -> None:
    films = [film(tmp_path / f"{i}.mp4", seconds=40, size_wh=(64, 64)) for i in range(4)]
    wrong: list[VigilError] = []

    def steer(path: Path) -> None:
        try:
            for _ in range(5):
                service.add(str(path))
                service.pause(path.name)
                service.states()
                service.resume(path.name)
                service.remove(path.name)
            service.add(str(path))
        except VigilError as error:
            wrong.append(error)

    with started(settings_for(server.url, tmp_path)) as service:
        threads = [threading.Thread(target=steer, args=(path,)) for path in films]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        until(lambda: len(service.states()) == 4 and all(state.judged for state in service.states()))
        watch = service.watch
        assert watch is not None
    assert all(state.cut == state.settled for state in watch.states.values())
