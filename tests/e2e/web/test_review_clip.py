"""The clip of an H.265 camera in a real Chromium, which does not play such a clip itself."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browsing import Visitors, settle, site_at
from rooms import event, with_events
from watching import film

pytestmark = pytest.mark.e2e
PLAYS = "() => { const v = document.querySelector('#review-clip video'); return v && v.currentTime > 0.3; }"


def h265(path: Path) -> None:
    film(path, seconds=4, bright=[(1, 3)], fps=10, size_wh=(320, 180), codec="libx265")


def open_event(page: Page, number: int) -> None:
    page.locator(".review-row").nth(number).click()


def test_a_copy_plays_the_original_is_downloaded_and_of_several_picked_at_once_the_last_is_shown(
    visitors: Visitors, tmp_path: Path
) -> None:
    with with_events(tmp_path, event(1), event(2), event(3)) as store:
        clip = store.media.keep("e0003", "clips", ".mp4", h265)
        store.media.keep(
            "e0002", "clips", ".mp4", lambda path: film(path, seconds=4, fps=10, size_wh=(320, 180)) and None
        )
    visitors.complaints.clear()
    with site_at("http://127.0.0.1:9/v1", folder=tmp_path) as site:
        page = visitors.visit(site.url)
        page.click("#tab-review-button")
        open_event(page, 0)
        line = page.locator("#review-copy .review-copy")
        expect(line).to_contain_text("H.265")
        visitors.shoot(page, "review-copy-coming")
        expect(line).to_contain_text("this is a converted copy")
        page.wait_for_function(PLAYS)
        settle(page)
        visitors.shoot(page, "review-copy")
        with page.expect_download() as downloading:
            page.click("#review-original")
        assert Path(downloading.value.path()).read_bytes() == clip.read_bytes()
        assert downloading.value.suggested_filename == clip.name
        open_event(page, 1)
        expect(page.locator("#review-detail .review-title + *")).to_be_visible()
        expect(page.locator("#review-copy")).to_be_hidden()
        page.wait_for_function(PLAYS)
        open_event(page, 2)
        expect(page.locator("#review-clip")).to_be_hidden()
        for number in (0, 2, 1):
            page.locator(".review-row").nth(number).click(no_wait_after=True)
        expect(page.locator("#review-seen [data-event=e0002]")).to_be_attached()
        expect(page.locator("#review-detail:not([data-late]) .review-title")).to_have_attribute("data-event", "e0002")
        page.wait_for_function(PLAYS)
        visitors.leave(page)
    assert visitors.complaints == []
