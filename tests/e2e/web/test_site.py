"""The pages around the panels: the door, the gate, languages, light and dark, a phone, a server that returns."""

import os
import signal
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
from playwright.sync_api import Route, expect

from browsing import PHONE, ROOT, Site, Visitors, gradio_config, settle, site_at
from chat_pages import ask, attach, look_at_the_whole
from console_pages import is_ready
from scripted_server import ScriptedServer, stream
from waiting import HANG_S
from watching import film

pytestmark = pytest.mark.e2e
FIRST_PAGE_FILES = 200
FIRST_PAGE_BYTES = 1.5 * 1024**2
FIRST_PAGE = """() => {
  const files = performance.getEntriesByType("resource");
  const sent = files.reduce((sum, file) => sum + file.transferSize, 0);
  return [files.length, sent, performance.getEntriesByName("first-contentful-paint")[0].startTime];
}"""
"""What a browser that has never been here fetches until the box is seen; docs/web.md has the quiet time."""

COUNT_FRAMES = """
window.framesAsked = 0;
const next = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (callback) => { window.framesAsked += 1; return next(callback); };
"""


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    """A server with one model."""
    with ScriptedServer(models=["tiny"]) as running:
        running.default = stream("Two people ", "stand there.")
        yield running


@pytest.fixture(scope="module")
def pages(scripted: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages before it."""
    with site_at(scripted.url, folder=tmp_path_factory.mktemp("pages"), is_prestarted=False) as running:
        yield running


class Gradio:
    """Asks the pages as a program does that writes its requests itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._config = gradio_config(f"{url}/")
        self._kinds = {component["id"]: component["type"] for component in self._config["components"]}

    def events_with_files(self) -> list[dict[str, Any]]:
        """The events that are handed a file."""
        takes = {"file", "multimodaltextbox", "uploadbutton"}
        return [event for event in self._config["dependencies"] if takes & {self._kinds[i] for i in event["inputs"]}]

    def ask(self, event: dict[str, Any], *, file: dict[str, Any]) -> str:
        """Everything that the pages answer to an event with this file in every place that takes one."""
        values = {"file": file, "uploadbutton": file, "multimodaltextbox": {"text": "", "files": [file]}}
        data = [values.get(self._kinds[component]) for component in event["inputs"]]
        session = token_hex(5)
        asked = {"data": data, "fn_index": event["id"], "session_hash": session, "trigger_id": event["targets"][0][0]}
        httpx.post(f"{self._url}/gradio_api/queue/join", json=asked, timeout=HANG_S).raise_for_status()
        told = ""
        with httpx.stream(
            "GET", f"{self._url}/gradio_api/queue/data", params={"session_hash": session}, timeout=HANG_S
        ) as answer:
            for line in answer.iter_lines():
                told += line + "\n"
                if "process_completed" in line or "close_stream" in line:
                    break
        return told


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def door(*words: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """What `python web.py` says when it does not start."""
    variables = {**os.environ, "VIGIL_WEB_AUTH": "", **(env or {})}
    command = [sys.executable, "web.py", *words]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=HANG_S, check=False)


def test_a_wrong_start_is_refused_on_one_line() -> None:
    told = door("--host", "0.0.0.0")
    assert told.returncode == 2
    assert "other machines" in told.stderr
    assert "Traceback" not in told.stderr


def test_the_first_page_needs_few_and_small_files(pages: Site, visitors: Visitors) -> None:
    page = visitors.visit(pages.url, first=True)
    expect(page.locator("#chat-box textarea")).to_be_visible()
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    files, sent_bytes, shown_ms = page.evaluate(FIRST_PAGE)
    print(f"first page: {files} files, {sent_bytes / 1024**2:.2f} MiB, first contents after {shown_ms:.0f} ms")
    assert 0 < files < FIRST_PAGE_FILES
    assert 0 < sent_bytes < FIRST_PAGE_BYTES


@pytest.mark.parametrize("place", ["watch", "events"])
def test_a_page_that_nobody_touches_draws_nothing(pages: Site, visitors: Visitors, place: str) -> None:
    page = visitors.visit(f"{pages.url}en/{place}", first=True, wait=False)
    page.add_init_script(COUNT_FRAMES)
    page.reload()
    is_ready(page)
    asked = [int(page.evaluate("framesAsked"))]
    while len(asked) < 30 and (len(asked) == 1 or asked[-1] - asked[-2] >= 20):
        page.wait_for_timeout(2000)
        asked.append(int(page.evaluate("framesAsked")))
    # One that draws by itself does so in every two seconds, and 120 times where the machine is free.
    assert asked[-1] > 0 and asked[-1] - asked[-2] < 20, asked


def test_the_browsers_language_is_spoken_and_can_be_switched(pages: Site, visitors: Visitors) -> None:
    page = visitors.visit(pages.url, language="zh-CN")
    expect(page.get_by_role("tab", name="对话")).to_be_visible()
    expect(page.locator("#vigil-status")).to_contain_text("就绪")
    visitors.shoot(page, "site-chinese")
    page.click("#vigil-language")
    expect(page.get_by_role("tab", name="Chat")).to_be_visible()
    page.goto(pages.url)
    expect(page.get_by_role("tab", name="Chat")).to_be_visible()
    visitors.shoot(page, "site-english")


def test_light_and_dark_follow_the_browser_and_can_be_switched(pages: Site, visitors: Visitors) -> None:
    page = visitors.visit(pages.url, color_scheme="dark")
    body = page.locator("body")
    expect(body).to_contain_class("dark")
    visitors.shoot(page, "site-dark")
    page.click("#vigil-theme")
    expect(body).not_to_contain_class("dark")
    page.reload()
    page.locator("#vigil-status .vigil-lamp").wait_for()
    expect(body).not_to_contain_class("dark")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_tab_fits_a_phone(pages: Site, visitors: Visitors, language: str) -> None:
    page = visitors.visit(pages.url, language=language, size=PHONE, has_touch=True, is_mobile=True)
    for number in range(page.get_by_role("tab").count()):
        tab = page.get_by_role("tab").nth(number)
        if not tab.is_visible():
            continue
        tab.click()
        settle(page)
        visitors.shoot(page, f"site-phone-{language}-{number}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), tab.inner_text()


def test_every_tab_fits_a_desk(pages: Site, visitors: Visitors) -> None:
    visitors.complaints.clear()
    page = visitors.visit(pages.url)
    for number in range(page.get_by_role("tab").count()):
        page.get_by_role("tab").nth(number).click()
        settle(page)
        visitors.shoot(page, f"site-desk-{number}")
    visitors.leave(page)
    assert visitors.complaints == []


def test_another_address_asks_for_the_password(scripted: ScriptedServer, visitors: Visitors, tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text("ada:correct horse\n")
    words = ("--host", "0.0.0.0", "--auth", str(users))
    with site_at(scripted.url, *words, folder=tmp_path, is_prestarted=False) as site:
        assert httpx.get(site.url, timeout=HANG_S).status_code == 401
        assert httpx.get(f"{site.url}api/v1/events", timeout=HANG_S).status_code == 401
        wrong = {"Authorization": "Basic " + b64encode(b"ada:wrong").decode()}
        assert httpx.get(site.url, headers=wrong, timeout=HANG_S).status_code == 401
        assert b"correct horse" not in Path(f"/proc/{site.process.pid}/cmdline").read_bytes()
        page = visitors.visit(site.url, wait=False)
        visitors.shoot(page, "site-sign-in")
        visitors.sign_in(page, "ada", "wrong horse")
        expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
        visitors.sign_in(page, "ada", "correct horse")
        ask(page, "Who?")
        expect(page.locator("#chat-log .bot").last).to_have_text("Two people stand there.")
        other = page.context.new_page()
        other.goto(site.url)
        other.locator("#vigil-status .vigil-lamp").wait_for()
        page.click("#vigil-sign-out")
        expect(page.locator("input[name=password]")).to_be_visible()
        expect(other.locator("input[name=password]")).to_be_visible()
        page.goto(site.url)
        expect(page.locator("input[name=password]")).to_be_visible()
        visitors.leave(page)
        assert "correct horse" not in site.log.read_text()
        acts = (tmp_path / "uploads" / "audit.log").read_text()
        assert [line.split(" ", 1)[1].partition(" user=")[0] for line in acts.splitlines()] == [
            "sign-in refused",
            "sign-in refused",
            "signed in",
            "signed out",
        ]


ASKS_ON = """() => addEventListener("submit", () => setInterval(() => fetch("../api/v1/events"), 50))"""
"""As pages do that have a watch, a queue and a clock, only more often."""


@pytest.mark.parametrize("is_loaded", [True, False])
def test_a_page_that_is_being_signed_out_of_asks_nothing_more_and_stays_on_its_way(
    scripted: ScriptedServer, visitors: Visitors, tmp_path: Path, is_loaded: bool
) -> None:
    """On a busy machine there is time between the end of the session and the page to sign in, or before its scripts."""
    held: list[Route] = []
    late: list[Route] = []
    refused: list[str] = []
    failed: list[str] = []
    with site_at(scripted.url, folder=tmp_path, env={"VIGIL_WEB_AUTH": "ada:correct horse"}) as site:
        page = visitors.visit(site.url, wait=False)
        if not is_loaded:
            page.route("**/everywhere.js", lambda route: late.append(route))
        visitors.sign_in(page, "ada", "correct horse")
        page.locator("#vigil-status .vigil-lamp").wait_for()
        page.on("response", lambda answer: refused.append(answer.url) if answer.status == 401 else None)
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.evaluate(ASKS_ON)
        page.route("**/sign-out", lambda route: held.append(route))
        page.evaluate("document.querySelector('#vigil-sign-out').click()")
        while not held:
            page.wait_for_timeout(10)
        given = [(each, each.fetch()) for each in late]
        answer = held[0].fetch(max_redirects=0)
        for each, body in given:
            each.fulfill(response=body)
        page.wait_for_timeout(1000)
        held[0].fulfill(response=answer)
        expect(page).to_have_url(f"{site.url}sign-in")
        visitors.leave(page)
    # Scripts may still be loading; they ask nothing about the visitor.
    asked = [url for url in refused if "/assets/" not in url and "/console/static/" not in url]
    broken = [words for words in failed if "dynamically imported module" not in words]
    assert (asked, broken) == ([], [])


def test_the_pages_are_served_over_https_with_a_certificate(scripted: ScriptedServer, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} -days 1 -subj /CN=localhost".split()
    subprocess.run(["openssl", *words, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    env = {"VIGIL_WEB_AUTH": "ada:correct horse"}
    options = ("--tls-cert", str(cert), "--tls-key", str(key), "--session-hours", "0.5")
    with site_at(scripted.url, *options, folder=tmp_path, env=env, scheme="https") as site:
        assert site.url.startswith("https://")
        with httpx.Client(base_url=site.url, verify=ssl.create_default_context(cafile=cert), timeout=HANG_S) as client:
            came = client.post("/sign-in", data={"name": "ada", "password": "correct horse"})
            assert "Secure" in came.headers["set-cookie"] and "Max-Age=1800" in came.headers["set-cookie"]
            assert client.get("/en/").status_code == 200


def test_passwords_in_a_file_are_hashed_by_a_command(tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text("ada:correct horse\n")
    told = door("--auth", str(users), "--hash-passwords")
    assert (told.returncode, told.stdout) == (0, f"{users}: 1 hashed; only you can read the file\n")
    assert users.read_text().startswith("ada:$argon2id$") and users.stat().st_mode & 0o777 == 0o600
    for words in (
        ("--hash-passwords",),
        ("--auth", "a:b", "--hash-passwords"),
        ("--auth", str(users), "--viewers", "x"),
    ):
        refused = door(*words)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr


def test_without_a_password_no_other_name_is_answered(pages: Site) -> None:
    assert httpx.get(pages.url, headers={"Host": "evil.example"}, timeout=HANG_S).status_code == 421


def test_files_of_the_machine_are_not_served(pages: Site, tmp_path: Path) -> None:
    for path in ("/etc/passwd", str(ROOT / "pyproject.toml"), "../../etc/passwd", str(pages.log)):
        answer = httpx.get(f"{pages.url}en/gradio_api/file={path}", timeout=HANG_S)
        assert answer.status_code in {403, 404}, path


@pytest.mark.parametrize("where", ["machine", "network"])
def test_a_request_names_no_file_that_was_not_sent(
    pages: Site, scripted: ScriptedServer, tmp_path: Path, where: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("sk-secret-of-the-operator")
    path = str(secret) if where == "machine" else f"{scripted.url}/secret.txt"
    page = Gradio(f"{pages.url}en")
    asked = page.events_with_files()
    assert len(asked) >= 2, "chat and analysis take files"
    for event in asked:
        told = page.ask(event, file={"path": path, "meta": {"_type": "gradio.FileData"}})
        assert '"success":false' in told and "sk-secret" not in told
    assert not any(request.path.endswith("secret.txt") for request in scripted.requests)
    assert not any(b"sk-secret" in kept.read_bytes() for kept in _files(pages.log.parent / "uploads"))


LISTENS = "() => navigator.locks.query().then(found => found.held.some(lock => lock.name.startsWith('vigil-live')))"
"""One page of a browser holds the connection on which the alarms come."""


def test_ctrl_c_ends_the_pages_quietly_while_one_listens_and_removes_what_was_sent(
    scripted: ScriptedServer, visitors: Visitors, tmp_path: Path
) -> None:
    with site_at(scripted.url, folder=tmp_path, is_prestarted=False) as site:
        page = visitors.visit(site.url)
        page.wait_for_function(LISTENS)
        look_at_the_whole(page)
        attach(page, film(tmp_path / "a.mp4", seconds=3))
        ask(page, "Who?")
        expect(page.locator("#chat-log .bot").last).to_have_text("Two people stand there.")
        assert len(list((tmp_path / "uploads").rglob("*.mp4"))) >= 2
        site.process.send_signal(signal.SIGINT)
        assert site.process.wait(HANG_S) == 0
        visitors.leave(page)
        log = site.log.read_text()
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["audit.log"]
    assert "Traceback" not in log and "ERROR" not in log, log


def test_the_plotting_library_is_there_before_the_first_plot(pages: Site, visitors: Visitors) -> None:
    page = visitors.visit(pages.url, saves_data=False)
    page.wait_for_function("performance.getEntriesByType('resource').some(entry => entry.name.includes('PlotlyPlot'))")


@pytest.mark.parametrize(
    ("path", "browser_speaks", "lang", "word"), [("zh/", "en-US", "zh-CN", "拖放"), ("en/", "zh-CN", "en", "Drop")]
)
def test_gradios_own_words_are_in_the_language_of_the_page(
    pages: Site, visitors: Visitors, path: str, browser_speaks: str, lang: str, word: str
) -> None:
    page = visitors.visit(pages.url + path, language=browser_speaks)
    assert page.evaluate("document.documentElement.lang") == lang
    page.click("#tab-analysis-button")
    expect(page.get_by_text(word).first).to_be_visible()
