"""The console at a plain http address of a network, where browsers have no Web Locks: alarms ring there too."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from browsing import Site, Visitors, chromium, site_at
from console_pages import COUNTS, another_page, beeps, is_ready, rings_on, strip_row
from rtsp_server import running
from waiting import HANG_S, until
from watching import bright_server, film

pytestmark = pytest.mark.e2e
HOST = "vigil.lan"
PASSWORD = "correct horse"
EXPECTED = ("401", "Cross-Origin-Opener-Policy header has been ignored")
"""Told before the sign-in, and of every page at an address that is no secure context."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for which that name leads to this machine; no such page is a secure context, as 127.0.0.1 is."""
    with chromium(f"--host-resolver-rules=MAP {HOST} 127.0.0.1") as running_:
        yield running_


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pages with a user, by which they answer to other names, watching a camera that alarms."""
    folder = tmp_path_factory.mktemp("network")
    users, config = folder / "users.txt", folder / "watch.yaml"
    users.write_text(f"ada:{PASSWORD}\n")
    users.chmod(0o600)
    door = film(folder / "door.mp4", seconds=20, bright=[(0, 20)], fps=10, size_wh=(320, 180))
    with bright_server() as server, running(door) as camera:
        config.write_text(f"sources: ['{camera.address('door', login='')}']\n")
        words = ("--model", "tiny", "--task", "fight_en", "--auth", str(users), "--config", str(config))
        with site_at(server.url, *words, folder=folder) as there:
            yield there


def api(site: Site) -> httpx.Client:
    return httpx.Client(base_url=f"{site.url}api/v1", auth=("ada", PASSWORD), timeout=HANG_S)


def signed_in(site: Site, visitors: Visitors) -> tuple[Page, Site]:
    """A visitor's page at the name, and the site as it is called there."""
    there = replace(site, url=site.url.replace("127.0.0.1", HOST))
    page = visitors.visit(f"{there.url}en/watch", wait=False, script=COUNTS)
    visitors.sign_in(page, "ada", PASSWORD)
    is_ready(page)
    return page, there


def test_an_alarm_rings_and_is_acknowledged_on_all_pages_where_there_are_no_locks(
    site: Site, visitors: Visitors
) -> None:
    page, there = signed_in(site, visitors)
    assert not page.evaluate("isSecureContext") and page.evaluate("navigator.locks === undefined")
    other = another_page(page, there)
    with api(site) as client:
        until(lambda: client.get("/events", params={"state": "alarm"}).json()["events"], every_s=0.2)
        for each in (page, other):
            expect(strip_row(each, "alarm")).to_be_visible()
        until(lambda: beeps(page) + beeps(other) > 0 or page.wait_for_timeout(50))
        ringing = page if beeps(page) else other
        rings_on(ringing)
        page.bring_to_front()

        def is_quiet() -> bool:
            page.keyboard.press("a")  # again where another alarm has come meanwhile
            page.wait_for_timeout(100)
            return not any(strip_row(each, "alarm").is_visible() for each in (page, other))

        until(is_quiet)
        events = client.get("/events", params={"limit": 20}).json()["events"]
        assert "ada" in {each["acknowledged_by"] for each in events}
    assert [each for each in visitors.complaints if not any(known in each for known in EXPECTED)] == []
