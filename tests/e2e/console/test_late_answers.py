"""Answers that come late, as on a busy machine: they take back nothing that was done or heard meanwhile."""

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Route, expect

from browsing import Site, Visitors
from console_pages import HeldAnswer, strip_row
from review_pages import is_ready, marks_in, open_review, open_row, row, stands_on
from reviewing import review_event
from vigil.store import Store
from waiting import until

pytestmark = pytest.mark.e2e
STREAM = re.compile("/api/v1/live")


def test_an_event_that_is_opened_while_the_page_begins_stays(site: Site, visitors: Visitors) -> None:
    page = open_review(visitors, site)
    choices = HeldAnswer(page, "/events/choices")
    page.goto(f"{site.url}en/events")
    open_row(page, 2)
    stands_on(page, 2)
    choices.let_go()
    is_ready(page)
    stands_on(page, 2)


def test_a_list_of_before_a_mark_does_not_take_it_back(site: Site, store: Store, visitors: Visitors) -> None:
    page = open_review(visitors, site)
    listed = HeldAnswer(page, r"/events\?limit=")
    store.events.save(review_event(6))
    listed.wait()
    page.keyboard.press("t")
    until(lambda: marks_in(store) == {5: ["true"]})
    expect(row(page, 5).locator(".mark-true")).to_be_visible()
    listed.let_go()
    expect(row(page, 5).locator(".mark-true")).to_be_visible()
    expect(row(page, 6)).to_be_visible()
    expect(row(page, 5).locator(".mark-true")).to_be_visible()


def test_an_alarm_that_comes_while_the_queue_is_read_is_in_it(site: Site, store: Store, visitors: Visitors) -> None:
    page = open_review(visitors, site)
    queue = HeldAnswer(page, r"/events\?limit=30")
    with page.expect_response(STREAM):  # from here on it is news; before, the page would ask for its queue again
        page.goto(f"{site.url}en/watch")
    queue.wait()
    store.events.save(review_event(6, end_s=None, closed_because=""))
    shown = page.locator(".queue-row[data-event=e0006]")
    expect(shown).to_be_visible()
    queue.let_go()
    expect(page.locator(".queue-row[data-event=e0005]")).to_be_visible()
    expect(shown).to_be_visible()


def test_an_alarm_that_comes_before_the_page_listens_is_heard(site: Site, store: Store, visitors: Visitors) -> None:
    page = open_review(visitors, site)
    for event_id in store.events.ids():
        store.acknowledgements.add(event_id, who="ann")
    held: list[Route] = []
    page.route(STREAM, lambda route: held.append(route))
    page.goto(f"{site.url}en/watch")
    is_ready(page)
    until(lambda: page.evaluate("1") and held)
    store.events.save(review_event(6, end_s=None, closed_because=""))
    page.unroute(STREAM)
    for each in held:
        with suppress(PlaywrightError):  # where the page has given one up meanwhile, there is another
            each.continue_()
    expect(strip_row(page, "alarm")).to_be_visible()


def test_what_was_typed_just_before_another_filter_is_chosen_is_not_lost(site: Site, visitors: Visitors) -> None:
    page = open_review(visitors, site)
    page.fill("#filter-text", "scene 2")
    page.select_option("#filter-tier", "high")
    expect(page.locator(".event-row")).to_have_count(1)
    expect(page.locator("#filter-text")).to_have_value("scene 2")


def test_a_key_that_is_pressed_again_while_it_is_waited_for_asks_once(site: Site, visitors: Visitors) -> None:
    page = open_review(visitors, site)
    expect(strip_row(page, "alarm")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = HeldAnswer(page, "/acknowledge$")
    for _ in range(3):
        page.keyboard.press("a")
    answer.wait()
    page.keyboard.press("a")
    assert len([url for url in asked if url.endswith("/acknowledge")]) == 1
    answer.let_go()
