"""What the tests of the web pages share: the pages as a process of their own, and a Chromium that looks at them."""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from prestarted import PrestartedProcess, ProgramProcess, Streams
from slow_host import slow_down, slow_pages, slow_process
from vigil.serving.server import free_port
from waiting import HANG_MS, HANG_S

ROOT = Path(__file__).resolve().parents[1]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
ANY_CERTIFICATE = ssl.create_default_context()
ANY_CERTIFICATE.check_hostname, ANY_CERTIFICATE.verify_mode = False, ssl.CERT_NONE


class _StaysHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the first page is Gradio's, which is built when it is asked for."""

    def redirect_request(self, *_: Any) -> None:
        return None


LOOKING = urllib.request.build_opener(_StaysHere, urllib.request.HTTPSHandler(context=ANY_CERTIFICATE))
LOOK_S = 10.0
"""Of one look whether the pages are up; another one follows."""

SETTLES = """async () => {
  const page = document.documentElement;
  for (let last = "", same = 0; same < 10; ) {
    await new Promise(requestAnimationFrame);
    const now = [page.scrollWidth, page.scrollHeight, page.querySelectorAll("*").length].join();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}"""
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
"""The first that is there: a page costs Chromium without its window's parts half the CPU."""
CHROMIUM_FLAGS = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")


@dataclass(frozen=True, slots=True)
class Site:
    """Pages that run: where, their process, and what they print."""

    url: str
    process: ProgramProcess
    log: Path


@contextmanager
def site_at(
    endpoint_url: str,
    *words: str,
    folder: Path,
    key: str = "",
    env: Mapping[str, str] | None = None,
    program: Sequence[str] = ("web.py",),
    scheme: str = "http",
    port: int = 0,
    is_prestarted: bool = True,
) -> Iterator[Site]:
    """`web.py` as a process at a port, else a free one, while the block lasts; ended with Ctrl-C, as people do.

    It has a Python of its own from the start if it is not `is_prestarted` (tests/prestarted.py).
    """
    port, log = port or free_port(), folder / "web.log"
    folder.mkdir(parents=True, exist_ok=True)
    command = [*program, "--port", str(port), "--url", endpoint_url, *words]
    # On a slow host an answer that takes longer than the shipped ten seconds would be a window that is not known.
    command += ["--set", f"deadline_s={HANG_S}"]
    for option, name in (("--folder", "uploads"), ("--store", "events.db")):
        if option not in words:
            command += [option, str(folder / name)]
    variables = {**os.environ, "VIGIL_API_KEY": key or "none", "VIGIL_WEB_AUTH": "", **(env or {})}
    process = _started(command, env=variables, log=log, is_prestarted=is_prestarted and program[0] != "-c")
    try:
        site = Site(f"{scheme}://127.0.0.1:{port}/", process, log)
        _wait_until_up(site)
        with slow_process(process.pid):
            yield site
    finally:
        _end(process)


def _started(command: Sequence[str], *, env: Mapping[str, str], log: Path, is_prestarted: bool) -> ProgramProcess:
    log.write_bytes(b"")
    if is_prestarted:
        return PrestartedProcess(command, env=env, folder=ROOT, streams=Streams(output=log))
    with log.open("ab") as output:
        process = [sys.executable, *command]
        return subprocess.Popen(process, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)


def _end(process: ProgramProcess) -> None:
    """Ends it as people do; nothing of it is left, whatever happens meanwhile."""
    try:
        process.send_signal(signal.SIGINT)
        process.wait(HANG_S)
    finally:
        process.kill()
        process.wait()


def _wait_until_up(site: Site) -> None:
    until_s = time.monotonic() + HANG_S
    while time.monotonic() < until_s:
        if site.process.poll() is not None:
            raise AssertionError(f"web.py ended by itself:\n{site.log.read_text(errors='replace')}")
        try:
            LOOKING.open(site.url, timeout=LOOK_S).close()
            return
        except urllib.error.HTTPError:  # a 401 is an answer too, and so is the way to the first page
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"web.py is not up after {HANG_S:g} s:\n{site.log.read_text(errors='replace')}")


def gradio_config(url: str) -> dict[str, Any]:
    """What Gradio writes into a page about its components."""
    with urllib.request.urlopen(url, timeout=HANG_S) as answer:
        found = re.search(r"window\.gradio_config = (\{.*?\});?</script>", answer.read().decode(), re.DOTALL)
    assert found is not None
    config: dict[str, Any] = json.loads(found[1])
    return config


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Debian's Chromium, without a window. While it runs, its thread cannot use `asyncio.run`."""
    path = os.environ.get("VIGIL_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, "no Chromium here; install it with: bash scripts/setup.sh browser"
    with sync_playwright() as playwright:
        browser = _launch(playwright, path, flags)
        try:
            with slow_pages():
                yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright, path: str, flags: tuple[str, ...]) -> Browser:
    return playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_FLAGS, *flags])


def settle(page: Page) -> None:
    """Waits until ten pictures of a page in a row have the same measures and parts."""
    page.evaluate(SETTLES)


@dataclass
class Tabs:
    """A browser's tabs, each in a profile of its own, emptied of what a visitor left and lent to the next.

    What stays is what the browser made of the pages' scripts: a page costs half the CPU in a tab that had it before.
    """

    browser: Browser
    free: dict[str, list[Page]] = field(default_factory=dict)
    lent: dict[Page, str] = field(default_factory=dict)

    def lend(self, *, saves_data: bool, language: str, size: Mapping[str, int]) -> Page:
        """A tab that nobody uses."""
        kind = f"{language}, saves data: {saves_data}"
        free = self.free.setdefault(kind, [])
        page = free.pop() if free else self.make(saves_data=saves_data, language=language, size=size)
        page.set_viewport_size({**size})  # type: ignore[typeddict-item]
        self.lent[page] = kind
        return page

    def make(self, *, saves_data: bool, language: str, size: Mapping[str, int], **more: Any) -> Page:
        """A tab that is used once."""
        made = self.browser.new_context(locale=language, viewport={**size}, **more)  # type: ignore[arg-type]
        made.set_default_timeout(HANG_MS)
        slow_down(made)
        if saves_data:
            made.add_init_script("Object.defineProperty(navigator, 'connection', {value: {saveData: true}});")
        return made.new_page()

    def take_back(self, page: Page) -> None:
        """Empties a tab that was lent; one that is used once, is closed, or hangs is closed with its profile."""
        kind = self.lent.pop(page, None)
        if kind and not page.is_closed() and _empty(page):
            self.free[kind].append(page)
        else:
            page.context.close()


def _empty(page: Page) -> bool:
    """Removes cookies, permissions and what pages stored; False where the page does not answer."""
    profile = page.context
    origin = "/".join(page.url.split("/")[:3])
    try:
        page.unroute_all()
        page.evaluate("sessionStorage.clear()")
        session = profile.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage,indexeddb"})
        session.detach()
        for other in profile.pages:
            if other is not page:
                other.close()
        page.goto("about:blank")
        profile.clear_cookies()
        profile.clear_permissions()
    except PlaywrightError:
        return False
    return True


GIVEN_UP = re.compile(r"ERR_INCOMPLETE_CHUNKED_ENCODING|TypeError: network error|errored out|/assets/")
"""What browsers and Gradio say of a request whose document was left."""


@dataclass
class Visitors:
    """Opens pages as visitors do, each with cookies of its own, and keeps what their browsers complained about."""

    tabs: Tabs
    shots: Path
    complaints: list[str] = field(default_factory=list)
    here: dict[Page, dict[Any, Callable[..., None]]] = field(default_factory=dict)

    def visit(
        self,
        url: str,
        *,
        language: str = "en",
        size: Mapping[str, int] | None = None,
        wait: bool = True,
        saves_data: bool = True,
        first: bool = False,
        script: str = "",
        **context: Any,
    ) -> Page:
        """A new visitor's page, ready to be used; one that saves data loads nothing before it is needed.

        At a `first` visit, and with options of Playwright's, the browser has never seen the pages. A `script` runs in
        every page before its own ones.
        """
        options: dict[str, Any] = {"saves_data": saves_data, "language": language, "size": size or DESK}
        is_new = first or bool(context) or bool(script)
        page = self.tabs.make(**options, **context) if is_new else self.tabs.lend(**options)
        self.here[page] = self._listen(page, url)
        if script:
            page.context.add_init_script(script)
        page.goto(url)
        if wait:
            page.locator("#vigil-status .vigil-lamp").wait_for()
            page.locator("#chat-box textarea").wait_for()
        return page

    def sign_in(self, page: Page, name: str, password: str) -> None:
        """Fills the page to sign in and sends it."""
        page.fill("input[name=name]", name)
        page.fill("input[name=password]", password)
        page.keyboard.press("Enter")

    def leave(self, *pages: Page) -> None:
        """Those of these pages, or else all who are here, go, and nothing of theirs is left."""
        for page in pages or tuple(self.here):
            for event, heard in self.here.pop(page).items():
                page.remove_listener(event, heard)
            self.tabs.take_back(page)

    def shoot(self, page: Page, name: str) -> Path:
        """A screenshot of what is seen now."""
        path = self.shots / f"{re.sub(r'[^a-z0-9-]', '-', name.lower())}.png"
        page.screenshot(path=path)
        return path

    def _listen(self, page: Page, url: str) -> dict[Any, Callable[..., None]]:
        """What is asked of others than the site is complained about too: nothing is fetched from anywhere else.

        A document that another one replaces gives up what it has asked for, and says so before or after its end.
        """
        its_own = (f"{'/'.join(url.split('/')[:3])}/", "data:", "blob:")
        documents = 0

        def hear(text: str) -> None:
            if documents < 2 or not GIVEN_UP.search(text):
                self.complaints.append(text)

        def hear_console(message: ConsoleMessage) -> None:
            if message.type == "error" and "404" not in message.text:
                hear(message.text)

        def check_address(request: Request) -> None:
            nonlocal documents
            if request.is_navigation_request() and request.frame.parent_frame is None:
                documents += 1
                self.complaints[:] = [text for text in self.complaints if documents < 2 or not GIVEN_UP.search(text)]
            if not request.url.startswith(its_own):
                self.complaints.append(f"asked {request.url}")

        listeners = {
            "console": hear_console,
            "pageerror": lambda error: hear(str(error)),
            "request": check_address,
        }
        for event, heard in listeners.items():
            page.on(event, heard)  # type: ignore[call-overload]
        return listeners
