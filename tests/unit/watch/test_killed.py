"""What a watch that is killed with -9 leaves behind, and what the next one makes of it: real processes."""

import asyncio
import json
import signal
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import prestarted
from incidents import make_event
from judging import SAMPLING
from prestarted import PrestartedProcess
from scripted_server import Reply, Request, ScriptedServer
from vigil.events import EventChange, TierThresholds
from vigil.sources.address import find_sources
from vigil.sources.source_identity import identity_of
from vigil.store import Store
from vigil.watch import Watcher
from vigil.watch.file_outputs import JsonLinesWriter
from waiting import HANG_S, until
from watching import Notes, bright_server, film, look, watched

WATCH = """
import asyncio, sys
from pathlib import Path
from types import SimpleNamespace
from vigil.sources.address import find_sources
from vigil.sources.source_identity import identity_of
from vigil.store import Store
from watching import Notes, watched
{before}
with Store.open(sys.argv[2]) as store:
    server = SimpleNamespace(url=sys.argv[1])
    asyncio.run(watched(server, [Path(sys.argv[3])], {notes}, store=store, **dict({settings})))
"""


def watcher(
    url: str, db: Path, source: Path, *, settings: str = "", notes: str = "Notes()", before: str = ""
) -> PrestartedProcess:
    """A watch in a process of its own."""
    code = WATCH.format(settings=settings, notes=notes, before=textwrap.dedent(before))
    return prestarted.begun(["-c", code, url, str(db), str(source)], log=db.with_suffix(".log"))


@contextmanager
def killed_at_last(process: PrestartedProcess) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait(HANG_S)


def logged(db: Path, source: str) -> list[Any]:
    """The verdicts of a source that are in the store by now."""
    with Store.open(db) as store:
        return [judged for session in store.sessions.of_camera(source) for judged in store.verdicts.of_session(session)]


def no_words(request: Request) -> Reply:
    """Verdicts at once, words never."""
    if request.body.get("stream"):
        return Reply(body={}, delay_s=600.0)
    return look(request)


def test_a_verdict_is_in_the_log_while_its_words_are_still_on_their_way(tmp_path: Path) -> None:
    lit = film(tmp_path / "lit.mp4", seconds=20, bright=[(0, 20)])
    db = tmp_path / "e.db"
    with bright_server() as server:
        server.default = no_words
        process = watcher(server.url, db, lit, settings="deadline_s=600.0")
        with killed_at_last(process):
            until(lambda: len(logged(db, "lit.mp4")) >= 9, every_s=0.05)
            process.send_signal(signal.SIGKILL)
            assert process.wait(HANG_S) == -signal.SIGKILL
    left = logged(db, "lit.mp4")
    assert len(left) >= 9 and all(each.verdict.p_alarm > 0.5 and each.verdict.text is None for each in left)


KILLED_AT = """
import os, signal
class Killed(Notes):
    def on_change(self, change):
        if change.kind == {kind!r}:
            os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_before_telling(server: ScriptedServer, db: Path, source: Path, kind: str) -> None:
    """A watch that is killed when a change is in the store and nobody has heard of it."""
    process = watcher(
        server.url, db, source, notes="Killed()", settings="describe='never'", before=KILLED_AT.format(kind=kind)
    )
    with killed_at_last(process):
        assert process.wait(HANG_S) == -signal.SIGKILL


def watch_once(server: ScriptedServer, db: Path, source: Path) -> list[EventChange]:
    """What a whole watch tells of events."""
    notes = Notes()
    with Store.open(db) as store:
        asyncio.run(watched(server, [source], notes, store=store, describe="never"))
    return notes.changes


def kinds(changes: Sequence[EventChange], *, late: bool) -> list[str]:
    return [change.kind for change in changes if change.late is late and change.kind != "grew"]


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture
def fight(tmp_path: Path) -> Path:
    return film(tmp_path / "fight.mp4", seconds=30, bright=[(6, 14)])


@pytest.mark.parametrize(
    ("killed_at", "told_late"), [("opened", ["opened", "closed"]), ("closed", ["closed"])], ids=["opened", "closed"]
)
def test_what_was_saved_and_not_told_is_told_late_at_the_next_start_and_then_no_more(
    server: ScriptedServer, tmp_path: Path, fight: Path, killed_at: str, told_late: list[str]
) -> None:
    db = tmp_path / "e.db"
    kill_before_telling(server, db, fight, killed_at)
    with Store.open(db) as store:
        [left] = store.events.find()
    changes = watch_once(server, db, fight)
    assert kinds(changes, late=True) == told_late and kinds(changes, late=False) == ["opened", "closed"]
    late = [change for change in changes if change.late]
    assert {change.event.id for change in late} == {left.id} and changes[: len(late)] == late
    assert [change.event.is_open for change in late] == [kind == "opened" for kind in told_late]
    assert kinds(watch_once(server, db, fight), late=True) == []


def test_a_source_that_is_watched_no_more_is_told_of_too(server: ScriptedServer, tmp_path: Path, fight: Path) -> None:
    db = tmp_path / "e.db"
    kill_before_telling(server, db, fight, "opened")
    other = film(tmp_path / "other.mp4", seconds=5)
    assert kinds(watch_once(server, db, other), late=True) == ["opened"]
    assert kinds(watch_once(server, db, other), late=True) == []
    assert kinds(watch_once(server, db, fight), late=True) == ["closed"], (
        "it was left open, which nobody heard the end of"
    )


def test_nothing_is_told_late_of_a_source_that_another_watch_has(
    server: ScriptedServer, tmp_path: Path, fight: Path
) -> None:
    db = tmp_path / "e.db"
    kill_before_telling(server, db, fight, "opened")
    with Store.open(db) as running:
        assert running.locks.take(running.cameras.id_of(identity_of(find_sources([str(fight)])[0]), "fight.mp4"))
        assert kinds(watch_once(server, db, fight), late=True) == []
    assert kinds(watch_once(server, db, fight), late=True) == ["opened", "closed"]


def test_a_watch_that_is_taken_up_again_tells_nothing_twice(server: ScriptedServer, tmp_path: Path) -> None:
    lit = film(tmp_path / "lit.mp4", seconds=60, bright=[(0, 60)])
    notes = Notes()

    def on_start(watch: Watcher) -> None:
        async def pause_twice() -> None:
            for times in (1, 2):
                while notes.kinds().count("opened") < times:
                    await asyncio.sleep(0.02)
                watch.pause("lit.mp4")
                while notes.kinds().count("closed") < times:
                    await asyncio.sleep(0.005)
                watch.resume("lit.mp4")
            watch.stop()

        pausing.append(asyncio.get_running_loop().create_task(pause_twice()))

    pausing: list[asyncio.Task[None]] = []
    with Store.open(tmp_path / "e.db") as store:
        live: dict[str, Any] = {"realtime": True, "describe": "never", "sampling": replace(SAMPLING, fps=8.0)}
        asyncio.run(watched(server, [lit], notes, store=store, on_start=on_start, **live))
        assert (
            kinds(notes.changes, late=True) == [] and kinds(notes.changes, late=False)[:4] == ["opened", "closed"] * 2
        )
    assert kinds(watch_once(server, tmp_path / "e.db", film(tmp_path / "x.mp4", seconds=4)), late=True) == []


def test_a_camera_whose_watch_is_told_late_of_says_so_in_its_line(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb", buffering=0) as file:
        lines = JsonLinesWriter(file, TierThresholds())
        for late in (False, True):
            lines.on_change(EventChange("opened", make_event(), late=late))
    said = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line.get("late") for line in said] == [None, True]
