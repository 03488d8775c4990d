"""What the tests of the web pages share: the pages as a process of their own, and a Chromium that looks at them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from pace import PACE
from vigil.serving.process import free_port

ROOT = Path(__file__).resolve().parents[1]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
START_S = 90.0 * PACE
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
"""The first that is there: a page costs Chromium without its window's parts half the CPU."""
CHROMIUM_FLAGS = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")


@dataclass(frozen=True, slots=True)
class Site:
    """Pages that run: where, their process, and what they print."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def site_at(
    endpoint_url: str,
    *words: str,
    folder: Path,
    key: str = "",
    env: Mapping[str, str] | None = None,
    program: Sequence[str] = ("web.py",),
) -> Iterator[Site]:
    """`web.py` as its own process at a free port while the block lasts; ended with Ctrl-C, as people do."""
    port, log = free_port(), folder / "web.log"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *program, "--port", str(port), "--url", endpoint_url, *words]
    for option, name in (("--folder", "uploads"), ("--store", "events.db")):
        if option not in words:
            command += [option, str(folder / name)]
    variables = {**os.environ, "VIGIL_API_KEY": key or "none", "VIGIL_WEB_AUTH": "", **(env or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        site = Site(f"http://127.0.0.1:{port}/", process, log)
        _wait_until_up(site)
        yield site
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(site: Site) -> None:
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s:
        if site.process.poll() is not None:
            raise AssertionError(f"web.py ended by itself:\n{site.log.read_text(errors='replace')}")
        try:
            urllib.request.urlopen(site.url, timeout=2).close()  # a 401 is an answer too
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"web.py is not up after {START_S:g} s:\n{site.log.read_text(errors='replace')}")


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Debian's Chromium, without a window. While it runs, its thread cannot use `asyncio.run`."""
    path = os.environ.get("VIGIL_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, "no Chromium here; install it with: bash scripts/setup.sh browser"
    with sync_playwright() as playwright:
        browser = _launch(playwright, path, flags)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright, path: str, flags: tuple[str, ...]) -> Browser:
    return playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_FLAGS, *flags])


@dataclass
class Profiles:
    """A browser's profiles, emptied of what a visitor left and lent to the next.

    What stays is what the browser made of the pages' scripts: the page of a profile used before costs half the CPU.
    """

    browser: Browser
    free: dict[str, list[BrowserContext]] = field(default_factory=dict)
    lent: list[tuple[str, BrowserContext]] = field(default_factory=list)

    def lend(self, *, saves_data: bool, language: str, size: Mapping[str, int]) -> BrowserContext:
        """A profile that nobody uses."""
        kind = repr((saves_data, language, sorted(size.items())))
        free = self.free.setdefault(kind, [])
        profile = free.pop() if free else self.make(saves_data=saves_data, language=language, size=size)
        self.lent.append((kind, profile))
        return profile

    def make(self, *, saves_data: bool, language: str, size: Mapping[str, int], **more: Any) -> BrowserContext:
        """A profile that is used once."""
        made = self.browser.new_context(locale=language, viewport={**size}, **more)  # type: ignore[typeddict-item]
        if saves_data:
            made.add_init_script("Object.defineProperty(navigator, 'connection', {value: {saveData: true}});")
        return made

    def take_back(self) -> None:
        """Empties all that were lent, and closes the others; one whose pages are closed is lent no more."""
        for kind, profile in self.lent:
            if profile in self.browser.contexts and profile.pages and _empty(profile):
                self.free[kind].append(profile)
        self.lent.clear()
        kept = [profile for free in self.free.values() for profile in free]
        for profile in self.browser.contexts:
            if profile not in kept:
                profile.close()


def _empty(profile: BrowserContext) -> bool:
    """Removes cookies, permissions and what pages stored; False where a page does not answer."""
    try:
        origins = {"/".join(page.url.split("/")[:3]) for page in profile.pages}
        session = profile.new_cdp_session(profile.pages[0])
        for origin in origins:
            session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage,indexeddb"})
        profile.clear_cookies()
        profile.clear_permissions()
        for page in profile.pages:
            page.close()
    except PlaywrightError:
        return False
    return True


@dataclass
class Visitors:
    """Opens pages as visitors do, each with cookies of its own, and keeps what their browsers complained about."""

    profiles: Profiles
    shots: Path
    complaints: list[str] = field(default_factory=list)

    def visit(
        self,
        url: str,
        *,
        language: str = "en",
        size: Mapping[str, int] | None = None,
        wait: bool = True,
        saves_data: bool = True,
        first: bool = False,
        **context: Any,
    ) -> Page:
        """A new visitor's page, ready to be used; one that saves data loads nothing before it is needed.

        At a `first` visit, and with options of Playwright's, the browser has never seen the pages.
        """
        options: dict[str, Any] = {"saves_data": saves_data, "language": language, "size": size or DESK}
        is_new = first or bool(context)
        profile = self.profiles.make(**options, **context) if is_new else self.profiles.lend(**options)
        page = profile.new_page()
        page.set_default_timeout(20_000 * PACE)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._check_address(request.url, url))
        page.goto(url)
        if wait:
            page.locator("#vigil-status .vigil-lamp").wait_for()
            page.locator("#chat-box textarea").wait_for()
        return page

    def shoot(self, page: Page, name: str) -> Path:
        """A screenshot of what is seen now."""
        path = self.shots / f"{re.sub(r'[^a-z0-9-]', '-', name.lower())}.png"
        page.screenshot(path=path)
        return path

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "404" not in message.text:
            self.complaints.append(message.text)

    def _check_address(self, asked: str, site: str) -> None:
        """Nothing is fetched from anywhere else."""
        host = site.split("/")[2]
        if not asked.startswith((f"http://{host}/", "data:", "blob:")):
            self.complaints.append(f"asked {asked}")
