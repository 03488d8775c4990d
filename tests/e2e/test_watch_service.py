"""A watch beside another program, steered from its threads, against a real vLLM and cameras that are processes."""

import threading
from pathlib import Path

import pytest

from rtsp_server import running as camera
from vigil.events import TierThresholds
from vigil.frames import decode_jpeg
from vigil.judge import Endpoint
from vigil.rules.hysteresis import HysteresisSettings
from vigil.sources.open_capture import CaptureSettings
from vigil.store import EventFilter, Store
from vigil.watch import BackgroundWatcher, WatchSettings
from vigil.watch.settings import ClipSettings
from vigil.watch.state import SourceStatus
from waiting import until
from watching import Notes, film

pytestmark = pytest.mark.e2e

QUICK = CaptureSettings(retry_min_s=0.2, retry_max_s=1.0)
EVERYTHING = HysteresisSettings(k=1, n=1, keep_from=1e-9, tiers=TierThresholds(low=1e-9, medium=0.85, high=0.92))
"""Whatever the model says is an event: what is tried here is what comes of events."""


def test_cameras_come_go_and_come_back_and_what_is_marked_is_found_again(endpoint: Endpoint, tmp_path: Path) -> None:
    yard = film(tmp_path / "yard.mp4", seconds=20, bright=[(2, 18)], fps=25, size_wh=(320, 240))
    settings = WatchSettings(
        url=endpoint.url,
        model=endpoint.model,
        max_pixels=12_288,
        store=str(tmp_path / "room" / "events.db"),
        describe="never",
        min_label_probability=0.0,
        capture=QUICK,
        clips=ClipSettings(before_s=1, after_s=0, max_s=4),
        rules=(EVERYTHING,),
        preview_fps=5,
        preview_px=160,
    )
    notes = Notes()
    with camera(yard) as rtsp:
        service = BackgroundWatcher(settings, api_key=endpoint.api_key, observers=[notes])
        service.start()
        for name in ("door", "yard"):
            service.add(rtsp.address(name), name=name)
        until(lambda: all(state.judged and state.open_event for state in service.states()))
        seen = look_at(service, "door", pictures=10)
        times = sorted(seen)
        # Five a second by their own times, and each another moment.
        assert times[-1] - times[0] > 9 / settings.preview_fps - 0.1
        assert decode_jpeg(seen[times[-1]]).shape == (120, 160, 3)
        service.pause("door")
        until(lambda: any(change.kind == "closed" for change in notes.changes))
        door, other = service.states()
        assert (door.stage, other.stage) == (SourceStatus.PAUSED, SourceStatus.WATCHING)
        judged = other.judged
        until(lambda: service.states()[1].judged > judged)
        assert service.states()[0].cut == door.cut
        service.resume("door")
        until(lambda: service.states()[0].judged > door.judged)
        service.remove("yard")
        watch = service.watch
        service.stop()
        assert watch is not None and all(state.cut == state.settled for state in watch.states.values())
        again = BackgroundWatcher(settings, api_key=endpoint.api_key)
        again.start()
        until(lambda: [state.name for state in again.states() if state.judged] == ["door"])
        again.stop()
    with Store.open(settings.store) as store:
        found = store.events.find()
        closed = {event.closed_because for event in found}
        assert {"paused", "removed", "stopped"} <= closed and not store.events.find_open()
        paused = next(event for event in found if event.closed_because == "paused")
        assert {file.kind for file in store.media.of_event(paused.id)} == {"snapshots", "clips"}
        store.marks.add(paused.id, "false_alarm", who="lena", note="nobody there")
        assert [event.id for event in store.events.find(EventFilter(mark="false_alarm", text="NOBODY"))] == [paused.id]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("read ", "watch"))]


def look_at(service: BackgroundWatcher, name: str, *, pictures: int) -> dict[float, bytes]:
    """The pictures that somebody sees who looks at a camera until there were so many, by their times."""
    seen: dict[float, bytes] = {}

    def look() -> bool:
        picture = service.preview(name)
        if picture is not None:
            seen[picture[1]] = picture[0]
        return len(seen) >= pictures

    until(look)
    return seen
