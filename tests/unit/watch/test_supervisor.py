"""What fails unexpectedly in a watch is logged, counted and done again, and ends nothing else."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judging import SAMPLING, TASK
from scripted_server import ScriptedServer
from vigil.frames import Frame
from vigil.judge import Endpoint, Judge
from vigil.rules.hysteresis import HysteresisRule
from vigil.sources.address import Address, find_sources
from vigil.sources.open_capture import Capture, CaptureItem, open_capture
from vigil.store import Store
from vigil.verdict import Answer, Cause, Outcome
from vigil.watch import Watcher, WatchSettings, WatchSummary
from vigil.watch.media_recorder import MediaRecorder
from vigil.watch.settings import ClipSettings
from vigil.watch.store_writer import StoreWriter
from vigil.watch.supervisor import Supervisor
from waiting import HANG_S
from watching import Notes, bright_server, film

FAST = replace(SAMPLING, fps=8.0)


class Time:
    """A clock that goes on by what is slept, at once."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    def supervisor(self) -> Supervisor:
        return Supervisor(clock=self.clock, sleep=self.sleep)


def test_what_fails_is_done_again_later_each_time_and_counted() -> None:
    time, tries = Time(), Counter[str]()

    async def work() -> None:
        tries["work"] += 1
        if tries["work"] < 10:
            raise RuntimeError("never seen before")

    supervisor = time.supervisor()
    asyncio.run(supervisor.keep("flush", work))
    assert time.slept == [1, 2, 4, 8, 16, 32, 60, 60, 60] and supervisor.failures == {"flush": 9}


def test_what_went_well_for_long_is_done_again_soon() -> None:
    time, tries = Time(), Counter[str]()

    async def work() -> None:
        tries["work"] += 1
        time.now_s += 100.0 * (tries["work"] == 4)
        if tries["work"] < 6:
            raise RuntimeError("never seen before")

    asyncio.run(time.supervisor().keep("flush", work))
    assert time.slept == [1, 2, 4, 1, 2]


def test_what_nobody_wants_any_more_is_not_done_again() -> None:
    async def run() -> None:
        left = asyncio.Event()

        async def work() -> None:
            asyncio.get_running_loop().call_soon(left.set)
            raise RuntimeError("never seen before")

        await Supervisor(retry_min_s=1000.0).keep("door", work, stopped=left)

    asyncio.run(asyncio.wait_for(run(), HANG_S))


def test_a_cancelled_chore_ends() -> None:
    async def run() -> None:
        keeping = asyncio.create_task(Supervisor().keep("flush", lambda: asyncio.sleep(1000)))
        await asyncio.sleep(0)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping

    asyncio.run(run())


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture
def cameras(tmp_path: Path) -> list[Address]:
    """Two files that play as cameras, bright throughout."""
    (tmp_path / "films").mkdir()
    for name in ("a.mp4", "b.mp4"):
        film(tmp_path / "films" / name, seconds=60, bright=[(0, 60)], size_wh=(64, 64))
    return find_sources([str(tmp_path / "films")])


async def watch_until(
    server: ScriptedServer,
    addresses: list[Address],
    notes: Notes,
    enough: Callable[[], bool],
    *,
    store: Store | None = None,
    opener: Any = open_capture,
    **settings: Any,
) -> WatchSummary:
    made = WatchSettings(**({"realtime": True, "describe": "never", "clips": ClipSettings(max_s=0)} | settings))
    async with await Judge.connect(Endpoint(url=server.url), TASK, FAST, media="video", alarm_from=0.75) as judge:
        supervisor = Supervisor(retry_min_s=0.05)
        watch = Watcher(
            addresses,
            judge=judge,
            settings=made,
            store=store,
            observers=[notes],
            opener=opener,
            supervisor=supervisor,
        )
        running = asyncio.create_task(watch.run())
        try:
            async with asyncio.timeout(HANG_S):
                while not enough() and not running.done():
                    await asyncio.sleep(0.02)
        finally:
            watch.stop()
        return await running


def judged(notes: Notes, source: str) -> int:
    return sum(each.source == source and each.verdict.cause is None for each in notes.told_)


def at_first(times: int, raises: type[Exception], act: Callable[..., Any]) -> Callable[..., Any]:
    """Something that fails so often, then works."""
    calls = Counter[str]()

    def doing(*words: Any, **named: Any) -> Any:
        calls["all"] += 1
        if calls["all"] <= times:
            raise raises("never seen before")
        return act(*words, **named)

    return doing


def test_a_source_that_cannot_be_set_up_is_tried_again_and_the_others_go_on(
    server: ScriptedServer, cameras: list[Address], caplog: pytest.LogCaptureFixture
) -> None:
    notes = Notes()
    opening = at_first(3, ZeroDivisionError, open_capture)

    def opener(address: Address, *words: Any, **named: Any) -> Capture:
        return opening(address, *words, **named) if address.name == "a.mp4" else open_capture(address, *words, **named)

    def enough() -> bool:
        return min(judged(notes, "a.mp4"), judged(notes, "b.mp4")) >= 2

    summary = asyncio.run(watch_until(server, cameras, notes, enough, opener=opener))
    assert enough() and summary.unaccounted == 0 and summary.failures == 3
    assert [r for r in caplog.records if r.levelno == logging.ERROR and r.exc_info and "a.mp4" in r.getMessage()]


def test_a_beginning_that_fails_ends_no_watch(
    server: ScriptedServer, cameras: list[Address], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(StoreWriter, "start_session", at_first(1, KeyError, StoreWriter.start_session))
    with Store.open(tmp_path / "e.db") as store:

        def enough() -> bool:
            return min(judged(notes, "a.mp4"), judged(notes, "b.mp4")) >= 2

        summary = asyncio.run(watch_until(server, cameras, notes, enough, store=store))
    assert enough() and summary.unaccounted == 0 and summary.failures == 1


class Stumbling:
    """A feed whose reader fails after so many frames, the first time."""

    def __init__(self, feed: Capture, frames: int) -> None:
        self._feed = feed
        self._frames = frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    def read(self) -> Iterator[CaptureItem]:
        for signal in self._feed.read():
            self._frames -= isinstance(signal, Frame)
            if self._frames < 0:
                raise ZeroDivisionError("never seen before")
            yield signal


def test_a_reader_that_fails_costs_its_camera_a_moment_and_closes_its_event(
    server: ScriptedServer, cameras: list[Address], tmp_path: Path
) -> None:
    notes, opened = Notes(), Counter[str]()

    def opener(address: Address, *words: Any, **named: Any) -> Any:
        opened[address.name] += 1
        feed = open_capture(address, *words, **named)
        return Stumbling(feed, 20) if address.name == "a.mp4" and opened["a.mp4"] == 1 else feed

    def enough() -> bool:
        return opened["a.mp4"] == 2 and notes.kinds("a.mp4") == ["opened", "closed", "opened"]

    with Store.open(tmp_path / "e.db") as store:
        summary = asyncio.run(watch_until(server, cameras, notes, enough, opener=opener, store=store))
        assert [event.closed_because for event in store.events.find() if event.source == "a.mp4"] == [
            "the watch of it failed",
            "stopped",
        ]
        assert [session.ended_because for session in store.sessions.of_camera("b.mp4")] == ["ended"]
    assert summary.unaccounted == 0 and summary.failures == 1 and ("a.mp4", "lost") in notes.states


def test_a_window_that_cannot_be_settled_costs_no_other(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    push = HysteresisRule.push

    def stumble(self: HysteresisRule, each: Any) -> Any:
        if self.source == "a.mp4" and each.window == 1:
            raise ZeroDivisionError("never seen before")
        return push(self, each)

    monkeypatch.setattr(HysteresisRule, "push", stumble)
    files = [film(tmp_path / name, seconds=30, bright=[(10, 20)]) for name in ("a.mp4", "b.mp4")]
    addresses = find_sources([str(file) for file in files])
    summary = asyncio.run(watch_until(server, addresses, notes, lambda: False, realtime=False))
    assert notes.kinds("a.mp4") == notes.kinds("b.mp4") == ["opened", "closed"]
    assert summary.unaccounted == 0 and summary.failures == 1
    assert {state.cut for state in summary.sources} == {state.judged for state in summary.sources}


def test_a_judge_that_fails_unexpectedly_leaves_an_unknown_window(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    asking = Judge.ask
    fail = at_first(2, ZeroDivisionError, lambda: None)

    async def ask(self: Judge, *words: Any, **named: Any) -> Answer:
        fail()
        return await asking(self, *words, **named)

    monkeypatch.setattr(Judge, "ask", ask)
    addresses = find_sources([str(film(tmp_path / "a.mp4", seconds=10))])
    summary = asyncio.run(watch_until(server, addresses, notes, lambda: False, realtime=False))
    causes = Counter(each.verdict.cause for each in notes.told_)
    assert causes[Cause.FAULT] == summary.failures == 2 and causes[None] == len(notes.told_) - 2 > 0
    assert not any(each.verdict.outcome is Outcome.NORMAL for each in notes.told_ if each.verdict.cause)


def test_a_file_that_fails_for_ever_is_told_as_unreadable_and_the_others_end(
    server: ScriptedServer, tmp_path: Path
) -> None:
    notes = Notes()

    def opener(address: Address, *words: Any, **named: Any) -> Any:
        feed = open_capture(address, *words, **named)
        return Stumbling(feed, 20) if address.name == "a.mp4" else feed

    files = [film(tmp_path / name, seconds=10) for name in ("a.mp4", "b.mp4")]
    addresses = find_sources([str(file) for file in files])
    summary = asyncio.run(watch_until(server, addresses, notes, lambda: False, realtime=False, opener=opener))
    assert [str(state.stage) for state in summary.sources] == ["unreadable", "ended"]
    assert summary.unaccounted == 0 and judged(notes, "b.mp4") >= 4 and judged(notes, "a.mp4") >= 1
    assert [each.source for each in notes.told_ if each.verdict.cause is Cause.UNREADABLE] == ["a.mp4"]


@pytest.mark.parametrize("chore", ["flush_periodically", "prune_periodically"])
def test_a_chore_that_fails_is_begun_again(
    server: ScriptedServer, cameras: list[Address], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chore: str
) -> None:
    again, doing = threading.Event(), getattr(StoreWriter, chore)
    tries = Counter[str]()

    async def stumble(self: StoreWriter, *words: Any) -> None:
        tries[chore] += 1
        if tries[chore] <= 2:
            raise ZeroDivisionError("never seen before")
        again.set()
        await doing(self, *words)

    monkeypatch.setattr(StoreWriter, chore, stumble)
    notes = Notes()
    with Store.open(tmp_path / "e.db") as store:
        summary = asyncio.run(watch_until(server, cameras, notes, again.is_set, store=store))
    assert again.is_set() and summary.failures == 2


def test_ending_in_order_goes_on_where_a_part_of_it_fails(
    server: ScriptedServer, cameras: list[Address], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: MediaRecorder) -> None:
        raise ZeroDivisionError("never seen before")

    monkeypatch.setattr(MediaRecorder, "close", fail)
    notes = Notes()
    with Store.open(tmp_path / "e.db") as store:
        summary = asyncio.run(watch_until(server, cameras, notes, lambda: judged(notes, "a.mp4") >= 2, store=store))
        assert summary.failures == 1 and notes.closed
        assert [session.ended_because for session in store.sessions.of_camera("a.mp4")] == ["ended"]
