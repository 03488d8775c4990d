"""A watch that is killed with -9 and started again on a live camera: its rules go on. Real processes."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import prestarted
from http_camera import running as http_camera
from judging import yes
from prestarted import PrestartedProcess
from scripted_server import ScriptedServer
from vigil.events import Event
from vigil.store import Store
from vigil.store.events import STOPPED
from vigil.verdict import JudgedWindow
from waiting import HANG_S, until
from watching import bright_server, film

WATCH = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from judging import SAMPLING
from vigil.rules import DurationSettings
from vigil.store import Store
from watching import Notes, watched
class Telling(Notes):
    # Writes down the onset of an event and the end of the window that opened it.

    def on_change(self, change):
        if change.kind == "opened":
            event = change.event
            Path(sys.argv[2]).with_suffix(".opened").write_text(f"{event.onset_s} {event.windows[-1].end_s}")

rule = DurationSettings(name="long", for_s=float(sys.argv[4]), gap_s=4.0)
with Store.open(sys.argv[2]) as store:
    server = SimpleNamespace(url=sys.argv[1])
    fast = replace(SAMPLING, fps=8.0)
    asyncio.run(
        watched(server, [sys.argv[3]], Telling(), store=store, rules=(rule,), describe="never", sampling=fast)
    )
"""


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that says Yes to every window."""
    with bright_server() as running:
        running.default = lambda request: yes(-0.02, -4.0)
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a camera that sends pictures as long as it runs."""
    lit = film(tmp_path_factory.mktemp("films") / "lit.mp4", seconds=2)
    with http_camera(lit) as (_, port):
        yield f"http://127.0.0.1:{port}/live.mjpg"


@contextmanager
def watching(server: ScriptedServer, db: Path, address: str, *, for_s: float) -> Iterator[PrestartedProcess]:
    """A watch of one camera in a process of its own, which is killed with -9 at the end."""
    process = prestarted.begun(["-c", WATCH, server.url, str(db), address, str(for_s)], log=db.with_suffix(".log"))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(HANG_S)


def in_store(db: Path, look: Callable[[Store], Any]) -> Any:
    with Store.open(db) as store:
        return look(store)


def logged(db: Path) -> list[list[JudgedWindow]]:
    """The verdicts of each session so far, the oldest first."""

    def look(store: Store) -> list[list[JudgedWindow]]:
        cameras = store.cameras.all()
        sessions = store.sessions.of_camera(cameras[0].id) if cameras else []
        return [store.verdicts.of_session(session) for session in reversed(sessions)]

    return in_store(db, look)  # type: ignore[no-any-return]


def events(db: Path) -> list[Event]:
    return in_store(db, lambda store: store.events.find())  # type: ignore[no-any-return]


def seen_s(windows: list[JudgedWindow]) -> float:
    """The seconds in which the windows that were judged show what the rule is about, each once."""
    until_s, seen = 0.0, 0.0
    for judged in (each for each in windows if (each.verdict.p_alarm or 0.0) >= 0.5):
        seen += max(0.0, judged.end_s - max(judged.start_s, until_s))
        until_s = max(until_s, judged.end_s)
    return seen


def test_what_lasted_before_the_kill_counts_after_it_and_the_time_between_does_not(
    server: ScriptedServer, address: str, tmp_path: Path
) -> None:
    db = tmp_path / "e.db"
    with watching(server, db, address, for_s=6.0):
        until(lambda: (found := logged(db)) and seen_s(found[0]) >= 3.0)
    before_s = seen_s(logged(db)[0])
    assert events(db) == [] and 3.0 <= before_s < 6.0
    opened = db.with_suffix(".opened")
    with watching(server, db, address, for_s=6.0):
        until(opened.exists)
    [event] = events(db)
    first, second = logged(db)
    onset_s, opened_s = map(float, opened.read_text().split())
    shown = [each for each in second if each.end_s <= opened_s]
    # Six seconds were seen in both sessions together, up to the window that opened it, and none of the time between.
    stride_s = 0.5
    assert before_s + seen_s(shown) == pytest.approx(6.0, abs=2 * stride_s)
    assert event.onset_s == onset_s < 0.0 and event.epoch_s is not None and len(event.windows) >= len(first)
    assert event.epoch_s + event.onset_s == pytest.approx(_began_utc_s(db) + first[0].start_s, abs=0.01)


def _began_utc_s(db: Path) -> float:
    return in_store(db, lambda store: store.sessions.of_camera(store.cameras.all()[0].id)[-1].epoch_s)  # type: ignore[no-any-return]


def test_an_event_that_was_open_at_the_kill_is_the_same_event_afterwards(
    server: ScriptedServer, address: str, tmp_path: Path
) -> None:
    db = tmp_path / "e.db"
    with watching(server, db, address, for_s=2.0):
        until(lambda: events(db))
    [killed] = events(db)
    assert killed.is_open
    with watching(server, db, address, for_s=2.0):
        until(lambda: len(events(db)[0].windows) > len(killed.windows) + 4)
    [event] = events(db)
    assert event.id == killed.id and event.is_open and event.onset_s == killed.onset_s
    assert event.epoch_s == killed.epoch_s and event.announced_s == killed.announced_s
    numbers = [each.window for each in event.windows]
    starts_s = [each.start_s for each in event.windows]
    assert numbers == sorted(set(numbers)) and starts_s == sorted(starts_s)
    kinds = in_store(db, lambda store: [change.kind for change in store.changes.after(0)])
    assert kinds.count("opened") == 1 and "closed" not in kinds


def test_a_rule_that_is_no_longer_there_leaves_no_event_open(
    server: ScriptedServer, address: str, tmp_path: Path
) -> None:
    db = tmp_path / "e.db"
    with watching(server, db, address, for_s=2.0):
        until(lambda: events(db))
    with watching(server, db, address, for_s=3600.0):
        until(lambda: not events(db)[0].is_open)
    assert events(db)[0].closed_because == STOPPED
