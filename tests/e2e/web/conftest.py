"""Fixtures of the web tests: the pages before a real vLLM or a scripted server, and a Chromium with its visitors.

Screenshots go to `$VIGIL_SCREENSHOTS`, or to pytest's temporary folder. `browser` lasts for a module, as `asyncio.run`
does not work in its thread while it is there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browsing import Site, Tabs, Visitors, chromium, site_at
from vigil.serving.server import RunningServer, free_port
from waiting import HANG_MS

expect.set_options(timeout=HANG_MS)


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go."""
    named = os.environ.get("VIGIL_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def camera_port() -> int:
    """The port of this machine at which visitors may name a camera."""
    return free_port()


@pytest.fixture(scope="session")
def site(server: RunningServer, camera_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages before the real vLLM with the tiny base."""
    cameras = ("--allow-camera", f"127.0.0.1:{camera_port}")
    words = ("--model", server.model, *cameras, "--set", "min_label_probability=0")
    with site_at(server.url, *words, folder=tmp_path_factory.mktemp("site"), key=server.key) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def tabs(browser: Browser) -> Tabs:
    """Its tabs."""
    return Tabs(browser)


@pytest.fixture
def visitors(tabs: Tabs, shots: Path) -> Iterator[Visitors]:
    """Those who visit with it, and leave with the test: a page left open plays, asks and draws on beside the others."""
    made = Visitors(tabs, shots)
    yield made
    made.leave()
