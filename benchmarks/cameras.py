"""How many live cameras of 25 frames a second one process holds, against a `cv2.VideoCapture.read()` thread for each.

Each camera is a thread that reads a file at its own pace, every packet when it is due; ours is the code that reads
streams, then the cutter, so windows with their JPEGs come out and nothing is judged. The seed way reads every frame,
keeps one in N, resizes it and compresses it. A number of cameras holds when the 99th percentile of the lateness of
a kept frame stays under half a second and no camera is later than that at the end. Both searches go on in turn, one
trial each, so that whoever else is busy disturbs both.

    python benchmarks/cameras.py --clips ../shared/clips --json cameras.json
    python benchmarks/cameras.py --quick
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from camera_trial import WAYS, Trial
from footage import FOOTAGE, Footage, shoot

TRIAL = Path(__file__).with_name("camera_trial.py")
SIZES = {"1080p": "1080p_camera", "360p": "360p_camera"}
FIRST_GUESS = {("ours", "1080p"): 18, ("seed", "1080p"): 10, ("ours", "360p"): 80, ("seed", "360p"): 50}


def try_alone(way: str, path: Path, cameras: int, seconds: float) -> Trial:
    """One trial in a process of its own."""
    command = [sys.executable, str(TRIAL), way, str(path), str(cameras), str(seconds)]
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


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.videos or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        files = {size: shoot(footage_named(name), folder, options.clips) for size, name in SIZES.items()}
        seconds = options.seconds or (8.0 if options.quick else 12.0)
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
    parser.add_argument("--json", type=Path, help="write every trial here too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
