"""Verdict first against the blogs' way: how many windows a second, and how long an alarm takes.

The blogs' way: one window after another, six images, an answer of 100 tokens; whether it alarms is known when the
answer is complete. Ours: one token a window through the judge, as many in flight as the watcher has. Both on one
server within one run, taking turns, each time with pictures that the server has not seen.

- windows/s: as fast as each way goes; then both with the same number in flight.
- time to alarm: from a window being ready (its last frame is there) to its verdict being known. Windows become ready
  at an even pace, as those of staggered cameras do, and wait if they must. `same load`: both at half of what the
  blogs' way holds in this run. `own load`: each at half of what it holds itself, which for ours is many times more.

    python benchmarks/verdict.py                       serves the tiny model itself (needs .venv-serve)
    python benchmarks/verdict.py --url http://127.0.0.1:8000/v1 --model NAME --max-pixels 131072
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import openai
from score import ANSWER_TOKENS, TINY_SAMPLING, fresh_windows, server, usual_parts

from vigil.errors import VigilError
from vigil.frames import FrameSampling
from vigil.judge import Endpoint, Judge
from vigil.questions import load_question
from vigil.watch.settings import WatchSettings

Ask: TypeAlias = Callable[[Sequence[bytes]], Awaitable[None]]

WAY_NAMES = {
    "blog": "blogs' way: one by one, six images, {tokens} tokens",
    "ours": "verdict first, {in_flight} in flight",
    "blog_equal": "blogs' way, {equal} in flight",
    "ours_equal": "verdict first, {equal} in flight",
}
LOAD_NAMES = {
    "blog": "blogs' way, at half of what it holds",
    "ours": "verdict first, same load",
    "ours_own": "verdict first, at half of what it holds",
}
LOAD = 0.5
"""The share of what a way can do at all: a camera's windows must not pile up."""


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        with server(options) as (endpoint, sampling):
            result = asyncio.run(measure(endpoint, sampling, options))
    except VigilError as error:
        print(f"verdict: {error}", file=sys.stderr)
        return error.exit_code
    print(result.table(options))
    for name, value in result.ratios().items():
        print(f"ratio {name} {value:.3f}")
    if options.json:
        options.json.write_text(json.dumps(result.to_json(), indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running server; without it the tiny model is served")
    parser.add_argument("--model", default="", help="its model")
    parser.add_argument("--max-pixels", type=int, default=TINY_SAMPLING.max_pixels, help="its cap on a frame's area")
    parser.add_argument("--rounds", type=int, default=8, help="how often the ways take turns")
    parser.add_argument("--windows", type=int, default=200, help="windows a round, ours")
    parser.add_argument("--slow-windows", type=int, default=4, help="windows a round, the blogs' way one by one")
    parser.add_argument("--in-flight", type=int, default=WatchSettings().in_flight, help="requests at once, ours")
    parser.add_argument("--equal", type=int, default=8, help="requests at once where both have as many")
    parser.add_argument("--warm-up", type=int, default=64, help="windows before the first round, ours")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


class Result:
    """Windows a second by way, one figure a round; seconds to the verdict by load, one figure a window."""

    def __init__(self) -> None:
        self.rates: dict[str, list[float]] = defaultdict(list)
        self.waits_s: dict[str, list[list[float]]] = defaultdict(list)

    def held(self, way: str) -> float:
        """What a way has held so far."""
        return statistics.median(self.rates[way])

    def ratios(self, picked: Sequence[int] | None = None) -> dict[str, float]:
        """The figures that are promised; of some of the rounds only, to draw intervals."""
        rounds = range(len(self.rates["ours"])) if picked is None else picked
        rate = {way: statistics.median(rates[i] for i in rounds) for way, rates in self.rates.items()}
        wait = {load: statistics.median(w for i in rounds for w in waits[i]) for load, waits in self.waits_s.items()}
        return {
            "verdict_windows": rate["ours"] / rate["blog"],
            "verdict_windows_equal": rate["ours_equal"] / rate["blog_equal"],
            "time_to_alarm": wait["ours"] / wait["blog"],
            "time_to_alarm_own_load": wait["ours_own"] / wait["blog"],
        }

    def intervals(self) -> dict[str, tuple[float, float]]:
        """The ratios' 95 % intervals, by drawing rounds with replacement."""
        rng = np.random.default_rng(0)
        count = len(self.rates["ours"])
        drawn = [self.ratios(list(rng.integers(0, count, count))) for _ in range(500)]
        bounds = {name: np.percentile([one[name] for one in drawn], (2.5, 97.5)) for name in drawn[0]}
        return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}

    def table(self, options: argparse.Namespace) -> str:
        said = {"tokens": ANSWER_TOKENS, "in_flight": options.in_flight, "equal": options.equal}
        lines = [f"{'windows/s':48} {'median':>8} {'lowest':>8} {'highest':>8}"]
        for way, name in WAY_NAMES.items():
            rates = self.rates[way]
            figures = (statistics.median(rates), min(rates), max(rates))
            lines.append(f"{name.format(**said):48} " + " ".join(f"{figure:8.2f}" for figure in figures))
        lines.append(f"{'time to alarm, ms':48} {'p50':>8} {'p95':>8} {'n':>8}")
        for load, name in LOAD_NAMES.items():
            waits = list(itertools.chain.from_iterable(self.waits_s[load]))
            p50, p95 = 1000 * np.percentile(waits, (50, 95))
            lines.append(f"{name:48} {p50:8.0f} {p95:8.0f} {len(waits):8d}")
        ratios = self.ratios()
        for name, (low, high) in self.intervals().items():
            lines.append(f"{name} {ratios[name]:.3f} [{low:.3f}, {high:.3f}], {len(self.rates['ours'])} rounds")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        figures: dict[str, object] = {"windows_per_s": self.rates, "time_to_alarm_s": self.waits_s}
        return figures | {"ratios": self.ratios(), "ratios_ci95": self.intervals()}


async def measure(endpoint: Endpoint, sampling: FrameSampling, options: argparse.Namespace) -> Result:
    task = load_question("fight")
    result = Result()
    async with (
        await Judge.connect(
            endpoint, task, sampling, max_in_flight=options.in_flight, deadline_s=300.0, min_label_probability=0.0
        ) as judge,
        openai.AsyncOpenAI(base_url=endpoint.url, api_key=endpoint.api_key or "none", timeout=300.0) as client,
    ):

        async def blog(window: Sequence[bytes]) -> None:
            await client.chat.completions.create(
                model=judge.model,
                messages=[{"role": "user", "content": usual_parts(window, task)}],  # type: ignore[list-item, misc]
                max_tokens=ANSWER_TOKENS,
                temperature=0.0,
                # A tiny model may end its answer early; a real one describes the clip.
                extra_body={"ignore_eos": True},
            )

        async def ours(window: Sequence[bytes]) -> None:
            verdict = await judge.verdict(window)
            if verdict.cause is not None:
                raise VigilError(f"the server did not answer: {verdict.cause} {verdict.detail}")

        bench = Bench(sampling, options)
        await bench.windows_per_s(ours, count=options.warm_up, at_once=8)
        await bench.windows_per_s(blog, count=2, at_once=2)
        for number in range(options.rounds):
            await bench.round(result, blog, ours)
            rates = ", ".join(f"{way} {rates[-1]:.1f}" for way, rates in result.rates.items())
            print(f"round {number + 1} of {options.rounds}: {rates} windows/s", file=sys.stderr)
    return result


class Bench:
    """Asks about fresh windows: as fast as it goes, or at a pace."""

    def __init__(self, sampling: FrameSampling, options: argparse.Namespace) -> None:
        self.sampling = sampling
        self.options = options
        self._seed = 5000

    async def round(self, result: Result, blog: Ask, ours: Ask) -> None:
        many, few, equal = self.options.windows, self.options.slow_windows, self.options.equal
        result.rates["blog"].append(await self.windows_per_s(blog, count=few, at_once=1))
        result.rates["ours"].append(await self.windows_per_s(ours, count=many, at_once=self.options.in_flight))
        result.rates["blog_equal"].append(await self.windows_per_s(blog, count=3 * equal, at_once=equal))
        result.rates["ours_equal"].append(await self.windows_per_s(ours, count=many // 2, at_once=equal))
        same, own = LOAD * result.held("blog"), LOAD * result.held("ours")
        result.waits_s["blog"].append(await self.waits_s(blog, count=2 * few, per_s=same, at_once=1))
        result.waits_s["ours"].append(
            await self.waits_s(ours, count=2 * few, per_s=same, at_once=self.options.in_flight)
        )
        result.waits_s["ours_own"].append(
            await self.waits_s(ours, count=many // 2, per_s=own, at_once=self.options.in_flight)
        )

    async def windows_per_s(self, ask: Ask, *, count: int, at_once: int) -> float:
        """All windows are there from the start; the rate until the last has its verdict."""
        windows = self._windows(count)
        began = time.perf_counter()
        await self._ask_all(ask, windows, at_once=at_once, ready_s=[began] * count)
        return count / (time.perf_counter() - began)

    async def waits_s(self, ask: Ask, *, count: int, per_s: float, at_once: int) -> list[float]:
        """A window becomes ready every `1 / per_s` seconds; for each, the seconds until its verdict is known."""
        windows = self._windows(count)
        began = time.perf_counter()
        ready_s = [began + number / per_s for number in range(count)]
        return await self._ask_all(ask, windows, at_once=at_once, ready_s=ready_s)

    async def _ask_all(
        self, ask: Ask, windows: Sequence[Sequence[bytes]], *, at_once: int, ready_s: Sequence[float]
    ) -> list[float]:
        room = asyncio.Semaphore(at_once)

        async def one(window: Sequence[bytes], ready_s: float) -> float:
            await asyncio.sleep(ready_s - time.perf_counter())
            async with room:
                await ask(window)
            return time.perf_counter() - ready_s

        return list(await asyncio.gather(*map(one, windows, ready_s)))

    def _windows(self, count: int) -> list[tuple[bytes, ...]]:
        self._seed += 1
        return list(fresh_windows(count, sampling=self.sampling, seed=self._seed))


if __name__ == "__main__":
    sys.exit(main())
