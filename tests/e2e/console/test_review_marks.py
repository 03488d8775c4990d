"""Marks in a real Chromium: the ring in the list, what is shown and the address go on to the next event together."""

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from api_service import vigil
from browsing import Site, Visitors
from review_pages import forget, is_ready, marks_in, open_review, open_row, row, stands_on
from reviewing import review_event
from vigil.store import Store
from waiting import HANG_S, until

pytestmark = pytest.mark.e2e


@pytest.fixture
def page(site: Site, visitors: Visitors) -> Page:
    return open_review(visitors, site)


def unmarked_only(page: Page) -> None:
    page.select_option("#filter-mark", "unmarked")
    expect(page.locator("#event-scroller.is-reading")).to_have_count(0)


def valid(store: Store) -> dict[int, str]:
    """The last mark of each event that was ever marked."""
    return {number: made[-1] for number, made in marks_in(store).items()}


@pytest.mark.parametrize("filtered", [False, True])
def test_keys_mark_one_event_after_the_other(page: Page, store: Store, filtered: bool) -> None:
    if filtered:
        unmarked_only(page)
    stands_on(page, 5)
    for key, following in (("t", 4), ("f", 3), ("u", 2)):
        page.keyboard.press(key)
        stands_on(page, following)
        expect(page.locator(".event-row")).to_have_count(following + 1 if filtered else 6)
        stands_on(page, following)
    until(lambda: marks_in(store) == {5: ["true"], 4: ["false_alarm"], 3: ["unsure"]})
    if not filtered:
        expect(row(page, 4).locator(".mark-false_alarm")).to_be_visible()


def test_keys_that_are_faster_than_the_server_mark_each_its_own_event(page: Page, store: Store) -> None:
    unmarked_only(page)
    page.evaluate("for (const key of 'tfj') document.dispatchEvent(new KeyboardEvent('keydown', { key }))")
    stands_on(page, 2)
    until(lambda: marks_in(store) == {5: ["true"], 4: ["false_alarm"]})


def test_a_note_goes_with_the_mark_of_its_own_event_and_a_draft_is_not_lost(page: Page, store: Store) -> None:
    page.keyboard.press("n")
    page.keyboard.type("a note on scene 5 with jkt")
    page.keyboard.press("Escape")
    for key in "jj":
        page.keyboard.press(key)
    expect(page.locator("#note")).to_have_value("")
    page.keyboard.press("t")
    stands_on(page, 2)
    until(lambda: marks_in(store) == {3: ["true"]})
    page.reload()
    is_ready(page)
    open_row(page, 5)
    expect(page.locator("#note")).to_have_value("a note on scene 5 with jkt")
    page.keyboard.press("f")
    until(lambda: marks_in(store) == {3: ["true"], 5: ["false_alarm"]})
    assert [mark.note for number in (3, 5) for mark in store.marks.of_event(f"e{number:04d}")] == [
        "",
        "a note on scene 5 with jkt",
    ]


def test_a_note_is_saved_without_a_mark_and_with_the_one_that_counts(page: Page, store: Store) -> None:
    page.fill("#note", "look again")
    page.click("#save-note")
    expect(page.locator("#history-lines")).to_contain_text("look again")
    stands_on(page, 5)
    assert marks_in(store) == {5: [""]}
    page.keyboard.press("u")
    page.keyboard.press("k")
    page.fill("#note", "two boys")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#history-lines")).to_contain_text("two boys")
    assert marks_in(store) == {5: ["", "unsure", "unsure"]}


def test_a_mark_by_the_mouse_goes_on_too_and_taking_it_off_stays(page: Page, store: Store) -> None:
    open_row(page, 3)
    stands_on(page, 3)
    page.click("#mark-false_alarm")
    stands_on(page, 2)
    page.keyboard.press("k")
    stands_on(page, 3)
    expect(page.locator("#mark-false_alarm")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Backspace")
    expect(row(page, 3).locator(".mark-false_alarm")).to_have_count(0)
    stands_on(page, 3)
    until(lambda: marks_in(store) == {3: ["false_alarm", ""]})


def test_the_last_of_the_list_hands_over_to_the_one_before(page: Page, store: Store) -> None:
    unmarked_only(page)
    open_row(page, 0)
    stands_on(page, 0)
    for key, following in (("t", 1), ("u", 2), ("f", 3)):
        page.keyboard.press(key)
        stands_on(page, following)
    expect(page.locator(".event-row")).to_have_count(3)
    until(lambda: marks_in(store) == {0: ["true"], 1: ["unsure"], 2: ["false_alarm"]})


def test_undo_goes_back_to_the_event_and_to_what_was_valid(page: Page, store: Store) -> None:
    store.marks.add("e0005", "unsure", who="lena", note="rain")
    expect(row(page, 5).locator(".mark-unsure")).to_be_visible()
    open_row(page, 5)
    page.keyboard.press("f")
    stands_on(page, 4)
    expect(row(page, 5).locator(".mark-false_alarm")).to_be_visible()
    page.keyboard.press("z")
    stands_on(page, 5)
    expect(row(page, 5).locator(".mark-unsure")).to_be_visible()
    until(lambda: marks_in(store)[5] == ["unsure", "false_alarm", "unsure"])
    assert store.marks.of_event("e0005")[-1].note == "rain"


def test_many_are_marked_at_once_and_undone_at_once(page: Page, store: Store) -> None:
    store.marks.add("e0004", "unsure", who="lena")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    row(page, 2).locator(".event-pick").click(modifiers=["Shift"])
    expect(page.locator("#chosen-bar")).to_contain_text("4 selected")
    page.keyboard.press("f")
    expect(page.locator(".event-row .mark-false_alarm")).to_have_count(4)
    expect(page.locator("#chosen-bar")).to_be_hidden()
    until(
        lambda: (
            {number: made[-1] for number, made in marks_in(store).items()} == dict.fromkeys((2, 3, 4, 5), "false_alarm")
        )
    )
    page.keyboard.press("z")
    expect(page.locator(".event-row .mark-false_alarm")).to_have_count(0)
    until(lambda: valid(store) == {2: "", 3: "", 4: "unsure", 5: ""})


def test_undo_goes_back_to_a_mark_of_which_this_page_has_not_heard(page: Page, store: Store) -> None:
    """Somebody else marks while the mark of this page is on its way."""
    on_its_way: list[Route] = []
    page.route("**/events/e0005/marks", lambda route: route.continue_() if on_its_way else on_its_way.append(route))
    page.keyboard.press("f")
    page.keyboard.press("z")
    until(lambda: page.evaluate("1") and on_its_way)
    store.marks.add("e0005", "unsure", who="lena", note="rain")
    on_its_way[0].continue_()
    until(lambda: page.evaluate("1") and marks_in(store).get(5) == ["unsure", "false_alarm", "unsure"])
    expect(row(page, 5).locator(".mark-unsure")).to_be_visible()
    assert store.marks.of_event("e0005")[-1].note == "rain"


def test_a_mark_that_is_refused_is_told_and_put_back(page: Page, store: Store) -> None:
    store.events.save(review_event(6))
    open_row(page, 6)
    stands_on(page, 6)
    forget(store)  # with this event
    page.keyboard.press("t")
    stands_on(page, 5)
    expect(page.locator(".toast.is-problem")).to_contain_text("The mark was not stored. there is no event 'e0006'")
    expect(page.locator(".event-row")).to_have_count(6)
    expect(page.locator(".event-row .mark-true")).to_have_count(0)


def test_an_event_is_acknowledged_and_its_history_says_by_whom(page: Page, store: Store) -> None:
    page.click("#acknowledge")
    expect(page.locator("#acknowledge")).to_have_text("Acknowledged by local")
    expect(page.locator("#history-lines")).to_contain_text("acknowledged local")
    expect(row(page, 5).locator(".badge")).to_have_text("acknowledged")
    assert store.acknowledgements.of_events(["e0005"])["e0005"].who == "local"


def test_a_viewer_sees_all_of_it_and_no_buttons_to_mark(
    pages: tuple[Site, Store], store: Store, visitors: Visitors
) -> None:
    site = pages[0]
    path = store.folder / "events.db"
    words = ("users", "add", "vera", "--role", "viewer", "--password-file", "-", "--store", str(path))
    assert vigil(*words, said="a long password\n").returncode == 0
    try:
        until(lambda: httpx.get(f"{site.url}api/v1/session", timeout=HANG_S).status_code == 401)
        page = visitors.visit(f"{site.url}en/events/e0003", wait=False)
        visitors.sign_in(page, "vera", "a long password")
        is_ready(page)
        stands_on(page, 3)
        expect(page.locator(".only-look")).to_have_text("You may look. Marks need the role operator.")
        expect(page.locator("#why-lines")).to_contain_text("Peak 0.970")
        for key in ("t", "x", "Backspace", "a", "n"):
            page.keyboard.press(key)
        stands_on(page, 3)
        expect(page.locator("#strip-notice")).to_contain_text("windows, 6 events")
        page.locator("#strip-canvas").click()
        expect(page.locator("#moment")).to_be_visible()
        for name in (".mark-button", "#acknowledge", "#note", "#missed-form", "#choose-all", ".event-pick", "#undo"):
            expect(page.locator(name).filter(visible=True)).to_have_count(0)
        assert marks_in(store) == {}
    finally:
        store.users.remove("vera")
        until(lambda: httpx.get(f"{site.url}api/v1/session", timeout=HANG_S).status_code == 200)
