"""The right view of a camera, said in the console in a real Chromium, and kept in the store by the watch."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from browsing import Visitors, site_at
from console_pages import card, choose, open_page
from rtsp_server import running
from vigil.store import Store
from waiting import HANG_S, until
from watching import bright_server, film

pytestmark = pytest.mark.e2e
RULES = "rules:\n  - {type: hysteresis}\n  - {type: camera, fault: moved}\n"


def test_an_operator_says_in_the_menu_of_a_camera_that_its_view_is_right(visitors: Visitors, tmp_path: Path) -> None:
    db, config = tmp_path / "events.db", tmp_path / "watch.yaml"
    with running(film(tmp_path / "yard.mp4", seconds=20, bright=[(0, 20)], fps=10, size_wh=(320, 180))) as camera:
        config.write_text(f"sources: [{{name: yard, url: '{camera.address('yard')}'}}]\n{RULES}")
        words = ("--model", "tiny", "--task", "fight_en", "--config", str(config), "--store", str(db))
        with bright_server() as server, site_at(server.url, *words, folder=tmp_path) as site:
            page = open_page(visitors, site)
            expect(card(page, "yard")).to_have_count(1)
            choose(page, "yard", "This view is right")
            page.locator("dialog").get_by_role("button", name="This view is right").click()
            expect(page.locator(".toast")).to_contain_text("yard: what it shows now is its right view")
            with httpx.Client(base_url=f"{site.url}api/v1", timeout=HANG_S) as client:
                [told] = [each for each in client.get("/audit").json()["entries"] if "view" in each["act"]]
                assert told["details"] == {"camera": "yard"}
            with Store.open(db, create=False) as store:
                [row] = store.cameras.all()
                until(lambda: len(store.camera_views.of(row.id).views) == 1 and not store.camera_views.requests())
            choose(open_page(visitors, site, "zh/watch"), "yard", "现在的画面是对的")
    assert [each for each in visitors.complaints if "net::" not in each] == []
