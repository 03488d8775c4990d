"""A watch of live cameras for as long as you like: does its memory stay flat, and how late is a question asked?

Cameras are RTSP streams of a process of their own, 640x360 at 25 frames a second; the model is real, served by
vLLM. Told: the watcher's resident memory over time, and the latency that Vigil adds, from the capture of a window's
last frame to its question (taken as the whole lag less the judge's own latency, so a little too long).

    python benchmarks/endurance.py --minutes 30 --cameras 8 --clips ../shared/clips --json endurance.json
    python benchmarks/endurance.py --minutes 2                                           the latency alone
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from footage import FOOTAGE, shoot  # noqa: E402

from rtsp_server import running as camera  # noqa: E402
from vigil.errors import VigilError  # noqa: E402
from vigil.frames import FrameSampling  # noqa: E402
from vigil.questions import load_question  # noqa: E402
from vigil.serving.server import run_server  # noqa: E402
from vigil.tiny import BASE_FOLDER  # noqa: E402
from vigil.verdict import JudgedWindow  # noqa: E402
from vigil.watch import Watcher, WatchObserver, WatchSettings, WatchSummary  # noqa: E402
from vigil.watch.run import run_watch  # noqa: E402

SAMPLING = FrameSampling(max_pixels=12_288)
SAMPLE_EVERY_S = 5.0
PROMISED_S = 0.05
"""The added latency that is promised, at the 95th percentile."""


@dataclass
class Measures(WatchObserver):
    """Memory by time, and the added latency of every verdict."""

    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    added_s: list[float] = field(default_factory=list)

    def on_verdict(self, judged: JudgedWindow) -> None:
        if judged.captured_s is not None and judged.verdict.cause is None:
            self.added_s.append(time.time() - judged.captured_s - judged.verdict.latency_ms / 1000.0)

    async def sample(self, minutes: float, watch: Watcher) -> None:
        """Notes the memory until the time is over, then stops the watch."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < 60 * minutes:
            await asyncio.sleep(SAMPLE_EVERY_S)
            self.memory_mb.append((time.monotonic() - began_s, resident_mb()))
        watch.stop()

    def grown(self) -> float:
        """Memory of the last quarter against that of the second: in the first one caches and buffers fill."""
        values = [mb for _, mb in self.memory_mb]
        quarter = max(1, len(values) // 4)
        return float(np.mean(values[-quarter:]) / np.mean(values[quarter : 2 * quarter]))

    def mb_per_hour(self) -> float:
        """The slope of the memory over the second half."""
        later = self.memory_mb[len(self.memory_mb) // 2 :]
        slope = np.polyfit([at for at, _ in later], [mb for _, mb in later], 1)[0] if len(later) > 1 else 0.0
        return float(slope) * 3600.0


def resident_mb() -> float:
    """This process's resident memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--clips", type=Path, help="folder of real clips to make the stream of")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    measures = Measures()
    try:
        summary = asyncio.run(watch(options, measures))
    except VigilError as error:
        print(f"endurance: {error}", file=sys.stderr)
        return error.exit_code
    report(measures, summary, options.json)
    return 0


async def watch(options: argparse.Namespace, measures: Measures) -> WatchSummary:
    footage = next(f for f in FOOTAGE if f.name == "360p_camera")
    sampling: list[asyncio.Task[None]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vigil-bench-")))
        cameras = stack.enter_context(camera(shoot(footage, folder, options.clips)))
        served = stack.enter_context(
            run_server(BASE_FOLDER, task=load_question("fight"), sampling=SAMPLING, log=folder / "vllm.log")
        )
        settings = WatchSettings(
            sources=tuple(cameras.address(f"{number}") for number in range(options.cameras)),
            url=served.url,
            model=served.model,
            store=str(folder / "events.db"),
            min_label_probability=0.0,
        )

        def on_start(watch: Watcher) -> None:
            sampling.append(asyncio.create_task(measures.sample(options.minutes, watch)))

        return await run_watch(settings, api_key=served.key, observers=[measures], on_start=on_start)


def report(measures: Measures, summary: WatchSummary, file: Path | None) -> None:
    added_ms = np.array(measures.added_s) * 1000.0
    p50, p95, p99 = (float(np.percentile(added_ms, q)) for q in (50, 95, 99))
    judged = sum(state.judged for state in summary.sources)
    print(f"{len(summary.sources)} cameras, {judged} windows judged, {summary.events} events")
    for state in summary.sources:
        unknown = ", ".join(f"{count} {cause}" for cause, count in state.unknown.items()) or "none"
        print(f"  {state.name}: cut {state.cut}, judged {state.judged}, unknown {unknown}")
    print(f"unaccounted windows {summary.unaccounted}, store losses {summary.store_losses}")
    print(
        "memory, MB: "
        + ", ".join(
            f"{at / 60:.0f} min {mb:.0f}" for at, mb in measures.memory_mb[:: max(1, len(measures.memory_mb) // 12)]
        )
    )
    print(f"memory grows by {measures.mb_per_hour():.1f} MB an hour over the second half")
    print(f"added latency, ms: p50 {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f} (n {len(added_ms)})")
    ratios = {
        "memory_last_vs_second_quarter": measures.grown(),
        "added_latency_p95_vs_50_ms": p95 / (PROMISED_S * 1000.0),
    }
    for name, value in ratios.items():
        print(f"ratio {name} {value:.3f}")
    if file is not None:
        figures = {"ratios": ratios, "memory_mb": measures.memory_mb, "added_ms": {"p50": p50, "p95": p95, "p99": p99}}
        file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
