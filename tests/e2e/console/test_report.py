"""The report of a day or a shift in a real Chromium: linked, printed, in two languages, dark, and on a phone."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from browsing import PHONE, Site, Visitors, site_at
from console_pages import is_ready, open_page
from reviewing import camera_in, review_event
from vigil.store import Store
from watching import bright_server

pytestmark = pytest.mark.e2e
EVIL = '<img src=x onerror="document.title=1"> pushed'
NIGHT = "day=2026-11-20&shift=22%3A00-06%3A00&timezone=Asia%2FShanghai"
ONSET_S = datetime(2026, 11, 20, 15, 0, tzinfo=UTC).timestamp()
"""23:00 in Shanghai."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pages with one event at night and one in the morning."""
    folder = tmp_path_factory.mktemp("report")
    with Store.open(folder / "events.db") as store:
        door = camera_in(store, "door", place="gate")
        for number, later_s in ((1, 0.0), (2, 9 * 3600.0)):
            event = review_event(number, camera=door, epoch_s=ONSET_S, onset_s=later_s, end_s=later_s + 4.0, text=EVIL)
            store.events.save(event)
    kept = ("--set", "retention.media_days=36500", "--set", "retention.observation_days=36500")
    with bright_server() as server, site_at(server.url, "--task", "fight_en", *kept, folder=folder) as running:
        yield running


@pytest.fixture
def page(site: Site, visitors: Visitors) -> Iterator[Page]:
    """The report of the night, of which no browser complains in the end."""
    visitors.complaints.clear()
    yield open_page(visitors, site, f"en/report?{NIGHT}")
    assert visitors.complaints == []


def test_a_link_shows_its_shift_and_another_one_is_chosen(page: Page, visitors: Visitors) -> None:
    expect(page.locator("#report-title")).to_have_text("Report: 2026-11-20 22:00 – 2026-11-21 06:00")
    expect(page.locator("[data-key=events]")).to_have_text("1")
    expect(page.locator("#report-unseen tbody tr")).to_have_count(1)
    expect(page.locator("#report-unseen tbody td").first).to_have_text("11-20 23:00")
    expect(page.locator("#report-unseen")).to_contain_text(EVIL)
    visitors.shoot(page, "report")
    page.locator("#report-shift").fill("06:00-14:00")
    page.locator("#report-day").fill("2026-11-21")
    page.locator("#report-show").click()
    expect(page.locator("#report-unseen tbody td").first).to_have_text("11-21 08:00")
    assert "day=2026-11-21" in page.url and "timezone=Asia%2FShanghai" in page.url
    page.go_back()
    expect(page.locator("#report-unseen tbody td").first).to_have_text("11-20 23:00")
    page.locator("#report-unseen a").click()
    page.wait_for_url("**/en/events/*")


def test_the_other_language_shows_the_same_shift(page: Page) -> None:
    page.locator("#language").click()
    page.wait_for_url("**/zh/report?day=2026-11-20&shift=*")
    is_ready(page)
    expect(page.locator("#report-title")).to_have_text("值守报告：2026-11-20 22:00 – 2026-11-21 06:00")
    expect(page.locator("[data-key=events]")).to_have_text("1")


def test_on_paper_there_is_the_report_alone(page: Page, visitors: Visitors) -> None:
    page.emulate_media(media="print")
    for hidden in ("nav.rail", "#report-form"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("#report-unseen")).to_be_visible()
    visitors.shoot(page, "report-print")


def test_what_is_no_shift_is_told_and_what_was_shown_stays(page: Page, visitors: Visitors) -> None:
    page.locator("#report-shift").fill("22-6")
    page.locator("#report-show").click()
    expect(page.locator(".toast.is-problem")).to_contain_text("shift '22-6'")
    expect(page.locator("[data-key=events]")).to_have_text("1")
    visitors.complaints[:] = [each for each in visitors.complaints if "400" not in each]


def test_in_chinese_in_the_dark_and_on_a_phone(site: Site, visitors: Visitors) -> None:
    page = open_page(visitors, site, f"zh/report?{NIGHT}", size=PHONE)
    expect(page.locator("#report-title")).to_have_text("值守报告：2026-11-20 22:00 – 2026-11-21 06:00")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    visitors.shoot(page, "report-phone-zh")
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    visitors.shoot(page, "report-phone-dark")


def test_without_a_day_it_is_the_last_one_that_is_over_and_the_address_then_names_it(
    site: Site, visitors: Visitors
) -> None:
    page = open_page(visitors, site, "en/watch")
    page.locator("#to-report").click()
    is_ready(page)
    expect(page.locator("#report-title")).to_contain_text("Report: ")
    assert "day=20" in page.url
