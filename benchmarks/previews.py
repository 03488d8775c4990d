"""What live pictures for people cost: RTSP cameras of 640x360 and 25 frames a second, read as `vigil watch` reads them.

In turn, over the same connections, with nobody looking and with somebody looking at all of them, at 5 pictures a
second: the share of one core, and how many pictures came. CPU seconds count: they hardly depend on who else is busy.

    python benchmarks/previews.py --cameras 1 4 --json previews.json
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cameras import footage_named
from footage import shoot

from vigil.frames import Frame, FrameSampling
from vigil.sources.address import Address
from vigil.sources.open_capture import open_capture
from vigil.sources.preview import PreviewEncoder
from vigil.windows import Windower

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from rtsp_server import running

SAMPLING = FrameSampling()
SETTLE_S = 4.0


@dataclass(slots=True)
class Cost:
    """A number of cameras: per cent of one core without and with people who look, and what those were shown."""

    cameras: int
    alone_pct: float
    looked_at_pct: float
    pictures_per_s: float
    kb: float


class Looker:
    """Somebody who looks at every camera, at times."""

    def __init__(self) -> None:
        self.looks = False
        self.sizes: list[int] = []

    def previewer(self, fps: float) -> PreviewEncoder:
        return PreviewEncoder(fps=fps, longest_px=640, is_wanted=lambda: self.looks, show=self.show)

    def show(self, jpeg: bytes, _: float) -> None:
        self.sizes.append(len(jpeg))


def watch(url: str, previewer: PreviewEncoder, stop: threading.Event) -> None:
    cutter = Windower(SAMPLING)
    for signal in open_capture(Address("stream", "camera", url), SAMPLING, stop=stop, previewer=previewer).read():
        if isinstance(signal, Frame):
            list(cutter.push(signal))


def cost(url: str, cameras: int, *, fps: float, rounds: int, seconds: float) -> Cost:
    """Turns the looking on and off, `rounds` times."""
    stop, looker = threading.Event(), Looker()
    threads = [threading.Thread(target=watch, args=(url, looker.previewer(fps), stop)) for _ in range(cameras)]
    for thread in threads:
        thread.start()
    time.sleep(SETTLE_S)
    shares: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for looker.looks in (False, True):
            began_s, cpu_s = time.monotonic(), time.process_time()
            time.sleep(seconds)
            shares[looker.looks].append(100 * (time.process_time() - cpu_s) / (time.monotonic() - began_s))
    looker.looks = False
    stop.set()
    for thread in threads:
        thread.join()
    return Cost(
        cameras=cameras,
        alone_pct=statistics.median(shares[False]),
        looked_at_pct=statistics.median(shares[True]),
        pictures_per_s=len(looker.sizes) / (rounds * seconds * cameras),
        kb=statistics.mean(looker.sizes) / 1000,
    )


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        film = shoot(footage_named("360p_camera"), Path(scratch), options.clips)
        with running(film) as server:
            address = server.address()
            costs = [
                cost(address, cameras, fps=options.fps, rounds=options.rounds, seconds=options.seconds)
                for cameras in options.cameras
            ]
    for each in costs:
        print(
            f"{each.cameras} cameras: {each.alone_pct:.1f} % of a core with nobody looking, {each.looked_at_pct:.1f} % "
            f"with somebody, {each.pictures_per_s:.2f} pictures/s a camera of {each.kb:.0f} kB"
        )
    for each in costs:
        print(f"ratio preview_cpu_{each.cameras} {each.looked_at_pct / each.alone_pct:.3f}")
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in costs], indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clips", type=Path, help="a folder of real clips (default: a drawn street)")
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
