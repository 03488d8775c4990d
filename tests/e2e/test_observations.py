"""The semantic log end to end: an RTSP camera and its observation rule; and the form held by a real vLLM."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judging import SAMPLING
from rtsp_server import running as camera
from scripted_server import Reply, Request, stream
from vigil.cli.main import main
from vigil.rules import HysteresisSettings, ObservationSettings, ObservedTerm
from vigil.scene import SCENE_FIELDS
from vigil.serving.server import RunningServer
from vigil.store import Store
from vigil.watch.observe_settings import ObserveSettings
from watching import Notes, bright_server, film, is_bright, look, watched

pytestmark = pytest.mark.e2e

LIT_S = (6.0, 14.0)
"""When the lights are on in the film of the camera; it goes on for ten seconds after that."""

LIGHTS_ON = ObservationSettings(
    name="lights on and nobody there",
    all=(ObservedTerm(field="lights", equals="on"), ObservedTerm(field="people", is_empty=True)),
    times=2,
)


def says(request: Request) -> Reply:
    if "response_format" not in request.body:
        return look(request)
    said = {"objects": [], "people": [], "actions": [], "lights": "on" if is_bright(request) else "off"}
    return stream(json.dumps(said | {"place": "hall", "confidence": "high"}))


async def stopped_after(notes: Notes, watcher: Any) -> None:
    """Stops the watch once the rule's event has closed."""
    while not any(each.kind == "closed" and each.event.rule == LIGHTS_ON.name for each in notes.changes):
        await asyncio.sleep(0.05)
    watcher.stop()


def test_what_an_rtsp_camera_shows_makes_an_event_of_the_right_seconds(tmp_path: Path) -> None:
    notes, tasks = Notes(), set[asyncio.Task[None]]()
    hall = film(tmp_path / "hall.mp4", seconds=24, bright=[LIT_S])
    observe = ObserveSettings(every_s=1.0, changed_s=0.5, still_s=1.0, language="en", camera_tokens_per_min=100_000)
    with bright_server() as server, camera(hall) as rtsp, Store.open(tmp_path / "events.db") as store:
        server.default = says
        watch = watched(
            server,
            [rtsp.address("hall")],
            notes,
            store=store,
            observe=observe,
            rules=(HysteresisSettings(), LIGHTS_ON),
            describe="never",
            sampling=replace(SAMPLING, fps=8.0),
            on_start=lambda watcher: tasks.add(asyncio.get_running_loop().create_task(stopped_after(notes, watcher))),
        )
        summary = asyncio.run(watch)
        [event] = [each for each in store.events.find() if each.rule == LIGHTS_ON.name]
        seen = store.observations.find()
    lit = [each for each in seen if each.fields is not None and each.fields["lights"] == "on"]
    assert event.onset_s == lit[0].start_s and event.end_s == lit[-1].end_s
    assert LIT_S[0] - 2.5 <= event.onset_s < (event.end_s or 0.0) <= LIT_S[1] + 2.5
    assert event.text == "hall; lights on" and event.tier == "low"
    [state] = summary.sources
    assert state.observations == len(seen) >= 8 and state.observations_as_words == 0


def test_a_real_model_is_held_to_the_form(server: RunningServer, tmp_path: Path) -> None:
    video, key, lines = film(tmp_path / "a.mp4", seconds=12), tmp_path / "key", tmp_path / "lines.jsonl"
    key.write_text(server.key)
    key.chmod(0o600)
    settings = ("every_s=3", "changed_s=1", "still_s=3", "camera_tokens_per_min=100000")
    words = ["--url", server.url, "--key-file", str(key), "--store", str(tmp_path / "events.db")]
    words += [word for each in settings for word in ("--set", f"observe.{each}")]
    words += ["--jsonl", str(lines), "--max-pixels", "12288", "--set", "min_label_probability=0"]
    assert main(["watch", str(video), *words]) == 0
    told = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    observed = [line for line in told if "observation" in line]
    assert len(observed) >= 3
    for line in observed:
        assert line["fields"] is not None and tuple(line["fields"]) == SCENE_FIELDS, line
        assert line["tokens"] > 0
    with Store.open(tmp_path / "events.db") as store:
        assert [each.id for each in store.observations.find()] == [line["observation"] for line in observed]
