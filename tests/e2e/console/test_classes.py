"""Classes of events in a real Chromium: shown, filtered by, and corrected with a mark."""

import pytest
from playwright.sync_api import Page, expect

from browsing import Site, Visitors
from review_pages import open_review, row
from reviewing import review_event
from vigil.events import EventWindow
from vigil.store import Store
from waiting import until

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(site: Site, store: Store, visitors: Visitors) -> Page:
    """The review with two events of nine classes after those of two labels."""
    door = store.cameras.all()[0]
    for number, label in ((6, "烟雾"), (7, "跌倒")):
        windows = (
            EventWindow(window=number, start_s=60.0 * number, end_s=60.0 * number + 2.5, p_alarm=0.97, label=label),
        )
        store.events.save(
            review_event(number, camera=door, task="anomaly9", rule="anomaly9", label=label, windows=windows)
        )
    return open_review(visitors, site)


def test_a_class_stands_in_the_list_in_the_title_and_in_the_facts(page: Page) -> None:
    expect(row(page, 6)).to_contain_text("烟雾 · scene 6")
    row(page, 6).click()
    expect(page.locator("#detail-title")).to_contain_text("烟雾 0.97 · door")
    expect(page.locator("#event-pairs")).to_contain_text("烟雾")
    expect(row(page, 5)).not_to_contain_text("·  scene")


def test_the_list_is_filtered_by_class_and_the_address_says_so(page: Page) -> None:
    page.select_option("#filter-label", "烟雾")
    expect(page.locator(".event-row")).to_have_count(1)
    expect(row(page, 6)).to_be_visible()
    assert "label=%E7%83%9F%E9%9B%BE" in page.url
    page.reload()
    expect(page.locator(".event-row")).to_have_count(1)
    expect(page.locator("#filter-label")).to_have_value("烟雾")


def test_an_operator_corrects_a_class_with_one_choice_and_takes_it_back(page: Page, store: Store) -> None:
    row(page, 6).click()
    expect(page.locator("#class-field")).to_be_visible()
    expect(page.locator("#mark-class")).to_have_value("烟雾")
    page.select_option("#mark-class", "设备异常")
    until(lambda: [(mark.mark, mark.label) for mark in store.marks.of_event("e0006")] == [("true", "设备异常")])
    expect(row(page, 6)).to_contain_text("设备异常 · scene 6")
    row(page, 6).click()
    expect(page.locator("#event-pairs")).to_contain_text("设备异常 (the model said: 烟雾)")
    page.keyboard.press("z")
    until(lambda: store.marks.of_event("e0006")[-1].mark == "")
    expect(row(page, 6)).to_contain_text("烟雾 · scene 6")


def test_an_event_of_two_labels_offers_no_class(page: Page) -> None:
    row(page, 5).click()
    expect(page.locator("#why-lines li").first).not_to_have_text("")
    expect(page.locator("#event-detail[data-late]")).to_have_count(0)
    expect(page.locator("#class-field")).to_be_hidden()


def test_a_page_without_classes_has_no_filter_for_them(site: Site, store: Store, visitors: Visitors) -> None:
    plain = open_review(visitors, site)
    expect(plain.locator("#filter-rule")).to_be_visible()
    expect(plain.locator("#filter-label")).to_be_hidden()
