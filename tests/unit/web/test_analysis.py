import asyncio
import os
from contextlib import aclosing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from app.endpoint_monitor import EndpointStatus
from app.language import LANGUAGES, Language, translator
from app.web import analysis_stage
from app.web.analysis import AnalysisPanel, panel
from app.web.analysis_layout import AnalysisComponents, missing_cameras_html
from app.web.analysis_options import AnalysisOptions, analysis_options
from app.web.analysis_results import event_table_html
from app.web.analysis_session import AnalysisSession
from app.web.analysis_slots import AT_ONCE
from app.web.context import NONE
from app.web.plots import analysis_figure
from app.web.uploads import inspect_upload

from films import shoot
from rooms import EVIL, context_of, event
from vigil.analysis import Analysis, AnalysisView
from vigil.analysis.analysis import AnalysisPhase
from vigil.events import TierThresholds
from vigil.frames import FrameSampling
from vigil.judge import Endpoint
from vigil.judge.discovery import ServedModel
from vigil.manifest import Contract
from vigil.questions import list_questions
from vigil.sources.address import Address
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict
from vigil.watch import WatchSettings
from waiting import HANG_S, until

T = translator("en")


def judged(
    number: int, p_alarm: float | None = None, *, cause: Cause | None = None, text: str | None = None
) -> JudgedWindow:
    outcome = Outcome.UNKNOWN if cause else Outcome.ALARM if (p_alarm or 0) >= 0.75 else Outcome.NORMAL
    verdict = Verdict(
        outcome=outcome, cause=cause, p_alarm=p_alarm, text=text, start_s=2.0 * number, end_s=2.0 * number + 2.5
    )
    return JudgedWindow(source="a", window=number, verdict=verdict)


def view_of(*found: JudgedWindow, **more: Any) -> AnalysisView:
    return AnalysisView(**{"phase": AnalysisPhase.WATCHING, "live": False, "judged": found} | more)


def shown(tmp_path: Path, view: AnalysisView, *, address: Address | None = None) -> dict[str, Any]:
    question = list_questions()[0]
    made = Analysis(
        address or Address("file", "a.mp4", "a.mp4"),
        question=question,
        endpoint=Endpoint(),
        settings=WatchSettings(),
    )
    return analysis_stage.stage_state(AnalysisSession(tmp_path, run="r"), made, view, T)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_outcome_and_cause_and_phase_has_a_word(language: Any) -> None:
    t = translator(language)
    for cause in Cause:
        assert analysis_stage.verdict_label(judged(0, cause=cause), TierThresholds(), t)
    for p_alarm in (0.0, 0.8, 0.9, 0.99):
        assert analysis_stage.verdict_label(judged(0, p_alarm), TierThresholds(), t)
    for phase in AnalysisPhase:
        assert analysis_stage.phase_text(view_of(phase=phase), t)


def test_what_has_no_verdict_is_never_called_normal() -> None:
    for cause in Cause:
        row = analysis_stage.window_row(judged(0, cause=cause), TierThresholds(), T, waits=False)
        assert row["kind"] in {"unknown", "words"} and row["p"] is None
        assert row["label"] != T("analysis.normal")


def test_the_counts_keep_drops_unknowns_and_words_apart(tmp_path: Path) -> None:
    windows = (judged(0, 0.9), judged(1, 0.1), judged(2, cause=Cause.DROPPED), judged(3, cause=Cause.TIMEOUT))
    said = shown(tmp_path, view_of(*windows, live=True, dropped=1, lag_s=0.31))["facts"]
    assert said == ("windows 4 · alarms 1 · events 0 · without a verdict 1 · dropped 1 · 0.3 s behind")


def test_a_camera_shows_its_newest_windows_and_its_picture(tmp_path: Path) -> None:
    windows = [judged(number, 0.1) for number in range(analysis_stage.MOST_ROWS + 5)]
    camera = Address("stream", "rtsp://cam/1", "rtsp://cam/1")
    said = shown(tmp_path, view_of(*windows, live=True, picture=b"\xff\xd8"), address=camera)
    assert [said["rows"][0]["n"], len(said["rows"])] == [5, analysis_stage.MOST_ROWS]
    assert said["picture"].startswith("data:image/jpeg;base64,")
    assert said["kind"] == "camera"


def test_an_endpoint_that_is_away_is_told_before_all_else(tmp_path: Path) -> None:
    said = shown(tmp_path, view_of(away="unreachable: refused"))
    assert said["phase"] == T("analysis.phase_away")
    assert "unreachable: refused" in said["detail"]


def test_a_file_is_told_by_its_name_and_never_by_our_path(tmp_path: Path) -> None:
    ours = str(tmp_path / "a1b2.mp4")
    yard = Address("file", "yard.mp4", ours)
    said = shown(tmp_path, view_of(phase=AnalysisPhase.FAILED, detail=f"{ours} gives no picture at all"), address=yard)
    assert said["name"] == "yard.mp4"
    assert said["detail"] == "yard.mp4 gives no picture at all"


def test_the_words_of_events_are_never_html() -> None:
    assert "<img" not in event_table_html(view_of(events=(event(1, text=EVIL),)), T)
    assert T("analysis.no_events") in event_table_html(view_of(), T)


def test_the_timeline_holds_verdicts_thresholds_events_and_what_is_not_known() -> None:
    view = view_of(judged(0, 0.1), judged(1, cause=Cause.TIMEOUT), judged(2, 0.99, text=EVIL), events=(event(1),))
    made = analysis_figure(view, tiers=TierThresholds(), t=T)
    known, unknown = made.data
    assert tuple(known.y) == (0.1, None, 0.99)
    assert tuple(unknown.x) == (3.25,)
    assert len(made.layout.shapes) == 4  # one event, three thresholds
    assert EVIL not in str(made.to_json())


def test_a_source_that_is_away_hides_no_camera_and_is_told(tmp_path: Path) -> None:
    away = str(tmp_path / "<away>.txt")
    made = analysis_options(context_of(tmp_path, sources=("rtsp://10.0.0.7/1", away, "0")))
    assert [camera.name for camera in made.cameras] == ["rtsp://10.0.0.7/1", "webcam 0"]
    (problem,) = made.problems
    assert "<away>.txt" in problem
    assert "&lt;away&gt;.txt" in missing_cameras_html(made.problems, T)
    assert missing_cameras_html((), T) == ""


def choice(tmp_path: Path) -> AnalysisOptions:
    return AnalysisOptions(context_of(tmp_path), tuple(list_questions()), ())


def test_the_hint_says_when_an_edited_question_asks_for_words(tmp_path: Path) -> None:
    made = choice(tmp_path)
    asked = made.question_text("fight_en")
    assert made.hint("fight_en", asked) == T("analysis.asks_verdict")
    assert made.hint("fight_en", "Count the people.") == T("analysis.asks_words").replace("'", "&#x27;")
    assert made.hint("", "Is anything burning?") == T("analysis.asks_words").replace("'", "&#x27;")
    assert made.hint("fight_en", " ") == ""


@pytest.mark.parametrize(("language", "name"), [("en", "fight_en"), ("zh", "fight")])
def test_the_page_begins_with_the_question_of_its_language(tmp_path: Path, language: Language, name: str) -> None:
    context = replace(context_of(tmp_path), t=translator(language))

    async def laid_out() -> AnalysisComponents:
        with gr.Blocks():
            return panel(context)

    parts = asyncio.run(laid_out())
    assert parts.preset.value == name
    assert parts.question.value == next(question.text for question in list_questions() if question.name == name)
    assert parts.hint.value == translator(language)("analysis.asks_verdict")


def test_the_first_question_becomes_the_one_that_the_served_model_was_trained_on(tmp_path: Path) -> None:
    made = choice(tmp_path)
    usual, trained = (next(q for q in list_questions() if q.name == name) for name in ("fight_en", "fight"))
    nothing = gr.skip()
    assert made.first_preset(usual.name, usual.text) == (nothing, nothing)
    made.context.status.now = EndpointStatus(
        polled=True, models=(ServedModel(name="tiny", alias=Contract.of(trained, FrameSampling()).alias),)
    )
    assert made.first_preset(usual.name, usual.text) == (trained.name, trained.text)
    # What a visitor chose or wrote before the server was heard of stays.
    assert made.first_preset(usual.name, "Is anything burning?") == (nothing, nothing)
    assert made.first_preset(NONE, usual.text) == (nothing, nothing)


def test_a_desk_keeps_one_analysis_and_ends_the_one_before(tmp_path: Path) -> None:
    desk = AnalysisSession(tmp_path)
    question = list_questions()[0]
    address = Address("file", "a.mp4", str(tmp_path / "a.mp4"))
    first, second = (
        Analysis(address, question=question, endpoint=Endpoint(url="http://127.0.0.1:9"), settings=WatchSettings())
        for _ in range(2)
    )
    desk.begin(first, None, duration_s=None)
    run = desk.run
    first.start()
    desk.begin(second, None, duration_s=None)
    assert first.wait(HANG_S)
    assert desk.run != run and desk.analysis is second


def test_the_model_and_the_windows_that_were_let_go_of_are_told(tmp_path: Path) -> None:
    told = shown(tmp_path, view_of(judged(0, 0.9), model="tiny", forgotten=1234))["facts"]
    assert told.startswith("tiny · ") and "1234 older ones" in told


def test_the_analysis_asks_the_model_that_the_chat_handed_over(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    desk = bench.arrive()
    words = bench.choice.question_text("fight_en")

    async def start() -> None:
        async with aclosing(bench.start("webcam", None, None, "fight_en", words, desk, "other")) as updates:
            await anext(updates)

    asyncio.run(start())
    assert desk.analysis is not None and desk.analysis._endpoint.model == "other"
    desk.stop()


def bench_of(tmp_path: Path) -> AnalysisPanel:
    parts = AnalysisComponents(**{part.name: gr.HTML() for part in fields(AnalysisComponents)})
    return AnalysisPanel(context_of(tmp_path), parts, choice(tmp_path))


def analysis_of(address: Address) -> Analysis:
    return Analysis(
        address, question=list_questions()[0], endpoint=Endpoint(url="http://127.0.0.1:9"), settings=WatchSettings()
    )


async def followed(bench: AnalysisPanel, desk: AnalysisSession, analysis: Analysis) -> list[dict[Any, Any]]:
    async with aclosing(bench.follow(desk, analysis)) as updates:
        return [update async for update in updates]


def over(desk: AnalysisSession, address: Address) -> Analysis:
    """An analysis that is over, as it failed, and has one window all the same."""
    analysis = analysis_of(address)
    desk.begin(analysis, None, duration_s=None)
    analysis.start()
    assert analysis.wait(HANG_S)
    analysis._results.add(judged(0, 0.9))
    return analysis


def test_results_are_there_although_the_visitors_folder_was_swept(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    desk = bench.arrive()
    analysis = over(desk, Address("file", "a.mp4", str(tmp_path / "a.mp4")))
    desk.folder.rmdir()
    *_, last = asyncio.run(followed(bench, desk, analysis))
    assert bench.parts.notice not in last
    assert {path.name for path in desk.results().iterdir()} == {"analysis.jsonl", "analysis.srt"}


def test_results_that_cannot_be_written_are_told_and_the_stage_is_shown_to_the_end(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    desk = bench.arrive()
    analysis = over(desk, Address("file", "a.mp4", str(tmp_path / "a.mp4")))
    (desk.folder / desk.run).write_bytes(b"in the way")
    *_, last = asyncio.run(followed(bench, desk, analysis))
    assert "could not be created" in last[bench.parts.notice]
    assert last[bench.parts.stage]["over"]


def test_the_folder_of_an_analysis_that_is_followed_is_not_swept(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    desk = bench.arrive()
    analysis = over(desk, Address("file", "a.mp4", str(tmp_path / "a.mp4")))
    os.utime(desk.folder, (0, 0))
    asyncio.run(followed(bench, desk, analysis))
    bench.context.uploads.sweep()
    assert desk.folder.exists()


class Unending(Analysis):
    """One that runs until it is stopped, and asks nobody."""

    def _run(self) -> None:
        self._stopped.wait()
        self._end(AnalysisPhase.STOPPED)


def running(tmp_path: Path) -> Analysis:
    made = Unending(
        Address("file", "a.mp4", str(tmp_path / "a.mp4")),
        question=list_questions()[0],
        endpoint=Endpoint(),
        settings=WatchSettings(),
    )
    made.start()
    return made


def test_a_visitor_for_whom_there_is_no_place_is_told_at_once(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    words = bench.choice.question_text("fight_en")
    taken = [running(tmp_path) for _ in range(AT_ONCE)]
    for each in taken:
        bench.context.places.take(each)
    desk = bench.arrive()

    async def start(at: AnalysisSession) -> list[dict[Any, Any]]:
        async with aclosing(bench.start("webcam", None, None, "fight_en", words, at)) as updates:
            return [update async for update in updates]

    (told,) = asyncio.run(asyncio.wait_for(start(desk), HANG_S))
    assert f"{AT_ONCE} analyses are already running" in told[bench.parts.notice]
    assert desk.analysis is None
    assert not bench.context.places.is_full(leaving=taken[0])
    taken[0].stop()
    assert taken[0].wait(HANG_S) and not bench.context.places.is_full()
    for each in taken:
        each.stop()


def test_an_analysis_that_is_over_goes_on_only_where_there_is_a_place(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    desk = bench.arrive()
    analysis = over(desk, Address("file", "a.mp4", str(tmp_path / "a.mp4")))
    taken = [running(tmp_path) for _ in range(AT_ONCE)]
    for each in taken:
        bench.context.places.take(each)

    async def switch() -> list[dict[Any, Any]]:
        async with aclosing(bench.switch(0.0, desk)) as updates:
            return [update async for update in updates]

    assert "analyses are already running" in asyncio.run(switch())[-1][bench.parts.notice]
    assert not analysis.view().live
    for each in taken:
        each.stop()


def test_no_button_of_the_analysis_waits_behind_analyses_that_run(tmp_path: Path) -> None:
    async def laid_out() -> tuple[gr.Blocks, AnalysisComponents]:
        with gr.Blocks() as page:
            return page, panel(context_of(tmp_path))

    page, parts = asyncio.run(laid_out())
    limits = {
        target: function.concurrency_limit for function in page.fns.values() for target, _ in function.targets if target
    }
    assert limits[parts.start._id] is None and limits[parts.live._id] is None


def test_a_copy_that_is_stopped_is_none_and_is_begun_again_when_the_analysis_goes_on(tmp_path: Path) -> None:
    shoot(tmp_path / "old.avi", format="avi", codec="mpeg4", frames=300)
    desk = AnalysisSession(tmp_path / "desk")
    seen = inspect_upload(tmp_path / "old.avi")
    desk.begin(analysis_of(Address("file", "old.avi", str(seen.path))), seen, duration_s=None)
    until(lambda: any(desk.results().iterdir()))
    desk.stop()
    until(lambda: not desk.is_converting)
    assert desk.playable is None and not any(desk.results().iterdir())
    desk.go_on()
    assert desk.is_converting
    until(lambda: not desk.is_converting)
    assert desk.playable is not None and inspect_upload(desk.playable).is_playable
    desk.go_on()
    assert not desk.is_converting


def test_a_video_without_a_copy_is_not_said_to_get_one(tmp_path: Path) -> None:
    shoot(tmp_path / "old.avi", format="avi", codec="mpeg4", frames=30)
    seen = inspect_upload(tmp_path / "old.avi")
    (tmp_path / "old.avi").unlink()
    bench = bench_of(tmp_path)
    desk = bench.arrive()
    analysis = analysis_of(Address("file", "old.avi", str(seen.path)))
    desk.begin(analysis, seen, duration_s=None)
    analysis.start()
    until(lambda: not desk.is_converting)
    *_, last = asyncio.run(followed(bench, desk, analysis))
    assert last[bench.parts.stage]["unplayable"] and not last[bench.parts.stage]["converting"]


def test_a_copy_for_the_browser_that_is_ready_after_the_analysis_is_over_is_shown(tmp_path: Path) -> None:
    parts = AnalysisComponents(**{part.name: gr.HTML() for part in fields(AnalysisComponents)})
    bench = AnalysisPanel(context_of(tmp_path), parts, choice(tmp_path))
    desk = bench.arrive()
    lost = Address("file", "a.avi", str(tmp_path / "a.avi"))
    analysis = Analysis(lost, question=list_questions()[0], endpoint=Endpoint(), settings=WatchSettings())
    desk.begin(analysis, None, duration_s=None)
    analysis.start()
    assert analysis.wait(HANG_S)
    desk.is_converting = True

    async def videos() -> list[str]:
        seen = []
        async with aclosing(bench.follow(desk, analysis)) as updates:
            async for update in updates:
                seen.append(update[parts.stage]["video"])
                if len(seen) == 2:  # the analysis is over, and all but the video is shown
                    desk.playable, desk.is_converting = tmp_path / "copy.mp4", False
        return seen

    *before, last = asyncio.run(videos())
    assert before == ["", ""]
    assert last.endswith("copy.mp4")
