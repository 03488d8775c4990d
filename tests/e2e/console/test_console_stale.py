"""What is not of now is not shown as if it were, what is blocked is told, and who may only look cannot act.

The site has two users.
"""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browsing import Site, Visitors, site_at
from console_pages import COUNTS, beeps, card, comes_true, is_ready, strip_row
from rtsp_server import Running, running
from scripted_server import ScriptedServer
from vigil.serving.server import free_port
from waiting import until
from watching import bright_server, film

pytestmark = pytest.mark.e2e
USERS = {"VIGIL_WEB_AUTH": "ann:a long password\nbob:another password"}
PASSWORDS = {"ann": "a long password", "bob": "another password"}


BLOCKS = """
(() => {
  let touched = false;
  for (const gesture of ["pointerdown", "keydown"])
    addEventListener(gesture, ({ isTrusted }) => { touched ||= isTrusted; }, true);
  const { resume } = AudioContext.prototype;
  const { get: state } = Object.getOwnPropertyDescriptor(BaseAudioContext.prototype, "state");
  AudioContext.prototype.resume = function () { return touched ? resume.call(this) : new Promise(() => {}); };
  Object.defineProperty(AudioContext.prototype, "state", {
    get() { return touched ? state.call(this) : "suspended"; },
  });
})();
"""
"""What browsers do: no sound before somebody touched the page. To Chromium, each look of Playwright's is a touch."""


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    door = film(tmp_path_factory.mktemp("film") / "door.mp4", seconds=20, bright=[(6, 11)], fps=10, size_wh=(320, 180))
    with running(door) as opened:
        yield opened


@dataclass
class Place:
    """Where a site and its endpoint are, so that each can be ended and begun again."""

    folder: Path
    words: tuple[str, ...]
    port: int
    endpoint_port: int

    def site(self) -> AbstractContextManager[Site]:
        """The pages, until the end of the `with`."""
        url = f"http://127.0.0.1:{self.endpoint_port}/v1"
        return site_at(url, *self.words, folder=self.folder, env=USERS, port=self.port)

    def endpoint(self) -> AbstractContextManager[ScriptedServer]:
        """What judges the windows."""
        return bright_server(port=self.endpoint_port)


@pytest.fixture(scope="module")
def place(camera: Running, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("stale")
    config = folder / "watch.yaml"
    config.write_text(f"sources: ['{camera.address('door', login='')}']\nrules: [{{type: hysteresis, quiet_s: 3.0}}]\n")
    words = ("--model", "tiny", "--task", "fight_en", "--viewers", "bob", "--config", str(config))
    return Place(folder, words, free_port(), free_port())


def signed_in(visitors: Visitors, site: Site, name: str) -> Page:
    """A page of the room, reached by its address before signing in."""
    page = visitors.visit(f"{site.url}en/watch", wait=False, script=COUNTS)
    visitors.sign_in(page, name, PASSWORDS[name])
    is_ready(page)
    expect(page).to_have_url(f"{site.url}en/watch")
    return page


def test_from_the_sign_in_to_a_server_that_went_and_came_back(place: Place, visitors: Visitors) -> None:
    """One story, so that one site and one browser are enough: roles, sound, model, server."""
    with ExitStack() as first_model, place.site() as site:
        first_model.enter_context(place.endpoint())
        viewer = signed_in(visitors, site, "bob")
        sees_but_cannot_act(viewer)
        is_blocked_until_it_is_tested(visitors, viewer)
        page = signed_in(visitors, site, "ann")
        acts_and_is_named(page, viewer)
        first_model.close()
        is_not_judged(page)
        visitors.shoot(page, "console-not-judged")
        with place.endpoint():
            is_judged(page)
            site.process.send_signal(signal.SIGINT)
            is_unknown(page)
            visitors.shoot(page, "console-unknown")
    with place.endpoint(), place.site() as site:
        comes_back(page, visitors, site)


def sees_but_cannot_act(page: Page) -> None:
    expect(strip_row(page, "alarm")).to_be_visible()
    expect(page.locator("#who")).to_contain_text("bob")
    expect(page.locator("#add-camera")).to_be_hidden()
    expect(page.locator(".vigil-strip .strip-button", has_text="Acknowledge").first).to_be_hidden()
    expect(page.locator(".queue-row").first.get_by_role("button")).to_have_count(0)
    card(page, "/door").locator(".card-menu").click()
    expect(page.get_by_role("menuitem")).to_have_text(["What the model saw", "Its events"])
    page.get_by_role("menuitem").first.press("Escape")
    event = page.locator(".queue-row").first.get_attribute("data-event")
    told = page.evaluate(
        """async (event) => {
            const { change } = await import(document.querySelector("link[rel=modulepreload][href$='/api.js']").href);
            return change("POST", `events/${event}/acknowledge`).then(() => "done", (problem) => problem.message);
        }""",
        event,
    )
    assert told == "bob is viewer; this needs the role operator"


def is_blocked_until_it_is_tested(visitors: Visitors, signed: Page) -> None:
    # Who has just signed in has touched the site; a browser that is opened anew has not, but has the cookie.
    cookies = signed.context.storage_state()
    for let in (".vigil-strip .is-blocked button", ".room-sound"):
        page = visitors.visit(signed.url, wait=False, script=COUNTS + BLOCKS, storage_state=cookies)
        is_ready(page)
        expect(strip_row(page, "blocked")).to_be_visible()
        expect(page.locator(".room-sound")).to_contain_text("Sound blocked")
        expect(page.locator(".room-sound")).to_have_attribute("aria-pressed", "false")
        assert beeps(page) == 0
        # By hand: the line is gone once the button is down.
        page.hover(let)
        page.mouse.down()
        page.mouse.up()
        expect(strip_row(page, "blocked")).to_be_hidden()
        comes_true(page, "window.beeps >= 2")
        expect(page.locator(".room-sound")).to_have_text("Sound on")
        visitors.leave(page)


def acts_and_is_named(page: Page, viewer: Page) -> None:
    expect(strip_row(page, "alarm")).to_be_visible()
    page.locator(".vigil-strip .strip-button.is-main", has_text="Acknowledge").click()
    for each in (page, viewer):
        expect(strip_row(each, "told")).to_contain_text("ann acknowledged the alarm of door")


def is_not_judged(page: Page) -> None:
    door = card(page, "/door")
    # Another alarm that came before the model went stays red until somebody has seen it.
    until(lambda: door.locator(".card-badge").text_content() == "not judged" or page.keyboard.press("a"), every_s=0.5)
    expect(door.locator(".card-lag")).to_have_text("lag –")
    expect(strip_row(page, "trouble")).to_contain_text("The model does not answer")
    expect(page.locator(".room-middle .notice").first).to_contain_text("./vllm.sh MODEL_DIR")
    expect(page.locator(".bar-line")).to_contain_text("no answer")


def is_judged(page: Page) -> None:
    expect(card(page, "/door").locator(".card-badge")).to_contain_text("p 0.")
    expect(strip_row(page, "trouble")).to_be_hidden()
    expect(page.locator(".room-middle .notice").first).to_be_hidden()


def is_unknown(page: Page) -> None:
    door = card(page, "/door")
    expect(door.locator(".card-badge")).to_have_text("unknown")
    expect(door).to_have_class("card is-unknown is-stale is-lost")
    expect(strip_row(page, "trouble")).to_contain_text("No connection to the server")
    expect(page.locator(".bar-line")).to_contain_text("– judged")


def comes_back(page: Page, visitors: Visitors, site: Site) -> None:
    """A restart ends every session: the page leads to the page to sign in, and from there back."""
    expect(page.locator("input[name=password]")).to_be_visible()
    visitors.sign_in(page, "ann", PASSWORDS["ann"])
    is_ready(page)
    expect(page).to_have_url(f"{site.url}en/watch")
    is_judged(page)
