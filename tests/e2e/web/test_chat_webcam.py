"""The chat about a visitor's own webcam: Chromium's fake device, fed from a clip."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from browsing import PHONE, Site, Visitors
from chat_pages import ask
from webcams import chromium_with_webcam

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium with a camera that shows a clip."""
    with chromium_with_webcam(tmp_path_factory.mktemp("webcam")) as running:
        yield running


def test_ones_own_webcam_is_judged_in_the_conversation_until_stop(site: Site, visitors: Visitors) -> None:
    page = visitors.visit(site.url, permissions=["camera"])
    page.locator("#chat-use-webcam").click()
    webcam = page.locator("#chat-webcam")
    webcam.get_by_text(re.compile("access", re.I)).first.click()
    webcam.locator("video").wait_for()
    ask(page, "Is there a fight? Answer Yes or No.")
    expect(page.locator("#chat-log .user").first).to_contain_text("My webcam")
    webcam.locator("button[aria-label='capture photo'], .button-wrap button").first.click()
    page.locator("#chat-log .vc-window").nth(2).wait_for()
    visitors.shoot(page, "chat-windows-webcam")
    page.locator("#chat-stop").click()
    expect(page.locator("#chat-log .vc-sum")).to_contain_text("stopped")
    expect(page.locator("#chat-stop")).to_be_disabled()
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    visitors.shoot(page, "chat-windows-webcam-phone")
    assert visitors.complaints == []
