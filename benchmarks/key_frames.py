"""Which choice of key frames sees the moments that matter: by interval, by change, by optical flow.

Long films are composed of drawn clips (`vigil synth`, `vigil compose`): everyday scenes, and fights at known seconds.
Each choice picks at most `--most` key frames of a film. A fight is hit if a key frame's window shares at least half of
a window with it. The baseline is what as many windows at random places would hit.

    python benchmarks/key_frames.py                          drawn films, most 32 and 64
    python benchmarks/key_frames.py --films 12 --seconds 900 --clips ../shared/clips    films of real clips

Needs .venv only. Prints a table and, last, a line `ratio NAME VALUE` for each figure.
"""

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vigil.actions.key_frames import KeyFrameChoice, choose_key_frames, windows_with_key_frames
from vigil.cli.main import main as vigil
from vigil.frames import FrameSampling
from vigil.score.metrics import wilson
from vigil.sources.video_file import read_frames
from vigil.windows import Window, iter_windows

SAMPLING = FrameSampling(max_pixels=12_288)
CHOICES: tuple[KeyFrameChoice, ...] = ("interval", "change", "flow")
MOSTS = (32, 64)
RANDOM_DRAWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A fight in a film, in seconds."""

    start_s: float
    end_s: float


@dataclass(slots=True, kw_only=True)
class Tally:
    """Moments that were hit, of how many; windows asked; seconds of choosing."""

    hit: int = 0
    moments: int = 0
    windows: int = 0
    all_windows: int = 0
    chosen_in_s: float = 0.0


def moments_of(truth: Path) -> list[Moment]:
    """The fights of a film, from the CSV that `vigil compose` writes."""
    with truth.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["onset_s"]]
    return [Moment(start_s=float(row["onset_s"]), end_s=float(row["end_s"])) for row in rows]


def is_hit(moment: Moment, windows: Sequence[Window]) -> bool:
    """Whether a window shares at least half of the shorter of the two with a moment."""
    return any(_shared_s(moment, window) >= _needed_s(moment, window) for window in windows)


def _shared_s(moment: Moment, window: Window) -> float:
    return min(moment.end_s, window.end_s) - max(moment.start_s, window.start_s)


def _needed_s(moment: Moment, window: Window) -> float:
    return max(0.5 * min(moment.end_s - moment.start_s, window.end_s - window.start_s), 1e-3)


def films(folder: Path, *, count: int, seconds: int, clips: Path | None, drawn: int) -> list[Path]:
    """Composes the films; the ground truth lies beside each."""
    if clips is None:
        clips = folder / "clips"
        _run("synth", clips, "--clips", drawn, "--seed", 5)
    made = [folder / f"film-{number}.mp4" for number in range(count)]
    for number, film in enumerate(made):
        size = ["--size", "192x144", "--fps", "12"]
        _run("compose", clips, "--out", film, "--seconds", seconds, "--seed", number, *size)
    return made


def _run(*words: object) -> None:
    if vigil([str(word) for word in words]) != 0:
        raise SystemExit(f"vigil {words[0]} failed")


def measure(film: Path, tallies: dict[tuple[str, int], Tally]) -> None:
    """Adds one film to the tallies of every choice and number."""
    moments = moments_of(film.with_suffix(".csv"))
    windows = [window.without_pictures() for window in iter_windows(read_frames(film, SAMPLING), SAMPLING)]
    stride_s = SAMPLING.stride / SAMPLING.fps
    for most in MOSTS:
        for by in CHOICES:
            began_s = time.perf_counter()
            found = choose_key_frames(read_frames(film, SAMPLING), by=by, most=most, gap_s=stride_s)
            spent_s = time.perf_counter() - began_s
            chosen = list(windows_with_key_frames(windows, found))
            _add(tallies[by, most], moments, chosen, windows=len(windows), spent_s=spent_s)
        for draw in range(RANDOM_DRAWS):
            picked = random.Random(draw).sample(windows, min(most, len(windows)))
            _add(tallies["random", most], moments, picked, windows=len(windows), spent_s=0.0)


def _add(tally: Tally, moments: Sequence[Moment], chosen: Sequence[Window], *, windows: int, spent_s: float) -> None:
    tally.hit += sum(is_hit(moment, chosen) for moment in moments)
    tally.moments += len(moments)
    tally.windows += len(chosen)
    tally.all_windows += windows
    tally.chosen_in_s += spent_s


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--drawn", type=int, default=240, help="number of clips to draw")
    parser.add_argument("--clips", type=Path, help="folder with fight/ and normal/, in place of drawn clips")
    words = parser.parse_args()
    tallies = {(by, most): Tally() for most in MOSTS for by in (*CHOICES, "random")}
    with tempfile.TemporaryDirectory(prefix="vigil-key-frames-") as folder:
        for film in films(Path(folder), count=words.films, seconds=words.seconds, clips=words.clips, drawn=words.drawn):
            measure(film, tallies)
    report(tallies, films=words.films, seconds=words.seconds)


def report(tallies: dict[tuple[str, int], Tally], *, films: int, seconds: int) -> None:
    """Prints the table and the ratios."""
    table = Table(title=f"moments hit in {films} films of about {seconds} s")
    for column in ("key frames", "chosen", "moments hit", "95 %", "windows asked", "choosing, s a film"):
        table.add_column(column)
    for (by, most), tally in tallies.items():
        draws = RANDOM_DRAWS if by == "random" else 1
        low, high = wilson(tally.hit // draws, tally.moments // draws)
        share = tally.hit / tally.moments
        asked = f"{tally.windows // draws} of {tally.all_windows // draws}"
        spent = "" if by == "random" else f"{tally.chosen_in_s / films:.1f}"
        of = f"{share:.3f} ({tally.hit // draws} of {tally.moments // draws})"
        table.add_row(str(most), by, of, f"[{low:.3f}, {high:.3f}]", asked, spent)
    Console(width=120).print(table)
    for (by, most), tally in tallies.items():
        if by != "random":
            base = tallies["random", most]
            print(f"ratio hits_{by}_{most}_to_random {tally.hit / tally.moments / (base.hit / base.moments):.3f}")


if __name__ == "__main__":
    main()
