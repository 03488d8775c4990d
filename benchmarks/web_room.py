"""How long a visitor's click takes in the watch room and the review while cameras are watched and others look too.

python benchmarks/web_room.py                          4 cameras, 3 visitors
python benchmarks/web_room.py --cameras 1 --visitors 1 --rounds 5

`web.py` is a process of its own, the cameras are RTSP streams of 640x360 at 10 fps, the endpoint is scripted (it
answers in 50 ms), and each visitor is a browser context. Every visitor looks at the room; one of them clicks.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from playwright.sync_api import Page
from web_pictures import cpu_of

from browsing import Site, Visitors, chromium, site_at
from rtsp_server import running
from watching import bright_server, film

FILM_S = 20
LOOK_S = 8.0
COUNT = """
() => {
  window.shown = 0;
  document.addEventListener("load", ({ target }) => {
    if (target.classList?.contains("room-picture")) window.shown++;
  }, true);
}
"""


def in_ms(act: Callable[[], object]) -> float:
    """How long something takes."""
    started_s = time.monotonic()
    act()
    return 1000 * (time.monotonic() - started_s)


def click_around(page: Page) -> dict[str, float]:
    """Each kind of click, from the click to what it shows, in milliseconds."""
    took = {}

    def to_review() -> None:
        page.click("#tab-review-button")
        page.locator(".review-row").first.wait_for()

    def open_event(number: int) -> None:
        page.locator(".review-row").nth(number).click()
        # The list may have moved under the pointer: what was opened is what is marked as such.
        name = page.locator(".review-row[aria-selected=true]").first.get_attribute("data-event") or ""
        page.locator("#review-detail", has_text=name).wait_for()

    def mark() -> None:
        before = page.locator("#review-marks li").count()
        page.click("#review-unsure")
        page.wait_for_function("n => document.querySelectorAll('#review-marks li').length > n", arg=before)

    def search(text: str) -> None:
        page.locator("#review-text textarea, #review-text input").fill(text)
        shown = "Nothing found" if text else ""
        page.locator("#review-list", has_text=shown).locator(".review-row, .room-quiet").first.wait_for()

    def pause(now: str, then: str) -> None:
        card = page.locator(".room-card").first
        card.locator(".room-hold").click()
        card.locator(".room-hold", has_text=then).wait_for()

    took["to the review"] = in_ms(to_review)
    took["open an event"] = in_ms(lambda: open_event(0))
    took["open another"] = in_ms(lambda: open_event(1))
    took["mark it"] = in_ms(mark)
    took["search"] = in_ms(lambda: search("no such words"))
    took["take the search back"] = in_ms(lambda: search(""))
    took["to the room"] = in_ms(lambda: page.click("#tab-room-button"))
    took["pause a camera"] = in_ms(lambda: pause("Pause", "Resume"))
    took["resume it"] = in_ms(lambda: pause("Resume", "Pause"))
    return took


def measure(site: Site, visitors: Visitors, *, cameras: int, people: int, rounds: int) -> dict[str, float]:
    """The worst of each click, the pictures a second that each visitor sees of a camera, and the CPU of the pages."""
    pages = [visitors.visit(site.url) for _ in range(people)]
    for page in pages:
        page.click("#tab-room-button")
        page.locator(".room-picture").nth(cameras - 1).wait_for(timeout=60_000)
    pages[0].locator(".room-row").nth(1).wait_for(timeout=60_000)
    for page in pages:
        page.evaluate(COUNT)
    cpu_s = cpu_of(site.process.pid)
    time.sleep(LOOK_S)
    cpu_s = cpu_of(site.process.pid) - cpu_s
    shown = [page.evaluate("window.shown") / LOOK_S / cameras for page in pages]
    clicks = [click_around(pages[number % people]) for number in range(rounds)]
    figures = {name: max(one[name] for one in clicks) for name in clicks[0]}
    print(f"{cameras} cameras, {people} visitors, {rounds} rounds of clicks")
    for name in figures:
        told = [one[name] for one in clicks]
        print(f"| {name} | {statistics.median(told):.0f} | {max(told):.0f} |")
    print(f"pictures/s of a camera: {min(shown):.2f} to {max(shown):.2f}; CPU of web.py: {100 * cpu_s / LOOK_S:.0f} %")
    return {"slowest_click_ms": max(figures.values()), "pictures_per_s": min(shown), "cpu": cpu_s / LOOK_S}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--visitors", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = [
            film(folder / f"c{i}.mp4", seconds=FILM_S, bright=[(4 + i, 9 + i)], fps=10, size_wh=(640, 360))
            for i in range(given.cameras)
        ]
        with running(*films) as camera, bright_server(delay_s=0.05) as server, chromium() as browser:
            config = folder / "watch.yaml"
            sources = json.dumps([camera.address(path.stem) for path in films])
            config.write_text(f"sources: {sources}\nevents: {{quiet_s: 3.0}}\nkeep_frames: true\n")
            words = ("--model", "tiny", "--task", "fight_en", "--config", str(config))
            with site_at(server.url, *words, folder=folder / "site") as site:
                people = Visitors(browser, folder)
                figures = measure(site, people, cameras=given.cameras, people=given.visitors, rounds=given.rounds)
    for key, value in figures.items():
        print(f"ratio web_room_{key} {value:.2f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
