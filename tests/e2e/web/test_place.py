"""The address names the tab that is shown, in a real Chromium: reloaded, it shows it again."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browsing import Site, Visitors, site_at
from rooms import event, with_events

pytestmark = pytest.mark.e2e


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


@pytest.mark.parametrize("tab", ["analysis", "chat"])
def test_a_reload_comes_back_to_the_tab(page: Page, tab: str) -> None:
    page.click("#tab-analysis-button")
    page.click(f"#tab-{tab}-button")
    page.wait_for_url(f"**/en/#{tab}")
    page.reload()
    selected(page, tab)
    assert page.url.endswith(f"#{tab}")


@pytest.mark.parametrize(
    ("place", "page_of_its_own"),
    [("#room", "watch"), ("#review", "events"), ("#review/e0001", "events/e0001"), ("#review/..%2F", "events")],
)
def test_an_old_link_to_a_tab_leads_to_the_page_that_it_became(
    site: Site, page: Page, place: str, page_of_its_own: str
) -> None:
    page.goto(f"{site.url}en/{place}")
    page.wait_for_url(f"**/en/{page_of_its_own}")


def test_the_other_language_shows_the_same_tab(page: Page) -> None:
    page.click("#tab-analysis-button")
    page.click("#vigil-language")
    page.wait_for_url("**/zh/#analysis")
    selected(page, "analysis")


@pytest.mark.parametrize("place", ["#nowhere", "#%E0%A4%A", "#%3Cimg%20src=x%3E"])
def test_an_address_that_names_nothing_harms_nothing(site: Site, page: Page, place: str) -> None:
    page.goto(f"{site.url}{place}")
    page.reload()
    expect(page.locator("[role=tab][aria-selected=true]").first).to_be_visible()
    page.click("#tab-chat-button")
    page.wait_for_url("**/en/#chat")
