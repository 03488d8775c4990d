"""What the console's tests share: opening its pages, and what is counted in them."""

import re
from typing import Any

from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from browsing import Site, Visitors
from waiting import until

COUNTS = """
(() => {
  window.beeps = 0;
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...at) {
    if (this.frequency.value > 500) window.beeps++;
    return start.apply(this, at);
  };
  window.told = [];
  window.Notification = class {
    static permission = "granted";
    constructor(title, options) {
      window.told.push({ title, body: options.body, tag: options.tag });
    }
  };
})();
"""
"""Counts the tones of alarms that a page plays, those of faults left out, and the notifications that it shows."""

HOLDS_RING = "navigator.locks.query().then(({ held }) => held.some(({ name }) => name.startsWith('vigil-ring')))"


def open_page(visitors: Visitors, site: Site, place: str = "en/watch", **more: Any) -> Page:
    """A new visitor's page, once it can be used."""
    page = visitors.visit(f"{site.url}{place}", wait=False, script=COUNTS, **more)
    is_ready(page)
    return page


def another_page(page: Page, site: Site, place: str = "en/watch") -> Page:
    """Another page of the same browser."""
    other = page.context.new_page()
    other.goto(f"{site.url}{place}")
    is_ready(other)
    return other


def is_ready(page: Page) -> None:
    """Waits until a page's scripts have begun."""
    expect(page.locator("body")).to_have_attribute("data-ready", "yes")


def card(page: Page, name: str) -> Locator:
    """The card of a camera, by the end of its name."""
    return page.locator(f".card[data-name$={name!r}]")


def rings_for_all(page: Page) -> None:
    """Waits until a page is the one that rings for all pages of its browser."""
    until(lambda: page.evaluate(HOLDS_RING), every_s=0.05)


def choose(page: Page, name: str, act: str) -> None:
    """Chooses an entry of a camera's menu."""
    card(page, name).locator(".card-menu").click()
    page.get_by_role("menuitem", name=act, exact=True).click()


def hold(page: Page, name: str, act: str) -> None:
    """Presses Pause or Resume on a camera's card."""
    card(page, name).get_by_role("button", name=re.compile(f"^{act} ")).click()


def strip_row(page: Page, kind: str) -> Locator:
    """One line of the strip of alarms: alarm, trouble, blocked, silent or told."""
    return page.locator(f".vigil-strip .is-{kind}")


def comes_true(page: Page, condition: str) -> None:
    """Waits for something in a page; its policy forbids Playwright's own way, which evaluates a text there."""
    until(lambda: page.evaluate(f"Boolean({condition})"), every_s=0.05)


def rings_on(page: Page, more: int = 1) -> None:
    """Waits until a page has sounded some more tones."""
    comes_true(page, f"window.beeps >= {beeps(page) + more}")


def beeps(page: Page) -> int:
    """The tones of alarms that a page has played."""
    return int(page.evaluate("window.beeps"))


WAITS_ON = "AbortSignal.timeout = () => new AbortController().signal"
"""A page that gives up no answer by itself: how long one is held follows from the host."""


class HeldAnswer:
    """The next answer to a request, as it is when it is asked for: it comes when it is let go, after later ones."""

    def __init__(self, page: Page, address: str) -> None:
        self._page = page
        self._address = re.compile(address)
        self._route: Route | None = None
        self._answer: APIResponse | None = None
        page.add_init_script(WAITS_ON)
        page.evaluate(WAITS_ON)
        page.route(self._address, self._hold)

    def _hold(self, route: Route) -> None:
        if self._route is not None:
            route.fallback()
            return
        self._route = route
        self._answer = route.fetch()

    def wait(self) -> None:
        """Waits until it was asked for and answered."""
        until(lambda: self._page.evaluate("1") and self._answer is not None, every_s=0.05)

    def let_go(self) -> None:
        """Lets it come; the page has taken it, or left it, at the end."""
        self.wait()
        assert self._route is not None
        with self._page.expect_response(self._address):
            self._route.fulfill(response=self._answer)
        for _ in range(5):
            self._page.evaluate("new Promise((done) => setTimeout(done, 20))")


def draw_a_mask(page: Page, name: str) -> None:
    """Corner after corner on the picture, closed by a key."""
    choose(page, name, "Masks")
    canvas = page.locator("dialog .mask-canvas")
    comes_true(page, "document.querySelector('.mask-picture').naturalWidth > 0")
    box = canvas.bounding_box()
    assert box is not None
    for x, y in ((0.1, 0.1), (0.9, 0.1), (0.5, 0.8)):
        canvas.click(position={"x": x * box["width"], "y": y * box["height"]})
    canvas.press("Enter")
    expect(page.locator("dialog .mask-list li")).to_have_text(["1 · Privacy mask · 3 cornersRemove"])
    page.locator("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("dialog")).to_have_count(0)


def take_the_mask_away(page: Page, name: str) -> None:
    """It is there when the dialog is opened again."""
    choose(page, name, "Masks")
    page.locator("dialog .mask-list li").get_by_role("button", name="Remove").click()
    expect(page.locator("dialog .mask-list li")).to_have_count(0)
    page.locator("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("dialog")).to_have_count(0)


def remove(page: Page, name: str) -> None:
    """Removes a camera by its menu."""
    shown = page.locator(".card").filter(has=page.locator(".card-name", has_text=name))
    shown.locator(".card-menu").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.locator("dialog").get_by_role("button", name="Remove").click()
    expect(shown).to_have_count(0)


def add(page: Page, address: str, name: str) -> None:
    """Adds a camera, whose card is there in the end."""
    fill_in(page, address, name)
    expect(page.locator("dialog")).to_have_count(0)
    expect(card(page, name)).to_be_visible()


def fill_in(page: Page, address: str, name: str) -> None:
    """Fills in the dialog that adds a camera, and sends it."""
    page.click("#add-camera")
    page.locator("dialog").get_by_label("Address").fill(address)
    page.locator("dialog").get_by_label("Name").fill(name)
    page.locator("dialog").get_by_role("button", name="Add a camera").click()
