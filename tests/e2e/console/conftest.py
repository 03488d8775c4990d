"""Fixtures of the console's tests: a Chromium with its visitors, as the web tests have them, and what they look at."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browsing import Site, Tabs, Visitors, chromium
from review_pages import forget, review_site
from vigil.store import Store
from waiting import HANG_MS

expect.set_options(timeout=HANG_MS)


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go."""
    named = os.environ.get("VIGIL_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, which lets pages sound."""
    with chromium() as running:
        yield running


@pytest.fixture
def visitors(browser: Browser, shots: Path) -> Iterator[Visitors]:
    """Those who visit, each with a profile of their own; they leave with the test."""
    made = Visitors(Tabs(browser), shots)
    yield made
    made.leave()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Store]]:
    """The pages of a review, and their store."""
    with review_site(tmp_path_factory.mktemp("review")) as made:
        yield made


@pytest.fixture
def store(pages: tuple[Site, Store]) -> Store:
    """Six events that nobody has marked."""
    forget(pages[1])
    return pages[1]


@pytest.fixture
def site(pages: tuple[Site, Store], store: Store, visitors: Visitors) -> Iterator[Site]:
    """The pages of the review; no browser that was there has anything to complain about in the end."""
    visitors.complaints.clear()
    yield pages[0]
    visitors.leave()
    assert visitors.complaints == []
