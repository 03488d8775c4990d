import asyncio
import logging
from pathlib import Path

import gradio as gr
import pytest
from app.endpoint_monitor import EndpointStatus
from app.language import LANGUAGES, translator
from app.passwords import Users
from app.web import watch_room
from app.web.camera_cards import CameraCards, card
from app.web.context import SiteOptions
from app.web.live_pictures import LivePictures, PageState
from app.web.recent_verdicts import RecentVerdicts
from app.web.watch_room import actor, updater
from PIL import Image
from starlette.authentication import SimpleUser
from starlette.datastructures import Address

from rooms import CAMERA, EVIL, context_of, event
from vigil.errors import UsageError, VigilError
from vigil.events import EventChange, TierThresholds
from vigil.verdict import Cause
from vigil.watch.background import BackgroundWatcher
from vigil.watch.state import SourceState, SourceStatus
from waiting import HANG_S


def asked_by(name: str) -> gr.Request:
    """A request of one who has signed in."""
    return gr.Request(user=SimpleUser(name), client=Address("10.0.0.9", 4000))


def wall_of(folder: Path, **context: object) -> tuple[LivePictures, RecentVerdicts, CameraCards, BackgroundWatcher]:
    made = context_of(folder, **context)  # type: ignore[arg-type]
    assert made.service is not None
    cameras, board = CameraCards(made, made.service), RecentVerdicts(TierThresholds())
    return LivePictures(made, made.service, cameras, board), board, cameras, made.service


def test_a_page_that_has_seen_nothing_is_told_all_and_one_that_has_is_told_nothing_again(tmp_path: Path) -> None:
    wall, _, _, _ = wall_of(tmp_path, sources=(CAMERA,))
    assert wall.has_update(PageState())
    news = wall.update(PageState())
    assert [one["name"] for one in news["cards"]] == ["rtsp://10.0.0.7:554/door"] and news["events"] == []
    seen = PageState(state=news["state"], events=news["events_version"])
    assert not wall.has_update(seen) and "cards" not in wall.update(seen)


def test_what_a_page_is_told_never_holds_a_password(tmp_path: Path) -> None:
    wall, _, cameras, service = wall_of(tmp_path, sources=(CAMERA,))
    assert "secret" not in str(wall.update(PageState()))
    service.remove("rtsp://10.0.0.7:554/door")
    assert cameras.spare() == ["rtsp://10.0.0.7:554/door"] and "secret" not in str(wall.update(PageState()))


def test_an_event_is_news_with_its_words(tmp_path: Path) -> None:
    wall, board, _, _ = wall_of(tmp_path)
    before = wall.update(PageState())
    board.on_change(EventChange("opened", event(1, text=EVIL)))
    seen = PageState(state=before["state"], events=before["events_version"])
    assert wall.has_update(seen)
    news = wall.update(seen)
    assert news["events"][0]["text"] == EVIL


def test_a_look_waits_for_news_and_answers_as_soon_as_there_are_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, board, _, _ = wall_of(tmp_path)
    look = updater(wall)

    monkeypatch.setattr(watch_room, "HOLD_S", 3600.0)

    async def run() -> None:
        news = await look({})
        waiting = asyncio.create_task(look({"state": news["state"], "events": news["events_version"]}))
        # Several looks of its own, none of which finds anything.
        await asyncio.sleep(3 * watch_room.LOOK_S)
        assert not waiting.done()
        board.on_change(EventChange("opened", event(1)))
        async with asyncio.timeout(HANG_S):
            assert (await waiting)["events"]

    asyncio.run(run())


def test_a_look_without_news_ends_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_room, "HOLD_S", 0.1)
    wall, _, _, _ = wall_of(tmp_path)
    state = wall.update(PageState())["state"]
    assert asyncio.run(updater(wall)({"state": state, "events": 0}))["state"] == state


@pytest.mark.parametrize("asked", [{}, {"strips": 3, "seen": [1], "events": "x"}, {"seen": {"a": "b"}, "state": None}])
def test_whatever_a_browser_sends_is_borne(tmp_path: Path, asked: dict[str, object]) -> None:
    wall, _, _, _ = wall_of(tmp_path)
    assert "cards" in wall.update(PageState.of(asked))


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("", "number"),
        ("/etc/passwd", "neither"),
        ("../clips/a.mp4", "neither"),
        ("file:///etc/passwd", "rtsp"),
        ("rtsp://10.0.0.8/x", "--allow-camera"),
        ("http://169.254.169.254/latest", "--allow-camera"),
        ("7", "--allow-camera"),
        ("x" * 2000, "number"),
    ],
)
def test_only_cameras_that_were_allowed_are_added(tmp_path: Path, word: str, why: str) -> None:
    _, _, cameras, service = wall_of(tmp_path, allow=("10.0.0.7:554",))
    with pytest.raises(UsageError, match=why):
        cameras.add(word)
    assert service.states() == []


def test_an_allowed_camera_is_added_paused_resumed_and_removed(tmp_path: Path) -> None:
    _, _, cameras, service = wall_of(tmp_path, allow=("10.0.0.7:554",))
    name = cameras.add("rtsp://admin:secret@10.0.0.7/yard")
    assert name == "rtsp://10.0.0.7/yard"
    cameras.act("pause", name)
    assert service.states()[0].stage is SourceStatus.PAUSED
    cameras.act("resume", name)
    assert service.states()[0].stage is SourceStatus.WAITING
    cameras.act("remove", name)
    assert service.states() == []


def test_a_configured_camera_comes_back_by_its_name_with_its_password(tmp_path: Path) -> None:
    _, _, cameras, service = wall_of(tmp_path, sources=(CAMERA,))
    name = "rtsp://10.0.0.7:554/door"
    cameras.act("remove", name)
    assert cameras.add(name) == name and [state.name for state in service.states()] == [name]


def test_a_camera_file_is_held_to_the_same_rule(tmp_path: Path) -> None:
    _, _, cameras, _ = wall_of(tmp_path, allow=("10.0.0.7:554",))
    good, bad = tmp_path / "camera.txt", tmp_path / "other.txt"
    good.write_text("rtsp://10.0.0.7/gate\n")
    bad.write_text("rtsp://10.9.9.9/gate\n")
    assert cameras.add_file(good) == "rtsp://10.0.0.7/gate"
    with pytest.raises(UsageError, match="--allow-camera"):
        cameras.add_file(bad)


@pytest.mark.parametrize("data", [b"", b"no camera\n", b"file:///etc/passwd\n", b"\0" * 5000])
def test_a_file_that_names_no_camera_is_refused_without_telling_where_it_lies(tmp_path: Path, data: bytes) -> None:
    _, _, cameras, _ = wall_of(tmp_path, allow=("10.0.0.7:554",))
    sent = tmp_path / "camera.txt"
    sent.write_bytes(data)
    with pytest.raises(VigilError, match=r"camera\.txt") as refused:
        cameras.add_file(sent)
    assert str(tmp_path) not in str(refused.value)


def test_a_picture_that_is_called_camera_txt_is_told_as_what_it_is(tmp_path: Path) -> None:
    _, _, cameras, _ = wall_of(tmp_path)
    Image.new("RGB", (64, 48)).save(tmp_path / "camera.txt", format="PNG")
    with pytest.raises(UsageError, match=r"camera\.txt names no camera"):
        cameras.add_file(tmp_path / "camera.txt")


def test_a_button_that_cannot_do_its_work_says_why(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    _, _, cameras, _ = wall_of(tmp_path)
    act = actor(cameras, context)
    for asked in ({"what": "pause", "name": "nobody"}, {"what": "explode", "name": "nobody"}, {}):
        assert act(asked, asked_by("ada"))["problem"]


def test_a_viewer_changes_nothing_and_it_is_noted_who_did(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    users = Users.of({"ada": "correct horse", "bob": "battery staple"}, frozenset({"bob"}))
    context = context_of(tmp_path, sources=(CAMERA,), options=SiteOptions(users=users))
    assert context.service is not None
    cameras = CameraCards(context, context.service)
    act = actor(cameras, context)
    name = context.service.states()[0].name
    with caplog.at_level(logging.INFO, logger="vigil.audit"):
        for what in ("pause", "resume", "remove"):
            assert act({"what": what, "name": name}, asked_by("bob"))["problem"]
        with pytest.raises(UsageError, match="may view but not change"):
            cameras.add(name, asked_by("bob"))
        assert not act({"what": "pause", "name": name}, asked_by("ada"))["problem"]
    assert [state.name for state in context.service.states()] == [name]
    assert [line.partition(" user=")[0] for line in caplog.messages] == [
        *(f"refused to {what} a camera" for what in ("pause", "resume", "remove", "add")),
        "pause a camera",
    ]
    assert 'user="ada" address="10.0.0.9"' in caplog.messages[-1] and "secret" not in caplog.text


def judged_state(stage: SourceStatus) -> SourceState:
    return SourceState(name="yard", live=True, stage=stage, p_alarm=0.91, lag_s=0.4, judged=9)


@pytest.mark.parametrize("stage", [each for each in SourceStatus if each is not SourceStatus.WATCHING])
def test_a_camera_that_is_not_watched_shows_no_figures_of_before(stage: SourceStatus) -> None:
    told = card(judged_state(stage), translator("en"))
    assert told["facts"][:2] == [("p", "–"), ("lag", "–")] and told["stale"] and told["tone"] != "good"  # type: ignore[index]


def test_a_camera_whose_endpoint_is_dead_is_not_called_watched() -> None:
    live, dead = (card(judged_state(SourceStatus.WATCHING), translator("en"), is_judged=yes) for yes in (True, False))
    assert (live["stage"], live["tone"], live["facts"][0][1]) == ("watching", "good", "0.91")  # type: ignore[index]
    assert (dead["stage"], dead["tone"], dead["facts"][0][1]) == ("not judged", "bad", "–")  # type: ignore[index]
    assert not dead["stale"], "its picture is live"


def test_the_wall_tells_at_once_that_nothing_is_judged_any_more(tmp_path: Path) -> None:
    made = context_of(tmp_path, sources=(CAMERA,))
    assert made.service is not None
    wall = LivePictures(made, made.service, CameraCards(made, made.service), RecentVerdicts(TierThresholds()))
    made.status.now = EndpointStatus(polled=True)
    made.service.problem = ""
    seen = PageState(state=wall.update(PageState())["state"])
    made.status.now = EndpointStatus(polled=True, is_away=True, problem="nothing answers")
    assert wall.has_update(seen) and "cards" in wall.update(seen)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_stage_and_cause_has_its_words(language: str) -> None:
    t = translator(language)  # type: ignore[arg-type]
    for stage in SourceStatus:
        state = SourceState(name="door", live=True, stage=stage, open_event="high")
        state.unknown.update(Cause)
        told = card(state, t)
        assert told["stage"] and told["tone"] in {"good", "wait", "bad", "off"} and told["open"]


def test_the_page_says_why_nothing_is_watched(tmp_path: Path) -> None:
    wall, _, _, _ = wall_of(tmp_path)
    problem = wall.update(PageState())["problem"]
    assert problem["why"] == "the watch is stopped"
