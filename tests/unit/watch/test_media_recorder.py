"""Pictures and clips that the store cannot take now are made later, or counted."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from judging import SAMPLING, TASK
from scripted_server import ScriptedServer
from vigil.events import EventChange
from vigil.frames import decode_jpeg
from vigil.judge import Endpoint, Judge
from vigil.sources.address import find_sources
from vigil.sources.open_capture import open_capture
from vigil.store import Store
from vigil.watch import Watcher, WatchSettings, WatchSummary, media_recorder
from vigil.watch.settings import ClipSettings
from waiting import until_async
from watching import Notes, bright_server, film, watched

BLOCKED = ("snapshots", "clips", "frames")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@dataclass
class Helped(Notes):
    """Makes room in the store half a second after the alarm, as a person would who was told of a full disk."""

    folder: Path = Path()

    def on_change(self, change: EventChange) -> None:
        super().on_change(change)
        if change.kind == "opened":
            threading.Timer(0.5, lambda: [(self.folder / kind).unlink() for kind in BLOCKED]).start()


def watch_without_room(
    server: ScriptedServer, notes: Notes, folder: Path, on_start: Callable[[Watcher], None] | None = None
) -> tuple[WatchSummary, list[str]]:
    """A live watch of one event into a store where no medium has room; also the kinds of media that were kept."""
    for kind in BLOCKED:
        (folder / kind).write_text("in the way")
    fight = film(folder / "a.mp4", seconds=5, bright=[(0.0, 5.0)])
    live = {
        "realtime": True,
        "describe": "never",
        "keep_frames": True,
        "clips": ClipSettings(before_s=0.5, after_s=0.5, max_s=2.0),
    }
    with Store.open(folder / "events.db") as store:
        summary = asyncio.run(
            watched(server, [fight], notes, store=store, on_start=on_start, sampling=replace(SAMPLING, fps=8.0), **live)
        )
        [event] = store.events.find()
        return summary, [file.kind for file in store.media.of_event(event.id)]


def test_what_had_no_room_is_kept_once_there_is_some(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_recorder, "RETRY_DELAYS_S", (0.3,) * 20)
    notes = Helped(folder=tmp_path)
    summary, kept = watch_without_room(server, notes, tmp_path)
    assert set(kept) == set(BLOCKED) and summary.media_losses == 0
    windows = {each.window for change in notes.changes for each in change.event.windows}
    assert kept.count("frames") == len(windows)


def test_what_has_no_room_to_the_end_is_counted_as_lost(
    server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    notes = Notes()
    summary, kept = watch_without_room(server, notes, tmp_path)
    assert kept == [] and notes.kinds() == ["opened", "closed"]
    lost = [record.getMessage() for record in caplog.records if " of event " in record.getMessage()]
    assert summary.media_losses == len([line for line in lost if " yet: " not in line])
    assert summary.media_losses >= 1 + len(notes.changes[-1].event.windows)


def test_a_watch_that_is_ended_at_once_counts_what_it_leaves_and_fails_nowhere(
    server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notes = Notes()

    def on_start(watch: Watcher) -> None:
        async def end() -> None:
            await until_async(lambda: any(" yet: " in record.getMessage() for record in caplog.records))
            watch.stop()
            watch.stop()

        ending.append(asyncio.get_running_loop().create_task(end()))

    ending: list[asyncio.Task[None]] = []
    summary, kept = watch_without_room(server, notes, tmp_path, on_start)
    assert kept == [] and summary.media_losses > 0
    assert [record for record in caplog.records if record.name == "asyncio"] == []


class BrokenFootage:
    """Footage that fails as no error of Vigil's does."""

    def clip(self, path: Path, *, from_s: float, to_s: float, retouch: object = None) -> None:
        path.write_bytes(b"half a clip")
        raise ZeroDivisionError("never seen before")

    def snapshot(self, path: Path, *, at_s: float, retouch: object = None) -> None:
        raise IndexError("never seen before")


async def watch_broken(server: ScriptedServer, source: Path, store: Store, notes: Notes) -> WatchSummary:
    def opener(*words: Any, **named: Any) -> Any:
        feed = open_capture(*words, **named)
        feed.footage = BrokenFootage()  # type: ignore[misc]
        return feed

    made = WatchSettings(describe="never")
    async with await Judge.connect(Endpoint(url=server.url), TASK, SAMPLING, media="video", alarm_from=0.75) as judge:
        addresses = find_sources([str(source)])
        return await Watcher(addresses, judge=judge, settings=made, store=store, observers=[notes], opener=opener).run()


def test_pictures_that_fail_in_any_way_are_counted_and_the_judged_frame_stands_in(
    server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notes = Notes()
    fight = film(tmp_path / "a.mp4", seconds=24, bright=[(6.0, 12.0)])
    with Store.open(tmp_path / "events.db") as store:
        summary = asyncio.run(watch_broken(server, fight, store, notes))
        [event] = store.events.find()
        [kept] = store.media.of_event(event.id)
        assert kept.kind == "snapshots" and decode_jpeg(kept.path.read_bytes()).shape == (96, 128, 3)
    assert summary.media_losses == 1 and notes.kinds() == ["opened", "closed"]
    assert [record for record in caplog.records if record.exc_info and "clips of event" in record.getMessage()]
    assert list(tmp_path.rglob("*.partial*")) == []


def test_an_exhibit_that_fails_as_a_whole_is_counted_and_the_alarm_is_told(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("never seen before")

    notes = Notes()
    fight = film(tmp_path / "a.mp4", seconds=24, bright=[(6.0, 12.0)])
    monkeypatch.setattr(media_recorder.MediaRecorder, "_clip_ends_s", fail)
    with Store.open(tmp_path / "events.db") as store:
        summary = asyncio.run(watched(server, [fight], notes, store=store, describe="never"))
    assert summary.media_losses == 1 and notes.kinds() == ["opened", "closed"]
