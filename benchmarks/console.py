"""What the console's watch room costs: how long a click takes, and what idle pages cost.

    python benchmarks/console.py                        8 cameras, 1 and 3 visitors, 3 rounds
    python benchmarks/console.py --cameras 2 --rounds 1 --look-s 5

Each visitor has a profile of their own, and looks at live pictures of all cameras; one opens the room, pauses a camera
and resumes it. Told are the CPU of the server beyond what it needs without a page, that of the browser, both in per
cent of one core, and the milliseconds of each act. Against Gradio's room it was measured before that one went
(docs/console.md).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Page

from browsing import Site, Tabs, Visitors, chromium, site_at
from console_pages import is_ready
from rtsp_server import running
from watching import bright_server, film

VISITORS = (1, 3)
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
    """What was measured with some number of visitors, a value a round."""

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


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


def open_room(page: Page, site: Site, cameras: int) -> None:
    """Goes to the room and waits until every camera has a picture."""
    page.goto(f"{site.url}en/watch")
    is_ready(page)
    page.locator(".card-picture:visible").nth(cameras - 1).wait_for()


def hold(page: Page, act: str) -> None:
    """Pauses or resumes the first camera, until the page says that it is so."""
    camera = page.locator(".card").first.get_attribute("data-camera")
    card = page.locator(f".card[data-camera='{camera}']")
    card.locator(".card-hold").click()
    badge = card.locator(".card-badge")
    badge.filter(has_text="paused").wait_for(state="visible" if act == "Pause" else "hidden")


def measure(site: Site, folder: Path, figures: RoomFigures, *, visitors: int, cameras: int, look_s: float) -> None:
    """One round, each visitor in a profile of its own."""
    alone_s, _ = spent(site, look_s)
    with chromium() as browser:
        people = Visitors(Tabs(browser), folder)
        pages = [
            people.visit(site.url, wait=False, script=COUNT, saves_data=False, first=True) for _ in range(visitors)
        ]
        page = pages[0]
        figures.open_ms.append(in_ms(lambda: open_room(page, site, cameras)))
        for other in pages[1:]:
            open_room(other, site, cameras)
        time.sleep(SETTLE_S)
        shown = page.evaluate("window.shown")
        server_s, browser_s = spent(site, look_s)
        figures.pictures_per_s.append((page.evaluate("window.shown") - shown) / look_s / cameras)
        figures.server_cpu.append(100 * max(0.0, server_s - alone_s) / look_s)
        figures.browser_cpu.append(100 * browser_s / look_s)
        figures.pause_ms.append(in_ms(lambda: hold(page, "Pause")))
        figures.resume_ms.append(in_ms(lambda: hold(page, "Resume")))


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
    figures = {visitors: RoomFigures() for visitors in VISITORS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = [film(folder / f"c{i}.mp4", seconds=FILM_S, fps=10, size_wh=(640, 360)) for i in range(given.cameras)]
        with bright_server(delay_s=0.05) as endpoint, running(*films) as camera:
            config = folder / "watch.yaml"
            config.write_text(f"sources: {json.dumps([camera.address(path.stem) for path in films])}\n")
            words = ("--model", "tiny", "--task", "fight_en", "--config", str(config))
            with site_at(endpoint.url, *words, folder=folder / "site") as site:
                for _ in range(given.rounds):
                    for visitors, told in figures.items():
                        measure(site, folder, told, visitors=visitors, cameras=given.cameras, look_s=given.look_s)
    report(figures, given.json)


def report(figures: dict[int, RoomFigures], to: Path | None) -> None:
    """Prints the medians."""
    told = {}
    for visitors, found in figures.items():
        for each in fields(found):
            told[f"console_{visitors}_{each.name}"] = statistics.median(getattr(found, each.name))
    for name, value in told.items():
        print(f"ratio {name} {value:.2f}")
    if to:
        to.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
