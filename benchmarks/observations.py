"""What observations cost verdicts: the latency and the drops of a live source, with the semantic log off and on.

    .venv/bin/python benchmarks/observations.py                 a server that computes one request at a time
    .venv/bin/python benchmarks/observations.py --rounds 5

The server is scripted: an observation takes five seconds, a verdict a tenth of one, and nothing else is computed
meanwhile. Rounds with and without observations take turns; a window falls due every half second.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "tests")]

from observing import FAST, OFTEN, OneAtATime, slow_look  # noqa: E402
from vigil.watch.observe_settings import ObserveSettings  # noqa: E402
from watching import Notes, bright_server, film, watched  # noqa: E402


def main() -> None:
    """Prints the median and the longest latency of verdicts without and with observations, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=14.0, help="how long the film is")
    given = parser.parse_args()
    latencies: dict[bool, list[float]] = {False: [], True: []}
    dropped = {False: 0, True: 0}
    with tempfile.TemporaryDirectory() as folder, bright_server() as server:
        server.default, server.let_pass = slow_look, OneAtATime()
        video = film(Path(folder) / "a.mp4", seconds=given.seconds)
        for is_on in (False, True) * given.rounds:
            notes = Notes()
            observe = replace(OFTEN, every_s=1.0, changed_s=0.5, still_s=1.0) if is_on else ObserveSettings()
            watch = watched(server, [video], notes, observe=observe, describe="never", realtime=True, sampling=FAST)
            [state] = asyncio.run(watch).sources
            latencies[is_on] += [judged.verdict.latency_ms for judged in notes.told_]
            dropped[is_on] += state.dropped
    for is_on, name in ((False, "without"), (True, "with")):
        times = latencies[is_on]
        print(
            f"{name:>8} observations: median {statistics.median(times):6.0f} ms, longest {max(times):6.0f} ms, "
            f"{dropped[is_on]} of {len(times)} windows dropped"
        )
    print(f"ratio observed_verdict_p50 {statistics.median(latencies[False]) / statistics.median(latencies[True]):.3f}")


if __name__ == "__main__":
    main()
