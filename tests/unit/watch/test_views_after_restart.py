"""Usual views over a restart of the watch: a camera that was turned meanwhile is told, until people say it is right."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from rtsp_server import running as camera
from scripted_server import ScriptedServer
from vigil.rules import CameraFaultSettings, Fault, HysteresisSettings
from vigil.store import Store
from vigil.synth.camera_faults import with_fault, with_sensor_noise
from vigil.synth.clip import draw_clip
from vigil.watch import Watcher, known_views, view_keeper
from waiting import until_async
from watching import Notes, bright_server, watched

RULES = (HysteresisSettings(), CameraFaultSettings(fault=Fault.MOVED, for_s=3.0, gap_s=3.0))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A drawn place as a camera shows it, and as it shows it after it was turned."""
    drawn = draw_clip(3, fps=4.0, duration_s=12.0, size_wh=(128, 96), activity="walking").frames
    frames = with_sensor_noise(drawn, strength=2.0, seed=1)
    turned = with_sensor_noise(with_fault(drawn, Fault.MOVED, seed=1), strength=2.0, seed=2)
    folder = tmp_path_factory.mktemp("films")
    for name, shown in (("usual", frames), ("turned", turned)):
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=4)
            stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
            for image in shown:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
            container.mux(stream.encode(None))
    return folder / "usual.mp4", folder / "turned.mp4"


def watch_until(server: ScriptedServer, address: str, store: Store, enough: Callable[[], bool]) -> None:
    async def stop_when_enough(watch: Watcher) -> None:
        await until_async(enough, every_s=0.1)
        watch.stop()

    stopping: list[asyncio.Task[None]] = []

    def begin(watch: Watcher) -> None:
        stopping.append(asyncio.create_task(stop_when_enough(watch)))

    asyncio.run(watched(server, [address], Notes(), store=store, rules=RULES, describe="never", on_start=begin))


def test_a_camera_that_was_turned_while_nobody_watched_is_told_until_its_view_is_said_to_be_right(
    server: ScriptedServer, films: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_views, "LEARN_S", 4.0)
    monkeypatch.setattr(view_keeper, "POLL_S", 0.2)
    usual, turned = films
    with Store.open(tmp_path / "e.db") as store:
        with camera(usual) as rtsp:
            address, port = rtsp.address("live"), rtsp.port
            watch_until(server, address, store, lambda: has_views(store))
        [row] = store.cameras.all()
        assert store.events.find() == []
        with camera(turned, port=port):
            watch_until(server, address, store, lambda: bool(store.events.find()))
            assert [event.rule for event in store.events.find()] == ["camera moved"]
            store.camera_views.ask(row.id)
            watch_until(
                server, address, store, lambda: not store.camera_views.requests() and windows(store, row.id) > 4
            )
        assert len(store.events.find()) == 1
        session = store.sessions.of_camera(row.id)[0]
        told = [judged.answers["camera moved"].label for judged in store.verdicts.of_session(session)]
        assert len(told) > 4 and set(told) == {"not shown"}


def has_views(store: Store) -> bool:
    return any(store.camera_views.of(each.id).views for each in store.cameras.all())


def windows(store: Store, camera_id: str) -> int:
    """How many windows the newest session has."""
    return len(store.verdicts.of_session(store.sessions.of_camera(camera_id)[0]))
