"""What a watch survives: real processes, killed, frozen, replaced and run out of disk while it watches."""

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from judging import SAMPLING, tokenized, yes
from rtsp_server import running as camera
from scripted_server import Reply, Request, ScriptedServer, error, stream
from vigil.frames import FrameSampling, decode_jpeg
from vigil.judge import Judge
from vigil.judge.circuit_breaker import ENDPOINT_CAUSES
from vigil.manifest import Contract
from vigil.questions import Question, load_question
from vigil.serving.server import RunningServer, free_port, run_server
from vigil.sources.address import find_sources
from vigil.sources.open_capture import CaptureSettings
from vigil.store import Store
from vigil.tiny import BASE_FOLDER
from vigil.verdict import Cause, Verdict
from vigil.watch import Watcher, WatchSettings, WatchSummary
from vigil.watch.state import SourceStatus
from waiting import HANG_S, until, until_async
from watching import BAR_STEPS, SAYS_YES, Notes, bar_in, bright_server, film, look, pictures_in, watched

pytestmark = pytest.mark.e2e

QUICK = CaptureSettings(retry_min_s=0.2, retry_max_s=1.0)


def judged(notes: Notes, source: str, *, since: int = 0) -> list[Verdict]:
    """The verdicts of a source, in order, from the answer with this number on."""
    return [judged.verdict for judged in notes.judged_[since:] if judged.source == source]


def good(notes: Notes, source: str, *, since: int = 0) -> int:
    """How many of them are known."""
    return sum(verdict.cause is None for verdict in judged(notes, source, since=since))


def free_again(process: "subprocess.Popen[str]") -> None:
    """Kills a camera and waits until its port is free."""
    process.kill()
    process.wait(HANG_S)


def test_a_server_killed_for_a_while_under_load_costs_only_unknowns(
    tmp_path: Path, task: Question, sampling: FrameSampling
) -> None:
    yard = film(tmp_path / "yard.mp4", seconds=20, bright=[(6, 12)])
    settings = WatchSettings(describe="never")
    log, key_file, port = tmp_path / "vllm.log", tmp_path / "key", free_port()
    notes = Notes()
    returned_at: list[int] = []

    def serve() -> AbstractContextManager[RunningServer]:
        return run_server(BASE_FOLDER, port=port, name="tiny", task=task, sampling=sampling, log=log, key_file=key_file)

    async def break_it(watch: Watcher, first: RunningServer, stack: ExitStack) -> None:
        try:
            await kill_it(watch, first, stack)
        finally:
            watch.stop()

    async def kill_it(watch: Watcher, first: RunningServer, stack: ExitStack) -> None:
        await until_async(lambda: len(notes.judged_) >= 12)
        os.killpg(first.pid, signal.SIGKILL)
        await until_async(lambda: all(away(notes, source) >= AWAY_WINDOWS for source in watch.states))
        await asyncio.to_thread(stack.enter_context, serve())
        returned_at.append(len(notes.judged_))
        await until_async(lambda: all(good(notes, source, since=returned_at[0]) >= 2 for source in watch.states))

    async def run() -> WatchSummary:
        with ExitStack() as stack:
            cameras = stack.enter_context(camera(yard))
            first = stack.enter_context(serve())
            addresses = find_sources([cameras.address(f"yard/{number}") for number in range(4)])
            async with await Judge.connect(
                first.endpoint(), task, sampling, retries=0, deadline_s=HANG_S, min_label_probability=0.0
            ) as judge:
                watch = Watcher(addresses, judge=judge, settings=settings, observers=[notes])
                breaking = asyncio.create_task(break_it(watch, first, stack))
                summary = await watch.run()
                await breaking
                return summary

    summary = asyncio.run(run())
    causes = Counter(judged.verdict.cause for judged in notes.told_)
    assert summary.unaccounted == 0 and sum(causes.values()) == sum(state.cut for state in summary.sources)
    assert causes[Cause.UNREACHABLE] > 4 and causes[None] > 12
    assert causes.keys() <= {None, *ENDPOINT_CAUSES, Cause.DROPPED, Cause.CANCELLED}


AWAY_WINDOWS = 8
"""Windows of each camera that come while the server is away: sixteen seconds of what it films."""


def away(notes: Notes, source: str) -> int:
    """How many windows of a source were told to be unknown as the server does not answer."""
    return sum(verdict.cause in ENDPOINT_CAUSES for verdict in judged(notes, source))


def test_one_camera_in_trouble_leaves_the_other_alone_and_comes_back(tmp_path: Path) -> None:
    small = film(tmp_path / "small.mp4", seconds=20)
    large = film(tmp_path / "large.mp4", seconds=20, size_wh=(256, 192))
    notes = Notes()
    tried: list[str] = []

    async def run() -> WatchSummary:
        with ExitStack() as stack, bright_server() as server:
            calm, bad = (stack.enter_context(camera(small)) for _ in range(2))
            addresses = [bad.address("bad"), calm.address("good")]
            names = [found.name for found in find_sources(addresses)]

            async def break_it(watch: Watcher) -> None:
                mine = watch.states[names[0]]

                async def lost_then_back(what: str, mend: Callable[[], object]) -> None:
                    await until_async(lambda: mine.stage is SourceStatus.LOST)
                    since = len(notes.judged_)
                    # That the other goes on is seen while this one is away, however long that takes.
                    await until_async(lambda: good(notes, names[1], since=since) >= 3)
                    since = len(notes.judged_)
                    mend()
                    await until_async(lambda: good(notes, names[0], since=since))
                    tried.append(what)

                await until_async(lambda: good(notes, names[0]))
                os.kill(bad.process.pid, signal.SIGSTOP)
                await lost_then_back("frozen", lambda: os.kill(bad.process.pid, signal.SIGCONT))
                free_again(bad.process)
                mute = stack.enter_context(camera(small, port=bad.port, options=["--mute"]))

                def another_size() -> None:
                    free_again(mute.process)
                    stack.enter_context(camera(large, port=bad.port))

                await lost_then_back("killed, then mute, then of another size", another_size)

            tasks: list[asyncio.Task[None]] = []
            summary = await watched(
                server,
                addresses,
                notes,
                describe="never",
                capture=QUICK,
                on_start=lambda watch: tasks.append(asyncio.create_task(_after_start(break_it, watch))),
            )
            await asyncio.gather(*tasks)
            return summary

    summary = asyncio.run(run())
    bad, well = summary.sources
    assert summary.unaccounted == 0 and bad.size_wh == (256, 192) and bad.connections >= 3
    assert well.connections == 1 and set(well.unknown) <= {Cause.CANCELLED} and len(tried) == 2
    # A window is due every two seconds of the film: none of them is missing.
    starts = [verdict.start_s for verdict in judged(notes, well.name) if verdict.cause is None]
    assert all(1.5 < after - before < 2.5 for before, after in pairwise(starts)), starts


async def _after_start(break_it: Callable[[Watcher], Awaitable[None]], watch: Watcher) -> None:
    try:
        await until_async(lambda: watch.states)
        await break_it(watch)
    finally:
        watch.stop()


@pytest.fixture
def bright() -> Iterator[ScriptedServer]:
    with bright_server() as server:
        server.routes["/tokenize"] = tokenized({"是的": [7], "没有": [9]})
        # Four times the usual pace, so that an incident takes seconds.
        server.models.append(Contract.of(load_question("fight"), replace(SAMPLING, fps=8.0)).alias)
        yield server


@contextmanager
def watcher(folder: Path, server: ScriptedServer, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """`vigil watch` in a process of its own, with its store and lines in `folder`."""
    options = ["--url", server.url, "--store", str(folder / "events.db"), "--jsonl", str(folder / "lines.jsonl")]
    command = [sys.executable, "-m", "vigil", "watch", *words, *options, "--set", "rules.0.quiet_s=1.5"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.DEVNULL, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(HANG_S)


def lines(folder: Path) -> list[dict[str, Any]]:
    """The JSON lines that are whole so far."""
    path = folder / "lines.jsonl"
    whole = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in whole]


def test_a_watcher_killed_in_an_event_has_every_announced_event_and_closes_the_open_one(
    tmp_path: Path, bright: ScriptedServer
) -> None:
    fight = film(tmp_path / "fight.mp4", seconds=60, bright=[(0, 2), (6, 60)])
    with watcher(tmp_path, bright, str(fight), "--realtime") as first:
        until(lambda: len({line["event"] for line in lines(tmp_path) if "event" in line}) == 2, every_s=0.05)
        first.send_signal(signal.SIGKILL)
        first.wait(HANG_S)
    announced = {line["event"] for line in lines(tmp_path) if "event" in line}
    with sqlite3.connect(tmp_path / "events.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Store.open(tmp_path / "events.db") as store:
        assert announced <= {event.id for event in store.events.find()} and len(store.events.find_open()) == 1
    (tmp_path / "lines.jsonl").unlink()
    with watcher(tmp_path, bright, str(fight), "--realtime") as second:
        until(lambda: lines(tmp_path), every_s=0.05)
        second.send_signal(signal.SIGINT)
        assert second.wait(HANG_S) == 0
    with Store.open(tmp_path / "events.db") as store:
        events = {event.id: event for event in store.events.find()}
        assert announced <= events.keys() and not store.events.find_open()
    assert "the watcher stopped" in {events[id].closed_because for id in announced}


def test_a_full_disk_stops_no_watch_and_nothing_is_lost_when_there_is_room_again(
    tmp_path: Path, bright: ScriptedServer
) -> None:
    fights = [(float(start), start + 1.5) for start in range(3, 30, 5)]
    video = film(tmp_path / "fights.mp4", seconds=32, bright=fights)
    with watcher(tmp_path, bright, str(video), "--realtime", "--set", "describe=never") as process:
        until(lambda: [line for line in lines(tmp_path) if "event" not in line], every_s=0.05)
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, hard))
        log = tmp_path / "log"
        until(lambda: "announced but not stored" in log.read_text(), every_s=0.05)
        bright.wait_for_chats(len(bright.chats) + 3)  # it goes on judging what comes, with nowhere to write
        assert process.poll() is None
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert process.wait(HANG_S) == 0
    assert "can be written to again" in log.read_text()
    written = lines(tmp_path)
    with Store.open(tmp_path / "events.db") as store:
        stored = store.events.find()
        verdicts = store.verdicts.of_session(store.sessions.of_camera("fights.mp4")[0])
    assert len(stored) == len(fights) == len({line["event"] for line in written if "event" in line})
    assert len(verdicts) == sum("event" not in line for line in written)


def test_ctrl_c_ends_a_watch_cleanly_and_everything_is_written(tmp_path: Path, bright: ScriptedServer) -> None:
    fight = film(tmp_path / "fight.mp4", seconds=60, bright=[(0, 60)])
    with watcher(tmp_path, bright, str(fight), "--realtime") as process:
        until(lambda: any("event" in line for line in lines(tmp_path)), every_s=0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_S) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    last = [line for line in lines(tmp_path) if "event" in line][-1]
    assert last["end_s"] is not None
    with Store.open(tmp_path / "events.db") as store:
        [event] = store.events.find()
        assert event.closed_because == "stopped" and {file.kind for file in store.media.of_event(event.id)} == {
            "snapshots",
            "clips",
        }


ANSWERS = {
    "slow": (Reply(body=yes().body, delay_s=600.0), Cause.TIMEOUT),
    "garbage": (Reply(body=b"<html>garbage</html>"), Cause.UNPARSEABLE),
    "impossible": (yes(1000.0), Cause.UNPARSEABLE),
    "400": (error(400, "no such picture"), Cause.REJECTED),
    "401": (error(401, "no such key"), Cause.UNAUTHORIZED),
    "429": (error(429, "slow down"), Cause.RATE_LIMITED),
    "500": (error(500, "out of memory"), Cause.SERVER_ERROR),
    "half an answer": (Reply(body=yes().body, hang_up=True), Cause.CUT_OFF),
}
"""Answers to the question for a verdict, and the cause that each must be told by."""

HALF_A_STREAM = Reply(events=(stream("Yes", ", two push", logprobs=SAYS_YES).events or ())[:3], hang_up=True)


@dataclass
class Wrong:
    """Answers every second question about a window as `ANSWERS` has it, and breaks off all words."""

    asked: int = 0

    def __call__(self, request: Request) -> Reply:
        if request.body.get("stream"):
            return HALF_A_STREAM
        if load_question("fight").text not in request.text:
            return look(request)
        number, is_wrong = divmod(self.asked, 2)
        self.asked += 1
        return list(ANSWERS.values())[number][0] if is_wrong and number < len(ANSWERS) else look(request)


def test_answers_of_every_wrong_kind_cost_their_windows_and_are_told_by_their_causes(
    tmp_path: Path, bright: ScriptedServer
) -> None:
    bright.default = Wrong()
    video = film(tmp_path / "yard.mp4", seconds=16, bright=[(10, 13)])
    # One question at a time, so that the third window gets the third answer; and none is asked again.
    options = ("in_flight=1", "deadline_s=10", "file_wait_s=0")
    with watcher(tmp_path, bright, str(video), *(word for option in options for word in ("--set", option))) as process:
        assert process.wait(HANG_S) == 0
    told = [line for line in lines(tmp_path) if "event" not in line]
    with Store.open(tmp_path / "events.db") as store:
        session = store.sessions.of_camera("yard.mp4")[0]
        stored, events = store.verdicts.of_session(session), store.events.of_session(session)
    # The last window ends with the film, whenever the next one would begin.
    assert [line["start_s"] for line in told[:-1]] == [0.5 * number for number in range(len(told) - 1)]
    assert told[-1]["end_s"] > 15 and len(told) == len(stored)
    causes = [line["cause"] for line in told]
    assert causes[1 : 2 * len(ANSWERS) : 2] == [cause for _, cause in ANSWERS.values()]
    assert Counter(causes)[None] == len(told) - len(ANSWERS)
    assert all(line["p_alarm"] is None for line in told if line["outcome"] == "unknown")
    alarms = [line for line in told if line["outcome"] == "alarm"]
    assert len(events) == 1 and alarms and all(line["text"] == "Yes, two push" for line in alarms)
    assert "Traceback" not in (tmp_path / "log").read_text()


LIES = {"fast": ["--clock", "2"], "still": ["--clock", "0"], "leaps": ["--clock-jump", "5", "7200"]}
SIZES = ((128, 96), (128, 64), (160, 64))
"""Of the pictures of each camera, which tell them apart."""


def test_cameras_that_lie_about_their_clocks_are_watched_by_the_true_one(
    tmp_path: Path, bright: ScriptedServer
) -> None:
    with ExitStack() as stack:
        addresses = []
        for (name, lie), size_wh in zip(LIES.items(), SIZES, strict=True):
            fight = film(tmp_path / f"{name}.mp4", seconds=60, bright=[(0, 60)], fps=16, size_wh=size_wh)
            addresses.append(stack.enter_context(camera(fight, options=lie)).address(name))
        cameras = [found.name for found in find_sources(addresses)]
        log, began_s = tmp_path / "log", time.time()
        process = stack.enter_context(watcher(tmp_path, bright, *addresses))
        # Twenty seconds of each film.
        until(lambda: all(len(verdicts(tmp_path, name)) >= 40 for name in cameras), every_s=0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_S) == 0
        ended_s = time.time()
    for name in cameras:
        assert is_found_out(log, name)
        starts = [line["start_s"] for line in verdicts(tmp_path, name)]
        # A window is due every half second and six pictures long; a leap costs the one that it falls into.
        assert starts == sorted(starts) and len(starts) <= 2 * (starts[-1] - starts[0]) + 2, (name, starts)
        assert median(after - before for before, after in pairwise(starts)) == pytest.approx(0.5, abs=0.2)
    for size_wh in SIZES:
        # What the film says of a window: five steps of an eighth of a second, two of its pictures each; where they are
        # timed by their arrival one may be missed. By a clock that runs wrong it would be half or twice as long.
        spans = [pictures for shown, pictures in map(shown_in, bright.chats) if shown == size_wh]
        assert len(spans) > 20 and 7 < median(spans) < 15, (size_wh, spans)
    with Store.open(tmp_path / "events.db") as store:
        found = store.events.find()
    assert {event.source for event in found} == set(cameras)
    for event in found:
        assert event.epoch_s is not None and began_s - 1 < event.epoch_s + event.onset_s < ended_s


def is_found_out(log: Path, source: str) -> bool:
    """Whether the watch has said that a camera's clock is wrong."""
    return any(f"{source}: " in line and "clock" in line for line in log.read_text().splitlines())


def shown_in(request: Request) -> tuple[tuple[int, ...], int]:
    """The size of a window's pictures, and how many pictures of the film lie between its first and its last."""
    pictures = pictures_in(request)
    first, last = decode_jpeg(pictures[0]), decode_jpeg(pictures[-1])
    return first.shape[1::-1], (bar_in(last) - bar_in(first)) % BAR_STEPS


def verdicts(folder: Path, source: str) -> list[dict[str, Any]]:
    """The verdicts of a source so far."""
    return [line for line in lines(folder) if "event" not in line and line["source"] == source]
