"""The analysis of a visitor's own webcam: Chromium's fake device, fed from a clip."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from browsing import Site, Visitors
from webcams import chromium_with_webcam

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium with a camera that shows a clip."""
    with chromium_with_webcam(tmp_path_factory.mktemp("webcam")) as running:
        yield running


def test_ones_own_webcam_is_watched_live(site: Site, visitors: Visitors) -> None:
    page = visitors.visit(site.url, permissions=["camera"])
    page.locator("[role=tab]").nth(1).click()
    expect(page.locator("#analysis-question textarea")).not_to_have_value("")
    page.locator("#analysis-source").get_by_text("My webcam").click()
    page.locator("#analysis-start").click()
    expect(page.locator("#analysis-stage .va-detail")).to_contain_text("press the round button")
    page.locator("#analysis-stop").click()
    webcam = page.locator("#analysis-webcam")
    webcam.get_by_text(re.compile("access", re.I)).first.click()
    webcam.locator("video").wait_for()
    page.locator("#analysis-start").click()
    visitors.shoot(page, "analysis-webcam-ready")
    webcam.locator("button[aria-label='capture photo'], .button-wrap button").first.click()
    page.locator("#analysis-stage .va-row").nth(1).wait_for()
    expect(page.locator("#analysis-stage .va-facts")).to_contain_text("s behind")
    visitors.shoot(page, "analysis-webcam")
    page.locator("#analysis-stop").click()
    expect(page.locator("#analysis-stage .va-facts")).to_contain_text("stopped")
    assert visitors.complaints == []
