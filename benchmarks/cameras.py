"""How many live cameras of 25 frames a second one process holds, against a `cv2.VideoCapture.read()` thread for each.

Each camera is a thread that reads a file at its own pace, every packet when it is due; ours is the code that reads
streams, then the cutter, so windows with their JPEGs come out and nothing is judged. The seed way reads every frame,
keeps one in N, resizes it and compresses it. A number of cameras holds when the 99th percentile of the lateness of
a kept frame stays under half a second and no camera is later than that at the end. Both searches go on in turn, one
trial each, so that whoever else is busy disturbs both.

    python benchmarks/cameras.py --clips ../shared/clips --json cameras.json
    python benchmarks/cameras.py --quick
    python benchmarks/cameras.py --rtsp 20        # instead: 20 real RTSP connections to a server of our own
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from footage import FOOTAGE, RATE, Footage, shoot

from vigil.frames import Frame, Sampling, fit
from vigil.sources.address import Address
from vigil.sources.container import pick_stream
from vigil.sources.feed import Connected, open_feed
from vigil.sources.reading import Health, Reading
from vigil.windows import Cutter

SAMPLING = Sampling()
LATE_S = 0.5
GROUP_S = 2.0
SIZES = {"1080p": "1080p_camera", "360p": "360p_camera"}
FIRST_GUESS = {("ours", "1080p"): 18, ("seed", "1080p"): 10, ("ours", "360p"): 80, ("seed", "360p"): 50}


@dataclass(slots=True)
class Camera:
    """What one camera has to show for itself: how late each kept frame was, and its windows."""

    lateness_s: list[float] = field(default_factory=list)
    windows: int = 0
    frames: int = 0


class Due:
    """A container whose packets come when they are due, as from a camera."""

    def __init__(self, container: Any, stream: Any, *, began_s: float) -> None:
        self.due_s = began_s
        self._container = container
        self._stream = stream
        self._began_s = began_s

    def demux(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            if packet.dts is None:
                return
            self.due_s = self._began_s + float(packet.dts * packet.time_base)
            time.sleep(max(0.0, self.due_s - time.monotonic()))
            yield packet


def watch_ours(path: Path, camera: Camera, start: "Start") -> None:
    """The code that reads streams, and the cutter."""
    with av.open(str(path)) as container:
        stream = pick_stream(container, path)
        began_s = start.wait()
        due = Due(container, stream, began_s=began_s)
        reading = Reading(
            due,
            stream,
            sampling=SAMPLING,
            stop=start.stop,
            started_s=began_s,
            picture_timeout_s=20.0,
            health=Health(),
        )
        cutter = Cutter(SAMPLING)
        for signal in reading.signals():
            if isinstance(signal, Frame):
                camera.windows += sum(1 for _ in cutter.push(signal))
                camera.lateness_s.append(time.monotonic() - due.due_s)


def watch_seed(path: Path, camera: Camera, start: "Start") -> None:
    """Every frame read at full size; one in N resized, compressed and put into windows."""
    capture = cv2.VideoCapture(str(path))
    stride = int(capture.get(cv2.CAP_PROP_FPS) / SAMPLING.fps)
    window: list[bytes] = []
    began_s = start.wait()
    number = 0
    while not start.stop.is_set():
        due_s = began_s + number / RATE
        time.sleep(max(0.0, due_s - time.monotonic()))
        ok, image = capture.read()
        if not ok:
            return
        if number % stride == 0:
            size_wh = fit(image.shape[1], image.shape[0], max_pixels=SAMPLING.max_pixels)
            quality = [cv2.IMWRITE_JPEG_QUALITY, SAMPLING.jpeg_quality]
            window.append(cv2.imencode(".jpg", cv2.resize(image, size_wh), quality)[1].tobytes())
            camera.lateness_s.append(time.monotonic() - due_s)
        if len(window) == SAMPLING.frames:
            camera.windows += 1
            del window[: SAMPLING.stride]
        number += 1


WAYS: dict[str, Callable[[Path, Camera, "Start"], None]] = {"ours": watch_ours, "seed": watch_seed}


class Start:
    """Lets cameras begin when all are open, their key frames spread over a group of pictures."""

    def __init__(self, cameras: int, stop: threading.Event) -> None:
        self.stop = stop
        self._cameras = cameras
        self._waiting = 0
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._began_s = 0.0

    def wait(self) -> float:
        """The `time.monotonic()` at which this camera begins."""
        with self._lock:
            place, self._waiting = self._waiting, self._waiting + 1
            if self._waiting == self._cameras:
                self._began_s = time.monotonic() + 0.2
                self._ready.set()
        self._ready.wait()
        return self._began_s + GROUP_S * place / self._cameras


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one process with `cameras` cameras measured; `cpu_pct` is of one core, `camera_mb` what each one holds."""

    cameras: int
    frames: int
    windows: int
    p50_s: float
    p99_s: float
    last_s: float
    cpu_pct: float
    rss_mb: float
    camera_mb: float

    @property
    def holds(self) -> bool:
        """Whether it kept up."""
        return self.p99_s < LATE_S and self.last_s < LATE_S


def try_here(way: str, path: Path, cameras: int, seconds: float) -> Trial:
    """One trial, in this process."""
    cv2.setNumThreads(1)
    stop, records = threading.Event(), [Camera() for _ in range(cameras)]
    start, before_mb = Start(cameras, stop), rss_mb()
    threads = [threading.Thread(target=WAYS[way], args=(path, record, start), daemon=True) for record in records]
    for thread in threads:
        thread.start()
    start._ready.wait()
    cpu_s = time.process_time()
    time.sleep(seconds)
    cpu_s, held_mb = time.process_time() - cpu_s, rss_mb()
    stop.set()
    late_s = np.array([late for record in records for late in record.lateness_s] or [seconds])
    return Trial(
        cameras=cameras,
        frames=len(late_s),
        windows=sum(record.windows for record in records),
        p50_s=float(np.percentile(late_s, 50)),
        p99_s=float(np.percentile(late_s, 99)),
        last_s=max(record.lateness_s[-1] if record.lateness_s else seconds for record in records),
        cpu_pct=100 * cpu_s / seconds,
        rss_mb=held_mb,
        camera_mb=(held_mb - before_mb) / cameras,
    )


def rss_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def try_alone(way: str, path: Path, cameras: int, seconds: float) -> Trial:
    """One trial in a process of its own."""
    command = [sys.executable, __file__, "--trial", way, str(path), str(cameras), str(seconds)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return Trial(**json.loads(done.stdout.splitlines()[-1]))


class Search:
    """Looks for the most cameras that hold: outwards from a guess, then halving, to a twentieth."""

    def __init__(self, way: str, path: Path, *, guess: int, seconds: float, tries: int) -> None:
        self.way = way
        self.trials: list[Trial] = []
        self.held = 0
        self._failed: int | None = None
        self._next = guess
        self._path = path
        self._seconds = seconds
        self._tries = tries

    @property
    def is_over(self) -> bool:
        """Whether the most that holds and the least that does not are next to one another."""
        return self._failed is not None and self._failed - self.held <= max(1, self.held // 20)

    def step(self) -> None:
        """One trial more; one that fails is repeated before it counts."""
        for _ in range(self._tries):
            trial = try_alone(self.way, self._path, self._next, self._seconds)
            self.trials.append(trial)
            print(line(self.way, trial), flush=True)
            if trial.holds:
                break
        if trial.holds:
            self.held = trial.cameras
        else:
            self._failed = trial.cameras
        self._next = self._after(trial)

    def _after(self, trial: Trial) -> int:
        if self._failed is not None and self.held:
            return (self.held + self._failed) // 2
        # Two cores are full at 200 %: aim a little below that, but never far from where we are.
        aim = trial.cameras * 185 / max(trial.cpu_pct, 1.0)
        far, near = trial.cameras * 1.5, trial.cameras * 1.1
        return int(min(max(aim, near), far)) if self._failed is None else max(1, int(trial.cameras / 1.25))

    @property
    def best(self) -> Trial | None:
        """The trial with the most cameras that held."""
        return max((t for t in self.trials if t.holds), key=lambda t: t.cameras, default=None)


def line(way: str, trial: Trial) -> str:
    verdict = "holds" if trial.holds else "fails"
    return (
        f"{way:6}{trial.cameras:4} cameras {verdict}: p50 {trial.p50_s:.3f} s, p99 {trial.p99_s:.2f} s, "
        f"last {trial.last_s:.2f} s, CPU {trial.cpu_pct:.0f} % ({trial.cpu_pct / trial.cameras:.1f} a camera), "
        f"{trial.rss_mb:.0f} MB ({trial.camera_mb:.1f} a camera), {trial.windows} windows"
    )


def search(path: Path, size: str, *, seconds: float, tries: int) -> dict[str, Search]:
    """Both ways on one size, a trial of each in turn."""
    searches = {way: Search(way, path, guess=FIRST_GUESS[way, size], seconds=seconds, tries=tries) for way in WAYS}
    while any(not each.is_over for each in searches.values()):
        for each in searches.values():
            if not each.is_over:
                each.step()
    return searches


def over_rtsp(path: Path, cameras: int, seconds: float) -> int:
    """Real connections to `tests/rtsp_server.py`, read by the feeds that `vigil watch` uses."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from rtsp_server import running

    stop, counts, threads = threading.Event(), [0] * cameras, []
    late_s: list[float] = []
    connected: list[float] = []

    def watch(number: int, url: str) -> None:
        feed = open_feed(Address("stream", f"camera {number}", url), SAMPLING, stop=stop)
        cutter = Cutter(SAMPLING)
        for signal in feed.signals():
            if isinstance(signal, Connected):
                connected.append(time.monotonic())
            if isinstance(signal, Frame):
                list(cutter.push(signal))
                counts[number] += 1
                late_s.append(time.time() - (signal.captured_s or 0.0))

    with running(path) as server:
        before_mb, began_s = rss_mb(), time.monotonic()
        for number in range(cameras):
            threads.append(threading.Thread(target=watch, args=(number, server.url), daemon=True))
            threads[-1].start()
        while len(connected) < cameras and time.monotonic() - began_s < 60:
            time.sleep(0.1)
        opened_s, counted, cpu_s, from_s = time.monotonic() - began_s, sum(counts), time.process_time(), len(late_s)
        time.sleep(seconds)
        cpu_pct = 100 * (time.process_time() - cpu_s) / seconds
        frames, held_mb = sum(counts) - counted, rss_mb()
        stop.set()
    print(
        f"{cameras} RTSP cameras: all open after {opened_s:.1f} s, "
        f"{frames / seconds / cameras:.2f} kept frames a second each, "
        f"p99 {np.percentile(late_s[from_s:], 99):.3f} s from packet to JPEG, CPU {cpu_pct / cameras:.1f} % a camera, "
        f"{(held_mb - before_mb) / cameras:.1f} MB a camera"
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.trial:
        way, path, cameras, seconds = options.trial
        print(json.dumps(asdict(try_here(way, Path(path), int(cameras), float(seconds)))), flush=True)
        # Threads that hang in a codec's queue must not keep a finished trial alive.
        os._exit(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.videos or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        files = {size: shoot(footage_named(name), folder, options.clips) for size, name in SIZES.items()}
        seconds = options.seconds or (8.0 if options.quick else 12.0)
        if options.rtsp:
            return over_rtsp(files["360p"], options.rtsp, seconds)
        found = {}
        for size in options.sizes:
            print(f"{size}:")
            found[size] = search(files[size], size, seconds=seconds, tries=1 if options.quick else 2)
    return report(found, options.json)


def footage_named(name: str) -> Footage:
    return next(footage for footage in FOOTAGE if footage.name == name)


def report(found: dict[str, dict[str, Search]], file: Path | None) -> int:
    """The figures, and with `file` every trial as JSON."""
    figures: dict[str, float] = {}
    for size, searches in found.items():
        ours, seed = searches["ours"], searches["seed"]
        figures[f"cameras_{size}"] = ours.held / max(1, seed.held)
        figures[f"cameras_{size}_held"] = ours.held
        figures[f"cameras_{size}_seed_held"] = seed.held
        figures |= {f"cameras_{size}_mb": trial.camera_mb for trial in [ours.best] if trial}
    for name, value in figures.items():
        print(f"ratio {name} {value:.2f}")
    if file:
        trials = {size: {way: [asdict(t) for t in s.trials] for way, s in ways.items()} for size, ways in found.items()}
        file.write_text(json.dumps({"ratios": figures, "trials": trials}, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of real clips to make the videos of")
    parser.add_argument("--videos", type=Path, help="folder to keep the videos in, to use them again")
    parser.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=list(SIZES))
    parser.add_argument("--seconds", type=float, help="length of a trial (default 12; 8 with --quick)")
    parser.add_argument("--quick", action="store_true", help="shorter trials, none repeated")
    parser.add_argument("--rtsp", type=int, metavar="CAMERAS", help="one trial with real RTSP connections")
    parser.add_argument("--json", type=Path, help="write every trial here too")
    parser.add_argument("--trial", nargs=4, metavar=("WAY", "FILE", "CAMERAS", "SECONDS"), help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
