"""What real RTSP cameras cost: connections to `tests/rtsp_server.py`, read by the feeds that `vigil watch` uses.

One trial, no search: how long until all are open, frames kept a second, CPU, memory, and the time from a packet's
arrival to the JPEG of its picture.

    python benchmarks/rtsp_cameras.py --cameras 40 --clips ../shared/clips
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from camera_trial import rss_mb
from cameras import footage_named
from footage import shoot

from vigil.frames import Frame, FrameSampling
from vigil.sources.address import Address
from vigil.sources.open_capture import Connected, open_capture
from vigil.windows import Windower

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from rtsp_server import running

SAMPLING = FrameSampling()
PATIENCE_S = 60.0


@dataclass(slots=True)
class Tally:
    """What all cameras have seen."""

    open: int = 0
    late_s: list[float] = field(default_factory=list)


def watch(url: str, tally: Tally, stop: threading.Event) -> None:
    cutter = Windower(SAMPLING)
    for signal in open_capture(Address("stream", "camera", url), SAMPLING, stop=stop).read():
        if isinstance(signal, Connected):
            tally.open += 1
        if isinstance(signal, Frame):
            list(cutter.push(signal))
            tally.late_s.append(time.time() - (signal.captured_s or 0.0))


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.videos or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        film = shoot(footage_named(options.footage), folder, options.clips)
        with running(film) as server:
            trial(server.address(), options.cameras, options.seconds)
    return 0


def trial(url: str, cameras: int, seconds: float) -> None:
    """Opens all cameras, then measures for `seconds`."""
    stop, tally, before_mb, began_s = threading.Event(), Tally(), rss_mb(), time.monotonic()
    threads = [threading.Thread(target=watch, args=(url, tally, stop)) for _ in range(cameras)]
    for thread in threads:
        thread.start()
    while tally.open < cameras and time.monotonic() - began_s < PATIENCE_S:
        time.sleep(0.05)
    open_s, cpu_s, earlier = time.monotonic() - began_s, time.process_time(), len(tally.late_s)
    time.sleep(seconds)
    cpu_pct, late_s = 100 * (time.process_time() - cpu_s) / seconds, tally.late_s[earlier:]
    held_mb = (rss_mb() - before_mb) / cameras
    stop.set()
    for thread in threads:
        thread.join()
    print(
        f"{tally.open} of {cameras} open after {open_s:.1f} s; {len(late_s) / seconds / cameras:.2f} frames a second "
        f"each, packet to JPEG p50 {np.percentile(late_s, 50):.3f} s, p99 {np.percentile(late_s, 99):.3f} s; "
        f"CPU {cpu_pct / cameras:.2f} % and {held_mb:.1f} MB a camera"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--footage", default="360p_camera", help="one of those in footage.py")
    parser.add_argument("--clips", type=Path, help="folder of real clips to make the video of")
    parser.add_argument("--videos", type=Path, help="folder to keep the video in, to use it again")
    return parser


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
