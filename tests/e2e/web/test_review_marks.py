"""After a mark in a real Chromium: the ring in the list and what is shown go on to the next event together."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browsing import Site, Visitors, settle, site_at
from rooms import event, with_events
from vigil.store import Store

pytestmark = pytest.mark.e2e
SHOWN = "#review-detail .review-words"
RING = ".review-row[aria-selected=true]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("marks")


@pytest.fixture(scope="module")
def events_store(folder: Path) -> Iterator[Store]:
    with with_events(folder, *(event(number, text=f"scene {number}") for number in range(6))) as opened:
        yield opened


@pytest.fixture(scope="module")
def site(events_store: Store, folder: Path) -> Iterator[Site]:
    with site_at("http://127.0.0.1:9/v1", folder=folder) as running:
        yield running


@pytest.fixture
def store(events_store: Store) -> Store:
    """Six events that nobody has marked."""
    with events_store.database.writing("a new test") as connection:
        connection.exec_driver_sql("DELETE FROM marks")
    return events_store


@pytest.fixture
def page(store: Store, site: Site, visitors: Visitors) -> Iterator[Page]:
    visitors.complaints.clear()
    page = opened(visitors, site)
    yield page
    visitors.leave(page)
    assert visitors.complaints == []


def opened(visitors: Visitors, site: Site) -> Page:
    page = visitors.visit(site.url)
    page.click("#tab-review-button")
    expect(page.locator(".review-row")).to_have_count(6)
    return page


def unmarked_only(page: Page) -> None:
    page.click("#review-mark input")
    with page.expect_response(lambda answer: "/queue/join" in answer.url):
        page.locator("[role=option]", has_text="unmarked").filter(visible=True).last.click()
    settle(page)


def stands_on(page: Page, number: int) -> None:
    """The ring, the keyboard's focus and what is shown are all of one event."""
    expect(page.locator(SHOWN)).to_have_text(f"scene {number}")
    expect(page.locator(RING)).to_have_count(1)
    expect(page.locator(RING)).to_have_attribute("data-event", f"e{number:04d}")
    focused = page.evaluate("document.activeElement.closest('.review-row')?.dataset.event || ''")
    assert focused in ("", f"e{number:04d}")


def marks(store: Store) -> dict[int, list[str]]:
    made = {number: [str(mark.mark) for mark in store.marks.of_event(f"e{number:04d}")] for number in range(6)}
    return {number: words for number, words in made.items() if words}


@pytest.mark.parametrize("filtered", [False, True])
def test_keys_mark_one_event_after_the_other(page: Page, store: Store, filtered: bool) -> None:
    if filtered:
        unmarked_only(page)
    page.locator(".review-row").first.click()
    stands_on(page, 5)
    for key, following in (("t", 4), ("f", 3), ("u", 2)):
        page.keyboard.press(key)
        stands_on(page, following)
        expect(page.locator(".review-row")).to_have_count(following + 1 if filtered else 6)
        stands_on(page, following)
    assert marks(store) == {5: ["true"], 4: ["false_alarm"], 3: ["unsure"]}


def test_keys_that_are_faster_than_the_server_mark_each_its_own_event(page: Page, store: Store) -> None:
    unmarked_only(page)
    page.keyboard.press("j")
    stands_on(page, 5)
    page.keyboard.press("t")
    page.keyboard.press("f")
    stands_on(page, 3)
    assert marks(store) == {5: ["true"], 4: ["false_alarm"]}


def test_a_mark_is_for_the_row_that_is_picked_however_fast_the_keys_are(page: Page, store: Store) -> None:
    page.keyboard.press("j")
    stands_on(page, 5)
    page.fill("#review-note textarea, #review-note input", "a note on scene 5")
    page.locator("#review-where").click()
    for key in "jjt":
        page.keyboard.press(key)
    stands_on(page, 2)
    expect(page.locator(".review-row[data-event=e0003] .mark-true")).to_be_visible()
    page.evaluate("""() => {
        for (const key of "kk") document.dispatchEvent(new KeyboardEvent("keydown", { key }));
        document.getElementById("review-false_alarm").click();
    }""")
    stands_on(page, 4)
    page.keyboard.press("u")
    expect(page.locator(".review-row[data-event=e0004] .mark-unsure")).to_be_visible()
    assert marks(store) == {3: ["true"], 4: ["unsure"]}
    assert [mark.note for number in (3, 4) for mark in store.marks.of_event(f"e{number:04d}")] == ["", ""]


def test_a_mark_by_the_mouse_goes_on_too_and_taking_it_off_stays(page: Page, store: Store) -> None:
    page.locator(".review-row").nth(2).click()
    stands_on(page, 3)
    page.click("#review-false_alarm")
    stands_on(page, 2)
    page.keyboard.press("k")
    stands_on(page, 3)
    page.click("#review-none")
    expect(page.locator(".review-row[data-event=e0003] .mark-badge")).to_have_count(0)
    stands_on(page, 3)


def test_the_last_of_the_list_hands_over_to_the_one_before(page: Page, store: Store) -> None:
    unmarked_only(page)
    page.locator(".review-row").last.click()
    stands_on(page, 0)
    page.keyboard.press("t")
    expect(page.locator(".review-row")).to_have_count(5)
    stands_on(page, 1)
    for key, following in (("u", 2), ("f", 3)):
        page.keyboard.press(key)
        stands_on(page, following)
    assert marks(store) == {0: ["true"], 1: ["unsure"], 2: ["false_alarm"]}


def test_an_event_of_elsewhere_that_is_shown_stays_while_the_list_changes(page: Page, store: Store) -> None:
    page.locator(".review-row").nth(1).click()
    stands_on(page, 4)
    page.fill("#review-text textarea, #review-text input", "scene 2")
    expect(page.locator(".review-row")).to_have_count(1)
    expect(page.locator(RING)).to_have_count(0)
    expect(page.locator(SHOWN)).to_have_text("scene 4")
