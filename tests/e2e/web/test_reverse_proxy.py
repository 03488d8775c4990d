"""All tabs of the pages in a real Chromium, signed in, below a path of a real reverse proxy of either kind."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from analysis_pages import choose
from browsing import Site, Visitors, chromium, site_at
from chat_pages import ask, attach, look_at_the_whole
from judging import IDS, tokenized
from reverse_proxy import ReverseProxy, Way, reverse_proxy
from rtsp_server import running
from tls import Authority
from waiting import until
from watching import bright_server, film

pytestmark = pytest.mark.e2e
BELOW = "/apps/vigil"
WAYS = {
    # nginx: `proxy_pass http://up/;` with `proxy_set_header Host $http_host;`
    "strips": Way(strips=True),
    # A proxy that asks for the site under its own name, and tells the other one.
    "leaves": Way(strips=False, keeps_host=False, tells=("For", "Proto", "Host")),
}
PLAYS = """() => {
    const video = document.querySelector("#event-detail video");
    // It may be put back to its beginning while its event is still going on.
    if (video?.paused) video.play().catch(() => {});
    return Boolean(video) && video.currentTime > 0.3;
}"""
HOLDS = "name => navigator.locks.query().then(found => found.held.some(lock => lock.name === name))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages below a path, watching a camera that is bright for some seconds of every 20."""
    folder = tmp_path_factory.mktemp("proxied")
    door = film(folder / "door.mp4", seconds=20, bright=[(6, 11)], fps=10, size_wh=(320, 180))
    config, users = folder / "watch.yaml", folder / "users.txt"
    users.write_text("ada:correct horse\n")
    users.chmod(0o600)
    with running(door) as camera, bright_server() as server:
        server.routes["/tokenize"] = tokenized(IDS)
        config.write_text(
            f"sources: ['{camera.address('door', login='')}']\nrules: [{{type: hysteresis, quiet_s: 3.0}}]\n"
        )
        words = ("--model", "tiny", "--task", "fight_en", "--config", str(config), "--auth", str(users))
        proxied = ("--root-path", BELOW, "--trusted-proxy", "127.0.0.1")
        with site_at(server.url, *words, *proxied, folder=folder) as pages:
            yield pages


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium that takes every certificate: told by Playwright, it breaks connections off before it does."""
    with chromium("--ignore-certificate-errors") as running:
        yield running


@pytest.fixture(params=WAYS)
def proxy(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[ReverseProxy]:
    """A proxy with TLS before them, of either kind."""
    tls = Authority.make(tmp_path / "authority").server()
    with reverse_proxy(site.url, below=BELOW, way=WAYS[request.param], tls=tls) as before:
        yield before


@pytest.fixture
def page(proxy: ReverseProxy, visitors: Visitors) -> Iterator[Page]:
    """A visitor who has signed in through the proxy, and whose browser never left its path nor was refused anything."""
    visitors.complaints.clear()
    asked: list[str] = []
    page = visitors.visit(proxy.url, wait=False)
    page.on("request", lambda request: asked.append(request.url))
    expect(page).to_have_url(f"{proxy.url}sign-in?next=/")
    visitors.sign_in(page, "ada", "correct horse")
    expect(page).to_have_url(f"{proxy.url}en/#chat")
    page.locator("#vigil-status .vigil-lamp").wait_for()
    yield page
    visitors.leave(page)
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith((proxy.url, "data:", "blob:"))] == []
    assert proxy.outside == []
    assert proxy.refusals() == []
    assert visitors.complaints == []


def test_the_chat_answers_about_a_file_that_was_sent(page: Page, tmp_path: Path) -> None:
    look_at_the_whole(page)
    attach(page, film(tmp_path / "a.mp4", seconds=3, bright=[(0, 3)]))
    ask(page, "Who?")
    expect(page.locator("#chat-log .bot").last).to_contain_text("two people push")


def test_a_clip_is_analysed_played_and_taken_along(page: Page, visitors: Visitors, tmp_path: Path) -> None:
    page.click("#tab-analysis-button")
    choose(page, film(tmp_path / "bright.mp4", seconds=6, bright=[(3, 6)]))
    page.locator("#analysis-start").click()
    expect(page.locator("#analysis-jsonl")).to_be_visible()
    page.wait_for_function("document.querySelector('#analysis-stage .va-video').duration > 5")
    with page.expect_download() as downloading:
        page.click("#analysis-jsonl")
    assert Path(downloading.value.path()).read_text().count("\n") > 1
    expect(page.locator("#analysis-plot .js-plotly-plot")).to_be_visible()
    visitors.shoot(page, "proxy-analysis")


def test_the_room_is_live_the_bell_rings_and_the_clip_of_the_event_plays(
    page: Page, proxy: ReverseProxy, visitors: Visitors
) -> None:
    page.goto(f"{proxy.url}en/watch")
    expect(page.locator(".card .card-picture")).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\(\d+\)"))
    # Two sites of one host, each below a path, would listen for each other otherwise.
    page.wait_for_function(HOLDS, arg=f"vigil-live{BELOW}/")
    visitors.shoot(page, "proxy-room")
    page.locator(".queue-row .queue-top").first.click()
    expect(page.locator("#detail-title")).to_contain_text("/door")
    until(lambda: page.evaluate(PLAYS), every_s=0.2)
    visitors.shoot(page, "proxy-review")
    clip = page.evaluate("document.querySelector('#event-detail video').currentSrc")
    assert clip.startswith(f"{proxy.url}api/v1/events/")


def test_the_language_is_switched_and_who_signs_out_is_out(page: Page, proxy: ReverseProxy, visitors: Visitors) -> None:
    # By key: the strip of an alarm moves the page down just when it is to be clicked.
    page.press("#vigil-language", "Enter")
    expect(page).to_have_url(f"{proxy.url}zh/#chat")
    expect(page.get_by_role("tab", name="对话")).to_be_visible()
    page.goto(proxy.url)
    expect(page).to_have_url(f"{proxy.url}zh/#chat")
    cookies = page.context.cookies()
    assert {(each["path"], each["sameSite"]) for each in cookies} == {(BELOW, "Lax")}
    assert [each["secure"] for each in cookies if "session" in each["name"]] == [True]
    visitors.shoot(page, "proxy-chinese")
    page.press("#vigil-sign-out", "Enter")
    expect(page).to_have_url(f"{proxy.url}sign-in")
    page.goto(f"{proxy.url}en/")
    expect(page).to_have_url(f"{proxy.url}sign-in?next=/en/")
