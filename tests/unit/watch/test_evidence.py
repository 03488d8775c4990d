"""Pictures and clips that the store cannot take now are made later, or counted."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from judging import SAMPLING
from scripted_server import ScriptedServer
from vigil.events.change import Change
from vigil.store import Store
from vigil.watch import Summary, Watch, evidence
from vigil.watch.settings import Clips
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

    def changed(self, change: Change) -> None:
        super().changed(change)
        if change.kind == "opened":
            threading.Timer(0.5, lambda: [(self.folder / kind).unlink() for kind in BLOCKED]).start()


def watch_without_room(
    server: ScriptedServer, notes: Notes, folder: Path, on_start: Callable[[Watch], None] | None = None
) -> tuple[Summary, list[str]]:
    """A live watch of one event into a store where no medium has room; also the kinds of media that were kept."""
    for kind in BLOCKED:
        (folder / kind).write_text("in the way")
    fight = film(folder / "a.mp4", seconds=5, bright=[(0.0, 5.0)])
    live = {
        "realtime": True,
        "words": "never",
        "keep_frames": True,
        "clips": Clips(before_s=0.5, after_s=0.5, most_s=2.0),
    }
    with Store.open(folder / "events.db") as store:
        summary = asyncio.run(
            watched(server, [fight], notes, store=store, on_start=on_start, sampling=replace(SAMPLING, fps=8.0), **live)
        )
        [event] = store.find_events()
        return summary, [file.kind for file in store.media(event.id)]


def test_what_had_no_room_is_kept_once_there_is_some(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "AGAIN_AFTER_S", (0.3,) * 20)
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

    def on_start(watch: Watch) -> None:
        async def end() -> None:
            while "opened" not in notes.kinds():
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)
            watch.stop()
            watch.stop()

        ending.append(asyncio.get_running_loop().create_task(end()))

    ending: list[asyncio.Task[None]] = []
    summary, kept = watch_without_room(server, notes, tmp_path, on_start)
    assert kept == [] and summary.media_losses > 0
    assert [record for record in caplog.records if record.name == "asyncio"] == []
