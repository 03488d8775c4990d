"""The analysis of a visitor's own webcam: Chromium's fake device, fed from a clip."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from browsing import Site, Visitors, chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium with a camera that shows a clip."""
    clip = y4m(tmp_path_factory.mktemp("webcam") / "webcam.y4m")
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    )
    with chromium(*flags) as running:
        yield running


def y4m(path: Path) -> Path:
    """A clip for Chromium's fake camera: grey, with a bright bar that moves."""
    width, height = 320, 240
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420mpeg2\n".encode())
        for number in range(40):
            luma = np.full((height, width), 60, np.uint8)
            luma[:, number * 7 : number * 7 + 24] = 220
            file.write(b"FRAME\n" + luma.tobytes() + bytes([128]) * (width * height // 2))
    return path


def test_ones_own_webcam_is_watched_live(site: Site, browser: Browser, shots: Path) -> None:
    visitors = Visitors(browser, shots)
    page = visitors.visit(site.url, permissions=["camera"])
    page.locator("[role=tab]").nth(1).click()
    expect(page.locator("#analysis-question textarea")).not_to_have_value("")
    page.locator("#analysis-source").get_by_text("My webcam").click()
    page.locator("#analysis-start").click()
    expect(page.locator(".va-detail")).to_contain_text("press the round button")
    page.locator("#analysis-stop").click()
    webcam = page.locator("#analysis-webcam")
    webcam.get_by_text(re.compile("access", re.I)).first.click()
    webcam.locator("video").wait_for()
    page.locator("#analysis-start").click()
    visitors.shoot(page, "analysis-webcam-ready")
    webcam.locator("button[aria-label='capture photo'], .button-wrap button").first.click()
    page.locator(".va-row").nth(1).wait_for(timeout=40_000)
    expect(page.locator(".va-facts")).to_contain_text("behind the picture")
    visitors.shoot(page, "analysis-webcam")
    page.locator("#analysis-stop").click()
    expect(page.locator(".va-facts")).to_contain_text("stopped")
    assert visitors.complaints == []
