"""Pages of other sites in a real Chromium, and programs on the same machine: what they get of the pages is nothing.

`evil.example` and `vigil.example` are names that this Chromium alone knows, both of this machine.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError

from browsing import Site, chromium, site_at
from slow_host import slow_down
from waiting import HANG_MS, HANG_S

pytestmark = pytest.mark.e2e
TAKEN = b"<!doctype html><title>taken</title><script>window.taken = true</script>"
ATTACK = """
<!doctype html><title>evil</title>
<script>
const told = {};
const tries = {
  config: () => fetch("PAGES/en/", { credentials: "include" }).then((answer) => answer.text()),
  events: () => fetch("PAGES/api/v1/events", { credentials: "include" }).then((answer) => answer.text()),
  blind: () => fetch("PAGES/en/gradio_api/queue/data", { mode: "no-cors", credentials: "include" })
    .then((answer) => answer.type + answer.status),
  post: () => fetch("PAGES/en/gradio_api/component_server/", { method: "POST", credentials: "include",
    headers: { "content-type": "application/json" }, body: "{}" }).then((answer) => answer.text()),
  picture: () => new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done("loaded");
    image.onerror = failed;
    image.src = "PAGES/en/static/img/logo.svg";
  }),
  script: () => new Promise((done, failed) => {
    const script = document.createElement("script");
    script.onload = () => done("loaded");
    script.onerror = failed;
    script.src = "PAGES/en/gradio_api/app_id";
    document.head.append(script);
  }),
};
Promise.all(Object.entries(tries).map(async ([name, ask]) => {
  told[name] = await ask().then((text) => `got ${text}`, () => "refused");
})).then(() => { window.told = told; });
</script>
<iframe src="PAGES/en/"></iframe>
<form method="post" action="PAGES/en/gradio_api/queue/join" enctype="text/plain"><input name='{"x":"' value='"}'></form>
"""


class Evil(BaseHTTPRequestHandler):
    """Another site: `/` attacks the pages, everything else is HTML under whatever name it is asked for."""

    def __init__(self, pages: list[str], asked: list[str], *more: object) -> None:
        self._pages, self._asked = pages, asked
        super().__init__(*more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._asked.append(self.path)
        body = ATTACK.replace("PAGES", self._pages[0]).encode() if self.path == "/" else TAKEN
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def evil_site(pages: str) -> Iterator[tuple[str, list[str]]]:
    """The other site at a port of its own, and the paths that were asked of it."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Evil, [pages], asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://evil.example:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def names() -> Iterator[Browser]:
    """A Chromium for which both names are this machine."""
    with chromium("--host-resolver-rules=MAP *.example 127.0.0.1") as running:
        yield running


@pytest.fixture(scope="module")
def open_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pages without users."""
    with site_at("http://127.0.0.1:9/v1", folder=tmp_path_factory.mktemp("open")) as running:
        yield running


@pytest.fixture(scope="module")
def users_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pages whose visitors sign in."""
    env = {"VIGIL_WEB_AUTH": "ada:correct horse"}
    with site_at("http://127.0.0.1:9/v1", folder=tmp_path_factory.mktemp("users"), env=env) as running:
        yield running


def visit(names: Browser, url: str) -> Page:
    page = slow_down(names.new_context()).new_page()
    page.set_default_timeout(HANG_MS)
    page.goto(url)
    return page


def signed_in(names: Browser, url: str) -> Page:
    page = visit(names, url)
    page.fill("input[name=name]", "ada")
    page.fill("input[name=password]", "correct horse")
    page.keyboard.press("Enter")
    page.locator("#chat-box textarea").wait_for()
    return page


def attack(page: Page, evil: str) -> dict[str, str]:
    """What another site got in the browser of a visitor of the pages."""
    page.goto(f"{evil}/")
    page.wait_for_function("window.told")
    told: dict[str, str] = page.evaluate("window.told")
    return told


def test_a_site_that_a_visitor_opens_reads_and_does_nothing(names: Browser, open_pages: Site) -> None:
    url = open_pages.url.rstrip("/")
    with evil_site(url) as (evil, _):
        page = visit(names, f"{url}/")
        page.locator("#chat-box textarea").wait_for()
        told = attack(page, evil)
        assert told.pop("blind") in {"refused", "got opaque0"}
        assert set(told.values()) == {"refused"}
        assert page.frames[1].url.startswith(url) is False or page.frames[1].locator("body").inner_text() == ""
        with page.expect_response(re.compile("queue/join")) as sent:
            page.evaluate("document.forms[0].submit()")
        assert sent.value.status == 403
        page.context.close()


def test_a_site_that_a_visitor_who_signed_in_opens_reads_and_does_nothing(names: Browser, users_pages: Site) -> None:
    url = f"http://vigil.example:{users_pages.url.split(':')[2]}".rstrip("/")
    with evil_site(url) as (evil, _):
        page = signed_in(names, f"{url}/")
        told = attack(page, evil)
        assert told.pop("blind") in {"refused", "got opaque0"}
        assert set(told.values()) == {"refused"}
        page.goto(f"{url}/")
        page.locator("#chat-box textarea").wait_for()
        page.context.close()


@pytest.mark.parametrize("route", ["file=", "file/", "proxy="])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_address_of_another_site_is_never_shown_as_ours(
    names: Browser, open_pages: Site, language: str, route: str
) -> None:
    url = open_pages.url.rstrip("/")
    with evil_site(url) as (evil, asked):
        page = visit(names, f"{evil}/page")
        target = f"{url}/{language}/gradio_api/{route}{evil.replace('evil.example', '127.0.0.1')}/x.png"
        page.evaluate("(address) => { location.href = address; }", target)
        page.wait_for_url(re.compile(re.escape(url)))
        assert page.title() != "taken" and not page.evaluate("window.taken")
        page.goto(target)
        assert page.locator("body").inner_text().strip() == "there is nothing here"
        assert "/x.png" not in asked
        page.context.close()


def test_a_link_of_another_site_leads_to_the_pages(names: Browser, open_pages: Site) -> None:
    with evil_site(open_pages.url) as (evil, _):
        page = visit(names, f"{evil}/page")
        page.evaluate("(address) => { location.href = address; }", open_pages.url)
        expect(page.locator("#chat-box textarea")).to_be_visible()
        page.context.close()


HOSTILE = {
    "page.html": TAKEN,
    "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>window.taken = true</script></svg>",
    "page.xml": b"<x xmlns='http://www.w3.org/1999/xhtml'><script>window.taken = true</script></x>",
    "page.xhtml": b"<html xmlns='http://www.w3.org/1999/xhtml'><script>window.taken = true</script></html>",
    "page.pdf": b"%PDF-1.4\n",
    "page.png": TAKEN,
    "page.mp4": TAKEN,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_a_visitor_sends_runs_in_the_name_of_the_pages(
    names: Browser, open_pages: Site, tmp_path: Path, name: str
) -> None:
    sent = httpx.post(f"{open_pages.url}en/gradio_api/upload", files={"files": (name, HOSTILE[name])}, timeout=HANG_S)
    address = f"{open_pages.url}en/gradio_api/file={sent.json()[0]}"
    answer = httpx.get(address, timeout=HANG_S)
    assert answer.status_code == 200 and answer.headers["content-security-policy"].startswith("sandbox;")
    is_shown = answer.headers["content-disposition"].startswith("inline")
    assert is_shown == name.endswith((".png", ".mp4"))
    page = slow_down(names.new_context()).new_page()
    page.set_default_timeout(HANG_MS)
    if is_shown:
        page.goto(address)
        assert not page.evaluate("Boolean(window.taken)")
    else:
        with pytest.raises(PlaywrightError, match=r"ERR_ABORTED|Download is starting"):
            page.goto(address)
        assert page.url == "about:blank"
    page.context.close()


def test_no_recording_is_taken_from_a_visitor(open_pages: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"frames of another folder")
    manifest = f"<MPD><Period><AdaptationSet><BaseURL>file://{secret}</BaseURL></AdaptationSet></Period></MPD>"
    for language in ("en", "zh"):
        answer = httpx.post(
            f"{open_pages.url}{language}/gradio_api/process_recording",
            files={"file": ("a.webm", manifest.encode(), "video/webm")},
            timeout=HANG_S,
        )
        assert answer.status_code == 404


def test_an_open_page_without_users_is_closed_to_a_proxy(open_pages: Site) -> None:
    assert httpx.get(f"{open_pages.url}en/", timeout=HANG_S).status_code == 200
    assert httpx.get(f"{open_pages.url}en/", headers={"X-Forwarded-For": "10.1.2.3"}, timeout=HANG_S).status_code == 403


def test_guesses_are_limited_while_one_who_signed_in_goes_on(names: Browser, users_pages: Site) -> None:
    """A guess comes free every six seconds, in which a slow host may take one; that one is counted and made up for."""
    page = signed_in(names, users_pages.url)
    guesses: list[int] = []
    answers: list[int] = []
    with httpx.Client(base_url=users_pages.url, timeout=HANG_S) as client:
        while 429 not in guesses[-1:] or answers[-2:] != [429, 429]:
            assert len(guesses) < 200, (guesses, answers)
            guesses.append(client.get("/en/", auth=("ada", "wrong")).status_code)
            if guesses[-1] == 429:
                form = {"name": "ada", "password": "correct horse"}
                answers.append(client.get("/en/", auth=("ada", "correct horse")).status_code)
                answers.append(client.post("/sign-in", data=form).status_code)
                client.cookies.clear()
    assert guesses[:5] == [401] * 5
    page.reload()
    page.locator("#chat-box textarea").wait_for()
    page.context.close()
    acts = (users_pages.log.parent / "uploads" / "audit.log").read_text()
    assert acts.count("sign-in refused") == guesses.count(401) and "too many sign-ins" in acts
