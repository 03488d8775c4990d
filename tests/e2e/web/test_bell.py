"""Alarms in a real Chromium: heard by every page, whatever tab it shows, once."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browsing import Site, Visitors, settle, site_at
from rtsp_server import running
from scripted_server import ScriptedServer
from watching import bright_server, film

pytestmark = pytest.mark.e2e

QUIET_WINDOWS = 3
"""The watch judges one every two seconds: what an alarm is followed by has come by then."""

LISTENS = """() => {
    window.vigilRung = 0;
    window.told = [];
    window.Notification = class {
        static permission = "granted";
        constructor(title, options) { window.told.push({ title, tag: options.tag, note: this }); }
    };
}"""


@pytest.fixture(scope="module")
def bright() -> Iterator[ScriptedServer]:
    """What judges the windows."""
    with bright_server() as server:
        yield server


@pytest.fixture(scope="module")
def room(bright: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages, watching a camera that is bright for some seconds of every 20."""
    folder = tmp_path_factory.mktemp("bell")
    door = film(folder / "door.mp4", seconds=20, bright=[(8, 12)], fps=10, size_wh=(320, 180))
    config = folder / "watch.yaml"
    with running(door) as camera:
        config.write_text(
            f"sources: ['{camera.address('door', login='')}']\nrules: [{{type: hysteresis, quiet_s: 3.0}}]\n"
        )
        words = ("--model", "tiny", "--task", "fight_en", "--config", str(config))
        with site_at(bright.url, *words, folder=folder) as site:
            yield site


def some_windows_later(bright: ScriptedServer) -> None:
    """Waits until the watch has judged some windows more, those asked about again for words left out."""
    before = sum(not request.body.get("stream") for request in bright.chats)
    while sum(not request.body.get("stream") for request in bright.chats) < before + QUIET_WINDOWS:
        bright.wait_for_chats(len(bright.chats) + 1)


@pytest.fixture
def page(room: Site, visitors: Visitors) -> Iterator[Page]:
    """A page that stays on the chat, whose visitor has touched it and allowed notifications."""
    visitors.complaints.clear()
    opened = visitors.visit(room.url)
    listen(opened)
    yield opened
    assert visitors.complaints == []


def listen(page: Page) -> None:
    # First the click: an alarm before it makes no sound, and is not to be counted.
    page.click("#chat-box textarea")
    page.wait_for_function("!window.vigilBell.blocked")
    page.evaluate(LISTENS)


def told(page: Page) -> list[str]:
    return list(page.evaluate("window.told.map(one => one.tag)"))


def rings_once_for_each(*pages: Page) -> None:
    """Each alarm that was told rang, once, on one of these pages; on a slow machine another comes meanwhile.

    An event that opens in a lower tier and rises is two alarms, whose titles differ.
    """
    heard = [page.evaluate("[window.vigilRung || 0, window.told.map(one => one.title + one.tag)]") for page in pages]
    alarms = [alarm for _, tags in heard for alarm in tags]
    assert sum(rung for rung, _ in heard) == len(alarms) == len(set(alarms)) > 0


def wait_for_alarm(page: Page) -> None:
    page.wait_for_function(f"window.told.length > {len(told(page))}")


def another(context: BrowserContext, room: Site) -> Page:
    page = context.new_page()
    page.goto(room.url)
    page.locator("#chat-box textarea").wait_for()
    listen(page)
    return page


def test_a_page_that_stays_on_the_chat_rings_and_its_notification_opens_the_event(
    page: Page, visitors: Visitors
) -> None:
    wait_for_alarm(page)
    rings_once_for_each(page)
    title = page.evaluate("window.told[0].title")
    assert title.startswith("Alarm (high): rtsp://") and title.endswith("/door")
    assert page.locator(".room-card").count() == 0
    visitors.shoot(page, "bell-chat")
    page.evaluate("window.told[0].note.onclick()")
    expect(page.locator("#review-detail .review-title")).to_contain_text("/door")
    assert page.locator(".review-row[aria-selected=true]").get_attribute("data-event") == told(page)[0]


def test_with_the_room_open_an_alarm_still_rings_once(page: Page, bright: ScriptedServer) -> None:
    page.click("#tab-room-button")
    expect(page.locator(".room-picture")).to_be_visible()
    wait_for_alarm(page)
    some_windows_later(bright)
    rings_once_for_each(page)


def test_a_page_that_is_opened_after_an_alarm_hears_the_next_one_only(
    page: Page, room: Site, visitors: Visitors
) -> None:
    wait_for_alarm(page)
    late = visitors.visit(room.url)
    listen(late)
    wait_for_alarm(late)
    rings_once_for_each(late)
    assert not set(told(late)) & set(told(page)[:1])


def test_of_the_pages_of_one_browser_one_rings(page: Page, room: Site, bright: ScriptedServer) -> None:
    other = another(page.context, room)
    while not told(page) + told(other):
        some_windows_later(bright)
    some_windows_later(bright)
    rings_once_for_each(page, other)
    page.close()
    wait_for_alarm(other)
    rings_once_for_each(other)


def test_an_alarm_rings_where_the_browser_throws_at_a_notification(page: Page) -> None:
    page.evaluate("""() => {
        window.vigilRung = 0;
        window.told = [];
        window.Notification = class {
            static permission = "granted";
            constructor() { throw new TypeError("Illegal constructor."); }
        };
    }""")
    page.wait_for_function("window.vigilRung >= 1")
    assert told(page) == []


def test_a_page_that_nobody_rings_asks_hardly_ever_and_is_sent_no_pictures(page: Page, bright: ScriptedServer) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.click("#tab-room-button")
    expect(page.locator(".room-picture")).to_be_visible()
    page.click("#tab-chat-button")
    settle(page)
    asked.clear()
    some_windows_later(bright)
    page.evaluate("1")  # what it has asked meanwhile is heard here
    assert sum("/alarms/" in url for url in asked) <= 2
    assert [url for url in asked if "component_server" in url] == []
