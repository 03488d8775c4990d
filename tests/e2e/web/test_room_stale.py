"""What is not of now is not shown as if it were, in a real Chromium: cameras, figures, the sound."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browsing import Site, Visitors, site_at
from rtsp_server import Running, running
from watching import bright_server, film

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    door = film(tmp_path_factory.mktemp("film") / "door.mp4", seconds=20, bright=[(6, 11)], fps=10, size_wh=(320, 180))
    with running(door) as opened:
        yield opened


def words(camera: Running, folder: Path) -> tuple[str, ...]:
    config = folder / "watch.yaml"
    config.write_text(f"sources: ['{camera.address('door', login='')}']\nrules: [{{type: hysteresis, quiet_s: 3.0}}]\n")
    return ("--model", "tiny", "--task", "fight_en", "--config", str(config))


def room_of(visitors: Visitors, site: Site) -> Page:
    page = visitors.visit(site.url)
    page.click("#tab-room-button")
    expect(page.locator(".room-stage")).to_have_text("watching")
    expect(page.locator(".room-facts dd").first).not_to_have_text("–")
    return page


def test_with_a_dead_endpoint_no_camera_is_called_watched_and_its_figures_go(
    camera: Running, visitors: Visitors, tmp_path: Path
) -> None:
    with bright_server() as server:
        site = site_at(server.url, *words(camera, tmp_path), folder=tmp_path)
        page = room_of(visitors, running_site := site.__enter__())
    try:
        stage, figures = page.locator(".room-stage"), page.locator(".room-facts dd")
        expect(stage).to_have_text("not judged")
        expect(stage).to_have_class("room-stage is-bad")
        expect(figures.first).to_have_text("–")
        expect(figures.nth(1)).to_have_text("–")
        visitors.shoot(page, "room-not-judged")
        running_site.process.send_signal(signal.SIGINT)
        expect(stage).to_have_text("unknown")
        expect(page.locator(".room-card")).to_have_class("room-card is-stale")
        visitors.shoot(page, "room-not-known")
        visitors.leave(page)
    finally:
        site.__exit__(None, None, None)


def test_a_sound_that_the_browser_blocks_is_not_called_on_and_a_press_lets_it(
    camera: Running, visitors: Visitors, tmp_path: Path
) -> None:
    with bright_server() as server, site_at(server.url, *words(camera, tmp_path), folder=tmp_path) as site:
        page = visitors.visit(site.url)
        # A click that no person made is none to the browser.
        page.evaluate("document.querySelector('#tab-room-button').click()")
        sound = page.locator(".room-sound")
        expect(sound).to_contain_text("Sound blocked")
        expect(sound).to_have_attribute("aria-pressed", "false")
        sound.click()
        expect(sound).to_have_text("Sound on")
        sound.click()
        expect(sound).to_have_text("Sound off")
        visitors.leave(page)
