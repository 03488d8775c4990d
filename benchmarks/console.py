"""The console's watch room against Gradio's on the same machine: how long a click takes, and what an idle page costs.

    python benchmarks/console.py                        8 cameras, 3 rounds
    python benchmarks/console.py --cameras 2 --rounds 1 --look-s 5

One `web.py` serves both. In turn a page of each room is opened in a browser of its own, left alone with live pictures
of all cameras, and used: opened, a camera paused and resumed. Told are the CPU of the server beyond what it needs
without a page, that of the browser, both in per cent of one core, the pictures a second of a camera that were drawn for
it, and the milliseconds of each act.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Page
from web_pictures import cpu_of

from browsing import Site, Tabs, Visitors, chromium, site_at
from console_pages import is_ready
from rtsp_server import running
from watching import bright_server, film

ROOMS = ("gradio", "console")
PICTURES = {"gradio": ".room-picture", "console": ".card-picture"}
COUNT = """
window.shown = 0;
for (const kind of ["load", "picture"])
  document.addEventListener(kind, ({ target }) => {
    if (target.matches?.(".room-picture, .card-picture")) window.shown++;
  }, true);
"""
SETTLE_S = 5.0
FILM_S = 20


@dataclass
class RoomFigures:
    """What was measured of one room, a value a round."""

    server_cpu: list[float] = field(default_factory=list)
    browser_cpu: list[float] = field(default_factory=list)
    open_ms: list[float] = field(default_factory=list)
    pause_ms: list[float] = field(default_factory=list)
    resume_ms: list[float] = field(default_factory=list)
    pictures_per_s: list[float] = field(default_factory=list)


def in_ms(act: Callable[[], object]) -> float:
    """How long something takes."""
    began_s = time.monotonic()
    act()
    return 1000 * (time.monotonic() - began_s)


def browser_cpu_s() -> float:
    """Seconds of CPU of all processes of the browsers that this process has started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, waiting = 0.0, [os.getpid()]
    while waiting:
        each = waiting.pop()
        waiting += children.get(each, [])
        try:
            is_browser = "chrom" in Path(f"/proc/{each}/cmdline").read_text()[:200]
            found += cpu_of(each) if is_browser else 0.0
        except OSError:
            continue
    return found


def open_room(page: Page, site: Site, room: str, cameras: int) -> None:
    """Goes to a room and waits until every camera has a picture."""
    if room == "gradio":
        page.goto(f"{site.url}en/#room")
    else:
        page.goto(f"{site.url}en/watch")
        is_ready(page)
    page.locator(f"{PICTURES[room]}:visible").nth(cameras - 1).wait_for()


def hold(page: Page, room: str, act: str) -> None:
    """Pauses or resumes the first camera, until the page says that it is so."""
    if room == "gradio":
        card = page.locator(".room-card").first
        card.locator(".room-hold").click()
        card.locator(".room-hold", has_text="Resume" if act == "Pause" else "Pause").wait_for()
        return
    camera = page.locator(".card").first.get_attribute("data-camera")
    card = page.locator(f".card[data-camera='{camera}']")
    card.locator(".card-menu").click()
    page.get_by_role("menuitem", name=act, exact=True).click()
    badge = card.locator(".card-badge")
    badge.filter(has_text="paused").wait_for(state="visible" if act == "Pause" else "hidden")


def measure(site: Site, folder: Path, room: str, figures: RoomFigures, *, cameras: int, look_s: float) -> None:
    """One round with one room, in a browser of its own."""
    alone_s, _ = spent(site, look_s)
    with chromium() as browser:
        page = Visitors(Tabs(browser), folder).visit(site.url, wait=False, script=COUNT, saves_data=False)
        figures.open_ms.append(in_ms(lambda: open_room(page, site, room, cameras)))
        time.sleep(SETTLE_S)
        shown = page.evaluate("window.shown")
        server_s, browser_s = spent(site, look_s)
        figures.pictures_per_s.append((page.evaluate("window.shown") - shown) / look_s / cameras)
        figures.server_cpu.append(100 * max(0.0, server_s - alone_s) / look_s)
        figures.browser_cpu.append(100 * browser_s / look_s)
        figures.pause_ms.append(in_ms(lambda: hold(page, room, "Pause")))
        figures.resume_ms.append(in_ms(lambda: hold(page, room, "Resume")))


def spent(site: Site, look_s: float) -> tuple[float, float]:
    """The CPU that server and browser spend within some seconds."""
    before = cpu_of(site.process.pid), browser_cpu_s()
    time.sleep(look_s)
    return cpu_of(site.process.pid) - before[0], browser_cpu_s() - before[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--look-s", type=float, default=15.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = {room: RoomFigures() for room in ROOMS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = [film(folder / f"c{i}.mp4", seconds=FILM_S, fps=10, size_wh=(640, 360)) for i in range(given.cameras)]
        with bright_server(delay_s=0.05) as endpoint, running(*films) as camera:
            config = folder / "watch.yaml"
            config.write_text(f"sources: {json.dumps([camera.address(path.stem) for path in films])}\n")
            words = ("--model", "tiny", "--task", "fight_en", "--config", str(config))
            with site_at(endpoint.url, *words, folder=folder / "site") as site:
                for _ in range(given.rounds):
                    for room in ROOMS:
                        measure(site, folder, room, figures[room], cameras=given.cameras, look_s=given.look_s)
    report(figures, given.json)


def report(figures: dict[str, RoomFigures], to: Path | None) -> None:
    """Prints the medians and the ratios of the console to Gradio."""
    names = ("server_cpu", "browser_cpu", "open_ms", "pause_ms", "resume_ms", "pictures_per_s")
    medians = {room: {name: statistics.median(getattr(figures[room], name)) for name in names} for room in ROOMS}
    ratios = {}
    for name in names:
        gradio, console = (medians[room][name] for room in ROOMS)
        ratios[f"console_{name}"] = console / gradio if gradio else 0.0
        print(f"| {name} | gradio {gradio:.1f} | console {console:.1f} | {ratios[f'console_{name}']:.2f} |")
    cpu = {room: medians[room]["server_cpu"] + medians[room]["browser_cpu"] for room in ROOMS}
    ratios["console_cpu"] = cpu["console"] / cpu["gradio"] if cpu["gradio"] else 0.0
    for name, value in ratios.items():
        print(f"ratio {name} {value:.2f}")
    if to:
        to.write_text(json.dumps({"medians": medians, "ratios": ratios}, indent=1))


if __name__ == "__main__":
    main()
