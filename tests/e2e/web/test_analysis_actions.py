"""The button that lists the actions of an analysed video, in a real Chromium."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from analysis_pages import choose
from browsing import Site, Visitors, site_at
from scripted_server import Reply, Request, ScriptedServer, error, stream
from watching import bright_server, film, is_bright, look

pytestmark = pytest.mark.e2e

NOT_HTML = '<img src=x onerror="window.broken = true">'


def says(request: Request) -> Reply:
    """A man waves where it is bright; verdicts as `look` gives them."""
    if "response_format" not in request.body:
        return look(request)
    waves = {"time": 0.5, "actor": "man", "action": f"waves {NOT_HTML}", "intent": "to greet"}
    return stream(json.dumps({"actions": [waves] if is_bright(request) else []}))


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        running.routes["/tokenize"] = lambda request: Reply(
            body={"tokens": [7 if request.body["prompt"] in {"是的", "Yes", "yes"} else 9]}
        )
        running.default = says
        yield running


@pytest.fixture(scope="module")
def site(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_at(server.url, "--model", "tiny", folder=tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def page(site: Site, visitors: Visitors, tmp_path: Path) -> Page:
    """The tab with an analysis that is done."""
    page = visitors.visit(site.url)
    page.locator("[role=tab]").nth(1).click()
    expect(page.locator("#analysis-question textarea")).not_to_have_value("")
    choose(page, film(tmp_path / "wave.mp4", seconds=20, bright=[(8, 14)]))
    page.locator("#analysis-start").click()
    expect(page.locator("#analysis-list-actions")).to_be_visible()
    return page


def test_the_actions_are_listed_lead_to_their_second_and_can_be_downloaded(page: Page) -> None:
    page.locator("#analysis-list-actions").click()
    row = page.locator("#analysis-actions tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator("td").nth(1)).to_have_text("man")
    expect(row.locator("td").nth(2)).to_have_text(f"waves {NOT_HTML}")
    expect(page.locator("#analysis-list-actions")).to_have_text("List the actions")
    assert not page.evaluate("window.broken")
    row.locator(".va-jump").click()
    page.wait_for_function("Math.abs(document.querySelector('#analysis-stage .va-video').currentTime - 6.5) < 0.6")
    names = {}
    links = page.locator("#analysis-action-files a[download]")
    expect(links).to_have_count(4)
    for number in range(4):
        with page.expect_download() as download:
            links.nth(number).click()
        names[download.value.suggested_filename] = Path(download.value.path()).read_bytes()
    assert set(names) == {"actions.json", "actions.csv", "actions.srt", "actions.png"}
    assert json.loads(names["actions.json"])["film"] == "wave.mp4"
    [action] = csv.DictReader(names["actions.csv"].decode("utf-8-sig").splitlines())
    assert (action["actor"], action["start_s"], action["end_s"]) == ("man", "6.50", "12.50")


def test_stop_ends_the_asking_and_a_server_that_refuses_is_told(
    page: Page, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        server,
        "default",
        lambda request: stream(*" " * 4000, event_delay_s=0.05) if "response_format" in request.body else look(request),
    )
    page.locator("#analysis-list-actions").click()
    expect(page.locator("#analysis-list-actions")).to_contain_text("Asking")
    page.locator("#analysis-stop").click()
    expect(page.locator("#analysis-list-actions")).to_have_text("List the actions")
    assert page.locator("#analysis-actions table").count() == 0
    monkeypatch.setattr(
        server,
        "default",
        lambda request: error(400, "no grammar here") if "response_format" in request.body else look(request),
    )
    page.locator("#analysis-list-actions").click()
    expect(page.locator("#analysis-actions")).to_contain_text("10 windows have no answer: rejected")
