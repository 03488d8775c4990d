import asyncio
import inspect
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from judging import SAMPLING, TASK
from pace import PACE
from scripted_server import Reply, Request, ScriptedServer, error, stream
from vigil.events.event import Event, Tier
from vigil.events.judged import Judged
from vigil.judge import Endpoint, Judge
from vigil.sources.address import find_sources
from vigil.sources.feed import Signal
from vigil.sources.footage import FileFootage, Footage
from vigil.store import EventFilter, Store
from vigil.verdict import Cause, Outcome
from vigil.watch import Summary, Watch, WatchSettings
from vigil.watch.settings import Clips
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
        [event] = store.find_events(EventFilter())
        media = {file.kind: file for file in store.media(event.id)}
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
    asyncio.run(watched(server, [long_film], Notes(), words="events"))
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
    started = time.monotonic()

    def away_at_first(request: object) -> Reply:
        return error(503, "loading") if time.monotonic() - started < 1.5 else look(request)  # type: ignore[arg-type]

    async def run() -> None:
        server.default = away_at_first
        await watched(server, [long_film], notes, patience_s=30.0, words="never")

    notes = Notes()
    asyncio.run(run())
    assert [judged.verdict.cause for judged in notes.told_] == [None] * len(notes.told_)


def test_a_file_of_a_server_that_stays_away_is_unknown_not_normal(server: ScriptedServer, tmp_path: Path) -> None:
    notes = Notes()

    def gone(watch: Watch) -> None:
        server.default = error(500, "broken")

    summary = asyncio.run(watched(server, [film(tmp_path / "a.mp4", seconds=8)], notes, patience_s=0.3, on_start=gone))
    assert {judged.verdict.cause for judged in notes.told_} == {Cause.SERVER_ERROR}
    assert summary.sources[0].failed == summary.sources[0].cut


def test_a_live_source_that_outruns_the_server_drops_its_oldest_windows(tmp_path: Path) -> None:
    notes = Notes()
    with bright_server(delay_s=1.0) as slow:
        live = {"live_in_flight": 1, "queue_windows": 1, "words": "never", "realtime": True}
        sources = [film(tmp_path / "a.mp4", seconds=4)]
        summary = asyncio.run(watched(slow, sources, notes, sampling=replace(SAMPLING, fps=8.0), **live))
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
    notes = Notes()

    def stop_soon(watch: Watch) -> None:
        asyncio.get_running_loop().call_later(0.6, watch.stop)

    with bright_server(delay_s=0.1) as slow:
        file = film(tmp_path / "a.mp4", seconds=120, bright=[(0.0, 120.0)])
        summary = asyncio.run(watched(slow, [file], notes, in_flight=2, on_start=stop_soon, clips=Clips(most_s=0)))
    causes = [judged.verdict.cause for judged in notes.told_]
    assert summary.unaccounted == 0
    assert None in causes and Cause.CANCELLED in causes
    assert notes.kinds()[-1] == "closed" and notes.changes[-1].event.closed_because == "stopped"


def test_a_watch_that_is_aborted_while_a_question_is_just_begun_ends_and_accounts_for_it(tmp_path: Path) -> None:
    notes = Notes()

    async def run() -> Summary:
        with bright_server() as server:
            watching = asyncio.create_task(watched(server, [long], notes, in_flight=4, on_start=abort_soon))
            async with asyncio.timeout(10):
                return await watching

    def abort_soon(watch: Watch) -> None:
        aborting.append(asyncio.create_task(abort(watch)))

    async def abort(watch: Watch) -> None:
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
        def judged(self, judged: Judged) -> None:
            super().judged(judged)
            for _ in range(2):
                watches[0].stop()

    watches, notes = list[Watch](), Aborting()
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
        (Reply(body={}, delay_s=5.0), Cause.TIMEOUT),
    ],
    ids=lambda value: value.name if isinstance(value, Cause) else "",
)
def test_whatever_the_server_answers_a_live_watch_goes_on_and_names_it(
    server: ScriptedServer, tmp_path: Path, reply: Reply, cause: Cause
) -> None:
    notes = Notes()
    server.default = reply
    live = {"realtime": True, "deadline_s": 0.2, "judge": {"deadline_s": 0.2}}
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
    notes, breakers = Notes(), []
    deadline_s = 1.0 * PACE
    held = stream("Yes", *[" word"] * 17, logprobs=SAYS_YES, event_delay_s=deadline_s * 1.5 / 19, held_back=True)
    server.default = lambda request: held if request.body.get("stream") else look(request)
    sources = [film(tmp_path / "a.mp4", seconds=24, bright=[(6, 18)])]
    asyncio.run(
        watched(server, sources, notes, deadline_s=deadline_s, on_start=lambda watch: breakers.append(watch.breaker))
    )
    alarms = [judged.verdict for judged in notes.told_ if judged.verdict.outcome is Outcome.ALARM]
    assert len(alarms) > 4 and {verdict.text for verdict in alarms} == {"Yes" + " word" * 17}
    assert breakers[0].opened == 0


def test_a_watch_that_is_told_twice_to_stop_waits_for_no_camera_that_hangs(server: ScriptedServer) -> None:
    class Hanging:
        is_live, epoch_s, problems = True, None, ()
        footage: Footage = FileFootage(Path(os.devnull))

        def signals(self) -> Iterator[Signal]:
            released.wait(30)
            yield from ()

    def stop_twice(watch: Watch) -> None:
        loop = asyncio.get_running_loop()
        for after_s in (0.2, 0.3):
            loop.call_later(after_s, watch.stop)

    async def run() -> Summary:
        async with await Judge.connect(Endpoint(url=server.url), TASK, SAMPLING, media="video") as judge:
            address = find_sources(["rtsp://127.0.0.1:9/x"])
            watch = Watch(address, judge=judge, settings=WatchSettings(), opener=lambda *_, **__: Hanging())
            stop_twice(watch)
            return await watch.run()

    released, began_s = threading.Event(), time.monotonic()
    try:
        assert asyncio.run(run()).unaccounted == 0
        assert time.monotonic() - began_s < 5 * PACE
    finally:
        released.set()


def test_the_words_of_a_short_clip_are_in_the_store(server: ScriptedServer, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4", seconds=3, bright=[(0.0, 3.0)])
    with Store.open(tmp_path / "events.db") as store:
        save = store.save_event

        def slowly(event: Event, *, session: str = "") -> None:
            time.sleep(0.2)
            save(event, session=session)

        store.save_event = slowly  # type: ignore[method-assign]
        notes = Notes()
        asyncio.run(watched(server, [clip], notes, store=store))
        [event] = store.find_events()
    assert event.text == "Yes, two people push." and not event.is_open
    assert notes.kinds() == ["opened", "closed"]


def test_every_event_of_a_file_has_its_words_however_far_behind_they_are(tmp_path: Path) -> None:
    fights = [(start, start + 5.0) for start in range(4, 160, 16)]
    long = film(tmp_path / "a.mp4", seconds=164, bright=fights, fps=4)

    def reply(request: Request) -> Reply:
        return replace(look(request), delay_s=0.3 if request.body.get("stream") else 0.0)

    with bright_server() as server, Store.open(tmp_path / "events.db") as store:
        server.default = reply
        asyncio.run(watched(server, [long], Notes(), store=store, words_in_flight=1, deadline_s=60.0))
        events = store.find_events()
    assert len(events) == len(fights)
    assert {event.text for event in events} == {"Yes, two people push."}


def test_the_frames_of_a_long_live_event_are_kept_to_its_end(server: ScriptedServer, tmp_path: Path) -> None:
    notes = Notes()
    clips = Clips(before_s=0.5, after_s=0.5, most_s=2.0)
    with Store.open(tmp_path / "events.db") as store:
        fight = film(tmp_path / "a.mp4", seconds=8, bright=[(0.0, 8.0)])
        live = {"realtime": True, "words": "never", "keep_frames": True, "clips": clips}
        asyncio.run(watched(server, [fight], notes, store=store, sampling=replace(SAMPLING, fps=8.0), **live))
        [event] = store.find_events()
        kept = {int(file.path.name) for file in store.media(event.id) if file.kind == "frames"}
    assert event.end_s is not None and event.end_s > 6
    assert kept == {evidence.window for evidence in event.windows}


def _is_unbegun(task: "asyncio.Task[object]") -> bool:
    """Whether it is a question that was begun a moment ago and has not run yet."""
    asked = task.get_coro()
    assert inspect.iscoroutine(asked)
    return asked.__name__ == "_verdict" and inspect.getcoroutinestate(asked) == inspect.CORO_CREATED
