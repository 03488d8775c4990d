"""How cheaply videos become frames: camera-seconds per CPU-second, against reading every frame with OpenCV.

The seed way is that of the blog posts: `cv2.VideoCapture.read()` on every frame, keep one in N, resize.
`exact` is `vigil.sources.video_file.read_frames`, `fast` the same with its fast option, `live` what a camera's stream
goes through, fed by a file as fast as it goes. All give 2 frames a second of the same size. The videos are
made here: 25 frames a second, a key frame every 50, of real clips one after another or, without any, of a
drawn street with noise and moving figures. Each run is a process of its own, in shuffled rounds; CPU
seconds count, as they hardly depend on who else is busy.

    python benchmarks/ingest.py --clips ../shared/clips --json ingest.json
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import cv2
from footage import FOOTAGE, shoot

from vigil.frames import Frame, FrameSampling, fit_size
from vigil.sources import network
from vigil.sources.container import pick_stream
from vigil.sources.video_file import read_frames

SAMPLING = FrameSampling()


def seed(path: Path) -> int:
    """Reads every frame at full size, keeps one in N and resizes it; gives the number kept."""
    capture = cv2.VideoCapture(str(path))
    stride = int(capture.get(cv2.CAP_PROP_FPS) / SAMPLING.fps)
    number = kept = 0
    while True:
        ok, image = capture.read()
        if not ok:
            return kept
        if number % stride == 0:
            cv2.resize(image, fit_size(image.shape[1], image.shape[0], max_pixels=SAMPLING.max_pixels))
            kept += 1
        number += 1


def exact(path: Path) -> int:
    """A file, every kept frame the first at its instant."""
    return sum(1 for _ in read_frames(path, SAMPLING))


def fast(path: Path) -> int:
    """A file, without the pictures that no other refers to."""
    return sum(1 for _ in read_frames(path, SAMPLING, fast=True))


def live(path: Path) -> int:
    """A stream: the code that reads cameras, whose clock is set here to when each packet would have come."""
    with av.open(str(path)) as container:
        stream = pick_stream(container, path)
        replay = Replay(container, stream)
        network.time = replay  # type: ignore[assignment, attr-defined]
        camera = network.StreamReader(
            replay,
            stream,
            sampling=SAMPLING,
            stop=threading.Event(),
            started_s=0.0,
            picture_timeout_s=20.0,
            key_timeout_s=300.0,
            health=network.StreamHealth(),
        )
        return sum(isinstance(signal, Frame) for signal in camera.signals())


class Replay:
    """A container whose packets come when they are due, on a clock that does not make anybody wait."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        self._tick_s = float(stream.time_base)
        self._now_s = 0.0

    def demux(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            if packet.size:
                self._now_s = packet.dts * self._tick_s
            yield packet

    def monotonic(self) -> float:
        return self._now_s

    def time(self) -> float:
        return self._now_s


def decode_only(path: Path) -> int:
    """The limit: PyAV decodes every picture in one thread and nothing is done with them."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


WAYS: dict[str, Callable[[Path], int]] = {
    "seed": seed,
    "exact": exact,
    "fast": fast,
    "live": live,
    "decode_only": decode_only,
}


@dataclass(frozen=True, slots=True)
class Run:
    """What one process measured."""

    cpu_s: float
    wall_s: float
    frames: int
    peak_mb: float


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.one:
        print(json.dumps(asdict(run_here(*options.one))))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.videos or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        files = {f.name: shoot(f, folder, options.clips) for f in FOOTAGE if f.codec in av.codecs_available}
        runs = measure(files, rounds=options.rounds, seed_number=options.seed)
    report(runs)
    ratios = {f"ingest_{footage}_{way}": ratio for (footage, way), ratio in ratios_of(runs).items()}
    live = {name: ratios[f"ingest_{name}_live"] / ratios[f"ingest_{name}_decode_only"] for name in files}
    ratios |= {f"ingest_{name}_live_of_decode_only": ratio for name, ratio in live.items()}
    for name, ratio in ratios.items():
        print(f"ratio {name} {ratio:.2f}")
    if options.json:
        rows = [{"footage": f, "way": w, "runs": [asdict(r) for r in rs]} for (f, w), rs in runs.items()]
        options.json.write_text(json.dumps({"ratios": ratios, "runs": rows}, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clips", type=Path, help="folder of real clips to make the videos of")
    parser.add_argument("--videos", type=Path, help="folder to keep the videos in, to use them again")
    parser.add_argument("--json", type=Path, help="write every run here too")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    return parser


def run_here(way: str, file: str) -> Run:
    """One way on one file, in this process; imports are done before the clock starts."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    frames = WAYS[way](Path(file))
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return Run(cpu_s, wall_s, frames, peak_mb())


def peak_mb() -> float:
    """The most memory this process has held; `ru_maxrss` would count that of the parent too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure(files: dict[str, Path], *, rounds: int, seed_number: int) -> dict[tuple[str, str], list[Run]]:
    """Every way on every kind of footage, in shuffled rounds."""
    jobs = [(name, way) for name in files for way in WAYS]
    runs: dict[tuple[str, str], list[Run]] = {job: [] for job in jobs}
    dice = random.Random(seed_number)
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for name, way in dice.sample(jobs, len(jobs)):
            runs[name, way].append(run_alone(way, files[name]))
    return runs


def run_alone(way: str, file: Path) -> Run:
    command = [sys.executable, __file__, "--one", way, str(file)]
    # Numpy's threads, which nobody here uses, spin for a while after its import and would count.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return Run(**json.loads(done.stdout))


def ratios_of(runs: dict[tuple[str, str], list[Run]]) -> dict[tuple[str, str], float]:
    """How many times less CPU than the seed way each other way takes, by the medians."""
    cpu = {job: statistics.median(run.cpu_s for run in done) for job, done in runs.items()}
    return {(name, way): cpu[name, "seed"] / cpu[name, way] for name, way in runs if way != "seed"}


def report(runs: dict[tuple[str, str], list[Run]]) -> None:
    seconds = {footage.name: footage.seconds for footage in FOOTAGE}
    ratios = ratios_of(runs)
    print(f"{'footage':14}{'way':20}{'cam-s/CPU-s':>12}{'low':>8}{'high':>8}{'x':>7}{'frames':>8}{'peak MB':>9}")
    for (name, way), done in runs.items():
        speeds = [seconds[name] / run.cpu_s for run in done]
        spread = f"{statistics.median(speeds):12.1f}{min(speeds):8.1f}{max(speeds):8.1f}"
        peak_mb = max(run.peak_mb for run in done)
        print(f"{name:14}{way:20}{spread}{ratios.get((name, way), 1.0):7.2f}{done[0].frames:8}{peak_mb:9.0f}")


if __name__ == "__main__":
    sys.exit(main())
