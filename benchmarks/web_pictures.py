"""Which of Gradio's ways of showing live pictures is smooth: pictures a second in Chromium, their age, the CPU.

python benchmarks/web_pictures.py                     all ways, 1 and 4 cameras, 1 and 3 visitors
python benchmarks/web_pictures.py --ways server_function --cameras 4 --visitors 3 --seconds 20

Pictures are 640x360 at 5 a second and carry their number in their top rows, which the browser reads back: a picture
counts once, and its age is known. The page under test is a process of its own (`web_pictures_page.py`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from playwright.sync_api import Browser, Error, Page

from browsing import chromium

PAGE = Path(__file__).with_name("web_pictures_page.py")
WAYS = ("image_timer", "image_generator", "html_timer", "html_generator", "server_function")
SETTLE_S = 5.0
PROBE = """
(() => {
  window.seen = {};
  window.ages = [];
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 16;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  document.addEventListener("load", ({ target }) => {
    if (target.tagName !== "IMG" || target.naturalWidth !== 640) return;
    pen.drawImage(target, 0, 0, 640, 16, 0, 0, 640, 16);
    const data = pen.getImageData(0, 0, 640, 16).data;
    let number = 0;
    for (let bit = 0; bit < 16; bit++) if (data[(8 * 640 + bit * 40 + 20) * 4] > 128) number |= 1 << bit;
    const camera = [...document.querySelectorAll("img")].filter((image) => image.naturalWidth === 640).indexOf(target);
    const numbers = (window.seen[camera] ||= new Set());
    if (numbers.has(number)) return;
    numbers.add(number);
    window.ages.push(((Date.now() / 200) % 65536 - number) / 5);
  }, true);
})()
"""
ASK = "() => ({ counts: Object.values(window.seen).map((numbers) => numbers.size), ages: window.ages })"
FORGET = "() => { window.seen = {}; window.ages = []; }"


@dataclass(frozen=True, slots=True)
class Row:
    """One trial: pictures a second of a camera (mean, worst), their age in the browser, the server's CPU in percent."""

    way: str
    cameras: int
    visitors: int
    fps: float
    worst_fps: float
    age_ms: float
    age_p95_ms: float
    cpu_percent: float


def trial(browser: Browser, way: str, cameras: int, visitors: int, *, port: int, seconds: float) -> Row:
    """Serves one way, lets visitors look for a while, and counts what reaches them."""
    with subprocess.Popen([sys.executable, str(PAGE), way, str(cameras), str(port)]) as server:
        try:
            pages = [visit(browser, port) for _ in range(visitors)]
            time.sleep(SETTLE_S)
            for page in pages:
                page.evaluate(FORGET)
            cpu_s, started_s = cpu_of(server.pid), time.monotonic()
            time.sleep(seconds)
            cpu_s, took_s = cpu_of(server.pid) - cpu_s, time.monotonic() - started_s
            told = [page.evaluate(ASK) for page in pages]
            for page in pages:
                page.context.close()
        finally:
            server.kill()
    rates = [count / took_s for each in told for count in each["counts"]] or [0.0]
    ages_ms = sorted(1000 * age for each in told for age in each["ages"]) or [0.0]
    return Row(
        way,
        cameras,
        visitors,
        round(statistics.mean(rates), 2),
        round(min(rates), 2),
        round(statistics.median(ages_ms)),
        round(ages_ms[int(len(ages_ms) * 0.95)]),
        round(100 * cpu_s / took_s, 1),
    )


def visit(browser: Browser, port: int) -> Page:
    """A visitor with a session of its own."""
    page = browser.new_context().new_page()
    page.add_init_script(PROBE)
    until_s = time.monotonic() + 60
    while True:
        try:
            page.goto(f"http://127.0.0.1:{port}", wait_until="domcontentloaded")
            return page
        except Error:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.3)


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--cameras", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--visitors", nargs="+", type=int, default=[1, 3])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--port", type=int, default=7899)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows: list[Row] = []
    with chromium() as browser:
        print("| way | cameras | visitors | fps | worst | age ms | p95 ms | server CPU % |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|")
        trials = [(w, c, v) for c in given.cameras for v in given.visitors if (c, v) != (1, 3) for w in given.ways]
        for number, (way, cameras, visitors) in enumerate(trials):
            row = trial(browser, way, cameras, visitors, port=given.port + number, seconds=given.seconds)
            rows.append(row)
            print("| " + " | ".join(str(value) for value in asdict(row).values()) + " |", flush=True)
    ratios = {f"web_pictures_{row.way}_{row.cameras}_{row.visitors}_fps": row.fps for row in rows}
    for name, value in ratios.items():
        print(f"ratio {name} {value}")
    if given.json:
        given.json.write_text(json.dumps({"rows": [asdict(row) for row in rows], "ratios": ratios}, indent=1))


if __name__ == "__main__":
    main()
