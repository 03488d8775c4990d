"""The watch room and the review in a real Chromium: cameras that stream, events that happen, are opened and marked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browsing import PHONE, Site, Visitors, settle, site_at
from rooms import event, with_events
from rtsp_server import Running, running
from scripted_server import Reply, Request, ScriptedServer, stream
from watching import SAYS_YES, bright_server, film, is_bright, look

pytestmark = pytest.mark.e2e
EVIL = "<img src=x onerror=\"document.title='broken in'\"> ${document.title='broken in'} {{this}}"


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two cameras, each bright for some seconds of every 20."""
    folder = tmp_path_factory.mktemp("films")
    size_wh = (640, 360)
    door = film(folder / "door.mp4", seconds=20, bright=[(6, 11)], fps=10, size_wh=size_wh)
    yard = film(folder / "yard.mp4", seconds=20, bright=[(9, 14)], fps=10, size_wh=size_wh)
    with running(door, yard) as camera:
        yield camera


@pytest.fixture(scope="module")
def bright() -> Iterator[ScriptedServer]:
    """What judges the windows."""
    with bright_server() as server:
        server.default = evil_words
        yield server


@pytest.fixture(scope="module")
def room(
    cameras: Running, bright: ScriptedServer, camera_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The pages, watching the door; the yard may be added, and a camera at `camera_port`."""
    folder = tmp_path_factory.mktemp("room")
    config = folder / "watch.yaml"
    config.write_text(
        f"sources: ['{cameras.address('door', login='')}']\nkeep_frames: true\n"
        "rules: [{type: hysteresis, quiet_s: 3.0}]\n"
    )
    allowed = [word for port in (cameras.port, camera_port) for word in ("--allow-camera", f"127.0.0.1:{port}")]
    words = ("--model", "tiny", "--task", "fight_en", "--config", str(config), *allowed)
    with site_at(bright.url, *words, folder=folder) as site:
        yield site


def evil_words(request: Request) -> Reply:
    """What the bright server says, with HTML and JavaScript in its words."""
    if request.body.get("stream") and is_bright(request):
        return stream("Yes", ", two people push. ", EVIL, logprobs=SAYS_YES)
    return look(request)


@pytest.fixture
def page(room: Site, visitors: Visitors) -> Iterator[Page]:
    """A visitor in the watch room whose browser has nothing to complain about in the end."""
    visitors.complaints.clear()
    opened = visitors.visit(room.url)
    go(opened, "room")
    yield opened
    # The strip of alarms counts those that wait.
    assert opened.title().endswith("Vigil") and "broken" not in opened.title()
    assert visitors.complaints == []


def go(page: Page, tab: str) -> None:
    page.click(f"#tab-{tab}-button")


def card(page: Page, name: str) -> Locator:
    return page.locator(f".room-card[data-camera$='/{name}']")


def first_event(page: Page) -> Locator:
    row = page.locator(".room-row").first
    expect(row).to_be_visible()
    return row


def open_first(page: Page) -> None:
    """Opens the newest event from the room, as a click on it does."""
    first_event(page).click()
    expect(page.locator("#review-detail .review-title")).to_contain_text("/door")


def choose(page: Page, field: str, option: str) -> None:
    page.click(f"#review-{field} input")
    page.locator("[role=option]", has_text=option).filter(visible=True).last.click()


def test_a_camera_is_seen_live_with_its_state_and_its_figures(page: Page, visitors: Visitors) -> None:
    door = card(page, "door")
    expect(door.locator(".room-stage")).to_have_text("watching")
    picture = door.locator(".room-picture")
    expect(picture).to_be_visible()
    first = picture.get_attribute("src")
    expect(picture).not_to_have_attribute("src", first or "")
    expect(door.locator(".room-facts")).to_contain_text("lag")
    expect(door.locator(".room-strip")).to_be_visible()
    visitors.shoot(page, "room-live")


def count_pictures(picture: Locator) -> None:
    """From now on the page counts, as `window.pictures`, those that come."""
    picture.evaluate("""image => {
        window.pictures = 0;
        image.addEventListener("load", () => window.pictures++);
    }""")


def wait_for_pictures(page: Page, count: int) -> None:
    page.wait_for_function(f"window.pictures >= {count}")


def windows(server: ScriptedServer) -> int:
    """How many windows were asked about so far, those asked about again for words left out."""
    return sum(not request.body.get("stream") for request in server.chats)


def test_pictures_come_more_often_than_windows(page: Page, bright: ScriptedServer) -> None:
    picture = card(page, "door").locator(".room-picture")
    expect(picture).to_be_visible()
    count_pictures(picture)
    before = windows(bright)
    wait_for_pictures(page, 6)
    # A window is asked about every two seconds; how many pictures a second are drawn is told by
    # benchmarks/web_pictures.py (docs/web-live-pictures.md).
    assert windows(bright) - before <= 4


def test_a_browser_that_draws_slowly_asks_for_fewer_pictures(page: Page) -> None:
    picture = card(page, "door").locator(".room-picture")
    expect(picture).to_be_visible()
    page.evaluate("""() => {
        window.requestAnimationFrame = (callback) => setTimeout(() => callback(performance.now()), 300);
    }""")
    count_pictures(picture)
    wait_for_pictures(page, 2)
    # By the page's own clock; where the machine is slow too there are fewer still.
    more = page.evaluate("""() => new Promise(done => {
        const before = window.pictures;
        setTimeout(() => done(window.pictures - before), 4000);
    })""")
    assert more <= 4
    wait_for_pictures(page, 3)


def test_an_event_appears_rings_is_opened_marked_and_found_again(page: Page, visitors: Visitors) -> None:
    rung = page.evaluate("window.vigilRung || 0")
    row = first_event(page)
    expect(row).to_contain_text("two people push. <img src=x")
    page.wait_for_function(f"(window.vigilRung || 0) > {rung}")
    expect(row.locator("img")).to_be_visible()
    visitors.shoot(page, "room-event")
    row.click()
    detail = page.locator("#review-detail")
    expect(detail.locator(".review-title")).to_contain_text("/door")
    expect(detail.locator("#review-plot .js-plotly-plot")).to_be_visible()
    page.fill("#review-note textarea, #review-note input", "只是光线")
    picked = page.locator(".review-row[aria-selected=true]").get_attribute("data-event")
    page.click("#review-false_alarm")
    marked = page.locator(f".review-row[data-event='{picked}']")
    expect(marked.locator(".mark-false_alarm")).to_be_visible()
    marked.click()
    expect(detail.locator("#review-marks")).to_contain_text("local")
    page.fill("#review-text textarea, #review-text input", "光线")
    choose(page, "mark", "false alarm")
    expect(page.locator(".review-row")).to_have_count(1)
    assert page.locator(".review-row").get_attribute("data-event") == picked
    visitors.shoot(page, "review-found-again")


def test_the_clip_of_an_event_plays(page: Page, visitors: Visitors) -> None:
    first_event(page)
    go(page, "review")
    page.locator(".review-row").last.click()
    video = page.locator("#review-clip video")
    expect(video).to_be_visible()
    page.wait_for_function(
        "() => { const v = document.querySelector('#review-clip video'); return v && v.currentTime > 0.5; }",
    )
    page.click("#review-frames-box button")
    expect(page.locator("#review-frames img").first).to_be_visible()
    visitors.shoot(page, "review-clip")


def test_the_keyboard_moves_and_marks(page: Page, visitors: Visitors) -> None:
    first_event(page)
    go(page, "review")
    expect(page.locator(".review-row").first).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator(".review-row[aria-selected=true]")).to_have_count(1)
    expect(page.locator("#review-detail .review-title")).to_be_visible()
    picked = page.locator(".review-row[aria-selected=true]").get_attribute("data-event")
    row = page.locator(f".review-row[data-event='{picked}']")
    page.keyboard.press("u")
    expect(row.locator(".mark-unsure")).to_be_visible()
    row.click()
    expect(page.locator("#review-marks .mark-unsure").first).to_be_visible()
    page.keyboard.press("t")
    expect(row.locator(".mark-badge")).to_have_text("true")
    page.keyboard.press("/")
    page.keyboard.type("tfu")
    assert page.locator("#review-text textarea, #review-text input").first.input_value() == "tfu"
    expect(page.locator("#review-list .room-quiet")).to_contain_text("No events match")
    visitors.shoot(page, "review-nothing-found")


def test_a_camera_is_added_paused_resumed_and_removed(page: Page, cameras: Running, visitors: Visitors) -> None:
    page.fill("#room-address textarea, #room-address input", cameras.address("yard"))
    page.click("#room-add-button")
    yard = card(page, "yard")
    expect(yard.locator(".room-stage")).to_have_text("watching")
    expect(yard.locator(".room-picture")).to_be_visible()
    yard.get_by_text("Pause", exact=True).click()
    expect(yard.locator(".room-stage")).to_have_text("paused")
    visitors.shoot(page, "room-paused")
    yard.get_by_text("Resume", exact=True).click()
    expect(yard.locator(".room-stage")).to_have_text("watching")
    page.once("dialog", lambda dialog: dialog.accept())
    yard.get_by_text("Remove", exact=True).click()
    expect(yard).to_have_count(0)


def test_a_camera_that_goes_away_is_seen_to_be_lost(
    page: Page, visitors: Visitors, camera_port: int, tmp_path: Path
) -> None:
    gate = film(tmp_path / "gate.mp4", seconds=10, fps=10, size_wh=(320, 180))
    with running(gate, port=camera_port) as camera:
        page.fill("#room-address textarea, #room-address input", camera.address("gate"))
        page.keyboard.press("Enter")
        shown = card(page, "gate")
        expect(shown.locator(".room-stage")).to_have_text("watching")
    expect(shown.locator(".room-stage")).to_have_text("connection lost")
    expect(shown.locator(".room-detail")).to_contain_text("next try")
    visitors.shoot(page, "room-lost")
    page.once("dialog", lambda dialog: dialog.accept())
    shown.get_by_text("Remove", exact=True).click()
    expect(shown).to_have_count(0)


def test_an_alarm_shows_as_a_notification_where_it_is_allowed(room: Site, visitors: Visitors) -> None:
    page = visitors.visit(room.url, permissions=["notifications"])
    page.evaluate("""() => {
        window.told = [];
        window.Notification = class {
            static permission = "granted";
            constructor(title, options) { window.told.push([title, options.body]); }
        };
    }""")
    go(page, "room")
    expect(page.locator(".room-notes")).to_have_text("Notifications allowed")
    page.wait_for_function("window.told.length > 0")
    title, _ = page.evaluate("window.told[0]")
    assert title.startswith("Alarm (high): rtsp://") and title.endswith("/door")
    page.click(".room-sound")
    expect(page.locator(".room-sound")).to_have_text("Sound off")


@pytest.mark.parametrize("word", ["/etc/passwd", "rtsp://10.255.255.1/<img%20src=x%20onerror=document.title=1>"])
def test_what_is_not_allowed_is_refused_with_a_reason(page: Page, visitors: Visitors, word: str) -> None:
    page.fill("#room-address textarea, #room-address input", word)
    page.click("#room-add-button")
    expect(page.locator(".toast-body").first).to_contain_text("rtsp://" if word.startswith("rtsp") else "neither")
    expect(page.locator(".room-card")).to_have_count(1)
    visitors.shoot(page, "room-refused")


def test_the_room_in_chinese(room: Site, visitors: Visitors) -> None:
    page = visitors.visit(room.url, language="zh-CN")
    go(page, "room")
    expect(card(page, "door").locator(".room-stage")).to_have_text("值守中")
    first_event(page)
    visitors.shoot(page, "room-chinese")
    open_first(page)
    expect(page.locator("#review-detail")).to_contain_text("尚无标记")
    visitors.shoot(page, "review-chinese")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_is_wider_than_the_screen(room: Site, visitors: Visitors, dark: bool) -> None:
    page = visitors.visit(room.url, size=PHONE, color_scheme="dark" if dark else "light")
    if dark:
        page.evaluate("document.body.classList.add('dark')")
    open_room_on_phone(page)
    expect(card(page, "door").locator(".room-picture")).to_be_visible()
    first_event(page)
    visitors.shoot(page, f"room-phone-{'dark' if dark else 'light'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    first_event(page).click()
    expect(page.locator("#review-detail .review-title")).to_be_visible()
    settle(page)
    visitors.shoot(page, f"review-phone-{'dark' if dark else 'light'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def open_room_on_phone(page: Page) -> None:
    """Narrow pages may keep tabs in a menu."""
    tab = page.locator("#tab-room-button")
    if not tab.is_visible():
        page.locator(".overflow-menu button").first.click()
        tab = page.get_by_role("button", name="Watch room").last
    tab.click()


def test_what_one_visitor_searches_is_not_what_another_sees(room: Site, visitors: Visitors) -> None:
    one, other = visitors.visit(room.url), visitors.visit(room.url)
    for page in (one, other):
        go(page, "room")
        first_event(page)
        go(page, "review")
        expect(page.locator(".review-row").first).to_be_visible()
    one.locator("#review-text").locator("textarea, input").fill("no such words")
    expect(one.locator("#review-list .room-quiet")).to_be_visible()
    other.click("#review-newer")
    expect(other.locator(".review-row").first).to_be_visible()
    assert other.locator("#review-text").locator("textarea, input").input_value() == ""
    for page in (one, other):
        visitors.leave(page)


def test_many_events_are_paged_and_a_mark_bears_the_name_that_was_logged_in(visitors: Visitors, tmp_path: Path) -> None:
    with_events(tmp_path, *(event(number, text=f"scene {number}") for number in range(120))).close()
    env = {"VIGIL_WEB_AUTH": "ann:a long password\nbob:another password"}
    with site_at("http://127.0.0.1:9/v1", "--viewers", "bob", folder=tmp_path, env=env) as site:
        page = visitors.visit(site.url, wait=False)
        visitors.sign_in(page, "ann", "a long password")
        go(page, "review")
        expect(page.locator("#review-where")).to_contain_text("120 found · page 1 of 5")
        page.keyboard.press("n")
        expect(page.locator("#review-where")).to_contain_text("page 2 of 5")
        expect(page.locator(".review-row").first).to_contain_text("scene 94")
        page.keyboard.press("j")
        expect(page.locator("#review-detail .review-words")).to_have_text("scene 94")
        page.keyboard.press("t")
        expect(page.locator("#review-detail .review-words")).to_have_text("scene 93")
        page.keyboard.press("k")
        expect(page.locator("#review-marks")).to_contain_text("ann")
        visitors.shoot(page, "review-page-2")
        page.click("#vigil-sign-out")
        visitors.sign_in(page, "bob", "another password")
        go(page, "review")
        expect(page.locator(".review-row").first).to_contain_text("scene 119")
        page.keyboard.press("j")
        expect(page.locator("#review-detail .review-words")).to_have_text("scene 119")
        page.keyboard.press("f")
        expect(page.get_by_text("Your account may view")).to_be_visible()
        expect(page.locator("#review-marks")).not_to_contain_text("bob")
        visitors.shoot(page, "review-viewer")
        visitors.leave(page)
        assert 'refused to mark an event user="bob"' in (tmp_path / "uploads" / "audit.log").read_text()


def test_nobody_reaches_the_database_through_the_pages(room: Site, page: Page, tmp_path: Path) -> None:
    database = room.log.parent / "events.db"
    assert database.exists()
    for path in (database, database.parent / "room.yaml", Path("/etc/passwd")):
        answer = page.request.get(f"{room.url}en/gradio_api/file={path}")
        assert answer.status in (403, 404)


def test_the_page_says_when_the_endpoint_is_away_and_comes_back(
    cameras: Running, visitors: Visitors, tmp_path: Path
) -> None:
    with bright_server() as server:
        port = int(server.url.split(":")[2].split("/")[0])
        words = ("--model", "tiny", "--task", "fight_en", "--allow-camera", f"127.0.0.1:{cameras.port}")
        url = server.url
        site = site_at(url, *words, folder=tmp_path)
        running_site = site.__enter__()
    try:
        page = visitors.visit(running_site.url)
        go(page, "room")
        expect(page.locator(".room-empty")).to_be_visible()
        expect(page.locator(".room-problem")).to_contain_text("vllm.sh")
        visitors.shoot(page, "room-endpoint-away")
        with bright_server(port=port):
            expect(page.locator(".room-problem")).to_be_hidden()
            visitors.shoot(page, "room-empty")
        visitors.leave(page)
    finally:
        site.__exit__(None, None, None)
