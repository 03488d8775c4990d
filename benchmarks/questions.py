"""What further questions about a window cost: one, two and four questions to windows that the server has not seen.

`in turn`: the first question, and once it is answered the others side by side. `at once`: all side by side, as a watch
asks them. The ways take turns, one window at a time, each time with fresh pictures, which stand before the question:
the server's prefix cache has them from the first question on. The ratios are the cost of the second question, and of
each of the second to fourth, as a share of the first: in time and in CPU of the server.

    python benchmarks/questions.py                                serves the tiny model itself (needs .venv-serve)
    python benchmarks/questions.py --url http://127.0.0.1:8000/v1 --pid N --max-pixels 131072 --windows 6
    python benchmarks/questions.py --serve MODEL_DIR              serves that model, as for the tiny one
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from score import TINY_BASE, TINY_SAMPLING, fresh_windows
from words import cpu_s

from vigil.errors import VigilError
from vigil.frames import FrameSampling
from vigil.judge import Endpoint, Judge, read_key
from vigil.questions import Question, load_question
from vigil.sentence_question import question_from_sentence
from vigil.windows import JpegWindow

OWN = load_question("fight")
OTHERS = [question_from_sentence(each) for each in ("有人翻越围栏吗", "画面里有烟吗", "有人跌倒吗")]
WAYS = ((1, "in turn"), (2, "in turn"), (2, "at once"), (4, "in turn"), (4, "at once"))


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        with server(options) as (endpoint, pid, sampling):
            result = asyncio.run(measure(endpoint, pid, sampling, windows=options.windows))
    except VigilError as error:
        print(f"questions: {error}", file=sys.stderr)
        return error.exit_code
    print(result.table())
    for name, value in result.ratios.items():
        print(f"ratio {name} {value:.3f}")
    if options.json:
        options.json.write_text(json.dumps(result.to_json(), indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running server; without it a model is served")
    parser.add_argument("--serve", type=Path, default=TINY_BASE, help="the model to serve; by default the tiny one")
    parser.add_argument("--pid", type=int, default=0, help="the first process of --url here, to count its CPU")
    parser.add_argument("--model", default="", help="its model")
    parser.add_argument("--max-pixels", type=int, default=TINY_SAMPLING.max_pixels, help="the cap on a frame's area")
    parser.add_argument("--windows", type=int, default=40, help="windows for each way")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


@contextmanager
def server(options: argparse.Namespace) -> Iterator[tuple[Endpoint, int, FrameSampling]]:
    sampling = FrameSampling(max_pixels=options.max_pixels)
    if options.url:
        endpoint = Endpoint(url=options.url, model=options.model, api_key=read_key(url=options.url))
        yield endpoint, options.pid, sampling
        return
    from vigil.serving.server import run_server

    with (
        tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder,
        run_server(options.serve, task=OWN, sampling=sampling, log=Path(folder) / "vllm.log") as served,
    ):
        yield served.endpoint(), served.pid, sampling


@dataclass
class Result:
    """What a window took, by the number of questions and the way they were asked."""

    wall_ms: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def ratios(self) -> dict[str, float]:
        """The cost of a further question as a share of the first one's."""
        found = {}
        for name, figures in (("time", self.wall_ms), ("cpu", self.cpu_ms)):
            first = statistics.median(figures[1, "in turn"]) if figures else 0.0
            for questions, way in WAYS[1:]:
                if first:
                    more = (statistics.median(figures[questions, way]) - first) / (questions - 1)
                    found[f"{name}_{questions}_{way}".replace(" ", "_", 1)] = more / first
        return found

    def table(self) -> str:
        lines = [f"{'questions':>9}  {'way':8} {'ms':>9} {'p95':>9} {'server CPU, ms':>15}   n"]
        for questions, way in WAYS:
            wall, cpu = self.wall_ms[questions, way], self.cpu_ms.get((questions, way), [0.0])
            p95 = statistics.quantiles(wall, n=20)[-1] if len(wall) > 1 else wall[0]
            lines.append(
                f"{questions:9}  {way:8} {statistics.median(wall):9.1f} {p95:9.1f} {statistics.median(cpu):15.1f}"
                f" {len(wall):3}"
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        rows = [
            {"questions": questions, "way": way, "wall_ms": self.wall_ms[questions, way]} for questions, way in WAYS
        ]
        return {"rows": rows, "ratios": self.ratios}


async def measure(endpoint: Endpoint, pid: int, sampling: FrameSampling, *, windows: int) -> Result:
    result = Result()
    async with await Judge.connect(endpoint, OWN, sampling, deadline_s=600.0, min_label_probability=0.0) as judge:
        fresh = fresh_windows((windows + 1) * len(WAYS), sampling=sampling, seed=2000)
        # The first round finds the tokens of the labels, and is not counted.
        for number in range(windows + 1):
            # Which way goes first changes, as the server is warmer for those after it.
            for questions, way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
                cpu, began = cpu_s(pid), time.perf_counter()
                await ask(judge, DrawnWindow(next(fresh)), [OWN, *OTHERS][:questions], way=way)
                wall_ms = 1000 * (time.perf_counter() - began)
                if number:
                    result.wall_ms[questions, way].append(wall_ms)
                    if pid:
                        result.cpu_ms[questions, way].append(1000 * (cpu_s(pid) - cpu))
            # A model of true size takes minutes a round without a GPU: each is told as it ends.
            told = ", ".join(f"{q} {way} {ms[-1]:.0f} ms" for (q, way), ms in result.wall_ms.items())
            print(f"round {number} of {windows}: {told or 'not counted'}", file=sys.stderr)
    return result


async def ask(judge: Judge, window: JpegWindow, questions: Sequence[Question], *, way: str) -> None:
    first = list(questions[:1]) if way == "in turn" else list(questions)
    answers = await judge.ask_all(window, first)
    answers |= await judge.ask_all(window, questions[len(first) :])
    for answer in answers.values():
        if answer.cause is not None:
            raise VigilError(f"the server did not answer: {answer.cause} {answer.detail}")


@dataclass(frozen=True, slots=True)
class DrawnWindow:
    """The pictures of a window that nobody has recorded."""

    jpegs: tuple[bytes, ...]
    start_s: float = 0.0
    end_s: float = 2.5


if __name__ == "__main__":
    sys.exit(main())
