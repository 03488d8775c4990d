"""What the words on alarms cost: verdict first, then words for those that alarm - or every window streamed.

`verdict`: one token for each window; a window that alarms is asked about again, for words. `stream`: every window
is asked for words, the stream is cut off at its first token where that is normal. Both at several shares of alarms,
taking turns on one server, each time with pictures it has not seen. Then one window at a time: what the second
question costs (the server has the pictures in its caches) against the same question about fresh pictures.

    python benchmarks/words.py                                    serves the tiny model itself (needs .venv-serve)
    python benchmarks/words.py --url http://127.0.0.1:8000/v1 --pid N --max-pixels 131072
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from score import TINY_BASE, TINY_SAMPLING, fresh_windows

from vigil.errors import VigilError
from vigil.frames import FrameSampling
from vigil.judge import Endpoint, Judge, read_key
from vigil.judge.judge_questions import JudgeQuestions
from vigil.questions import load_question
from vigil.verdict import Verdict

SHARES = (0.0, 0.1, 1.0)
WAYS = ("verdict", "stream")
NEVER, ALWAYS = 1.1, -0.1
TICKS = os.sysconf("SC_CLK_TCK")


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        with server(options) as (endpoint, pid, sampling):
            bench = Bench(endpoint=endpoint, pid=pid, sampling=sampling, tokens=options.tokens)
            result = asyncio.run(
                bench.measure(rounds=options.rounds, windows=options.windows, in_flight=options.in_flight)
            )
    except VigilError as error:
        print(f"words: {error}", file=sys.stderr)
        return error.exit_code
    print(result.table())
    for name, value in result.ratios.items():
        print(f"ratio {name} {value:.2f}")
    if options.json:
        options.json.write_text(json.dumps(result.to_json(), indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running server; without it the tiny model is served")
    parser.add_argument("--pid", type=int, default=0, help="its first process here, to count its CPU")
    parser.add_argument("--model", default="", help="its model")
    parser.add_argument("--max-pixels", type=int, default=TINY_SAMPLING.max_pixels, help="its cap on a frame's area")
    parser.add_argument("--rounds", type=int, default=5, help="how often the ways take turns")
    parser.add_argument("--windows", type=int, default=100, help="windows a round, way and share")
    parser.add_argument("--in-flight", type=int, default=32, help="windows under way at once")
    parser.add_argument("--tokens", type=int, default=40, help="tokens of the words; a description has about 30")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


@contextmanager
def server(options: argparse.Namespace) -> Iterator[tuple[Endpoint, int, FrameSampling]]:
    if options.url:
        endpoint = Endpoint(url=options.url, model=options.model, api_key=read_key(url=options.url))
        yield endpoint, options.pid, FrameSampling(max_pixels=options.max_pixels)
        return
    from vigil.serving.server import run_server

    with (
        tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder,
        run_server(
            TINY_BASE, task=load_question("fight"), sampling=TINY_SAMPLING, log=Path(folder) / "vllm.log"
        ) as served,
    ):
        yield served.endpoint(), served.pid, TINY_SAMPLING


class TalkingQuestions(JudgeQuestions):
    """Does not let the model end its words early: the tiny one has few of its own."""

    def body(self, *args: Any, max_tokens: int, **options: Any) -> dict[str, Any]:
        body = super().body(*args, max_tokens=max_tokens, **options)
        return body if max_tokens == 1 else body | {"ignore_eos": True}


class TalkingJudge(Judge):
    """A judge that asks so."""

    questions = TalkingQuestions


@dataclass(frozen=True, slots=True)
class Round:
    """What one way took for one round's windows."""

    windows_per_s: float
    to_verdict_ms: float
    server_cpu_ms: float
    client_cpu_ms: float


class Result:
    """Every round by share and way, and the times to the first word, one window at a time."""

    def __init__(self) -> None:
        self.rounds: dict[tuple[float, str], list[Round]] = defaultdict(list)
        self.first_word_ms: dict[str, list[float]] = defaultdict(list)

    def median(self, share: float, way: str, figure: str) -> float:
        figures: list[float] = [getattr(one, figure) for one in self.rounds[share, way]]
        return statistics.median(figures)

    @property
    def ratios(self) -> dict[str, float]:
        """Verdict first against streamed: windows a second by share; the second question against a fresh one."""
        pairs = {share: [self.median(share, way, "windows_per_s") for way in WAYS] for share in SHARES}
        ratios = {f"verdict_vs_stream_{share:.0%}".replace("%", ""): a / b for share, (a, b) in pairs.items()}
        fresh, again = (statistics.median(self.first_word_ms[name]) for name in ("fresh", "again"))
        return ratios | {"second_question": again / fresh}

    def table(self) -> str:
        lines = [
            f"{'alarms':>7}  {'way':8} {'windows/s':>10} {'to verdict, ms':>15} {'server CPU, ms':>15} {'ours, ms':>9}"
        ]
        figures = ("windows_per_s", "to_verdict_ms", "server_cpu_ms", "client_cpu_ms")
        for share, way in sorted(self.rounds):
            one = [self.median(share, way, figure) for figure in figures]
            lines.append(f"{share:7.0%}  {way:8} {one[0]:10.1f} {one[1]:15.0f} {one[2]:15.1f} {one[3]:9.1f}")
        for name, values in self.first_word_ms.items():
            lines.append(f"first token, one at a time, {name}: {statistics.median(values):.1f} ms (n {len(values)})")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        rounds = [{"share": s, "way": w, "rounds": [asdict(r) for r in all_]} for (s, w), all_ in self.rounds.items()]
        return {"rounds": rounds, "first_word_ms": self.first_word_ms, "ratios": self.ratios}


@dataclass(kw_only=True)
class Bench:
    """The two ways, on one server."""

    endpoint: Endpoint
    pid: int
    sampling: FrameSampling
    tokens: int
    seed: int = 1000

    async def measure(self, *, rounds: int, windows: int, in_flight: int) -> Result:
        result = Result()
        async with self._judges(in_flight) as judges:
            await self._round("stream", 0.5, 32, judges, in_flight=in_flight)
            for number in range(rounds):
                for share in SHARES:
                    # Who goes first alternates, as the server is warmer for the second.
                    for way in WAYS if number % 2 else reversed(WAYS):
                        result.rounds[share, way].append(
                            await self._round(way, share, windows, judges, in_flight=in_flight)
                        )
                await self._second_question(result, judges[True])
                print(f"round {number + 1} of {rounds}", file=sys.stderr)
        return result

    @asynccontextmanager
    async def _judges(self, in_flight: int) -> AsyncIterator[Mapping[bool, Judge]]:
        """One to whom every window is an alarm, one to whom none is: so the share of alarms is ours to choose."""
        async with AsyncExitStack() as stack:
            made = {}
            for alarms, threshold in ((True, ALWAYS), (False, NEVER)):
                judge = await TalkingJudge.connect(
                    self.endpoint,
                    load_question("fight"),
                    self.sampling,
                    max_in_flight=in_flight,
                    deadline_s=300.0,
                    alarm_from=threshold,
                    min_label_probability=0.0,
                )
                made[alarms] = await stack.enter_async_context(judge)
            yield made

    async def _round(
        self, way: str, share: float, count: int, judges: Mapping[bool, Judge], *, in_flight: int
    ) -> Round:
        windows = self._windows(count)
        room = asyncio.Semaphore(in_flight)
        took_ms: list[float] = []

        async def one(number: int, window: Sequence[bytes]) -> None:
            judge = judges[number < share * count]
            async with room:
                took_ms.append((await self._ask(way, judge, window)).latency_ms)

        order = [(number * 37 % count, window) for number, window in enumerate(windows)]
        server_s, client_s, began = cpu_s(self.pid), time.process_time(), time.perf_counter()
        await asyncio.gather(*(one(number, window) for number, window in order))
        wall_s = time.perf_counter() - began
        return Round(
            windows_per_s=count / wall_s,
            to_verdict_ms=statistics.median(took_ms),
            server_cpu_ms=1000 * (cpu_s(self.pid) - server_s) / count,
            client_cpu_ms=1000 * (time.process_time() - client_s) / count,
        )

    async def _ask(self, way: str, judge: Judge, window: Sequence[bytes]) -> Verdict:
        """A window's verdict, once its words are complete where it is to have some."""
        if way == "stream":
            return checked(await judge.describe(window, max_tokens=self.tokens))
        verdict = checked(await judge.verdict(window))
        if verdict.outcome == "alarm":
            checked(await judge.describe(window, max_tokens=self.tokens, describe_normal=True))
        return verdict

    async def _second_question(self, result: Result, judge: Judge) -> None:
        for fresh, known in zip(self._windows(10), self._windows(10), strict=True):
            checked(await judge.verdict(known))
            for name, window in (("fresh", fresh), ("again", known)):
                answer = checked(await judge.describe(window, max_tokens=2))
                result.first_word_ms[name].append(answer.latency_ms)

    def _windows(self, count: int) -> list[tuple[bytes, ...]]:
        self.seed += 1
        return list(fresh_windows(count, sampling=self.sampling, seed=self.seed))


def checked(verdict: Verdict) -> Verdict:
    if verdict.cause is not None:
        raise VigilError(f"the server did not answer: {verdict.cause} {verdict.detail}")
    return verdict


def cpu_s(pid: int) -> float:
    """CPU seconds so far of a process and all that descend from its group; 0 without one."""
    if not pid:
        return 0.0
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == pid:
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


if __name__ == "__main__":
    sys.exit(main())
