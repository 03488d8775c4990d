"""The chat in a real Chromium, before a server that says what the test wants: every attachment, wrong files, Stop."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import rtsp_server
from browsing import DESK, PHONE, Site, Visitors, settle, site_at
from chat_pages import ask, attach, look_at_the_whole
from films import shoot
from scripted_server import Reply, Request, ScriptedServer, error, stream
from vigil.serving.server import free_port
from watching import film

pytestmark = pytest.mark.e2e
LOW = {"width": 1280, "height": 720}
HEARS_LATE = """() => {
  const fetched = window.fetch;
  const later = async (chunk, heard) => {
    for (const message of new TextDecoder().decode(chunk).split(/(?<=\\n\\n)/)) {
      if (message.includes("process_completed")) await new Promise((wake) => setTimeout(wake, 1500));
      heard.enqueue(new TextEncoder().encode(message));
    }
  };
  window.fetch = async (asked, ...how) => {
    const got = await fetched(asked, ...how);
    if (!String(asked.url ?? asked).includes("/queue/data")) return got;
    return new Response(got.body.pipeThrough(new TransformStream({ transform: later })), got);
  };
}"""
"""A page that hears one and a half seconds late that an answer is over, as on a busy machine."""

ENDLESS = stream(*[f"word{number} " for number in range(20_000)], event_delay_s=0.05)
"""An answer of a quarter of an hour and more: what ends sooner was ended."""

EVIL = "<img src=x onerror=\"document.title='broken in'\"><b>bold</b> ![](http://203.0.113.1/x.png)"


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    """A server with two models."""
    with ScriptedServer(models=["tiny", "other"]) as running:
        yield running


@pytest.fixture(scope="module")
def chat(scripted: ScriptedServer, camera_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages before it, with one camera allowed."""
    words = ("--upload-mb", "2", "--allow-camera", f"127.0.0.1:{camera_port}")
    with site_at(scripted.url, "--model", "tiny", *words, folder=tmp_path_factory.mktemp("chat")) as running:
        yield running


@pytest.fixture
def page(chat: Site, scripted: ScriptedServer, visitors: Visitors) -> Iterator[Page]:
    """A visitor whose browser has nothing to complain about in the end."""
    scripted.default = stream("Two people ", "stand there.")
    scripted.forget()
    visitors.complaints.clear()
    opened = visitors.visit(chat.url)
    expect(opened.locator("#chat-model input")).to_have_value("tiny")
    yield opened
    assert visitors.complaints == []


def answer(page: Page, text: str) -> None:
    expect(page.locator("#chat-log .bot").last).to_have_text(text)


def notice(page: Page) -> str:
    page.locator("#chat-notice [role=alert]").wait_for()
    return page.inner_text("#chat-notice")


def picture(path: Path) -> Path:
    slope = np.linspace(0, 255, 240, dtype=np.uint8)[:, None, None] * np.ones((1, 320, 3), np.uint8)
    Image.fromarray(slope.astype(np.uint8)).save(path, format="PNG")
    return path


def test_a_text_is_answered_and_the_next_question_knows_what_was_said(
    page: Page, scripted: ScriptedServer, visitors: Visitors
) -> None:
    ask(page, "Who are you?")
    answer(page, "Two people stand there.")
    ask(page, "And now?")
    expect(page.locator("#chat-log .bot")).to_have_count(2)
    answer(page, "Two people stand there.")
    messages = scripted.wait_for_chats(2)[-1].body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == "Two people stand there."
    visitors.shoot(page, "chat-text")


def test_a_picture_stays_attached_over_the_turns(
    page: Page, scripted: ScriptedServer, visitors: Visitors, tmp_path: Path
) -> None:
    attach(page, picture(tmp_path / "scene.dat"))  # by content, not by name
    ask(page, "What is this?")
    answer(page, "Two people stand there.")
    ask(page, "What colour?")
    expect(page.locator("#chat-log .bot")).to_have_count(2)
    answer(page, "Two people stand there.")
    kinds = [part["type"] for part in scripted.wait_for_chats(2)[-1].parts]
    assert kinds == ["image_url", "text", "text", "text"]
    expect(page.locator("#chat-log img").first).to_be_visible()
    visitors.shoot(page, "chat-picture")


def test_a_video_goes_as_one_list_of_frames(
    page: Page, scripted: ScriptedServer, visitors: Visitors, tmp_path: Path
) -> None:
    look_at_the_whole(page)
    attach(page, film(tmp_path / "yard.mp4", seconds=6, bright=[(2, 4)]))
    ask(page, "What happens?")
    answer(page, "Two people stand there.")
    video = next(part for part in scripted.wait_for_chats(1)[-1].parts if part["type"] == "video_url")
    assert video["video_url"]["url"].startswith("data:video/jpeg;base64,")
    assert len(video["video_url"]["url"].split(",")) == 1 + 12
    expect(page.locator("#chat-log video")).to_be_visible()
    assert "12 frames of 128×96, 0.0–5.5 s" in page.inner_text("#chat-log")
    visitors.shoot(page, "chat-video")


def test_what_visitors_send_is_for_the_operator_only(page: Page, chat: Site, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), "red").save(tmp_path / "red.png")
    attach(page, tmp_path / "red.png")
    ask(page, "What is it?")
    answer(page, "Two people stand there.")
    folder = chat.log.parent / "uploads"
    kept = [folder, *folder.rglob("*")]
    assert any(path.suffix == ".png" for path in kept)
    assert [path for path in kept if path.stat().st_mode & 0o077] == []


def test_a_camera_is_looked_at_anew_for_each_question(
    page: Page, scripted: ScriptedServer, visitors: Visitors, camera_port: int, tmp_path: Path
) -> None:
    with rtsp_server.running(
        film(tmp_path / "yard.mp4", seconds=20, fps=10), port=camera_port, options=["--login", "admin:right"]
    ) as yard:
        (tmp_path / "camera.txt").write_text(f"rtsp://admin:right@127.0.0.1:{yard.port}/yard  # the yard\n")
        look_at_the_whole(page)
        attach(page, tmp_path / "camera.txt")
        ask(page, "What happens there?")
        answer(page, "Two people stand there.")
        ask(page, "And now?")
        expect(page.locator("#chat-log .bot")).to_have_count(2)
        answer(page, "Two people stand there.")
    assert page.inner_text("#chat-log").count("6 frames of 128×96") == 2
    assert "right" not in page.inner_text("#chat-log")
    kinds = [part["type"] for part in scripted.wait_for_chats(2)[-1].parts]
    assert kinds.count("video_url") == 2
    visitors.shoot(page, "chat-camera")


def test_a_video_is_handed_over_to_the_analysis_under_its_own_name(
    page: Page, visitors: Visitors, tmp_path: Path
) -> None:
    look_at_the_whole(page)
    attach(page, film(tmp_path / "后院 <b>yard (1).mp4", seconds=6))
    ask(page, "Is there a dog?")
    page.click("#chat-analyse")
    expect(page.locator("#analysis-question textarea")).to_have_value("Is there a dog?")
    expect(page.locator("#analysis-file")).to_contain_text("后院")
    visitors.shoot(page, "chat-handed-over")
    page.click("#analysis-start")
    expect(page.locator("#analysis-stage .va-name")).to_have_text(re.compile(r"^后院 .*yard.* \(1\)\.mp4$"))
    expect(page.locator("#analysis-jsonl")).to_be_visible()
    with page.expect_download() as waiting:
        page.click("#analysis-jsonl")
    lines = [json.loads(line) for line in Path(waiting.value.path()).read_text().splitlines()]
    assert {line["source"] for line in lines} == {page.inner_text("#analysis-stage .va-name")}
    assert page.locator("#analysis-stage .va-name b, #analysis-file b").count() == 0
    visitors.shoot(page, "chat-handed-over-analysed")


def test_a_file_that_is_gone_cannot_be_handed_over_and_that_is_told(
    chat: Site, page: Page, visitors: Visitors, tmp_path: Path
) -> None:
    look_at_the_whole(page)
    attach(page, film(tmp_path / "yard.mp4", seconds=3))
    ask(page, "Is there a dog?")
    answer(page, "Two people stand there.")
    for kept in (chat.log.parent / "uploads").rglob("*.mp4"):
        kept.unlink()
    page.click("#chat-analyse")
    assert "yard.mp4 was deleted after 60 minutes" in notice(page)
    expect(page.locator("#chat-box textarea")).to_be_visible()
    visitors.complaints.clear()


def in_the_window(page: Page) -> None:
    """Asserts that the box, and a notice above it, are seen without scrolling and do not cover each other."""
    page.evaluate("scrollTo(0, 0)")
    settle(page)
    found = [page.locator(name).bounding_box() for name in ("#chat-log", "#chat-notice", "#chat-box")]
    parts = [(part["y"], part["y"] + part["height"]) for part in found if part is not None]
    edges = [edge for part in parts for edge in part]
    assert edges == sorted(edges)
    assert edges[-1] <= page.evaluate("innerHeight")
    assert parts[0][1] - parts[0][0] >= 100  # the log is still one


def in_every_window(page: Page, visitors: Visitors, name: str) -> None:
    for size in (DESK, LOW, PHONE):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        in_the_window(page)
        visitors.shoot(page, f"chat-window-{size['height']}-{name}")


@pytest.mark.parametrize(("language", "size"), [("en", DESK), ("zh-CN", PHONE)], ids=["en", "zh-CN"])
def test_the_box_is_in_the_window_with_a_notice_and_a_video(
    chat: Site, scripted: ScriptedServer, visitors: Visitors, tmp_path: Path, size: dict[str, int], language: str
) -> None:
    scripted.default = stream(*["Two people stand there. "] * 60)
    page = visitors.visit(chat.url, language=language, size=size)
    in_the_window(page)
    look_at_the_whole(page)
    attach(page, film(tmp_path / "yard.mp4", seconds=3))
    page.locator("#chat-box .submit-button").click()
    notice(page)
    in_every_window(page, visitors, f"{language}-notice")
    ask(page, "What happens?")
    expect(page.locator("#chat-analyse")).to_be_visible()
    in_every_window(page, visitors, f"{language}-answered")
    (tmp_path / "notes.mp4").write_bytes(bytes(range(256)) * 20)
    attach(page, tmp_path / "notes.mp4")
    ask(page, "And\nnow,\nwhat\nis\nit?")
    notice(page)
    in_every_window(page, visitors, f"{language}-wrong-file")


def test_the_box_is_in_the_window_while_the_endpoint_is_away(visitors: Visitors, tmp_path: Path) -> None:
    with site_at(f"http://127.0.0.1:{free_port()}/v1", folder=tmp_path) as away:
        page = visitors.visit(away.url, size=PHONE)
        expect(page.locator("#vigil-status .vigil-lamp.is-down")).to_be_visible()
        attach(page, film(tmp_path / "yard.mp4", seconds=3))
        page.fill("#chat-box textarea", "Who?")  # nobody knows which models there are
        page.keyboard.press("Enter")
        notice(page)
        in_every_window(page, visitors, "endpoint-away")
        visitors.leave(page)


def test_a_video_that_no_browser_plays_shows_its_first_frame(page: Page, visitors: Visitors, tmp_path: Path) -> None:
    shoot(tmp_path / "old.avi", format="avi", codec="mpeg4", frames=50)
    look_at_the_whole(page)
    attach(page, tmp_path / "old.avi")
    ask(page, "What happens?")
    answer(page, "Two people stand there.")
    assert "cannot be played" in page.inner_text("#chat-log")
    expect(page.locator("#chat-log img").first).to_be_visible()
    visitors.shoot(page, "chat-video-not-playable")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("notes.mp4", b"\x00\x01" * 400, "cannot be used"),
        ("empty.png", b"", "cannot be used"),
        ("page.html", b"<script>alert(1)</script>", "cannot be used"),
        ("camera.txt", b"rtsp://admin:secret@10.9.8.7/1", "not available on these pages"),
        ("list.m3u8", b"#EXTM3U\nfile:///etc/passwd\n", "cannot be used"),
    ],
)
def test_a_wrong_file_is_told_and_the_question_stays(
    page: Page, scripted: ScriptedServer, visitors: Visitors, tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(data)
    attach(page, tmp_path / name)
    ask(page, "What is this?")
    words = notice(page)
    assert said in words
    assert "secret" not in words
    assert str(tmp_path) not in words
    expect(page.locator("#chat-box textarea")).to_have_value("What is this?")
    assert scripted.chats == []
    visitors.shoot(page, f"chat-wrong-{name}")


def test_two_files_at_once_get_a_clear_message(page: Page, visitors: Visitors, tmp_path: Path) -> None:
    attach(page, picture(tmp_path / "one.png"), picture(tmp_path / "two.png"))
    ask(page, "Compare them")
    assert "You attached 2 files" in notice(page)
    visitors.shoot(page, "chat-two-files")


@pytest.mark.parametrize(
    ("language", "said"), [("en", "the limit is 2 MB per file. Send a shorter"), ("zh-CN", "不能超过 2 MB。请剪短")]
)
def test_a_file_above_the_limit_is_told_in_the_pages_language_and_its_name_is_no_html(
    chat: Site, visitors: Visitors, tmp_path: Path, language: str, said: str
) -> None:
    page = visitors.visit(chat.url, language=language)
    (tmp_path / "<b>long<img src=x>.mp4").write_bytes(b"\0" * 3 * 1024**2)
    for number, attached in enumerate(("#chat-box", "#analysis-file")):
        page.get_by_role("tab").nth(number).click()
        page.set_input_files(f"{attached} input[type=file]", tmp_path / "<b>long<img src=x>.mp4")
        told = page.locator(".vigil-too-big")
        expect(told).to_contain_text("<b>long<img src=x>.mp4")
        expect(told).to_contain_text(said)
        visitors.shoot(page, f"chat-too-big-{language}-{number}")
        assert page.locator(".vigil-too-big b, .vigil-too-big img, .toast-body").count() == 0
        told.click()
        expect(told).to_have_count(0)


def test_a_file_above_the_limit_that_is_dropped_is_told_too(page: Page, tmp_path: Path) -> None:
    page.evaluate(
        """() => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([new Uint8Array(3 * 1024 ** 2)], "long.mp4"));
          const box = document.querySelector("#chat-box textarea");
          box.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator(".vigil-too-big")).to_contain_text("long.mp4")
    expect(page.locator("#chat-box .thumbnail-item")).to_have_count(0)


def test_stop_works_at_once_and_closes_the_connection(page: Page, scripted: ScriptedServer, visitors: Visitors) -> None:
    scripted.default = ENDLESS
    before = scripted.ended_early
    ask(page, "Tell me much")
    expect(page.locator("#chat-log .bot").last).to_contain_text("word3")
    visitors.shoot(page, "chat-streaming")
    page.locator("#chat-box .stop-button").click()
    expect(page.locator("#chat-log .bot").last).to_contain_text("[stopped]")
    assert scripted.wait_until_left(before + 1) == before + 1
    expect(page.locator("#chat-box .submit-button")).to_be_visible()


def test_stop_works_at_once_while_a_camera_is_waited_for(
    page: Page, scripted: ScriptedServer, visitors: Visitors, camera_port: int, tmp_path: Path
) -> None:
    yard = film(tmp_path / "yard.mp4", seconds=2)
    with rtsp_server.running(yard, port=camera_port, options=["--mute"]) as silent:
        (tmp_path / "camera.txt").write_text(silent.address() + "\n")
        look_at_the_whole(page)
        attach(page, tmp_path / "camera.txt")
        ask(page, "What happens there?")
        expect(page.locator("#chat-notice")).to_contain_text("Looking at")
        page.locator("#chat-box .stop-button").click()
        expect(page.locator("#chat-notice [role=alert]")).to_contain_text("Stopped")
    expect(page.locator("#chat-box textarea")).to_have_value("What happens there?")
    expect(page.locator("#chat-box .submit-button")).to_be_visible()
    assert scripted.chats == []


def test_the_next_question_can_be_typed_while_an_answer_comes(page: Page, scripted: ScriptedServer) -> None:
    scripted.default = stream(*[f"word{number} " for number in range(80)], event_delay_s=0.05)
    ask(page, "Tell me much")
    expect(page.locator("#chat-log .bot").last).to_contain_text("word30")
    page.locator("#chat-box textarea").press_sequentially("And then?", delay=60)
    expect(page.locator("#chat-log .bot").last).to_contain_text("word79")
    expect(page.locator("#chat-box .submit-button")).to_be_visible()
    expect(page.locator("#chat-box textarea")).to_have_value("And then?")
    scripted.default = stream("Here.")
    page.keyboard.press("Enter")
    answer(page, "Here.")
    expect(page.locator("#chat-box textarea")).to_have_value("")


def test_a_page_that_hears_late_of_the_end_of_an_answer_offers_to_send_no_sooner(page: Page) -> None:
    page.evaluate(HEARS_LATE)
    ask(page, "Who are you?")
    answer(page, "Two people stand there.")
    ask(page, "And now?")
    expect(page.locator("#chat-log .bot")).to_have_count(2)


def test_closing_the_page_ends_the_work_too(chat: Site, scripted: ScriptedServer, visitors: Visitors) -> None:
    scripted.default = ENDLESS
    before = scripted.ended_early
    left = visitors.visit(chat.url)
    ask(left, "Tell me much")
    expect(left.locator("#chat-log .bot").last).to_contain_text("word3")
    left.context.close()
    assert scripted.wait_until_left(before + 1) == before + 1


def test_a_fault_is_no_answer_and_gives_the_question_back(
    page: Page, scripted: ScriptedServer, visitors: Visitors
) -> None:
    scripted.default = error(400, "the prompt is too long")
    ask(page, "Who?")
    assert "the prompt is too long" in notice(page)
    expect(page.locator("#chat-box textarea")).to_have_value("Who?")
    expect(page.locator("#chat-log .bot")).to_have_count(0)
    visitors.shoot(page, "chat-fault")
    scripted.default = stream("Here.")
    page.locator("#chat-box .submit-button").click()
    answer(page, "Here.")
    assert [message["role"] for message in scripted.wait_for_chats(2)[-1].body["messages"]] == ["user"]


def test_an_answer_that_breaks_off_is_no_answer(page: Page, scripted: ScriptedServer) -> None:
    scripted.default = Reply(events=stream("half").events[:2], hang_up=True)  # type: ignore[index]
    ask(page, "Who?")
    assert "question is back" in notice(page)
    expect(page.locator("#chat-log .bot")).to_have_count(0)


def test_what_the_model_says_is_never_html(page: Page, scripted: ScriptedServer, visitors: Visitors) -> None:
    scripted.default = stream(EVIL)
    ask(page, EVIL)
    answer(page, EVIL)
    assert page.title() == "Vigil"
    expect(page.locator("#chat-log .user").last).to_have_text(EVIL)
    assert page.locator("#chat-log img, #chat-log b").count() == 0
    visitors.shoot(page, "chat-evil")


def test_a_preset_is_put_into_the_box_to_be_edited(page: Page, scripted: ScriptedServer, visitors: Visitors) -> None:
    page.click("#chat-preset input")
    page.get_by_role("option", name="Timeline of actions (seconds)").click()
    page.wait_for_function("document.querySelector('#chat-box textarea').value.includes('List what happens')")
    page.fill("#chat-box textarea", "List what happens, briefly")
    page.keyboard.press("Enter")
    answer(page, "Two people stand there.")
    assert scripted.wait_for_chats(1)[-1].text == "List what happens, briefly"


def test_a_json_answer_is_laid_out_for_people_and_stays_as_it_was_for_the_model(
    page: Page, scripted: ScriptedServer, visitors: Visitors
) -> None:
    told = '{"actions": [{"person": "<b>red</b>", "action": "walks", "category": "normal", "confidence": 0.9}]}'
    scripted.default = stream("```json\n", told[:20], told[20:], "\n```")
    page.click("#chat-preset input")
    page.get_by_role("option", name="Actions as JSON").click()
    page.wait_for_function("document.querySelector('#chat-box textarea').value.includes('Recognise')")
    page.locator("#chat-box .submit-button").click()
    expect(page.locator("#chat-log .bot").last).to_contain_text('      "person": "<b>red</b>",', use_inner_text=True)
    visitors.shoot(page, "chat-json")
    ask(page, "And now?")
    expect(page.locator("#chat-log .bot")).to_have_count(2)
    assert scripted.wait_for_chats(2)[-1].body["messages"][1]["content"] == f"```json\n{told}\n```"


def test_the_other_model_can_be_asked(page: Page, scripted: ScriptedServer) -> None:
    page.click("#chat-model input")
    page.get_by_role("option", name="other").click()
    ask(page, "Who?")
    answer(page, "Two people stand there.")
    assert scripted.wait_for_chats(1)[-1].body["model"] == "other"


def test_two_visitors_do_not_see_each_other(
    page: Page, chat: Site, scripted: ScriptedServer, visitors: Visitors, tmp_path: Path
) -> None:
    def echo(request: Request) -> Reply:
        return stream("seen ", request.text.splitlines()[-1], event_delay_s=0.2)

    scripted.default = echo
    second = visitors.visit(chat.url, language="zh-CN")
    attach(page, picture(tmp_path / "mine.png"))
    ask(page, "first visitor")
    ask(second, "second visitor")
    answer(page, "seen first visitor")
    answer(second, "seen second visitor")
    assert "second" not in page.inner_text("#chat-log")
    assert "mine" not in second.inner_text("#chat-log")
    visitors.shoot(second, "chat-second-visitor")


def test_a_new_conversation_forgets_the_old_one(page: Page, scripted: ScriptedServer) -> None:
    ask(page, "Who?")
    answer(page, "Two people stand there.")
    page.click("#chat-new")
    expect(page.locator("#chat-log .bot")).to_have_count(0)
    ask(page, "And who?")
    answer(page, "Two people stand there.")
    assert len(scripted.wait_for_chats(2)[-1].body["messages"]) == 1


@pytest.mark.parametrize("button", ["#chat-new", "#chat-log [aria-label='Clear']"])
def test_a_conversation_that_is_left_while_it_is_answered_does_not_come_back(
    page: Page, scripted: ScriptedServer, button: str
) -> None:
    scripted.default = ENDLESS
    before = scripted.ended_early
    ask(page, "Tell me much")
    expect(page.locator("#chat-log .bot").last).to_contain_text("word3")
    page.locator(button).first.click()
    expect(page.locator("#chat-log .bot")).to_have_count(0)
    # Once the server has been left, nothing more of the answer can come.
    assert scripted.wait_until_left(before + 1) == before + 1
    settle(page)
    expect(page.locator("#chat-log .bot")).to_have_count(0)
    scripted.default = stream("Here.")
    ask(page, "And who?")
    answer(page, "Here.")
    assert len(scripted.wait_for_chats(2)[-1].body["messages"]) == 1


def test_the_chat_fits_a_phone(chat: Site, visitors: Visitors, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.default = stream("Two people ", "stand there.")
    phone = visitors.visit(chat.url, language="zh-CN", size=PHONE, has_touch=True)
    look_at_the_whole(phone)
    attach(phone, film(tmp_path / "yard.mp4", seconds=3))
    ask(phone, "发生了什么？")
    answer(phone, "Two people stand there.")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visitors.shoot(phone, "chat-phone")
