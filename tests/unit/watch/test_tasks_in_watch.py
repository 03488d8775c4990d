"""Questions of single cameras in a watch: asked beside the watch's own, follow-ups only when they are called for."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from judging import IDS, SAMPLING, TASK, no, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer
from vigil.judge import Endpoint, Judge
from vigil.rules import CameraRules, CameraTask, HysteresisSettings, Term
from vigil.rules.camera_rules import OwnThresholds
from vigil.sources.address import Address, find_sources
from vigil.store import Store
from vigil.verdict import Cause, JudgedWindow
from vigil.watch import Watcher, WatchSettings
from vigil.watch.request_places import RequestPlaces
from waiting import HANG_S
from watching import Notes, bright_server, film, is_bright

FAST = replace(SAMPLING, fps=8.0)
DARK = CameraTask(ask="Is it dark?", name="dark")
LIT = CameraTask(ask="Is it lit?", name="lit", ask_when=Term())
OWN = HysteresisSettings(name="brawl", quiet_s=1.0)


def answer(request: Request) -> Reply:
    """Yes to what the pictures show: the watch's own question and `lit` are about light, `dark` about its absence."""
    return yes(-0.02, -4.0) if is_bright(request) is not ("dark" in request.text) else no()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        running.default = answer
        yield running


async def watched(server: ScriptedServer, address: Address, notes: Notes, **settings: object) -> None:
    store = settings.pop("store", None)
    made = WatchSettings(deadline_s=HANG_S, describe="never", rules=(OWN,), **settings)  # type: ignore[arg-type]
    endpoint = Endpoint(url=server.url)
    async with await Judge.connect(endpoint, TASK, FAST, media="video", deadline_s=HANG_S, retries=0) as judge:
        watch = Watcher([address], judge=judge, settings=made, store=store, observers=[notes])  # type: ignore[arg-type]
        if isinstance(notes, Changing):
            notes.watch = watch
        await watch.run()
        notes.refused = watch.states[address.name].refused_questions  # type: ignore[attr-defined]


def yard(path: Path, *tasks: CameraTask, seconds: float = 12, bright: tuple[float, float] = (4, 8)) -> Address:
    [address] = find_sources([str(film(path, seconds=seconds, bright=[bright]))])
    return replace(address, rules=chosen(*tasks) if tasks else None)


def chosen(*tasks: CameraTask) -> CameraRules:
    own = (OwnThresholds(rule="dark", quiet_s=1.0),) if DARK in tasks else ()
    return CameraRules(tasks=tasks, thresholds=own)


def asked_of(server: ScriptedServer, words: str) -> int:
    return sum(words in request.text for request in server.requests)


def test_each_question_of_a_camera_makes_its_own_events_and_a_follow_up_is_asked_only_when_the_first_fires(
    server: ScriptedServer, tmp_path: Path
) -> None:
    notes = Notes()
    with Store.open(tmp_path / "e.db") as store:
        asyncio.run(watched(server, yard(tmp_path / "a.mp4", DARK, LIT), notes, store=store))
        events = sorted(store.events.find(), key=lambda event: event.onset_s)
        assert [(each.rule, round(each.onset_s), round(each.end_s or 0)) for each in events] == [
            ("dark", 0, 4),
            ("brawl", 4, 8),
            ("lit", 4, 8),
            ("dark", 8, 12),
        ]
        assert [each.task for each in events] == [DARK.load().name, "t", LIT.load().name, DARK.load().name]
        assert store.cameras.all()[0].rules == chosen(DARK, LIT).to_text()
    windows = len(notes.judged_)
    bright = sum(each.verdict.outcome == "alarm" for each in notes.judged_)
    assert asked_of(server, TASK.text) == asked_of(server, "dark") == windows
    assert asked_of(server, "lit") == bright < windows
    causes = Counter(each.answers[LIT.load().name].cause for each in notes.judged_)
    assert causes == {None: bright, Cause.NOT_ASKED: windows - bright}


def test_a_follow_up_to_an_answer_that_did_not_come_is_unknown_and_not_asked(
    server: ScriptedServer, tmp_path: Path
) -> None:
    server.default = lambda request: Reply(status=400) if TASK.text in request.text else answer(request)
    notes = Notes()
    asyncio.run(watched(server, yard(tmp_path / "a.mp4", LIT), notes))
    assert {each.answers[LIT.load().name].cause for each in notes.judged_} == {Cause.SKIPPED}
    assert asked_of(server, "lit") == 0 and notes.changes == []


@dataclass
class Changing(Notes):
    """Gives the source its questions as soon as a rule has opened an event."""

    chosen: CameraRules = field(default_factory=CameraRules)
    watch: Watcher | None = None

    def on_verdict(self, judged: JudgedWindow) -> None:
        super().on_verdict(judged)
        if self.changes and self.watch is not None:
            self.watch.rules_of(judged.source).change_to(self.chosen)
            self.watch = None


def test_a_question_that_is_added_is_asked_from_the_next_window_on_and_open_events_go_on(
    server: ScriptedServer, tmp_path: Path
) -> None:
    notes = Changing(chosen=CameraRules(tasks=(LIT,)))
    asyncio.run(watched(server, yard(tmp_path / "a.mp4", seconds=30, bright=(2, 30)), notes, in_flight=1))
    opened = [change.event.rule for change in notes.changes if change.kind == "opened"]
    assert opened == ["brawl", "lit"] and 0 < asked_of(server, "lit") < len(notes.judged_)


def test_questions_in_the_store_are_asked_after_a_restart_and_none_said_takes_them_away(
    server: ScriptedServer, tmp_path: Path
) -> None:
    address = yard(tmp_path / "a.mp4", DARK)
    found = []
    with Store.open(tmp_path / "e.db") as store:
        for said in (address, replace(address, rules=None), replace(address, rules=CameraRules())):
            server.requests.clear()
            asyncio.run(watched(server, said, Notes(), store=store))
            found.append(asked_of(server, "dark") > 0)
    assert found == [True, True, False]


def test_a_question_that_the_vocabulary_cannot_answer_takes_no_other_with_it_and_is_told(
    server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The model spells both words with the same first tokens, however far it goes.
    server.routes["/tokenize"] = tokenized(IDS | {"是的": [5, 6], "没有": [5, 6]})
    notes = Notes()
    asyncio.run(watched(server, yard(tmp_path / "a.mp4", CameraTask(ask="天黑了吗"), DARK), notes))
    assert {change.event.rule for change in notes.changes} == {"brawl", "dark"}
    assert {each.verdict.cause for each in notes.judged_} == {None}
    [told] = notes.refused  # type: ignore[attr-defined]
    assert "cannot be asked" in told and caplog.text.count("it counts as unknown") == 1


def test_no_more_requests_are_under_way_than_in_flight_allows_whatever_the_number_of_questions(
    server: ScriptedServer, tmp_path: Path
) -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def slow(request: Request) -> Reply:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
        return answer(request)

    server.default = slow
    tasks = (DARK, *(CameraTask(ask=f"Is it {number}?") for number in range(4)))
    notes = Notes()
    asyncio.run(watched(server, yard(tmp_path / "a.mp4", *tasks), notes, in_flight=3))
    assert len(server.requests) >= 6 * len(notes.judged_) and 2 <= most <= 3


def test_the_other_questions_are_sent_beside_the_first_and_a_follow_up_after_its_answer(
    server: ScriptedServer, tmp_path: Path
) -> None:
    dark, answered = threading.Event(), threading.Event()
    waited: list[bool] = []

    def held(request: Request) -> Reply:
        if "dark" in request.text:
            dark.set()
        elif "lit" in request.text:
            waited.append(answered.is_set())
        elif is_bright(request):
            # The first question is answered once the other one has arrived: that does not wait for its answer.
            waited.append(dark.wait(HANG_S))
            answered.set()
        return answer(request)

    server.default = held
    notes = Notes()
    # One window: that of a second one might hold the other place, for which this one's other question waits.
    asyncio.run(watched(server, yard(tmp_path / "a.mp4", DARK, LIT, seconds=0.75, bright=(0, 1)), notes, in_flight=2))
    assert len(notes.judged_) == 1 and waited and all(waited)
    assert {tuple(each.answers) for each in notes.judged_} == {("t", DARK.load().name, LIT.load().name)}


def test_a_place_that_is_given_back_twice_is_one_place() -> None:
    async def run() -> None:
        places = RequestPlaces(asyncio.Semaphore(1), own=2)
        first = await places.take()
        second = asyncio.create_task(places.take())
        first.give_back()
        first.give_back()
        await second
        third = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        assert not third.done()
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)
        (await second).give_back()
        async with places.held():
            pass

    asyncio.run(run())
