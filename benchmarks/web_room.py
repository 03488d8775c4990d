"""How long a visitor's click takes in the watch room and the review while cameras are watched and others look too.

python benchmarks/web_room.py                          4 cameras, 3 visitors
python benchmarks/web_room.py --cameras 1 --visitors 1 --rounds 5
python benchmarks/web_room.py --vllm                   the shipped tiny base behind the real vLLM judges

`web.py` is a process of its own, the cameras are RTSP streams of 640x360 at 10 fps, the endpoint is scripted (it
answers in 50 ms), and each visitor is a browser context. Every visitor looks at the room; one of them clicks, and looks
for half a second at what a click showed before the next one.
The store holds events of an earlier watch, with clip, snapshot, frames and verdicts, so that there is something to
click on also where the model raises no alarm (the tiny base was never taught what one is).
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Page
from web_pictures import cpu_of

from browsing import Site, Tabs, Visitors, chromium, site_at
from rooms import event, with_events
from rtsp_server import running
from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge import Endpoint
from vigil.questions import load_question
from vigil.serving import server as serving
from vigil.sources.video_info import full_size_frames
from vigil.tiny import BASE_FOLDER
from vigil.verdict import JudgedWindow, Outcome, Verdict
from watching import bright_server, film

FILM_S = 20
LOOK_S = 8.0
BETWEEN_CLICKS_S = 0.5
EARLIER = 30
STRIDE_S = 2.0
FRAMES = 6
TINY = FrameSampling(max_pixels=12_288)
"""What the tiny base was made for."""

COUNT = """
() => {
  window.shown = 0;
  document.addEventListener("load", ({ target }) => {
    if (target.classList?.contains("room-picture")) window.shown++;
  }, true);
}
"""


@contextmanager
def endpoint(*, is_real: bool, folder: Path) -> Iterator[Endpoint]:
    """Who judges: a scripted server to whom bright pictures are an alarm, or the tiny base behind the real vLLM."""
    if not is_real:
        with bright_server(delay_s=0.05) as scripted:
            yield Endpoint(url=scripted.url, model="tiny")
        return
    options: dict[str, Any] = {"name": "tiny", "task": load_question("fight_en"), "sampling": TINY}
    with serving.run_server(BASE_FOLDER, log=folder / "vllm.log", key_file=folder / "key", **options) as server:
        yield server.endpoint()


def fill_store(folder: Path, clip: Path) -> None:
    """Puts events of an earlier watch into the store, each with everything that a watch keeps of one."""
    jpeg = encode_jpeg(next(full_size_frames(clip))[0], quality=85)
    events = [event(number) for number in range(EARLIER)]
    windows = [window(number) for number in range(round(events[-1].onset_s / STRIDE_S) + 10)]
    with with_events(folder) as store:
        store.sessions.start(source=events[0].source, model="tiny", task="fight_en")
        store.verdicts.add(windows)
        for each in events:
            store.events.save(each)
            store.media.keep(each.id, "clips", ".mp4", lambda path: shutil.copyfile(clip, path) and None)
            store.media.keep(each.id, "snapshots", ".jpg", lambda path: path.write_bytes(jpeg) and None)
            for evidence in each.windows:
                store.media.keep_frames(each.id, evidence.window, [jpeg] * FRAMES)


def window(number: int) -> JudgedWindow:
    start_s = number * STRIDE_S
    verdict = Verdict(outcome=Outcome.NORMAL, p_alarm=0.1 + 0.08 * (number % 10), start_s=start_s, end_s=start_s + 2.5)
    return JudgedWindow(source=event(0).source, window=number, verdict=verdict)


def in_ms(act: Callable[[], object]) -> float:
    """How long something takes, done after a look."""
    time.sleep(BETWEEN_CLICKS_S)
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
        shown = "No events match" if text else ""
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
    pages = [visitors.visit(site.url, saves_data=False) for _ in range(people)]
    for page in pages:
        page.click("#tab-room-button")
        page.locator(".room-picture").nth(cameras - 1).wait_for(timeout=60_000)
    pages[0].locator(".room-row").nth(1).wait_for(timeout=60_000)
    # A strip is drawn from verdicts: now every camera is judged.
    pages[0].locator(".room-strip:not([hidden])").nth(cameras - 1).wait_for(timeout=60_000)
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
    parser.add_argument("--vllm", action="store_true", help="judge with the shipped tiny base behind the real vLLM")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = [
            film(folder / f"c{i}.mp4", seconds=FILM_S, bright=[(4 + i, 9 + i)], fps=10, size_wh=(640, 360))
            for i in range(given.cameras)
        ]
        fill_store(folder / "site", films[0])
        judge = endpoint(is_real=given.vllm, folder=folder)
        with judge as asked, running(*films) as camera, chromium() as browser:
            config = folder / "watch.yaml"
            sources = json.dumps([camera.address(path.stem) for path in films])
            config.write_text(f"sources: {sources}\nrules: [{{type: hysteresis, quiet_s: 3.0}}]\nkeep_frames: true\n")
            words = ("--model", asked.model, "--task", "fight_en", "--config", str(config))
            with site_at(asked.url, *words, folder=folder / "site", key=asked.api_key) as site:
                people = Visitors(Tabs(browser), folder)
                figures = measure(site, people, cameras=given.cameras, people=given.visitors, rounds=given.rounds)
    measured = "web_room_vllm" if given.vllm else "web_room"
    for key, value in figures.items():
        print(f"ratio {measured}_{key} {value:.2f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
