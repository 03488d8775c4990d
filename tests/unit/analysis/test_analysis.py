import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import waiting
from scripted_server import Reply, Request, ScriptedServer, stream
from vigil.analysis import Analysis, AnalysisView
from vigil.analysis.analysis import AnalysisPhase
from vigil.judge import Endpoint
from vigil.questions import Question
from vigil.sources.address import Address
from vigil.sources.webcam import BrowserWebcam
from vigil.verdict import Cause, Outcome
from vigil.watch import WatchSettings
from waiting import HANG_S
from watching import bright_server, film, look

TASK = Question.with_two_labels(name="t", text="Is there a fight? Yes or No.", alarm_word="Yes", normal_word="No")
FIGHT = TASK
FOUR_TIMES_AS_FAST = (
    "vigil-contract:fps=8:frames=6:overlap=0.4:max_pixels=12288:jpeg_quality=90:task=t:question=00000000"
)
DESCRIBE = Question(name="d", language="en", text="What happens?")

MakeAnalysis = Callable[..., Analysis]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture
def analysis_of(server: ScriptedServer) -> Iterator[MakeAnalysis]:
    made: list[Analysis] = []

    def make(path: Path | Address, *, question: Question = FIGHT, url: str = "", **more: Any) -> Analysis:
        address = path if isinstance(path, Address) else Address("file", path.name, str(path))
        settings = WatchSettings(max_pixels=12_288, file_wait_s=more.pop("file_wait_s", 5.0))
        endpoint = Endpoint(url=url or server.url)
        made.append(Analysis(address, question=question, endpoint=endpoint, settings=settings, **more))
        return made[-1]

    yield make
    for analysis in made:
        analysis.stop()
        assert analysis.wait(HANG_S)


def until(analysis: Analysis, condition: Callable[[AnalysisView], bool]) -> AnalysisView:
    waiting.until(lambda: condition(analysis.view()))
    return analysis.view()


def whole(analysis: Analysis) -> AnalysisView:
    analysis.start()
    assert analysis.wait(HANG_S)
    return analysis.view()


def outcomes(view: AnalysisView) -> list[str]:
    return [str(judged.verdict.outcome) for judged in view.judged]


def test_every_window_of_a_file_is_judged_and_makes_events(tmp_path: Path, analysis_of: MakeAnalysis) -> None:
    view = whole(analysis_of(film(tmp_path / "a.mp4", seconds=14, bright=[(4, 9)])))
    assert view.phase is AnalysisPhase.DONE
    assert [round(judged.start_s, 1) for judged in view.judged] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 11.0]
    assert [judged.window for judged in view.judged] == list(range(7))
    assert outcomes(view) == ["normal", "alarm", "alarm", "alarm", "normal", "normal", "normal"]
    (event,) = view.events
    assert event.onset_s == 2.0
    assert not event.is_open
    assert view.judged[1].verdict.text == "Yes, two people push."
    assert view.dropped == 0


def test_a_question_for_words_gets_words_and_is_never_normal(
    tmp_path: Path, server: ScriptedServer, analysis_of: MakeAnalysis
) -> None:
    server.default = stream("A bar ", "moves.")
    server.routes["/tokenize"] = Reply(body={"tokens": [5, 6]})
    view = whole(analysis_of(film(tmp_path / "a.mp4", seconds=6), question=DESCRIBE))
    assert {judged.verdict.cause for judged in view.judged} == {Cause.WORDS_ONLY}
    assert {judged.verdict.text for judged in view.judged} == {"A bar moves."}
    assert all(judged.verdict.p_alarm is None for judged in view.judged)
    assert view.events == ()


def test_a_verdict_question_that_was_edited_into_another_asks_for_words(
    tmp_path: Path, server: ScriptedServer, analysis_of: MakeAnalysis
) -> None:
    server.default = stream("Nothing.")
    server.routes["/tokenize"] = Reply(body={"tokens": [5]})
    edited = TASK.reworded("Count the cars.")
    view = whole(analysis_of(film(tmp_path / "a.mp4", seconds=3), question=edited))
    assert {judged.verdict.cause for judged in view.judged} == {Cause.WORDS_ONLY}
    kept = TASK.reworded("Is there a fire? Yes or No.")
    assert analysis_of(film(tmp_path / "b.mp4", seconds=3), question=kept).for_verdict


def test_live_goes_on_from_where_the_player_is_at_its_own_pace(tmp_path: Path, analysis_of: MakeAnalysis) -> None:
    analysis = analysis_of(film(tmp_path / "a.mp4", seconds=12, bright=[(0, 4)]))
    assert len(whole(analysis).judged) == 6
    began_s = time.time()
    analysis.go_live(at_s=7.2)
    view = until(analysis, lambda view: view.judged[-1].captured_s is not None)
    assert view.live
    assert [round(judged.start_s, 1) for judged in view.judged] == [0.0, 2.0, 4.0, 6.0]
    captured_s = view.judged[-1].captured_s
    # The window ends at 8.5 s, 1.3 s after the player's second, which it was when the file was opened.
    assert captured_s is not None and began_s <= captured_s - 1.3 <= time.time() - 1.3
    assert view.now_s is not None
    assert 7.2 < view.now_s <= 7.3 + time.time() - began_s
    assert view.lag_s is not None and 0.0 <= view.lag_s <= time.time() - captured_s


@pytest.mark.parametrize("at_s", [11.9, 12.0, 12.5, 60.0])
def test_live_at_the_end_of_a_file_keeps_its_windows_on_the_grid(
    tmp_path: Path, analysis_of: MakeAnalysis, at_s: float
) -> None:
    analysis = analysis_of(film(tmp_path / "a.mp4", seconds=12))
    times = [(judged.start_s, judged.end_s) for judged in whole(analysis).judged]
    analysis.go_live(at_s=at_s)
    assert analysis.wait(HANG_S)
    assert [(judged.start_s, judged.end_s) for judged in analysis.view().judged] == times
    analysis.judge_every()
    assert analysis.wait(HANG_S)
    assert [(judged.start_s, judged.end_s) for judged in analysis.view().judged] == times


def test_the_model_that_answers_is_known(tmp_path: Path, analysis_of: MakeAnalysis) -> None:
    assert whole(analysis_of(film(tmp_path / "a.mp4", seconds=3))).model == "tiny"


def test_back_from_live_every_window_is_judged_that_was_dropped(tmp_path: Path) -> None:
    with bright_server(delay_s=1.2) as slow:
        slow.models = ["tiny", FOUR_TIMES_AS_FAST]
        settings = WatchSettings(max_pixels=12_288, queue_windows=1, live_in_flight=1)
        address = Address("file", "a.mp4", str(film(tmp_path / "a.mp4", seconds=4)))
        analysis = Analysis(
            address, question=FIGHT, endpoint=Endpoint(url=slow.url), settings=settings, live=True, from_s=1.2
        )
        analysis.start()
        until(analysis, lambda view: view.dropped > 0)
        slow.default = look
        analysis.judge_every()
        assert analysis.wait(HANG_S)
        view = analysis.view()
    assert view.dropped == 0
    assert not view.live
    assert [judged.start_s for judged in view.judged] == [1.0, 1.5, 2.0, 2.5, 3.0, 3.25]


@pytest.mark.parametrize("held_from", [1, 3], ids=["as it connects", "as it judges"])
def test_stop_ends_at_once_and_what_was_asked_is_marked(tmp_path: Path, held_from: int) -> None:
    over = threading.Event()

    def held(request: Request) -> Reply:
        if len(slow.chats) >= held_from:
            assert over.wait(HANG_S), "it was waited for"
        return look(request)

    with bright_server() as slow:
        slow.default = held
        settings = WatchSettings(max_pixels=12_288, deadline_s=3600)
        address = Address("file", "a.mp4", str(film(tmp_path / "a.mp4", seconds=8)))
        analysis = Analysis(address, question=FIGHT, endpoint=Endpoint(url=slow.url), settings=settings)
        analysis.start()
        slow.wait_for_chats(held_from)
        analysis.stop()
        assert analysis.wait(HANG_S) and not over.is_set()
        over.set()
        view = analysis.view()
    assert view.phase is AnalysisPhase.STOPPED
    assert {judged.verdict.cause for judged in view.judged} <= ({None, Cause.CANCELLED} if held_from > 1 else set())


def test_an_endpoint_that_is_not_there_says_what_to_do(tmp_path: Path, analysis_of: MakeAnalysis) -> None:
    view = whole(analysis_of(film(tmp_path / "a.mp4", seconds=3), url="http://127.0.0.1:9"))
    assert view.phase is AnalysisPhase.FAILED
    assert "./vllm.sh" in view.detail


def test_a_file_that_is_no_video_says_so(tmp_path: Path, analysis_of: MakeAnalysis) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    view = whole(analysis_of(tmp_path / "a.mp4"))
    assert view.phase is AnalysisPhase.FAILED
    assert "a.mp4 cannot be read" in view.detail


def test_pictures_that_are_pushed_are_a_camera(analysis_of: MakeAnalysis) -> None:
    pictures = BrowserWebcam(name="my webcam", silent_s=1.0)
    analysis = analysis_of(Address("webcam", "my webcam", ""), opener=pictures.open)
    analysis.start()

    def judged(view: AnalysisView) -> bool:
        pictures.push(np.full((96, 128, 3), 230, np.uint8))
        time.sleep(0.05)
        return len(view.judged) > 0

    view = until(analysis, judged)
    assert view.live
    assert view.judged[0].verdict.outcome is Outcome.ALARM
    assert view.picture is not None
    analysis.judge_every()
    more = until(analysis, lambda view: judged(view) and len(view.judged) > 1)
    assert not more.live
    assert more.judged[1].start_s > more.judged[0].start_s  # the clock goes on, though the camera was opened anew
    lost = until(analysis, lambda view: view.phase is AnalysisPhase.LOST)
    assert "has sent no picture" in lost.detail
    analysis.stop()
    assert analysis.wait(HANG_S)
    assert analysis.view().phase is AnalysisPhase.STOPPED
