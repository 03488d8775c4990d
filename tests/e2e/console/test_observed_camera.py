"""The line of the semantic log under a camera of the console, in a real Chromium."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browsing import PHONE, Site, Visitors, site_at
from console_pages import card, open_page
from rtsp_server import running
from scripted_server import Reply, Request, stream
from watching import bright_server, film, look

pytestmark = pytest.mark.e2e

EVIL = "<b onclick=\"document.title='broken in'\">ladder</b> ${document.title='broken in'}"


@dataclass
class Scene:
    """What the model says is done in the picture now."""

    action: str = "nobody moves"

    def answer(self, request: Request) -> Reply:
        """The scene, with HTML in a field; verdicts as `look` gives them."""
        if "response_format" not in (request.body or {}):
            return look(request)
        said = {"objects": [EVIL], "people": [], "actions": [self.action], "lights": "on", "place": "yard"}
        return stream(json.dumps(said | {"confidence": "low"}))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def room(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages, watching and observing a dark yard."""
    folder = tmp_path_factory.mktemp("observed")
    yard = film(folder / "yard.mp4", seconds=20, fps=10, size_wh=(320, 180))
    config = folder / "watch.yaml"
    with bright_server() as server, running(yard) as camera:
        server.default = scene.answer
        config.write_text(
            f"sources: ['{camera.address('yard', login='')}']\n"
            "observe: {every_s: 1, changed_s: 0.5, still_s: 1, language: en, camera_tokens_per_min: 100000}\n"
        )
        words = ("--model", "tiny", "--task", "fight_en", "--config", str(config))
        with site_at(server.url, *words, "--allow-camera", f"127.0.0.1:{camera.port}", folder=folder) as site:
            yield site


def test_the_last_observation_stands_under_the_camera_as_text_and_follows_the_scene(
    room: Site, visitors: Visitors, scene: Scene, shots: Path
) -> None:
    visitors.complaints.clear()
    page = open_page(visitors, room)
    line = card(page, "yard").locator(".card-observation")
    expect(line).to_have_text(f"nobody moves; {EVIL}; yard; lights on")
    assert line.locator("b").count() == 0
    scene.action = "a man climbs"
    expect(line).to_contain_text("a man climbs")
    assert line.get_attribute("title") == line.text_content()
    page.screenshot(path=shots / "observed.png")
    assert page.title().endswith("Watch · Vigil") and visitors.complaints == []


def test_on_a_phone_the_line_is_cut_off_and_not_the_page(room: Site, visitors: Visitors, shots: Path) -> None:
    page = open_page(visitors, room, "zh/watch", size=PHONE)
    expect(card(page, "yard").locator(".card-observation")).to_contain_text("lights on")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=shots / "observed-phone.png")
