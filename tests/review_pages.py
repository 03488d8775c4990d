"""What the tests of the review page share: a site with events, its page, and what stands on it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from browsing import DESK, Site, Visitors, site_at
from reviewing import camera_in, judge_all, keep_clip, keep_pictures, review_event
from vigil.store import Store

EVENTS = 6
EMPTIED = ("marks", "acknowledgements", "missed_spans")
ROW = ".event-row"
RING = ".event-row.is-shown"


@contextmanager
def review_site(folder: Path) -> Iterator[tuple[Site, Store]]:
    """Pages that look at a store with six events of the camera `door` at the gate; no endpoint answers.

    e0003 has kept frames, e0002 a clip that browsers play, e0001 one that they do not, and the others have nothing.
    """
    with Store.open(folder / "events.db") as store:
        door = camera_in(store, "door", place="gate")
        judge_all(store, door, seconds=60 * EVENTS, alarming=lambda second: 0.95 if second % 60 < 6 else 0.1)
        made = [review_event(number, camera=door) for number in range(EVENTS)]
        for each in made:
            store.events.save(each)
        keep_clip(store, made[1], codec="libx265")
        keep_clip(store, made[2])
        keep_pictures(store, made[2], with_frames=False)
        keep_pictures(store, made[3])
        kept = ("--set", "retention.media_days=36500", "--set", "retention.verdict_days=36500")
        with site_at("http://127.0.0.1:9/v1", "--task", "fight", *kept, folder=folder) as site:
            yield site, store


def forget(store: Store) -> None:
    """Takes away what a test before has done."""
    with store.database.writing("a new test") as connection:
        for table in EMPTIED:
            connection.exec_driver_sql(f"DELETE FROM {table}")
        connection.exec_driver_sql("DELETE FROM events WHERE id > 'e0005'")


def open_review(
    visitors: Visitors, site: Site, place: str = "en/events", *, size: Mapping[str, int] | None = None, **more: Any
) -> Page:
    """A new visitor's review, once it can be used."""
    page = visitors.visit(f"{site.url}{place}", wait=False, size=size or DESK, **more)
    is_ready(page)
    return page


def is_ready(page: Page) -> None:
    """Waits until a page's scripts have begun and its list is there."""
    expect(page.locator("body")).to_have_attribute("data-ready", "yes")


def row(page: Page, number: int) -> Locator:
    """The row of an event."""
    return page.locator(f"{ROW}[data-id=e{number:04d}]")


def open_row(page: Page, number: int) -> None:
    """Clicks on the row of an event."""
    row(page, number).locator(".event-open").click()


def stands_on(page: Page, number: int, *, is_listed: bool = True) -> None:
    """The ring, the keyboard's focus, the address and what is shown are all of one event."""
    name = f"e{number:04d}"
    expect(page.locator("#event-detail")).to_have_attribute("data-event", name)
    expect(page.locator("#clip-words")).to_have_text(f"scene {number}")
    expect(page.locator(RING)).to_have_count(1 if is_listed else 0)
    if is_listed:
        expect(page.locator(RING)).to_have_attribute("data-id", name)
    focused = page.evaluate("document.activeElement.closest('.event-row')?.dataset.id || ''")
    assert focused in ("", name)
    assert page.evaluate("location.pathname").endswith(f"/events/{name}")


def marks_in(store: Store) -> dict[int, list[str]]:
    """The marks of each event, oldest first, by its number."""
    made = {number: [str(mark.mark) for mark in store.marks.of_event(f"e{number:04d}")] for number in range(EVENTS)}
    return {number: words for number, words in made.items() if words}
