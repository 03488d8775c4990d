"""Camera rules in a watch: the pixels tell, also of windows that the model never sees."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from scripted_server import ScriptedServer
from vigil.events import Tier
from vigil.rules import CameraFaultSettings, Fault, HysteresisSettings
from vigil.store import Store
from vigil.synth.camera_faults import with_fault, with_sensor_noise
from vigil.synth.clip import draw_clip
from vigil.synth.figure import Image
from vigil.verdict import Cause
from watching import Notes, bright_server, watched

RULES = (
    HysteresisSettings(),
    CameraFaultSettings(fault=Fault.DARK, for_s=10.0, tier=Tier.HIGH),
    CameraFaultSettings(fault=Fault.COVERED, for_s=10.0),
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture(scope="module")
def lights_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 seconds of a drawn place, whose lights go out at second 24, for another 24."""
    drawn = draw_clip(3, fps=2.0, duration_s=48.0, size_wh=(128, 96), activity="walking").frames
    lit = with_sensor_noise(drawn, strength=2.0, seed=1)
    return record(
        tmp_path_factory.mktemp("films") / "a.mp4", np.concatenate([lit[:48], with_fault(lit[48:], Fault.DARK, seed=1)])
    )


def record(path: Path, frames: Image) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=2)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("motion_gate", [0.0, 255.0], ids=["judged", "skipped"])
def test_lights_that_go_out_are_an_event_about_the_camera_whether_or_not_the_model_looked(
    server: ScriptedServer, tmp_path: Path, lights_out: Path, motion_gate: float
) -> None:
    notes = Notes()
    with Store.open(tmp_path / "e.db") as store:
        asyncio.run(
            watched(server, [lights_out], notes, store=store, rules=RULES, describe="never", motion_gate=motion_gate)
        )
        [event] = store.events.find()
    assert (event.rule, event.task, event.model, event.tier) == ("camera dark", "camera", "", Tier.HIGH)
    assert event.onset_s == pytest.approx(24.0, abs=2.0) and event.closed_because == "the source ended"
    skipped = [judged.verdict.cause is Cause.SKIPPED for judged in notes.judged_]
    assert all(skipped) if motion_gate else not any(skipped)


def test_a_watch_without_camera_rules_does_not_look_for_faults(
    server: ScriptedServer, tmp_path: Path, lights_out: Path
) -> None:
    notes = Notes()
    asyncio.run(watched(server, [lights_out], notes, describe="never"))
    assert {name for judged in notes.judged_ for name in judged.answers} == {"t"} and notes.changes == []
