import asyncio
import inspect
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import odd_camera
from judging import SAMPLING, TASK
from scripted_server import Reply, Request, ScriptedServer, error, stream
from vigil.events import Event, Tier
from vigil.frames import Frame
from vigil.judge import Endpoint, Judge
from vigil.sources.address import find_sources
from vigil.sources.footage import FileFootage, Footage
from vigil.sources.open_capture import Capture, CaptureItem, Connected, Waiting, open_capture
from vigil.store import EventFilter, Store, StoredChange, database
from vigil.store.changes import StoredKind
from vigil.verdict import Cause, JudgedWindow, Outcome
from vigil.watch import SourceState, Watcher, WatchSettings, WatchSummary
from vigil.watch.settings import ClipSettings
from vigil.watch.state import SourceStatus
from waiting import HANG_S, SkippingLoop, until
from watching import SAYS_YES, Notes, bright_server, film, look, watched

FIGHT = [(6.0, 14.0)]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture
def long_film(tmp_path: Path) -> Path:
    return film(tmp_path / "long.mp4", seconds=30, bright=FIGHT)


def test_one_incident_is_one_event_with_its_onset_end_words_and_pictures(
    server: ScriptedServer, long_film: Path, tmp_path: Path
) -> None:
    notes = Notes()
    with Store.open(tmp_path / "store" / "events.db") as store:
        summary = asyncio.run(watched(server, [long_film], notes, store=store, keep_frames=True))
        [event] = store.events.find(EventFilter())
        media = {file.kind: file for file in store.media.of_event(event.id)}
    assert notes.kinds() == ["opened", "closed"]
    assert event.tier is Tier.HIGH and not event.is_open
    assert event.onset_s == pytest.approx(4.0) and event.end_s == pytest.approx(14.5, abs=2.1)
    assert event.text == "Yes, two people push."
    assert media.keys() == {"snapshots", "clips", "frames"}
    assert all(file.size_bytes > 0 for file in media.values())
    assert summary.unaccounted == 0 and summary.events == 1


def test_a_file_loses_no_window_and_they_come_in_order(server: ScriptedServer, long_film: Path) -> None:
    notes = Notes()
    summary = asyncio.run(watched(server, [long_film], notes, in_flight=8))
    windows = [judged.window for judged in notes.told_]
    assert windows == list(range(len(windows))) and len(windows) == summary.sources[0].cut >= 14
    assert all(judged.verdict.outcome is not Outcome.UNKNOWN for judged in notes.told_)


def test_only_alarms_are_put_into_words(server: ScriptedServer, long_film: Path) -> None:
    notes = Notes()
    asyncio.run(watched(server, [long_film], notes))
    worded = [judged.window for judged in notes.told_ if judged.verdict.text]
    assert worded == [j.window for j in notes.told_ if j.verdict.outcome is Outcome.ALARM] != []


def test_words_for_events_cost_one_question_an_event(server: ScriptedServer, long_film: Path) -> None:
    asyncio.run(watched(server, [long_film], Notes(), describe="events"))
    assert sum(bool(request.body.get("stream")) for request in server.chats) == 1


def test_a_broken_file_is_told_and_the_others_go_on(server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    film(tmp_path / "b.mp4", seconds=4)
    notes = Notes()
    summary = asyncio.run(watched(server, [tmp_path], notes))
    [broken] = [judged for judged in notes.told_ if judged.source == "a.mp4"]
    assert broken.verdict.cause is Cause.UNREADABLE and "a.mp4" in broken.verdict.detail
    assert [judged.source for judged in notes.told_ if judged.verdict.cause is None] == ["b.mp4"] * 2
    assert summary.unaccounted == 0 and notes.closed


def test_a_file_waits_for_a_server_that_is_away(server: ScriptedServer, long_film: Path) -> None:
    watches, probes = list[Watcher](), list[Request]()

    def away_at_first(request: Request) -> Reply:
        # Until a probe has failed, too.
        probes.extend([request] * watches[0].breaker.times_opened)
        return error(503, "loading") if len(probes) < 2 else look(request)

    def go_away(watch: Watcher) -> None:
        watches.append(watch)
        server.default = away_at_first

    notes = Notes()
    asyncio.run(watched(server, [long_film], notes, file_wait_s=HANG_S, describe="never", on_start=go_away))
    assert [judged.verdict.cause for judged in notes.told_] == [None] * len(notes.told_)
    assert watches[0].breaker.times_opened == 1 and len(probes) >= 2


def test_a_file_of_a_server_that_stays_away_is_unknown_not_normal(server: ScriptedServer, tmp_path: Path) -> None:
    notes = Notes()

    def gone(watch: Watcher) -> None:
        server.default = error(500, "broken")

    summary = asyncio.run(watched(server, [film(tmp_path / "a.mp4", seconds=8)], notes, file_wait_s=0.3, on_start=gone))
    assert {judged.verdict.cause for judged in notes.told_} == {Cause.SERVER_ERROR}
    assert summary.sources[0].failed == summary.sources[0].cut


def test_a_live_source_that_outruns_the_server_drops_its_oldest_windows(tmp_path: Path) -> None:
    notes, watches, asked = Notes(), list[Watcher](), list[Request]()

    def slowly(request: Request) -> Reply:
        # Three more windows are cut while one is asked about, of the seven that there are.
        asked.append(request)
        until(lambda: watches[0].states["a.mp4"].cut >= min(3 * len(asked), 7))
        return look(request)

    def slow_down(watch: Watcher) -> None:
        watches.append(watch)
        slow.default = slowly

    with bright_server() as slow:
        live = {"live_in_flight": 1, "queue_windows": 1, "describe": "never", "realtime": True}
        sources = [film(tmp_path / "a.mp4", seconds=4)]
        summary = asyncio.run(
            watched(slow, sources, notes, sampling=replace(SAMPLING, fps=8.0), on_start=slow_down, **live)
        )
    state = summary.sources[0]
    assert state.dropped >= 2 and state.judged >= 3 and summary.unaccounted == 0
    assert [judged.window for judged in notes.told_] == list(range(state.cut))
    assert all(judged.captured_s for judged in notes.told_)


def test_still_windows_are_skipped_by_the_gate_and_never_normal(server: ScriptedServer, tmp_path: Path) -> None:
    notes = Notes()
    asyncio.run(watched(server, [film(tmp_path / "a.mp4", seconds=8)], notes, motion_gate=200.0))
    assert {judged.verdict.cause for judged in notes.told_} == {Cause.SKIPPED}
    assert server.chats[1:] == []


def test_a_stopped_watch_marks_what_it_did_not_judge_and_closes_its_events(tmp_path: Path) -> None:
    class Stopping(Notes):
        def on_verdict(self, judged: JudgedWindow) -> None:
            super().on_verdict(judged)
            if len(self.judged_) == 6:
                watches[0].stop()

    watches, asked, notes = list[Watcher](), list[Request](), Stopping()

    def ahead(request: Request) -> Reply:
        if not request.body.get("stream"):
            # The lane of two behind those that are asked about is full whenever one is answered.
            asked.append(request)
            until(lambda: watches[0].states["a.mp4"].cut >= len(asked) + 2)
        return look(request)

    def hold(watch: Watcher) -> None:
        watches.append(watch)
        slow.default = ahead

    with bright_server() as slow:
        file = film(tmp_path / "a.mp4", seconds=120, bright=[(0.0, 120.0)])
        summary = asyncio.run(watched(slow, [file], notes, in_flight=2, on_start=hold, clips=ClipSettings(max_s=0)))
    causes = [judged.verdict.cause for judged in notes.told_]
    assert summary.unaccounted == 0
    assert None in causes and Cause.CANCELLED in causes
    assert notes.kinds()[-1] == "closed" and notes.changes[-1].event.closed_because == "stopped"


def test_a_watch_that_is_aborted_while_a_question_is_just_begun_ends_and_accounts_for_it(tmp_path: Path) -> None:
    notes = Notes()

    async def run() -> WatchSummary:
        with bright_server() as server:
            watching = asyncio.create_task(watched(server, [long], notes, in_flight=4, on_start=abort_soon))
            async with asyncio.timeout(HANG_S):
                return await watching

    def abort_soon(watch: Watcher) -> None:
        aborting.append(asyncio.create_task(abort(watch)))

    async def abort(watch: Watcher) -> None:
        while not any(_is_unbegun(task) for task in asyncio.all_tasks()):
            await asyncio.sleep(0)
        watch.stop()
        watch.stop()

    long, aborting = film(tmp_path / "a.mp4", seconds=60), list[asyncio.Task[None]]()
    summary = asyncio.run(run())
    assert summary.unaccounted == 0 and len(notes.told_) == summary.sources[0].cut
    assert Cause.CANCELLED in {judged.verdict.cause for judged in notes.told_}


def test_no_words_are_asked_for_once_a_watch_is_aborted(server: ScriptedServer, tmp_path: Path) -> None:
    class Aborting(Notes):
        def on_verdict(self, judged: JudgedWindow) -> None:
            super().on_verdict(judged)
            for _ in range(2):
                watches[0].stop()

    watches, notes = list[Watcher](), Aborting()
    lit = film(tmp_path / "a.mp4", seconds=30, bright=[(0.0, 30.0)])
    asyncio.run(watched(server, [lit], notes, in_flight=8, on_start=watches.append))
    assert notes.judged_[0].verdict.outcome is Outcome.ALARM
    assert not any(request.body.get("stream") for request in server.chats)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (error(400, "bad"), Cause.REJECTED),
        (error(401, "key"), Cause.UNAUTHORIZED),
        (error(429, "slow down"), Cause.RATE_LIMITED),
        (error(500, "oops"), Cause.SERVER_ERROR),
        (Reply(body=b"<html>garbage</html>"), Cause.UNPARSEABLE),
        (Reply(body={"choices": []}), Cause.UNPARSEABLE),
        (Reply(hang_up=True), Cause.UNREACHABLE),
        (Reply(body={}, delay_s=HANG_S), Cause.TIMEOUT),
    ],
    ids=lambda value: value.name if isinstance(value, Cause) else "",
)
def test_whatever_the_server_answers_a_live_watch_goes_on_and_names_it(
    server: ScriptedServer, tmp_path: Path, reply: Reply, cause: Cause
) -> None:
    notes = Notes()
    server.default = reply
    # The others are not to run into it.
    deadline_s = 0.2 if cause is Cause.TIMEOUT else HANG_S
    live = {"realtime": True, "deadline_s": deadline_s, "judge": {"deadline_s": deadline_s}}
    sources = [film(tmp_path / "a.mp4", seconds=1.5)]
    summary = asyncio.run(watched(server, sources, notes, sampling=replace(SAMPLING, fps=8.0), **live))
    assert {judged.verdict.cause for judged in notes.told_} == {cause}
    assert summary.sources[0].failed == summary.sources[0].cut > 0 and not notes.changes


def test_words_that_break_off_leave_the_alarm_as_it_is(server: ScriptedServer, tmp_path: Path) -> None:
    notes = Notes()

    def half(request: Request) -> Reply:
        broken = stream("Yes", ", two", logprobs=SAYS_YES, hang_up=True)
        return broken if request.body.get("stream") else look(request)

    server.default = half
    asyncio.run(watched(server, [film(tmp_path / "a.mp4", seconds=24, bright=[(6, 12)])], notes))
    alarms = [judged.verdict for judged in notes.told_ if judged.verdict.outcome is Outcome.ALARM]
    assert notes.kinds() == ["opened", "closed"] and {verdict.text for verdict in alarms} == {"Yes, two"}


def test_a_proxy_that_holds_streams_back_beyond_the_deadline_loses_no_words(
    server: ScriptedServer, tmp_path: Path
) -> None:
    notes, watches, whole = Notes(), list[Watcher](), threading.Event()
    held_back = list[Request]()

    def held(request: Request) -> Reply:
        if not request.body.get("stream"):
            return look(request)
        held_back.append(request)
        assert whole.wait(HANG_S)
        return stream("Yes", *[" word"] * 17, logprobs=SAYS_YES)

    def begin(watch: Watcher) -> None:
        watches.append(watch)
        server.default = held

    def hold_back(loop: SkippingLoop) -> None:
        # All are judged, and the words of each alarm are asked for; then a deadline and a half goes by.
        until(lambda: len(notes.judged_) == 12)
        until(lambda: len(held_back) == sum(each.verdict.outcome is Outcome.ALARM for each in notes.judged_))
        loop.skip(1500.0)
        whole.set()

    sources = [film(tmp_path / "a.mp4", seconds=24, bright=[(6, 18)])]
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        holding = threading.Thread(target=hold_back, args=(runner.get_loop(),))
        holding.start()
        runner.run(watched(server, sources, notes, deadline_s=1000.0, describe_in_flight=8, on_start=begin))
        holding.join()
    alarms = [judged.verdict for judged in notes.told_ if judged.verdict.outcome is Outcome.ALARM]
    assert len(alarms) > 4 and {verdict.text for verdict in alarms} == {"Yes" + " word" * 17}
    assert watches[0].breaker.times_opened == 0


def test_a_watch_that_is_told_twice_to_stop_waits_for_no_camera_that_hangs(server: ScriptedServer) -> None:
    class Hanging:
        is_live, started_utc_s, problems = True, None, ()
        footage: Footage = FileFootage(Path(os.devnull))

        def read(self) -> Iterator[CaptureItem]:
            hangs.set()
            released.wait()
            yield from ()

    async def stop_twice(watch: Watcher) -> None:
        await asyncio.to_thread(hangs.wait, HANG_S)
        watch.stop()
        await asyncio.sleep(0)
        watch.stop()

    async def run() -> WatchSummary:
        async with await Judge.connect(Endpoint(url=server.url), TASK, SAMPLING, media="video") as judge:
            address = find_sources(["rtsp://127.0.0.1:9/x"])
            watch = Watcher(address, judge=judge, settings=WatchSettings(), opener=lambda *_, **__: Hanging())
            stopping = asyncio.create_task(stop_twice(watch))
            async with asyncio.timeout(HANG_S):
                summary = await watch.run()
            await stopping
            return summary

    hangs, released = threading.Event(), threading.Event()
    try:
        assert asyncio.run(run()).unaccounted == 0 and hangs.is_set()
    finally:
        released.set()


def test_the_incident_of_a_film_behind_http_is_announced_once_and_then_the_watch_is_over(
    server: ScriptedServer, tmp_path: Path
) -> None:
    clip = film(tmp_path / "a.mp4", seconds=8, bright=[(1.0, 6.0)], movflags="faststart")
    notes = Notes()
    with odd_camera.serving({"/film.mp4": odd_camera.told(clip.read_bytes(), "video/mp4")}) as camera:
        summary = asyncio.run(asyncio.wait_for(watched(server, [camera.address("film.mp4")], notes), HANG_S))
        assert notes.kinds() == ["opened", "closed"]
        assert summary.unaccounted == 0 and [state.stage for state in summary.sources] == [SourceStatus.ENDED]
        assert camera.requests["/film.mp4"] == 1


def test_a_camera_whose_key_picture_is_waited_for_is_not_called_watched(server: ScriptedServer) -> None:
    class Joined:
        is_live, started_utc_s, problems = True, None, ()
        footage: Footage = FileFootage(Path(os.devnull))

        def read(self) -> Iterator[CaptureItem]:
            yield Waiting("its next key picture is waited for")
            assert heard.wait(HANG_S)
            yield Connected((64, 64), 25.0, "h264", 30.0)

    class Listening(Notes):
        def on_state(self, state: SourceState) -> None:
            if state.detail:
                told.append((state.stage, state.detail))
                heard.set()

    async def run() -> WatchSummary:
        async with await Judge.connect(Endpoint(url=server.url), TASK, SAMPLING, media="video") as judge:
            address = find_sources(["rtsp://127.0.0.1:9/x"])
            watch = Watcher(
                address,
                judge=judge,
                settings=WatchSettings(),
                observers=[Listening()],
                opener=lambda *_, **__: Joined(),
            )
            return await watch.run()

    told: list[tuple[SourceStatus, str]] = []
    heard = threading.Event()
    asyncio.run(run())
    assert set(told) == {(SourceStatus.CONNECTING, "its next key picture is waited for")}


def test_the_words_of_a_short_clip_are_in_the_store(server: ScriptedServer, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4", seconds=3, bright=[(0.0, 3.0)])
    with Store.open(tmp_path / "events.db") as store:
        save = store.events.save

        def slowly(
            event: Event, *, session: str | None = "", published: Collection[StoredKind] = ()
        ) -> list[StoredChange]:
            time.sleep(0.2)
            return save(event, session=session, published=published)

        store.events.save = slowly  # type: ignore[method-assign]
        notes = Notes()
        asyncio.run(watched(server, [clip], notes, store=store))
        [event] = store.events.find()
    assert event.text == "Yes, two people push." and not event.is_open
    assert notes.kinds() == ["opened", "closed"]


def test_every_event_of_a_file_has_its_words_however_far_behind_they_are(tmp_path: Path) -> None:
    fights = [(start, start + 5.0) for start in range(4, 160, 16)]
    long = film(tmp_path / "a.mp4", seconds=164, bright=fights, fps=4)

    def reply(request: Request) -> Reply:
        return replace(look(request), delay_s=0.3 if request.body.get("stream") else 0.0)

    with bright_server() as server, Store.open(tmp_path / "events.db") as store:
        server.default = reply
        asyncio.run(watched(server, [long], Notes(), store=store, describe_in_flight=1, deadline_s=60.0))
        events = store.events.find()
    assert len(events) == len(fights)
    assert {event.text for event in events} == {"Yes, two people push."}


def test_the_frames_of_a_long_live_event_are_kept_to_its_end(server: ScriptedServer, tmp_path: Path) -> None:
    notes = Notes()
    clips = ClipSettings(before_s=0.5, after_s=0.5, max_s=2.0)
    with Store.open(tmp_path / "events.db") as store:
        fight = film(tmp_path / "a.mp4", seconds=8, bright=[(0.0, 8.0)])
        live = {"realtime": True, "describe": "never", "keep_frames": True, "clips": clips}
        asyncio.run(watched(server, [fight], notes, store=store, sampling=replace(SAMPLING, fps=8.0), **live))
        [event] = store.events.find()
        kept = {int(file.path.name) for file in store.media.of_event(event.id) if file.kind == "frames"}
    assert event.end_s is not None and event.end_s > 6
    assert kept == {evidence.window for evidence in event.windows}


def _is_unbegun(task: "asyncio.Task[object]") -> bool:
    """Whether it is a question that was begun a moment ago and has not run yet."""
    asked = task.get_coro()
    assert inspect.iscoroutine(asked)
    return asked.__qualname__ == "Watcher._ask" and inspect.getcoroutinestate(asked) == inspect.CORO_CREATED


def test_cameras_are_read_while_another_program_holds_the_store(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that a watch which waits for the store is one that does not read.
    monkeypatch.setattr(database, "BUSY_S", 600.0)
    films = [film(tmp_path / f"{name}.mp4", seconds=3) for name in "abcd"]
    seen, all_seen = set[str](), threading.Event()

    class Eyes(Notes):
        def on_frame(self, source: str, frame: Frame) -> None:
            seen.add(source)
            if len(seen) == len(films):
                all_seen.set()

    async def run() -> WatchSummary:
        watching = asyncio.create_task(watched(server, films, Eyes(), store=store, realtime=True, describe="never"))
        try:
            assert await asyncio.to_thread(all_seen.wait, HANG_S), f"only {sorted(seen)} were read"
        finally:
            other.execute("ROLLBACK")
        return await watching

    with Store.open(tmp_path / "events.db") as store, closing(_held(tmp_path / "events.db")) as other:
        summary = asyncio.run(run())
        assert summary.unaccounted == 0 and summary.store_losses == 0
        assert all(len(store.sessions.of_camera(path.name)) == 1 for path in films)
        assert all(store.sessions.of_camera(path.name)[0].ended_because == "ended" for path in films)


def _held(path: Path) -> sqlite3.Connection:
    """A connection that keeps all others from writing, until it rolls back."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_words_join_their_verdicts_in_the_log_when_they_come(
    server: ScriptedServer, long_film: Path, tmp_path: Path
) -> None:
    notes = Notes()
    with Store.open(tmp_path / "events.db") as store:
        asyncio.run(watched(server, [long_film], notes, store=store))
        [session] = store.sessions.of_camera("long.mp4")
        texts = [judged.verdict.text for judged in store.verdicts.of_session(session)]
    assert texts == [judged.verdict.text for judged in notes.told_] and any(texts)


@pytest.mark.parametrize(("seconds", "found"), [(8.0, []), (10.0, ["opened", "closed"])])
def test_the_rest_at_the_end_of_a_film_is_no_second_vote(
    server: ScriptedServer, tmp_path: Path, seconds: float, found: list[str]
) -> None:
    notes = Notes()
    late = film(tmp_path / "a.mp4", seconds=seconds, bright=[(6.4, seconds)])
    asyncio.run(watched(server, [late], notes))
    alarms = [judged.verdict.outcome is Outcome.ALARM for judged in notes.told_]
    assert alarms[:3] == [False, False, True] and all(alarms[2:]) and notes.told_[-1].rest
    assert notes.kinds() == found


@pytest.mark.parametrize("gate", [0.0, 0.001], ids=["without a gate", "with one"])
def test_windows_that_wait_hold_no_raw_pictures(tmp_path: Path, gate: float) -> None:
    alive: list[int] = []

    class Counted:
        """A feed that counts the pictures it gave and that are still held."""

        def __init__(self, feed: Capture) -> None:
            self._feed = feed

        def __getattr__(self, name: str) -> Any:
            return getattr(self._feed, name)

        def read(self) -> Iterator[CaptureItem]:
            given: list[weakref.ref[Any]] = []
            for signal in self._feed.read():
                if isinstance(signal, Frame):
                    given.append(weakref.ref(signal.image))
                    alive.append(sum(picture() is not None for picture in given))
                yield signal

    async def run() -> WatchSummary:
        with bright_server(delay_s=0.3) as slow:
            async with await Judge.connect(Endpoint(url=slow.url), TASK, SAMPLING, media="video") as judge:
                addresses = find_sources([str(film(tmp_path / "a.mp4", seconds=60))])
                settings = WatchSettings(describe="never", motion_gate=gate)
                watch = Watcher(
                    addresses,
                    judge=judge,
                    settings=settings,
                    opener=lambda *words, **named: Counted(open_capture(*words, **named)),
                )
                return await watch.run()

    assert asyncio.run(run()).unaccounted == 0
    assert len(alive) == 120 and max(alive) <= SAMPLING.frames + 2
