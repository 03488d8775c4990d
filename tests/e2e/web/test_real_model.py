"""The pages before the real vLLM: every kind of question, a camera, two visitors, stop, the room, a restart."""

import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import chat_pages
import people
import rtsp_server
from analysis_pages import choose
from browsing import Site, Visitors, site_at
from chat_pages import attach, look_at_the_whole
from process_group import living, wait_until_gone
from vigil.frames import FrameSampling
from vigil.questions import Question, load_question
from vigil.serving.server import RunningServer, free_port, run_server
from vigil.tiny import BASE_FOLDER
from waiting import HANG_S
from watching import film

pytestmark = pytest.mark.e2e
QUESTION = "请分析这个视频,是否有打架斗殴等异常行为。"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return people.clips("fight", 1, folder=tmp_path_factory.mktemp("clips"))[0]


@pytest.fixture(scope="module")
def camera(clip: Path, camera_port: int) -> Iterator[rtsp_server.Running]:
    """A camera that shows the clip again and again, where visitors may name one."""
    with rtsp_server.running(clip, port=camera_port) as camera:
        yield camera


def ask(page: Page, question: str, *, number: int = 1, attached: Path | None = None) -> None:
    """Asks in the chat, once about all that is attached, and waits for the whole of the answer with this number."""
    if attached is not None:
        look_at_the_whole(page)
        attach(page, attached)
    chat_pages.ask(page, question)
    expect(page.locator("#chat-log .bot")).to_have_count(number)
    expect(page.locator("#chat-box .submit-button")).to_be_visible()
    expect(page.locator("#chat-log .bot").last).not_to_be_empty()
    expect(page.locator("#chat-notice [role=alert]")).to_have_count(0)


def answered(server: RunningServer) -> int:
    """How many requests vLLM has answered, or left off."""
    address = f"{server.url.removesuffix('/v1')}/metrics"
    asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {server.key}"})
    with urllib.request.urlopen(asked, timeout=HANG_S) as answer:
        counts = re.findall(r"^vllm:request_success_total\{[^}]*\} ([0-9.e+]+)$", answer.read().decode(), re.MULTILINE)
    return round(sum(map(float, counts)))


def answered_when_quiet(server: RunningServer) -> int:
    """The same, once vLLM has had nothing to do for three seconds; a server that works on has all windows answered."""
    count, before = answered(server), -1
    while count != before:
        time.sleep(3)
        count, before = answered(server), count
    return count


def test_a_text_a_picture_and_a_video_are_answered(site: Site, visitors: Visitors, tmp_path: Path) -> None:
    page = visitors.visit(site.url)
    expect(page.locator("#vigil-status")).to_contain_text("matches")
    Image.new("RGB", (1600, 900), "green").save(tmp_path / "large.jpg")
    film(tmp_path / "long.mp4", seconds=200, fps=4)
    for number, name in enumerate((None, "large.jpg", "long.mp4"), start=1):
        ask(page, QUESTION, number=number, attached=tmp_path / name if name else None)
    assert re.search(r"230 frames of \d+×\d+, one every 0\.9 s", page.inner_text("#chat-log"))
    visitors.shoot(page, "real-chat")


def test_the_trained_question_about_a_longer_video_says_what_was_trained(
    site: Site, visitors: Visitors, tmp_path: Path
) -> None:
    page = visitors.visit(site.url)
    ask(page, load_question("fight").text, attached=film(tmp_path / "short.mp4", seconds=3))
    expect(page.locator("#chat-notice [role=status]")).to_have_count(0)
    ask(page, load_question("fight").text, number=2, attached=film(tmp_path / "long.mp4", seconds=6))
    expect(page.locator("#chat-notice [role=status]")).to_contain_text("12 frames at once; the model was trained on 6")
    visitors.shoot(page, "real-chat-longer")


def test_two_visitors_ask_at_once_about_a_camera_and_a_clip(
    site: Site, visitors: Visitors, camera: rtsp_server.Running, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "camera.txt").write_text(f"{camera.address(login='')}\n")
    one, two = visitors.visit(site.url), visitors.visit(site.url, language="zh-CN")
    ask(one, QUESTION, attached=tmp_path / "camera.txt")
    ask(two, QUESTION, attached=clip)
    ask(one, "现在呢?", number=2)
    assert one.inner_text("#chat-log").count("6 frames") == 2
    assert clip.name in two.inner_text("#chat-log")
    assert clip.name not in one.inner_text("#chat-log")
    visitors.shoot(one, "real-chat-camera")
    visitors.shoot(two, "real-chat-clip")
    for page in (one, two):
        visitors.leave(page)


def test_stop_ends_the_work_of_the_server(
    site: Site, server: RunningServer, visitors: Visitors, tmp_path: Path
) -> None:
    page = visitors.visit(site.url)
    page.click("#tab-analysis-button")
    expect(page.locator("#analysis-question textarea")).not_to_have_value("")
    choose(page, film(tmp_path / "long.mp4", seconds=3600, fps=4))
    page.click("#analysis-start")
    page.locator("#analysis-stage .va-row").nth(3).wait_for()
    working = answered(server)
    page.locator("#analysis-stage .va-row").nth(40).wait_for()
    while answered(server) <= working:  # the page may lag behind the server; the test's timeout ends a vain wait
        time.sleep(0.2)
    page.click("#analysis-stop")
    expect(page.locator("#analysis-stage .va-facts")).to_contain_text("stopped")
    assert answered_when_quiet(server) < 1700
    assert page.locator("#analysis-stage .va-row").count() < 1700
    visitors.shoot(page, "real-analysis-stopped")


def test_an_event_of_the_real_model_is_opened_marked_and_found_again(
    server: RunningServer, visitors: Visitors, camera: rtsp_server.Running, tmp_path: Path
) -> None:
    config = tmp_path / "watch.yaml"
    # The base was never taught what a fight is: any probability makes its events.
    tiers = "{low: 1.0e-9, medium: 2.0e-9, high: 3.0e-9}"
    config.write_text(
        f"sources: ['{camera.address(login='')}']\nkeep_frames: true\nmin_label_probability: 0\n"
        f"rules: [{{type: hysteresis, keep_from: 1.0e-9, tiers: {tiers}}}]\n"
    )
    with site_at(server.url, "--model", server.model, "--config", str(config), folder=tmp_path, key=server.key) as site:
        page = visitors.visit(site.url)
        page.goto(f"{site.url}en/watch")
        row = page.locator(".queue-row").first
        expect(row).to_be_visible()
        visitors.shoot(page, "real-room")
        page.goto(f"{site.url}en/events")
        page.locator(".event-row .event-open").first.click()
        expect(page.locator("#detail-title")).to_be_visible()
        picked = page.locator(".event-row.is-shown").get_attribute("data-id")
        page.fill("#note", "rehearsal")
        page.click("#mark-unsure")
        expect(page.locator(f".event-row[data-id='{picked}'] .mark-unsure")).to_be_visible()
        visitors.shoot(page, "real-marked")
        visitors.leave(page)


def test_a_server_killed_takes_its_engine_with_it_and_started_again_answers_again(
    visitors: Visitors,
    task: Question,
    sampling: FrameSampling,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As on two cores, where the engine is a fork of the server and comes without a tracker of resources.
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    port = free_port()

    def serve() -> AbstractContextManager[RunningServer]:
        log, key_file = tmp_path / "vllm.log", tmp_path / "key"
        return run_server(BASE_FOLDER, port=port, name="tiny", task=task, sampling=sampling, log=log, key_file=key_file)

    with ExitStack() as stack:
        first = stack.enter_context(serve())
        site = stack.enter_context(
            site_at(
                first.url,
                "--model",
                "tiny",
                "--set",
                "min_label_probability=0",
                folder=tmp_path / "site",
                key=first.key,
            )
        )
        page = visitors.visit(site.url)
        ask(page, QUESTION, attached=clip)
        # In no order: numbers of processes begin anew after the largest.
        assert sorted("EngineCore" in args for args in living(first.pid)) == [False, True]
        os.kill(first.pid, signal.SIGKILL)
        assert wait_until_gone(first.pid) == []
        status = page.locator("#vigil-status")
        expect(status).to_contain_text("no answer")
        expect(status).to_contain_text("./vllm.sh")
        page.fill("#chat-box textarea", "现在呢?")
        page.keyboard.press("Enter")
        expect(page.locator("#chat-notice")).to_contain_text("question is back")
        visitors.shoot(page, "real-server-gone")
        stack.enter_context(serve())
        expect(status).to_contain_text("ready")
        expect(page.locator("#chat-box textarea")).to_have_value("现在呢?")
        page.locator("#chat-box .submit-button").click()
        expect(page.locator("#chat-log .bot")).to_have_count(2)
        expect(page.locator("#chat-log .bot").last).not_to_be_empty()
        visitors.shoot(page, "real-server-back")
        visitors.leave(page)
