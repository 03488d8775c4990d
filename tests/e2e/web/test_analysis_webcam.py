"""The analysis of a visitor's own webcam: Chromium's fake device, fed from a clip."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from playwright.sync_api import Browser, expect

import people
from browsing import Site, Visitors, chromium

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium with a camera that shows a clip."""
    folder = tmp_path_factory.mktemp("webcam")
    (shown,) = people.clips("fight", 1, folder=folder)
    clip = y4m(shown, folder / "webcam.y4m")
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    )
    with chromium(*flags) as running:
        yield running


def y4m(clip: Path, path: Path) -> Path:
    """The first frames of a clip as Chromium's fake camera reads them."""
    with av.open(str(clip)) as film, path.open("wb") as file:
        file.write(b"YUV4MPEG2 W320 H240 F10:1 Ip A1:1 C420mpeg2\n")
        for frame in itertools.islice(film.decode(video=0), 60):
            planes = frame.reformat(320, 240, "yuv420p").to_ndarray()
            file.write(b"FRAME\n" + planes.tobytes())
    return path


def test_ones_own_webcam_is_watched_live(site: Site, visitors: Visitors) -> None:
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
