"""What a page costs while nobody touches it: the CPU of `web.py` and of a browser, against Gradio left as it is.

    python benchmarks/idle_page.py --rounds 3

Both sites run all the time; in turn a page of each is opened, left alone, and looked at for a few seconds. The
endpoint is scripted, nothing is watched. CPU is told in per cent of one core.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from web_pictures import cpu_of

from browsing import ROOT, Site, Tabs, Visitors, chromium, site_at
from scripted_server import ScriptedServer

AS_GRADIO_IS = """
import sys
from app.web import gradio_patches
gradio_patches.PROGRESS_SCRIPT, gradio_patches.slow_event_polling = "", lambda page: None
from app.server import main
sys.exit(main())
"""
WAYS = {"Vigil": ("web.py",), "Gradio as it is": ("-c", AS_GRADIO_IS)}
SETTLE_S = 6.0
LOOK_S = 8.0


def browser_s() -> float:
    """Seconds of CPU that all of the browser's processes have used."""
    total_s = 0.0
    for entry in Path("/proc").iterdir():
        try:
            is_browser = entry.name.isdigit() and b"chrom" in (entry / "cmdline").read_bytes().split(b"\0")[0]
            total_s += cpu_of(int(entry.name)) if is_browser else 0.0
        except OSError:
            continue
    return total_s


def look(site: Site, visitors: Visitors) -> tuple[float, float]:
    """Per cent of a core that the server and the browser take for one page, left alone."""
    page = visitors.visit(site.url)
    time.sleep(SETTLE_S)
    before = cpu_of(site.process.pid), browser_s()
    time.sleep(LOOK_S)
    after = cpu_of(site.process.pid), browser_s()
    visitors.leave(page)
    return (after[0] - before[0]) / LOOK_S * 100, (after[1] - before[1]) / LOOK_S * 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(ScriptedServer(models=["tiny"]))
        sites = {
            way: stack.enter_context(
                site_at(server.url, folder=folder / str(number), env={"PYTHONPATH": str(ROOT)}, program=program)
            )
            for number, (way, program) in enumerate(WAYS.items())
        }
        visitors = Visitors(Tabs(stack.enter_context(chromium())), folder)
        for _ in range(given.rounds):
            for way, site in sites.items():
                found[way].append(look(site, visitors))
    for way, rounds in found.items():
        of_server, of_browser = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"{way}: web.py {of_server:.1f} %, browser {of_browser:.1f} % of a core")
    ours, theirs = (statistics.median(map(sum, found[way])) for way in WAYS)
    print(f"ratio idle_page_cpu_of_gradios_own {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
