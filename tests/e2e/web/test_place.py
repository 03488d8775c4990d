"""The address names the tab and the event that are shown, in a real Chromium: reloaded, it shows them again."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browsing import Site, Visitors, site_at
from rooms import event, with_events

pytestmark = pytest.mark.e2e
SHOWN = "#review-detail .review-words"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("place")
    with_events(folder, *(event(number, text=f"scene {number}") for number in range(3))).close()
    with site_at("http://127.0.0.1:9/v1", folder=folder) as running:
        yield running


@pytest.fixture
def page(site: Site, visitors: Visitors) -> Iterator[Page]:
    visitors.complaints.clear()
    opened = visitors.visit(site.url)
    yield opened
    visitors.leave(opened)
    assert visitors.complaints == []


def selected(page: Page, tab: str) -> None:
    expect(page.locator(f"#tab-{tab}-button")).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("tab", ["analysis", "room", "review", "chat"])
def test_a_reload_comes_back_to_the_tab(page: Page, tab: str) -> None:
    page.click("#tab-room-button")
    page.click(f"#tab-{tab}-button")
    page.wait_for_url(f"**/en/#{tab}")
    page.reload()
    selected(page, tab)
    assert page.url.endswith(f"#{tab}")


def test_a_reload_and_a_link_come_back_to_the_event(page: Page, site: Site) -> None:
    page.click("#tab-review-button")
    page.locator(".review-row").nth(1).click()
    expect(page.locator(SHOWN)).to_have_text("scene 1")
    page.wait_for_url("**/en/#review/e0001")
    page.reload()
    expect(page.locator(SHOWN)).to_have_text("scene 1")
    page.goto(f"{site.url}#review/e0000")
    expect(page.locator(SHOWN)).to_have_text("scene 0")
    page.evaluate("location.hash = '#review/e0002'")
    expect(page.locator(SHOWN)).to_have_text("scene 2")
    page.click("#tab-chat-button")
    page.wait_for_url("**/en/#chat")
    page.click("#tab-review-button")
    page.wait_for_url("**/en/#review/e0002")


def test_the_other_language_shows_the_same_event(page: Page) -> None:
    page.evaluate("location.hash = '#review/e0001'")
    expect(page.locator(SHOWN)).to_have_text("scene 1")
    page.click("#vigil-language")
    page.wait_for_url("**/zh/#review/e0001")
    expect(page.locator(SHOWN)).to_have_text("scene 1")


@pytest.mark.parametrize("place", ["#nowhere", "#review/%E0%A4%A", "#%3Cimg%20src=x%3E", "#room/e0001"])
def test_an_address_that_names_nothing_harms_nothing(site: Site, page: Page, place: str) -> None:
    page.goto(f"{site.url}{place}")
    page.reload()
    expect(page.locator("[role=tab][aria-selected=true]").first).to_be_visible()
    page.click("#tab-chat-button")
    page.wait_for_url("**/en/#chat")
