"""The review in a real Chromium: its address, filters, clips, windows, timeline, news, a phone, hostile texts."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browsing import PHONE, Site, Visitors
from review_pages import RING, is_ready, open_review, open_row, row, stands_on
from reviewing import camera_in, keep_pictures, review_event
from vigil.store import Store

pytestmark = pytest.mark.e2e
PLAYS = "() => { const v = document.querySelector('#event-clip video'); return v && !v.hidden && v.currentTime > 0.3; }"
FITS = "document.documentElement.scrollWidth <= innerWidth"
EVIL = "<img src=x onerror=alert(1)> ${alert(2)} {{value}}"


def test_a_reload_a_link_and_the_other_language_come_back_to_the_event(site: Site, visitors: Visitors) -> None:
    page = open_review(visitors, site)
    stands_on(page, 5)
    open_row(page, 1)
    stands_on(page, 1)
    page.select_option("#filter-camera", label="door · gate")
    page.reload()
    is_ready(page)
    stands_on(page, 1)
    expect(page.locator("#filter-camera option:checked")).to_have_text("door · gate")
    page.click("#language")
    page.wait_for_url("**/zh/events/e0001?camera=cam_*")
    is_ready(page)
    stands_on(page, 1)
    expect(page.locator("#filter-camera")).to_have_class("is-set")
    page.goto(f"{site.url}en/events/e0000?text=scene+4")
    is_ready(page)
    stands_on(page, 0, is_listed=False)
    expect(page.locator(".event-row")).to_have_count(1)


@pytest.mark.parametrize(
    "place", ["en/events/nosuch", "en/events?since=nonsense", "en/events?mark=huge&tier=x", "en/events#%E0%A4%A"]
)
def test_an_address_that_names_nothing_is_told_and_harms_nothing(
    pages: tuple[Site, Store], visitors: Visitors, place: str
) -> None:
    page = open_review(visitors, pages[0], place)
    told = page.locator("#event-detail .notice, .event-end .button, #event-detail[data-event=e0005]")
    expect(told.filter(visible=True).first).to_be_visible()
    page.locator("#filter-clear:visible").click() if place.count("=") else open_row(page, 2)
    open_row(page, 2)
    stands_on(page, 2)


def test_filters_find_and_what_is_shown_stays(site: Site, store: Store, visitors: Visitors) -> None:
    store.marks.add("e0003", "false_alarm", who="ann", note="两只猫")
    page = open_review(visitors, site)
    open_row(page, 4)
    page.fill("#filter-text", "scene 2")
    expect(page.locator(".event-row")).to_have_count(1)
    expect(page.locator("#events-found")).to_have_text("1 found · 0 missed")
    stands_on(page, 4, is_listed=False)
    page.fill("#filter-text", "两只猫")
    expect(page.locator(".event-row")).to_have_attribute("data-id", "e0003")
    page.fill("#filter-text", "")
    expect(page.locator(".event-row")).to_have_count(6)
    expect(page.locator(RING)).to_have_attribute("data-id", "e0004")
    page.select_option("#filter-state", "reviewed")
    expect(page.locator(".event-row")).to_have_count(1)
    page.locator("#filter-presets [data-since='1h']").click()
    expect(page.locator(".event-end")).to_have_text("No events match. Remove a filter above.")
    assert "since=1h" in page.url and "state=reviewed" in page.url
    page.click("#export summary")
    expect(page.locator("#export a")).to_have_count(3)
    links = [link.get_attribute("href") or "" for link in page.locator("#export a").all()]
    assert all("since=1h" in link for link in links) and "state=reviewed" in links[0]
    page.click("#filter-clear")
    expect(page.locator(".event-row")).to_have_count(6)


def test_a_copy_plays_the_original_is_downloaded_and_of_several_picked_at_once_the_last_is_shown(
    site: Site, store: Store, visitors: Visitors
) -> None:
    clip = next(file.path for file in store.media.of_event("e0001") if file.kind == "clips")
    page = open_review(visitors, site, "en/events/e0001")
    line = page.locator("#clip-line")
    expect(page.locator("#clip-notice, #clip-line").filter(has_text="H.265", visible=True).first).to_be_visible()
    expect(line).to_contain_text("this is a converted copy")
    page.wait_for_function(PLAYS)
    with page.expect_download() as downloading:
        page.click("#original")
    assert Path(downloading.value.path()).read_bytes() == clip.read_bytes()
    open_row(page, 2)
    expect(line).to_be_hidden()
    page.wait_for_function(PLAYS)
    open_row(page, 0)
    expect(page.locator("#clip-notice")).to_have_text("There is no clip of this event.")
    expect(page.locator("#event-clip video")).to_be_hidden()
    for number in (1, 0, 2):
        row(page, number).locator(".event-open").click(no_wait_after=True)
    stands_on(page, 2)
    page.wait_for_function(PLAYS)
    stands_on(page, 2)


def test_the_curve_the_windows_and_the_clip_go_together(site: Site, store: Store, visitors: Visitors) -> None:
    page = open_review(visitors, site, "en/events/e0002")
    page.wait_for_function(PLAYS)
    tiles = page.locator(".window-tile.is-within")
    expect(tiles).to_have_count(3)
    expect(page.locator(".window-tile.is-voter")).to_have_count(2)
    for number in range(3):
        expect(tiles.nth(number)).not_to_contain_class("has-no-frame")
    # It would be over otherwise where the pictures take long; the key would then begin it anew.
    page.evaluate("document.querySelector('#event-clip video').loop = true")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('#event-clip video').paused")
    tiles.nth(1).locator("button").click()
    expect(page.locator("#window-dialog canvas")).to_have_count(6)
    page.keyboard.press("Escape")
    expect(page.locator("#window-dialog")).to_be_hidden()
    expect(tiles.nth(1)).to_have_class("window-tile tier-high is-within is-voter is-now")
    assert abs(page.evaluate("document.querySelector('#event-clip video').currentTime") - 5.0) < 0.2
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => Math.abs(document.querySelector('#event-clip video').currentTime - 6) < 0.2")
    expect(page.locator("#why-lines")).to_contain_text("2 of 3 windows from 0.75 on raise an alarm")
    expect(page.locator("#why-lines")).to_contain_text("Raised by 2 windows: 0.95 · 0.95.")
    expect(page.locator("#told-lines")).to_contain_text("nobody was told")
    open_row(page, 3)
    expect(page.locator(".window-tile.is-within img").first).to_be_visible()
    page.locator(".window-tile.is-within button").first.click()
    expect(page.locator("#window-dialog img")).to_have_count(6)
    page.wait_for_function("() => document.querySelector('#window-dialog img').naturalWidth === 320")


def test_what_was_missed_is_marked_on_the_timeline_listed_and_taken_back(
    site: Site, store: Store, visitors: Visitors
) -> None:
    page = open_review(visitors, site, "en/events/e0002")
    page.keyboard.press("m")
    expect(page.locator("#strip-notice")).to_contain_text("windows, 6 events, 0 missed.")
    page.locator("#camera-strip [data-seconds='600']").click()
    canvas = page.locator("#strip-canvas")
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] * 0.53, "y": 40})
    expect(page.locator("#moment .moment-window").first).to_be_visible()
    expect(page.locator("#moment-pictures")).to_contain_text("No pictures are kept of this moment")
    page.fill("#missed-note", "somebody fell")
    page.click("#missed-add")
    expect(page.locator("#moment .moment-missed")).to_contain_text("somebody fell")
    expect(page.locator("#events-found")).to_have_text("6 found · 1 missed")
    [span] = store.missed_spans.find()
    assert (span.source, span.note, span.who) == ("door", "somebody fell", "local")
    page.select_option("#filter-mark", "missed")
    expect(page.locator(".event-row.is-missed")).to_have_count(1)
    page.locator(".event-row.is-missed .event-open").click()
    expect(page.locator("#missed-detail")).to_contain_text("missed · door")
    page.reload()
    is_ready(page)
    expect(page.locator("#missed-detail")).to_contain_text("somebody fell")
    page.locator("#missed-detail button").click()
    expect(page.locator(".event-end")).to_contain_text("No missed incidents match")
    assert store.missed_spans.find() == []


def height_of(page: Page, number: int) -> float:
    """How far below the top of the list a row is seen."""
    top = "document.getElementById('event-scroller').getBoundingClientRect().top"
    return float(row(page, number).evaluate(f"row => row.getBoundingClientRect().top - {top}"))


def test_news_come_without_moving_what_is_looked_at(site: Site, store: Store, visitors: Visitors) -> None:
    page = open_review(visitors, site, "en/events/e0003")
    before = height_of(page, 3)
    made = review_event(6, camera=store.cameras.find("door"), end_s=None, closed_because="")
    store.events.save(made)
    keep_pictures(store, made, with_frames=False)
    expect(row(page, 6).locator(".is-open")).to_be_visible()
    assert abs(height_of(page, 3) - before) < 2
    expect(page.locator(".event-newer")).to_have_text("1 new ↑")
    stands_on(page, 3)
    page.fill("#note", "a draft")
    store.marks.add("e0003", "unsure", who="omar")
    expect(page.locator("#history-lines")).to_contain_text("omar")
    expect(page.locator("#note")).to_have_value("a draft")
    open_row(page, 6)
    expect(page.locator("#clip-notice")).to_contain_text("The event goes on")
    store.events.save(review_event(6, camera=store.cameras.find("door")))
    expect(page.locator("#detail-line")).to_contain_text("6.5 s")


def test_a_phone_shows_the_list_and_then_the_event(site: Site, visitors: Visitors) -> None:
    page = open_review(visitors, site, size=PHONE)
    expect(row(page, 5)).to_be_visible()
    expect(page.locator("#middle")).to_be_hidden()
    assert page.evaluate(FITS)
    open_row(page, 2)
    stands_on_phone(page, 2)
    expect(page.locator("#list-panel")).to_be_hidden()
    assert page.evaluate(FITS)
    page.click("#mark-unsure")
    stands_on_phone(page, 1)
    page.click("#to-list")
    expect(row(page, 2).locator(".mark-unsure")).to_be_visible()


def stands_on_phone(page: Page, number: int) -> None:
    expect(page.locator("#event-detail")).to_have_attribute("data-event", f"e{number:04d}")
    expect(page.locator("#detail-title")).to_be_in_viewport()
    expect(page.locator("#mark-true")).to_be_in_viewport()


@pytest.mark.parametrize(
    ("language", "rule", "task", "title"),
    [
        ("en", "camera covered", "camera", "Camera covered 0.97 · door (gate)"),
        ("zh", "camera covered", "camera", "摄像头被遮挡 0.97 · door（gate）"),
        ("en", "left luggage", "bags", "left luggage 0.97 · door (gate)"),
        ("zh", "fight", "fight", "打架斗殴 0.97 · door（gate）"),
    ],
)
def test_an_incident_is_named_by_its_rule_and_placed_as_the_language_has_it(
    site: Site, store: Store, visitors: Visitors, language: str, rule: str, task: str, title: str
) -> None:
    store.events.save(replace(store.events.get("e0005"), id="e0006", rule=rule, task=task))
    page = open_review(visitors, site, f"{language}/events/e0006")
    expect(page.locator("#detail-title > span:nth-child(2)")).to_have_text(title)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_words_of_models_cameras_and_people_are_never_html(
    site: Site, store: Store, visitors: Visitors, language: str
) -> None:
    camera = camera_in(store, EVIL, place=EVIL)
    made = review_event(7, camera=camera, id="evil1", text=EVIL, task=EVIL, model=EVIL, rule=EVIL, closed_because=EVIL)
    store.events.save(made)
    store.marks.add("evil1", "true", who=EVIL, note=EVIL)
    store.missed_spans.add(
        camera.id, from_utc="2025-10-09T09:00:00.000Z", to_utc="2025-10-09T09:00:09.000Z", who=EVIL, note=EVIL
    )
    page = open_review(visitors, site, f"{language}/events/evil1")
    expect(page.locator("#history-lines")).to_contain_text(EVIL)
    expect(page.locator("#why-lines")).to_contain_text(EVIL)
    for place in ("#detail-title", "#clip-words", "#event-pairs", "#strip-camera option:checked", ".event-row"):
        expect(page.locator(place).first).to_contain_text(EVIL)
    page.select_option("#filter-mark", "missed")
    expect(page.locator(".event-row.is-missed")).to_contain_text(EVIL)
    page.locator(".event-row.is-missed .event-open").click()
    expect(page.locator("#moment .moment-missed")).to_contain_text(EVIL)
    assert page.locator("img[src=x]").count() == 0


def test_keys_are_told_and_are_letters_while_something_is_typed(site: Site, visitors: Visitors) -> None:
    page = open_review(visitors, site)
    page.keyboard.press("?")
    expect(page.locator("#keys-help")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    expect(page.locator("#keys-help")).to_be_hidden()
    stands_on(page, 5)
    page.keyboard.press("/")
    page.keyboard.type("jt")
    expect(page.locator("#filter-text")).to_have_value("jt")
    page.wait_for_url("**text=jt")
    stands_on(page, 5, is_listed=False)
    page.keyboard.press("Escape")
    expect(page.locator(".event-row")).to_have_count(6)
    stands_on(page, 5)
