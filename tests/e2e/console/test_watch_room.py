"""The watch room of the console in a real Chromium: cameras that stream, alarms that ring until somebody saw them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from browsing import PHONE, Site, Visitors, settle, site_at
from console_pages import (
    COUNTS,
    HeldAnswer,
    add,
    another_page,
    beeps,
    card,
    choose,
    comes_true,
    draw_a_mask,
    fill_in,
    hold,
    open_page,
    remove,
    rings_for_all,
    rings_on,
    strip_row,
    take_the_mask_away,
)
from judging import no
from rtsp_server import Running, running
from scripted_server import Reply, Request, ScriptedServer, stream
from vigil.serving.server import free_port
from waiting import HANG_S, until
from watching import SAYS_NO, SAYS_YES, bright_server, film, is_bright, look

pytestmark = pytest.mark.e2e
EVIL = "<img src=x onerror=\"document.title='broken in'\"> ${document.title='broken in'} {{this}}"


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two cameras: the door is bright, the yard is dark."""
    folder = tmp_path_factory.mktemp("films")
    door = film(folder / "door.mp4", seconds=20, bright=[(0, 20)], fps=10, size_wh=(320, 180))
    yard = film(folder / "yard.mp4", seconds=20, fps=10, size_wh=(320, 180))
    with running(door, yard) as camera:
        yield camera


@dataclass
class Mood:
    """What the endpoint makes of bright pictures now: nothing, or an alarm."""

    is_alarming: bool = False

    def answer(self, request: Request) -> Reply:
        """What the server says, with HTML and JavaScript in its words."""
        if not (self.is_alarming and is_bright(request)):
            return stream("No", logprobs=SAYS_NO) if request.body.get("stream") else no()
        if request.body.get("stream"):
            return stream("Yes", ", two people push. ", EVIL, logprobs=SAYS_YES)
        return look(request)


@pytest.fixture(scope="module")
def mood() -> Mood:
    """The mood of the endpoint."""
    return Mood()


@pytest.fixture(scope="module")
def bright(mood: Mood) -> Iterator[ScriptedServer]:
    """What judges the windows."""
    with bright_server() as server:
        server.default = mood.answer
        yield server


@pytest.fixture(scope="module")
def gate_port() -> int:
    """Where a camera comes and goes."""
    return free_port()


@pytest.fixture(scope="module")
def room(
    cameras: Running, bright: ScriptedServer, gate_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The pages, watching the door; the yard may be added, and a camera at `gate_port`."""
    folder = tmp_path_factory.mktemp("room")
    config = folder / "watch.yaml"
    config.write_text(
        f"sources: ['{cameras.address('door', login='')}']\nrules: [{{type: hysteresis, quiet_s: 3.0}}]\n"
    )
    allowed = [word for port in (cameras.port, gate_port) for word in ("--allow-camera", f"127.0.0.1:{port}")]
    words = ("--model", "tiny", "--task", "fight_en", "--config", str(config), *allowed)
    with site_at(bright.url, *words, folder=folder) as site:
        yield site


@pytest.fixture
def page(room: Site, visitors: Visitors) -> Iterator[Page]:
    """A visitor in the watch room whose browser has nothing to complain about in the end."""
    visitors.complaints.clear()
    opened = open_page(visitors, room)
    yield opened
    assert opened.title().endswith("Watch · Vigil")
    assert visitors.complaints == []


@contextmanager
def one_alarm(room: Site, mood: Mood, *pages: Page) -> Iterator[None]:
    """One alarm of the door that all these pages have heard of; those before are acknowledged."""
    with httpx.Client(base_url=f"{room.url}api/v1", timeout=HANG_S) as client:
        acknowledge_all(client)
        until(lambda: not any(each["open_event"] for each in client.get("/cameras").json()["cameras"]), every_s=0.2)
        acknowledge_all(client)  # those that rose since, from windows that were under way
        for each in pages:
            expect(strip_row(each, "alarm")).to_be_hidden()
        mood.is_alarming = True
        try:
            until(lambda: client.get("/events", params={"state": "alarm"}).json()["events"], every_s=0.2)
            for each in pages:
                expect(strip_row(each, "alarm")).to_be_visible()
            yield
        finally:
            mood.is_alarming = False
            acknowledge_all(client)


def acknowledge_all(client: httpx.Client) -> None:
    for event in client.get("/events", params={"state": "alarm"}).json()["events"]:
        client.post(f"/events/{event['event']}/acknowledge").raise_for_status()


IS_DRAWN = """strip =>
    strip.getContext("2d").getImageData(0, 0, strip.width, strip.height).data.some((value) => value > 0)"""


def windows(server: ScriptedServer) -> int:
    return sum(not request.body.get("stream") for request in server.chats)


def count_pictures(picture: Locator) -> None:
    """From now on the page counts, as `window.pictures`, those that come."""
    picture.evaluate("""canvas => {
        window.pictures = 0;
        canvas.addEventListener("picture", () => window.pictures++);
    }""")


def test_a_camera_is_seen_live_with_its_state_and_its_figures(page: Page, bright: ScriptedServer) -> None:
    door = card(page, "/door")
    expect(door.locator(".card-badge")).to_contain_text("p 0.")
    expect(door.locator(".card-lag")).to_contain_text("lag 0.")
    picture = door.locator(".card-picture")
    expect(picture).to_be_visible()
    expect(page.locator(".bar-line")).to_contain_text("1 watched")
    expect(page.locator(".bar-line")).to_contain_text("model tiny (not calibrated)")
    # However many pictures there are, one window is asked about every two seconds.
    count_pictures(picture)
    before, began_s = windows(bright), time.monotonic()
    comes_true(page, "window.pictures >= 6")
    assert windows(bright) - before <= 4 + (time.monotonic() - began_s) / 2
    comes_true(page, f"({IS_DRAWN})(document.querySelector('.card-strip'))")


def test_a_browser_that_draws_slowly_draws_fewer_pictures(page: Page) -> None:
    picture = card(page, "/door").locator(".card-picture")
    expect(picture).to_be_visible()
    page.evaluate("""() => {
        window.requestAnimationFrame = (callback) => setTimeout(() => callback(performance.now()), 300);
    }""")
    count_pictures(picture)
    comes_true(page, "window.pictures >= 2")
    # By the page's own clock; where the machine is slow too there are fewer still.
    more = page.evaluate("""() => new Promise(done => {
        const before = window.pictures;
        setTimeout(() => done(window.pictures - before), 4000);
    })""")
    assert more <= 4
    comes_true(page, "window.pictures >= 3")


def test_an_alarm_rings_until_somebody_acknowledges_it_wherever_that_is(
    page: Page, room: Site, visitors: Visitors, mood: Mood
) -> None:
    other = open_page(visitors, room)
    with one_alarm(room, mood, page, other):
        for each in (page, other):
            expect(strip_row(each, "alarm")).to_contain_text("door")
            expect(each).to_have_title("(1) Watch · Vigil")
            # It repeats: more tones than one ring has.
            rings_on(each, 4)
        expect(card(page, "/door")).to_have_class("card is-alarm")
        row = page.locator(".queue-row.is-alarm").first
        expect(row).to_contain_text("two people push. <img src=x")
        expect(row.locator(".queue-picture")).to_be_visible()
        visitors.shoot(page, "console-alarm")
        page.keyboard.press("a")
        for each in (page, other):
            expect(strip_row(each, "told")).to_contain_text("local acknowledged the alarm of door")
            expect(strip_row(each, "alarm")).to_be_hidden()
            expect(each).to_have_title("Watch · Vigil")
        expect(page.locator(".queue-row.is-acknowledged").first).to_contain_text("✓ local")
        quiet = beeps(page), beeps(other)
        # By the pages' own clocks: longer than between two rings.
        page.wait_for_timeout(4500)
        assert (beeps(page), beeps(other)) == quiet


def test_an_alarm_of_before_rings_on_a_page_that_is_opened_later(
    page: Page, room: Site, visitors: Visitors, mood: Mood
) -> None:
    with one_alarm(room, mood, page):
        late = open_page(visitors, room)
        rings_on(late)
        late.get_by_role("button", name="Mute", exact=True).click()
        expect(strip_row(late, "alarm")).to_contain_text("muted here")
        expect(late.get_by_role("button", name="Mute", exact=True)).to_be_hidden()
        rings_on(page)


def test_of_the_pages_of_one_browser_one_listens_and_one_rings(room: Site, visitors: Visitors, mood: Mood) -> None:
    first = open_page(visitors, room)
    rings_for_all(first)
    asked: list[tuple[Page, str]] = []
    first.context.on("request", lambda request: asked.append((request.frame.page, request.url)))
    other = another_page(first, room)
    with one_alarm(room, mood, first, other):
        rings_on(first, 4)
        assert beeps(other) == 0
        assert [url for page, url in asked if page == other and "/api/v1/live" in url] == []
        first.close()
        rings_on(other, 2)


def test_a_false_alarm_is_marked_in_the_queue_and_no_longer_rings(page: Page, room: Site, mood: Mood) -> None:
    with one_alarm(room, mood, page):
        row = page.locator(".queue-row.is-alarm").first
        event = row.get_attribute("data-event")
        row.get_by_role("button", name="False alarm").click()
        expect(page.locator(f".queue-row[data-event='{event}']")).to_contain_text("false alarm (local)")
        expect(strip_row(page, "alarm")).to_be_hidden()
        assert page.request.get(f"{room.url}api/v1/events/{event}").json()["mark"] == "false_alarm"


def test_an_alarm_shows_as_a_notification_and_the_sound_can_be_switched_off(page: Page, room: Site, mood: Mood) -> None:
    expect(page.locator(".room-notes")).to_have_text("Notifications allowed")
    with one_alarm(room, mood, page):
        comes_true(page, "window.told.length > 0")
        told = page.evaluate("window.told[0]")
        assert told["title"].startswith("Alarm: rtsp://") and told["title"].endswith("/door")
    sound = page.locator(".room-sound")
    expect(sound).to_have_text("Sound on")
    sound.click()
    expect(sound).to_have_text("Sound off")
    expect(strip_row(page, "silent")).to_be_visible()
    page.keyboard.press("s")
    expect(strip_row(page, "silent")).to_be_hidden()


def test_on_the_pages_of_gradio_an_alarm_is_seen_and_acknowledged(room: Site, visitors: Visitors, mood: Mood) -> None:
    page = visitors.visit(f"{room.url}en/", script=COUNTS)
    with one_alarm(room, mood, page):
        shown = strip_row(page, "alarm")
        expect(shown).to_contain_text("door")
        rings_on(page, 2)
        visitors.shoot(page, "console-strip-on-chat")
        shown.locator(".strip-button.is-main").click()
        expect(strip_row(page, "told")).to_contain_text("local acknowledged")
        expect(shown).to_be_hidden()
    page.click("#vigil-watch")
    expect(page).to_have_url(f"{room.url}en/watch")


def test_a_camera_is_tested_added_named_paused_resumed_and_removed(
    page: Page, cameras: Running, visitors: Visitors
) -> None:
    page.click("#add-camera")
    dialog = page.locator("dialog")
    dialog.get_by_label("Address").fill(cameras.address("yard"))
    dialog.get_by_label("Name").fill("yard")
    dialog.get_by_label("Place").fill("south")
    dialog.get_by_role("button", name="Test").click()
    expect(dialog.locator(".test-facts")).to_contain_text("320×180")
    expect(dialog.locator(".test-picture")).to_be_visible()
    visitors.shoot(page, "console-add")
    dialog.get_by_role("button", name="Add a camera").click()
    expect(dialog).to_have_count(0)
    yard = card(page, "yard")
    expect(yard.locator(".card-place")).to_have_text("south")
    expect(yard.locator(".card-picture")).to_be_visible()
    expect(yard.locator(".card-badge")).to_contain_text("Normal")
    choose(page, "yard", "What the model saw")
    expect(page.locator(".seen tr").first).to_contain_text("p 0.")
    page.keyboard.press("Escape")
    draw_a_mask(page, "yard")
    visitors.shoot(page, "console-masked")
    take_the_mask_away(page, "yard")
    hold(page, "yard", "Pause")
    expect(yard.locator(".card-badge")).to_have_text("paused")
    expect(yard.locator(".card-lag")).to_have_text("lag –")
    hold(page, "yard", "Resume")
    expect(yard.locator(".card-badge")).to_contain_text("Normal")
    rename_to_evil(page)
    remove(page, EVIL[:80])


def test_an_answer_of_before_a_pause_does_not_show_the_camera_as_it_was(page: Page) -> None:
    cameras = HeldAnswer(page, "/api/v1/cameras$")
    cameras.wait()
    hold(page, "/door", "Pause")
    badge = card(page, "/door").locator(".card-badge")
    expect(badge).to_have_text("paused")
    cameras.let_go()
    assert badge.text_content() == "paused"
    hold(page, "/door", "Resume")
    expect(badge).to_contain_text("Normal")


def rename_to_evil(page: Page) -> None:
    """A name is what somebody typed, and stays text."""
    choose(page, "yard", "Name and place")
    page.locator("dialog").get_by_label("Name", exact=True).fill(EVIL)
    page.locator("dialog").get_by_role("button", name="Save").click()
    expect(page.locator(".card-name", has_text="<img src=x onerror")).to_be_visible()
    expect(page.locator(".card img")).to_have_count(0)


def test_a_camera_that_goes_away_is_seen_and_told_to_be_lost(
    page: Page, visitors: Visitors, gate_port: int, tmp_path: Path
) -> None:
    gate = film(tmp_path / "gate.mp4", seconds=10, fps=10, size_wh=(320, 180))
    with running(gate, port=gate_port) as camera:
        add(page, camera.address("gate"), "gate")
        shown = card(page, "gate")
        expect(shown.locator(".card-badge")).to_contain_text("Normal")
    expect(shown.locator(".card-badge")).to_have_text("connection lost")
    expect(shown.locator(".card-nothing")).to_contain_text("next try")
    expect(strip_row(page, "trouble")).to_contain_text("gate is lost")
    expect(page.locator(".bar-line")).to_contain_text("1 lost")
    visitors.shoot(page, "console-lost")
    remove(page, "gate")
    expect(strip_row(page, "trouble")).to_be_hidden()


@pytest.mark.parametrize("word", ["/etc/passwd", "rtsp://10.255.255.1/<img%20src=x%20onerror=document.title=1>"])
def test_what_is_not_allowed_is_refused_with_a_reason(room: Site, visitors: Visitors, word: str) -> None:
    page = open_page(visitors, room)
    fill_in(page, word, "")
    expect(page.locator("dialog .dialog-told")).to_contain_text("rtsp://" if word.startswith("rtsp") else "not a path")
    expect(page.locator(".card")).to_have_count(1)


def test_the_grid_is_paged_zoomed_and_walked_by_keys_and_what_is_out_of_sight_costs_nothing(
    page: Page, cameras: Running
) -> None:
    add(page, cameras.address("yard"), "yard")
    expect(page.locator(".card")).to_have_count(2)
    page.keyboard.press("1")
    expect(page.locator(".grid-page")).to_have_text("1 / 2")
    expect(page.locator(".card")).to_have_count(1)
    with page.expect_request("**/console/pictures?**") as asked:
        page.keyboard.press("]")
    expect(page.locator(".grid-page")).to_have_text("2 / 2")
    assert asked.value.url.count("camera=") == 1
    page.keyboard.press("2")
    expect(page.locator(".card")).to_have_count(2)
    card(page, "yard").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_have_count(2)
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".card").last).to_be_focused()
    remove(page, "yard")


def test_an_alarming_camera_comes_first_and_into_sight(page: Page, room: Site, cameras: Running, mood: Mood) -> None:
    add(page, cameras.address("yard"), "yard")
    expect(page.locator(".card")).to_have_count(2)
    page.keyboard.press("1")
    page.keyboard.press("]")
    expect(card(page, "yard")).to_be_visible()
    with one_alarm(room, mood, page):
        expect(page.locator(".card")).to_have_count(1)
        expect(page.locator(".card.is-alarm")).to_have_attribute("data-name", cameras.address("door", login=""))
    page.keyboard.press("2")
    remove(page, "yard")


def test_the_room_in_chinese_and_the_switch_of_language_keeps_the_page(room: Site, visitors: Visitors) -> None:
    page = open_page(visitors, room, "zh/watch", language="zh-CN")
    expect(card(page, "/door").locator(".card-lag")).to_contain_text("延迟 0.")
    expect(page.locator(".bar-line")).to_contain_text("1 路在看")
    visitors.shoot(page, "console-chinese")
    page.click("#language")
    expect(page).to_have_url(f"{room.url}en/watch")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(room: Site, visitors: Visitors, mood: Mood, scheme: str) -> None:
    page = open_page(visitors, room, size=PHONE, color_scheme=scheme)
    expect(card(page, "/door").locator(".card-picture")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    with one_alarm(room, mood, page):
        expect(page.locator(".queue-row").first).to_be_visible()
        settle(page)
        visitors.shoot(page, f"console-phone-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_light_and_dark_are_chosen_for_all_pages(room: Site, visitors: Visitors) -> None:
    page = open_page(visitors, room, color_scheme="light")
    page.click("#theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(f"{room.url}en/")
    expect(page.locator("body")).to_have_class("dark")


def test_everything_in_the_room_has_a_name_for_a_screen_reader(page: Page) -> None:
    expect(card(page, "/door").locator(".card-badge")).to_contain_text("p 0.")
    unnamed = page.evaluate("""() => [...document.querySelectorAll("button, a, input, [role=img], article")]
        .filter((each) => each.checkVisibility())
        .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
        .map((each) => each.outerHTML)""")
    assert unnamed == []
    assert page.locator(".vigil-strip [role=alert]").count() >= 1
