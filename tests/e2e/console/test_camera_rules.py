"""Rules and times of a camera, and pausing, in a real Chromium; and the console in windows between phone and desk."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from browsing import Site, Visitors, settle, site_at
from console_pages import card, choose, hold, is_ready, open_page, strip_row
from rtsp_server import Running, running
from vigil.rules.schedule import DAYS
from waiting import HANG_S, until
from watching import bright_server, film

pytestmark = pytest.mark.e2e
WIDTHS = ((768, 1024), (900, 700), (1024, 768), (1180, 820))
RULES = "rules:\n  - {type: hysteresis}\n  - {type: duration, name: loitering, for_s: 600}\n"


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two cameras: the door is bright and alarms, the yard is dark."""
    folder = tmp_path_factory.mktemp("films")
    door = film(folder / "door.mp4", seconds=20, bright=[(0, 20)], fps=10, size_wh=(320, 180))
    yard = film(folder / "yard.mp4", seconds=20, fps=10, size_wh=(320, 180))
    with running(door, yard) as camera:
        yield camera


@pytest.fixture(scope="module")
def room(cameras: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages, watching both, with an alarm that nobody has seen."""
    folder = tmp_path_factory.mktemp("room")
    config = folder / "watch.yaml"
    named = "".join(f"  - {{name: {each}, url: '{cameras.address(each, login='')}'}}\n" for each in ("door", "yard"))
    config.write_text(f"sources:\n{named}{RULES}")
    with bright_server() as server:
        words = ("--model", "tiny", "--task", "fight_en", "--config", str(config))
        with site_at(server.url, *words, folder=folder) as site:
            with asking(site) as client:
                until(lambda: client.get("/events", params={"state": "alarm"}).json()["events"], every_s=0.2)
            yield site


def asking(site: Site) -> httpx.Client:
    return httpx.Client(base_url=f"{site.url}api/v1", timeout=HANG_S)


@pytest.fixture
def page(room: Site, visitors: Visitors) -> Iterator[Page]:
    """A visitor in the watch room whose browser has nothing to complain about in the end."""
    visitors.complaints.clear()
    yield open_page(visitors, room)
    assert visitors.complaints == []


def dialog_of(page: Page) -> Locator:
    choose(page, "yard", "Rules and times")
    dialog = page.locator("dialog")
    expect(dialog.locator(".rule")).to_have_count(2)
    return dialog


def save(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Save").click()


def test_rules_thresholds_and_times_are_set_shown_again_and_taken_away(
    page: Page, room: Site, visitors: Visitors
) -> None:
    dialog = dialog_of(page)
    fight, loitering = dialog.locator(".rule").all()
    expect(fight.locator("[data-key=k]")).to_have_attribute("placeholder", "2")
    expect(loitering.locator("[data-key=for_s]")).to_have_attribute("placeholder", "600")
    fight.locator("[data-key=k]").fill("3")
    fight.locator("[data-key=high]").fill("0.97")
    loitering.get_by_role("checkbox").uncheck()
    dialog.get_by_label("Alarms count at").fill("mno 03:00-03:01")
    save(dialog)
    expect(dialog.locator(".dialog-told")).to_contain_text("did you mean mon?")
    # Two days ahead, so never now.
    day = DAYS[(datetime.now(UTC).weekday() + 2) % 7]
    dialog.get_by_label("Alarms count at").fill(f"{day} 23:00-23:01")
    dialog.get_by_label("Time zone").fill("Asia/Shanghai")
    visitors.shoot(page, "console-rules")
    with asking(room) as client:
        save(dialog)
        expect(dialog).to_have_count(0)
        told = client.get("/cameras/yard").json()
        assert told["rules"] == ["fight_en"] and told["timezone"] == "Asia/Shanghai"
        assert [(each["k"], each["tiers"]["high"]) for each in told["thresholds"]] == [(3, 0.97)]
        expect(card(page, "yard").locator(".card-times")).to_have_text("no alarms now")
    dialog = dialog_of(page)
    expect(dialog.locator(".rule").nth(1).get_by_role("checkbox")).not_to_be_checked()
    expect(dialog.locator(".rule").first.locator("[data-key=k]")).to_have_value("3")
    dialog.locator(".rule").first.get_by_role("checkbox").uncheck()
    save(dialog)
    expect(dialog.locator(".dialog-told")).to_contain_text("at least one rule")
    for each in dialog.locator(".rule").all():
        each.get_by_role("checkbox").check()
    for key in ("k", "high"):
        dialog.locator(".rule").first.locator(f"[data-key={key}]").fill("")
    dialog.get_by_label("Alarms count at").fill("")
    save(dialog)
    expect(dialog).to_have_count(0)
    with asking(room) as client:
        told = client.get("/cameras/yard").json()
    assert (told["rules"], told["thresholds"], told["schedule"], told["timezone"]) == ([], [], "", "")
    expect(card(page, "yard").locator(".card-times")).to_have_text("")
    # Browsers note what was refused.
    visitors.complaints[:] = [each for each in visitors.complaints if "400" not in each]


def test_a_camera_is_asked_a_sentence_with_thresholds_of_its_own_and_it_is_taken_away(
    page: Page, room: Site, visitors: Visitors
) -> None:
    dialog = dialog_of(page)
    dialog.get_by_label("Also watch for").fill("<video>")
    save(dialog)
    expect(dialog.locator(".dialog-told")).to_contain_text("must not contain '<video>'")
    climbing = "Is somebody climbing over the fence?"
    dialog.get_by_label("Also watch for").fill(climbing)
    dialog.get_by_label("Ask only when").check()
    for each in dialog.locator(".rule").all():
        each.get_by_role("checkbox").uncheck()
    save(dialog)
    expect(dialog).to_have_count(0)
    with asking(room) as client:
        told = client.get("/cameras/yard").json()
        assert told["rules"] == [climbing], "the rule of the question alone"
        (task,) = told["tasks"]
        assert (task["ask"], task["rule"], task["ask_when"]["label"]) == (climbing, climbing, "alarm")
        until(lambda: client.get("/cameras/yard").json()["tasks"][0]["calibration"], every_s=0.2)
    choose(page, "yard", "Rules and times")
    expect(dialog.locator(".rule")).to_have_count(3)
    row = dialog.locator(".questions li")
    expect(row).to_contain_text("asked after the task's own question, from 0.5")
    expect(row).to_contain_text("not calibrated: 0 of 20 marked events")
    visitors.shoot(page, "console-questions")
    dialog.locator(".rule").first.get_by_role("checkbox").check()
    dialog.locator(".rule").nth(2).locator("[data-key=k]").fill("1")
    dialog.get_by_label("Or a question of this server").select_option("fall_en")
    save(dialog)
    expect(dialog).to_have_count(0)
    with asking(room) as client:
        told = client.get("/cameras/yard").json()
        assert [each["rule"] for each in told["tasks"]] == [climbing, "fall_en"] and told["rules"] == ["fight_en"]
        assert [(each["rule"], each["k"]) for each in told["thresholds"]] == [(climbing, 1)]
    choose(page, "yard", "Rules and times")
    for name in (climbing, "A person falls"):
        dialog.get_by_role("button", name=f"Remove {name}").click()
    expect(dialog.locator(".rule:visible")).to_have_count(2)
    dialog.locator(".rule").nth(1).get_by_role("checkbox").check()
    save(dialog)
    expect(dialog).to_have_count(0)
    with asking(room) as client:
        told = client.get("/cameras/yard").json()
    assert (told["tasks"], told["rules"], told["thresholds"]) == ([], [], [])
    # Browsers note what was refused.
    visitors.complaints[:] = [each for each in visitors.complaints if "400" not in each]


def test_the_dialog_of_rules_in_chinese(room: Site, visitors: Visitors) -> None:
    page = open_page(visitors, room, "zh/watch")
    choose(page, "yard", "规则与时段")
    expect(page.locator("dialog")).to_contain_text("告警时段")
    expect(page.locator("dialog .rule")).to_have_count(2)
    visitors.shoot(page, "console-rules-zh")


def test_a_pause_is_shown_before_the_service_has_answered_and_put_back_if_it_refuses(
    page: Page, visitors: Visitors
) -> None:
    held: list[Route] = []
    page.route("**/api/v1/cameras/*/pause", lambda route: held.append(route))
    badge = card(page, "yard").locator(".card-badge")
    expect(badge).to_contain_text("Normal")
    hold(page, "yard", "Pause")
    expect(badge).to_have_text("paused")
    until(lambda: held or page.wait_for_timeout(20))
    # What the service tells of it meanwhile does not take back what was pressed.
    with page.expect_response("**/api/v1/cameras"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(badge).to_have_text("paused")
    refusal: dict[str, Any] = {"type": "urn:vigil:problem:conflict", "detail": "it has ended"}
    held.pop().fulfill(status=409, json=refusal, content_type="application/problem+json")
    expect(page.locator(".toast.is-problem")).to_contain_text("it has ended")
    expect(badge).to_contain_text("Normal")
    page.locator(".toast.is-problem").click()  # it stays until then, and may lie over the menu
    page.unroute("**/api/v1/cameras/*/pause")
    hold(page, "yard", "Pause")
    expect(page.locator(".toast:not(.is-problem)")).to_contain_text("yard is paused")
    expect(badge).to_have_text("paused")
    hold(page, "yard", "Resume")
    expect(badge).to_contain_text("Normal")
    visitors.complaints[:] = [each for each in visitors.complaints if "409" not in each]


def is_in_window(page: Page, part: Locator) -> bool:
    box = part.bounding_box()
    size = page.viewport_size
    assert size is not None
    return bool(
        box
        and box["x"] >= 0
        and box["y"] >= 0
        and box["x"] + box["width"] <= size["width"] + 1
        and box["y"] + box["height"] <= size["height"] + 1
    )


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_between_a_phone_and_a_desk_the_queue_and_the_marks_stay_in_the_window(
    room: Site, visitors: Visitors, width: int, height: int
) -> None:
    page = open_page(visitors, room, size={"width": width, "height": height})
    expect(strip_row(page, "alarm")).to_be_visible()
    expect(page.locator(".queue-row").first).to_be_visible()
    settle(page)
    acknowledge = page.locator(".queue-row").first.get_by_role("button", name="Acknowledge")
    for part in (page.locator(".queue"), acknowledge, card(page, "door"), card(page, "yard")):
        assert is_in_window(page, part), (width, part)
    page.goto(f"{room.url}en/events")
    is_ready(page)
    page.locator(".event-row").first.click()
    expect(page.locator("#mark-true")).to_be_visible()
    settle(page)
    for part in page.locator(".mark-button").all():
        assert is_in_window(page, part), width
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
