"""What moves in the chat, in a real Chromium: analysed by windows, live, stopped, and asked about in part."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

import rtsp_server
from browsing import DESK, PHONE, Site, Visitors, settle, site_at
from scripted_server import Reply, Request, ScriptedServer, stream
from vigil.questions import load_question
from watching import SAYS_YES, bright_server, film, is_bright, look

pytestmark = pytest.mark.e2e

WIDE = {"width": 1440, "height": 900}
LONG_WINDOWS = 600
NOT_HTML = '<img src=x onerror="window.broken = true"> <b>two</b> people push'
TRAINED = load_question("fight_en").text
TRAINED_ZH = load_question("fight").text


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 30 s, bright in its second third."""
    return film(tmp_path_factory.mktemp("film") / "thirty.mp4", seconds=30, bright=[(10, 20)])


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that is never over while a test looks at it."""
    return film(tmp_path_factory.mktemp("film") / "long.mp4", seconds=2 * LONG_WINDOWS, fps=4)


@pytest.fixture(autouse=True)
def _unasked(scripted: ScriptedServer) -> None:
    scripted.forget()


def tokens(request: Request) -> Reply:
    """Each verdict word of `configs/tasks` is one token."""
    return Reply(body={"tokens": [7 if request.body["prompt"] in {"是的", "Yes", "yes"} else 9]})


def says(request: Request) -> Reply:
    """Calls bright windows an alarm and puts them into words that look like HTML; other questions get words."""
    if request.text.startswith(("Describe", "描述", "What")):
        return stream("A bar moves ", "to the right.")
    if request.body.get("stream") and is_bright(request):
        return stream("Yes", NOT_HTML, logprobs=SAYS_YES)
    return look(request)


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    """A server that tells bright windows."""
    with bright_server() as running:
        running.routes["/tokenize"] = tokens
        running.default = says
        yield running


@pytest.fixture(scope="module")
def chat(scripted: ScriptedServer, camera_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages before it, with one camera allowed."""
    words = ("--model", "tiny", "--allow-camera", f"127.0.0.1:{camera_port}")
    with site_at(scripted.url, *words, folder=tmp_path_factory.mktemp("chat")) as running:
        yield running


def opened(visitors: Visitors, chat: Site, **more: object) -> Page:
    page = visitors.visit(chat.url, **more)  # type: ignore[arg-type]
    expect(page.locator("#chat-model input")).to_have_value("tiny")
    return page


def attach(page: Page, path: Path) -> None:
    with page.expect_response(lambda response: "/upload" in response.url):
        page.set_input_files("#chat-box input[type=file]", path)
    expect(page.locator("#chat-box .thumbnail-item")).to_have_count(1)


def ask(page: Page, question: str) -> None:
    expect(page.locator("#chat-box .submit-button")).to_be_visible()
    page.fill("#chat-box textarea", question)
    page.keyboard.press("Enter")


def windows(page: Page) -> Locator:
    """The windows in the conversation, without the events of the sum."""
    return page.locator("#chat-log .vc-window[class*=' n-']")


def starts(page: Page) -> list[float]:
    """From which second each window in the conversation is."""
    told = windows(page).evaluate_all("all => all.map(one => Number(one.className.match(/from-(\\d+)/)[1]) / 1000)")
    return [float(second) for second in told]


def until_summed(page: Page) -> None:
    expect(page.locator("#chat-log .vc-sum")).to_be_visible()


def position(page: Page) -> float:
    return float(page.eval_on_selector("#chat-stage video", "video => video.currentTime"))


def frames(request: Request) -> int:
    """How many frames a request shows, in its newest video."""
    urls = [part["video_url"]["url"] for part in request.parts if part["type"] == "video_url"]
    return len(urls[-1].split(",")) - 1


def mode(page: Page, number: int) -> None:
    page.locator("#chat-mode label").nth(number).click()


def test_a_video_is_judged_by_windows_in_the_conversation(
    chat: Site, scripted: ScriptedServer, visitors: Visitors, thirty: Path
) -> None:
    page = opened(visitors, chat, size=WIDE)
    attach(page, thirty)
    ask(page, TRAINED)
    until_summed(page)
    assert starts(page) == [*(2.0 * k for k in range(14)), 27.0]
    assert max(map(frames, scripted.chats)) == 6  # never once about all of it
    alarms = page.locator("#chat-log .vc-window.is-alarm[class*=' n-']")
    expect(alarms).to_have_count(5)
    expect(alarms.first).to_contain_text(re.compile(r"0:08\.0 – 0:10\.\d.*Alarm.*0\.98"))
    expect(alarms.first.locator(".vc-words")).to_contain_text("<img src=x")
    assert page.locator("#chat-log img, #chat-log .vc-words b").count() == 0
    expect(page.locator("#chat-stage video")).to_be_visible()
    expect(page.locator("#chat-log .vc-sum")).to_contain_text("alarms 5")
    # The player is elsewhere by now: what is read at the end of the conversation stays.
    page.wait_for_function("document.querySelector('#chat-stage video').currentTime > 2.2")
    expect(page.locator("#chat-log .vc-results")).to_be_in_viewport()
    visitors.shoot(page, "chat-windows-1440")
    page.locator("#vigil-theme").click()
    visitors.shoot(page, "chat-windows-1440-dark")
    page.eval_on_selector("#chat-stage video", "video => video.pause()")
    alarms.nth(1).click()
    page.wait_for_function("Math.abs(document.querySelector('#chat-stage video').currentTime - 10) < 0.1")
    expect(alarms.nth(1)).to_have_attribute("aria-current", "true")
    expect(page.locator(".va-about")).to_contain_text("0:10.0 – 0:12.")
    page.locator("#chat-log .vc-sum .vc-window").first.click()
    page.wait_for_function("Math.abs(document.querySelector('#chat-stage video').currentTime - 8) < 0.1")
    assert page.evaluate("window.broken") is None
    assert visitors.complaints == []


def test_the_timeline_and_the_files_stand_below_at_the_end(chat: Site, visitors: Visitors, thirty: Path) -> None:
    page = opened(visitors, chat)
    attach(page, thirty)
    ask(page, TRAINED)
    until_summed(page)
    page.locator("#chat-log .vc-results").click()
    expect(page.locator("#chat-plot .js-plotly-plot")).to_be_visible()
    expect(page.locator("#chat-events")).to_contain_text("two</b> people push")
    with page.expect_download() as waiting:
        page.locator("#chat-jsonl").click()
    lines = [json.loads(line) for line in Path(waiting.value.path()).read_text().splitlines()]
    assert len([line for line in lines if "outcome" in line]) == 15
    page.eval_on_selector("#chat-stage video", "video => video.pause()")
    page.locator("#chat-events .va-jump").first.click()
    page.wait_for_function("Math.abs(document.querySelector('#chat-stage video').currentTime - 8) < 0.1")
    page.locator("#chat-draw").click()
    expect(page.locator("#chat-film")).to_be_visible()
    settle(page)
    visitors.shoot(page, "chat-windows-results")


def test_a_question_for_words_gets_words_of_each_window(chat: Site, visitors: Visitors, tmp_path: Path) -> None:
    page = opened(visitors, chat)
    attach(page, film(tmp_path / "yard.mp4", seconds=6))
    ask(page, "What happens?")
    until_summed(page)
    expect(page.locator("#chat-log .vc-window.is-words")).to_have_count(3)
    expect(page.locator("#chat-log .vc-words").first).to_have_text("A bar moves to the right.")
    assert page.locator("#chat-log .vc-p").count() == 0
    visitors.shoot(page, "chat-windows-words")


def test_live_is_switched_while_it_runs_and_stop_ends_the_servers_work(
    chat: Site, scripted: ScriptedServer, visitors: Visitors, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "default", lambda request: look(request, delay_s=0.5))
    page = opened(visitors, chat)
    attach(page, long)
    ask(page, TRAINED)
    windows(page).nth(8).wait_for()
    mode(page, 1)
    expect(page.locator("#chat-stage .va-live")).to_be_visible()
    expect(page.locator("#chat-stage .va-facts")).to_contain_text("dropped")
    visitors.shoot(page, "chat-windows-live")
    mode(page, 0)
    expect(page.locator("#chat-stage .va-live")).to_be_hidden()
    page.locator("#chat-stop").click()
    until_summed(page)
    expect(page.locator("#chat-log .vc-sum")).to_contain_text("stopped")
    assert starts(page) == sorted(set(starts(page)))
    assert scripted.wait_until_quiet() < LONG_WINDOWS
    expect(page.locator("#chat-stop")).to_be_disabled()


def test_closing_the_page_ends_the_work_of_an_analysis_too(
    chat: Site, scripted: ScriptedServer, visitors: Visitors, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "default", lambda request: look(request, delay_s=0.5))
    page = opened(visitors, chat)
    attach(page, long)
    ask(page, TRAINED)
    windows(page).nth(2).wait_for()
    page.close()
    assert scripted.wait_until_quiet() < LONG_WINDOWS


def test_a_camera_streams_until_it_is_stopped_and_its_windows_can_be_asked_about(
    chat: Site, scripted: ScriptedServer, visitors: Visitors, camera_port: int, tmp_path: Path
) -> None:
    page = opened(visitors, chat)
    yard = film(tmp_path / "yard.mp4", seconds=8, fps=10, bright=[(3, 6)])
    with rtsp_server.running(yard, port=camera_port, options=["--login", "admin:right"]) as camera:
        (tmp_path / "camera.txt").write_text(f"rtsp://admin:right@127.0.0.1:{camera.port}/yard  # the yard\n")
        attach(page, tmp_path / "camera.txt")
        ask(page, TRAINED)
        windows(page).nth(6).wait_for()  # 14 s and more: not one look
        expect(page.locator("#chat-stage .va-picture")).to_be_visible()
        assert page.locator("#chat-log .vc-sum").count() == 0
        windows(page).nth(2).click()
        expect(page.locator(".va-about")).to_be_visible()
        about = page.locator("#chat-stage .va").get_attribute("data-about")
        ask(page, "Describe who is there")
        expect(page.locator("#chat-log .bot").filter(has_text="A bar moves to the right.")).to_have_count(1)
        described = next(request for request in scripted.chats if "Describe who" in request.text)
        assert frames(described) == 6
        told = re.search(r"from ([\d.]+) s to ([\d.]+) s of the video", described.text)
        assert about is not None and told is not None
        assert [float(told[1]), float(told[2])] == pytest.approx([float(end) for end in about.split("-")], abs=0.051)
        before = windows(page).count()
        page.wait_for_function(f"document.querySelectorAll('#chat-log .vc-window').length > {before}")
        mode(page, 1)
        expect(page.locator("#chat-stage .va-live")).to_be_visible()
        visitors.shoot(page, "chat-windows-camera")
        page.locator("#chat-stop").click()
        until_summed(page)
        count = windows(page).count()
        # The camera goes on; nobody asks about it any more.
        scripted.wait_until_quiet(quiet_s=3.0)
    assert "right@" not in page.inner_text("#chat-log")
    assert windows(page).count() == count


def test_a_clicked_window_a_marked_range_and_a_range_in_words_are_what_is_sent(
    chat: Site, scripted: ScriptedServer, visitors: Visitors, thirty: Path
) -> None:
    page = opened(visitors, chat)
    attach(page, thirty)
    ask(page, TRAINED)
    until_summed(page)
    windows(page).nth(4).click()
    expect(page.locator(".va-about")).to_contain_text("0:08.0 – 0:10.")
    sent(page, scripted, "Describe the people", "6 frames, 0.5 s apart, from 8.0 s to 10.5 s")
    expect(page.locator("#chat-log .user").filter(has_text="8.0–10.5 s · 6 frames of 128×96")).to_have_count(1)
    # The strip is marked from a third to two thirds of its width: 10 s to 20 s.
    page.locator("#chat-stage .va-strip").hover()  # once the page has scrolled to the answer, and stands still
    box = page.locator("#chat-stage .va-strip").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 2 / 3, box["y"] + 10, steps=5)
    page.mouse.up()
    expect(page.locator(".va-about")).to_contain_text(re.compile(r"0:(10\.0|09\.9) – 0:(20\.0|19\.9)"))
    visitors.shoot(page, "chat-windows-marked")
    sent(page, scripted, "Describe that", "from 10.0 s to 20.0 s")
    sent(page, scripted, "描述一下第三秒到第五秒", "from 3.0 s to 5.0 s")
    page.locator(".va-about button").click()
    expect(page.locator(".va-about")).to_be_hidden()
    ask(page, "What happens from 0:40 to 0:45?")
    expect(page.locator("#chat-notice [role=alert]")).to_contain_text("30.0 s long")
    expect(page.locator("#chat-box textarea")).to_have_value("What happens from 0:40 to 0:45?")
    visitors.shoot(page, "chat-windows-asked")


def sent(page: Page, scripted: ScriptedServer, question: str, times: str) -> None:
    """Asks in words, waits for the answer and asserts which seconds the model was shown."""
    answers = page.locator("#chat-log .bot").filter(has_text="A bar moves to the right.")
    asked, answered = len(scripted.chats), answers.count()
    ask(page, question)
    assert times in scripted.wait_for_chats(asked + 1)[-1].text
    expect(answers).to_have_count(answered + 1)
    expect(answers.last).to_be_in_viewport()
    expect(page.locator("#chat-box .submit-button")).to_be_visible()


def test_the_whole_film_is_a_choice_and_tells_what_was_sent(
    chat: Site, scripted: ScriptedServer, visitors: Visitors, thirty: Path
) -> None:
    page = opened(visitors, chat)
    mode(page, 2)
    attach(page, thirty)
    ask(page, "What happens?")
    expect(page.locator("#chat-log .bot").last).to_have_text("A bar moves to the right.")
    # 4096 tokens less the answer and a quarter hold 38 frames of the largest size that may come.
    expect(page.locator("#chat-log")).to_contain_text("38 frames of 128×96, one every 0.8 s, 0.0–29.")
    assert frames(scripted.wait_for_chats(1)[-1]) == 38
    mode(page, 0)
    ask(page, TRAINED)
    until_summed(page)
    assert len(starts(page)) == 15


@pytest.mark.parametrize(("language", "question"), [("en", TRAINED), ("zh-CN", TRAINED_ZH)])
def test_it_fits_a_phone_in_both_languages(
    chat: Site, visitors: Visitors, thirty: Path, language: str, question: str
) -> None:
    page = opened(visitors, chat, language=language, size=PHONE)
    attach(page, thirty)
    ask(page, question)
    until_summed(page)
    expect(page.locator("#chat-mode label").first).to_have_text("逐段" if language == "zh-CN" else "Every window")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.wait_for_function("document.querySelector('#chat-desk').getBoundingClientRect().top < 10")
    parts = [
        ("#chat-stage video", 150),
        ("#chat-stage .va-strip", 24),
        ("#chat-log", 160),
        ("#chat-box", 40),
        ("#chat-stop", 30),
    ]
    edges = [edge for name, least_px in parts for edge in edges_of(page, name, least_px)]
    assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= PHONE["height"]
    labels = page.locator("#chat-mode label").evaluate_all("all => all.map(one => one.getBoundingClientRect().right)")
    assert max(labels) < page.locator("#chat-stop").bounding_box()["x"]  # type: ignore[index]
    visitors.shoot(page, f"chat-windows-phone-{language}")
    page.locator("#vigil-theme").click()
    visitors.shoot(page, f"chat-windows-phone-{language}-dark")
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    visitors.shoot(page, f"chat-windows-desk-{language}")


def edges_of(page: Page, name: str, least_px: float) -> tuple[float, float]:
    """Where something begins and ends in the window; it is at least so high."""
    seen = page.locator(name).bounding_box()
    assert seen is not None and seen["height"] >= least_px, name
    return seen["y"], seen["y"] + seen["height"]


def test_a_new_conversation_ends_the_analysis(
    chat: Site, scripted: ScriptedServer, visitors: Visitors, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripted, "default", lambda request: look(request, delay_s=0.5))
    page = opened(visitors, chat)
    attach(page, long)
    ask(page, TRAINED)
    windows(page).nth(2).wait_for()
    page.locator("#chat-new").click()
    expect(windows(page)).to_have_count(0)
    expect(page.locator("#chat-stage video")).to_be_hidden()
    assert scripted.wait_until_quiet() < LONG_WINDOWS
    expect(windows(page)).to_have_count(0)
