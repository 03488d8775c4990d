"""How fast `vigil score` is: against the usual way of asking, and against what the server can do at all.

The usual way: one clip after another, six pictures as images, an answer of 100 tokens. Ours: all windows
through `vigil.score`, one token each, as many in flight as it takes. The server's ceiling: the same
one-token requests, their bytes made beforehand, over plain sockets. The three take turns on one server
within one run, each time with pictures that the server has not seen (its caches would answer otherwise).

    python benchmarks/score.py                       serves the tiny model itself (needs .venv-serve)
    python benchmarks/score.py --url http://127.0.0.1:8000/v1 --model NAME --max-pixels 131072
"""

import argparse
import asyncio
import base64
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import openai

from vigil.errors import VigilError
from vigil.frames import FrameSampling, encode_jpeg, fit_size
from vigil.judge import Endpoint, Judge, read_key
from vigil.judge.answer_parser import logprob_options
from vigil.judge.model_client import chat_messages
from vigil.questions import Question, load_question
from vigil.score import EvalClip, EvalWindow, Journal, ScoreRun
from vigil.score.run import IN_FLIGHT

ANSWER_TOKENS = 100
TINY_BASE = Path(__file__).resolve().parents[1] / "src/vigil/tiny/base"
TINY_SAMPLING = FrameSampling(max_pixels=12_288)
LEVELS = (16, 32, 64, 128)


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        with server(options) as (endpoint, sampling):
            bench = Bench(
                endpoint=endpoint, sampling=sampling, task=load_question("fight"), in_flight=options.in_flight
            )
            result = asyncio.run(bench.measure(rounds=options.rounds, clips=options.clips, slow=options.slow_clips))
    except VigilError as error:
        print(f"score: {error}", file=sys.stderr)
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
    parser.add_argument("--model", default="", help="its model")
    parser.add_argument("--max-pixels", type=int, default=TINY_SAMPLING.max_pixels, help="its cap on a frame's area")
    parser.add_argument("--rounds", type=int, default=12, help="how often the three take turns")
    parser.add_argument("--clips", type=int, default=200, help="clips a round for ours and for the ceiling")
    parser.add_argument("--slow-clips", type=int, default=4, help="clips a round for the usual way")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT, help="requests under way at once, ours")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


@contextlib.contextmanager
def server(options: argparse.Namespace) -> Iterator[tuple[Endpoint, FrameSampling]]:
    sampling = FrameSampling(max_pixels=options.max_pixels)
    if options.url:
        yield Endpoint(url=options.url, model=options.model, api_key=read_key(url=options.url)), sampling
        return
    from vigil.serving.server import run_server

    with (
        tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder,
        run_server(
            TINY_BASE, task=load_question("fight"), sampling=TINY_SAMPLING, log=Path(folder) / "vllm.log"
        ) as served,
    ):
        yield served.endpoint(), TINY_SAMPLING


@dataclass(kw_only=True)
class Result:
    """Clips a second, one figure a round."""

    usual: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    ceiling: list[float] = field(default_factory=list)
    ceiling_in_flight: int = 0

    @property
    def ratios(self) -> dict[str, float]:
        """Our median round against theirs: what else runs on the machine comes and goes by the second."""
        return {
            "score_vs_usual": statistics.median(self.ours) / statistics.median(self.usual),
            "score_vs_ceiling": statistics.median(self.ours) / statistics.median(self.ceiling),
        }

    def intervals(self) -> dict[str, tuple[float, float]]:
        """The ratios' 95 % intervals, by drawing rounds with replacement."""
        rng = np.random.default_rng(0)
        rounds = rng.integers(0, len(self.ours), (2000, len(self.ours)))
        ours = np.median(np.array(self.ours)[rounds], axis=1)
        others = {"score_vs_usual": self.usual, "score_vs_ceiling": self.ceiling}
        drawn = {name: ours / np.median(np.array(rates)[rounds], axis=1) for name, rates in others.items()}
        return {name: (float(np.percentile(v, 2.5)), float(np.percentile(v, 97.5))) for name, v in drawn.items()}

    def last(self) -> str:
        return f"usual {self.usual[-1]:.1f}, ours {self.ours[-1]:.1f}, ceiling {self.ceiling[-1]:.1f} clips/s"

    def table(self) -> str:
        rows = (
            (f"usual: one by one, six images, {ANSWER_TOKENS} tokens", self.usual),
            ("ours: vigil score", self.ours),
            (f"ceiling: ready bytes, {self.ceiling_in_flight} in flight", self.ceiling),
        )
        lines = [f"{'clips/s':46} {'median':>8} {'lowest':>8} {'highest':>8}"]
        lines += [f"{n:46} {statistics.median(v):8.2f} {min(v):8.2f} {max(v):8.2f}" for n, v in rows]
        for name, (low, high) in self.intervals().items():
            lines.append(f"{name} {self.ratios[name]:.2f} [{low:.2f}, {high:.2f}], {len(self.ours)} rounds")
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        rates = {"usual": self.usual, "ours": self.ours, "ceiling": self.ceiling}
        figures: dict[str, object] = {"clips_per_s": rates, "ceiling_in_flight": self.ceiling_in_flight}
        return figures | {"ratios": self.ratios, "ratios_ci95": self.intervals()}


@dataclass(kw_only=True)
class Bench:
    """The three ways of asking, on one server."""

    endpoint: Endpoint
    sampling: FrameSampling
    task: Question
    in_flight: int = IN_FLIGHT
    seed: int = 0

    async def measure(self, *, rounds: int, clips: int, slow: int) -> Result:
        result = Result()
        async with await Judge.connect(
            self.endpoint,
            self.task,
            self.sampling,
            max_in_flight=max(LEVELS),
            deadline_s=300.0,
            min_label_probability=0.0,
        ) as judge:
            await self.ours(judge, clips=64)
            rates = {level: await self.ceiling(judge, clips=clips // 2, in_flight=level) for level in LEVELS}
            result.ceiling_in_flight = max(rates, key=lambda level: rates[level])
            print(f"ceiling by requests in flight: {rates}", file=sys.stderr)
            for number in range(rounds):
                result.usual.append(await self.usual(judge.model, clips=slow))
                # Who goes first alternates, as the server is warmer for the second.
                for way in ("ours", "ceiling") if number % 2 else ("ceiling", "ours"):
                    if way == "ours":
                        result.ours.append(await self.ours(judge, clips=clips))
                    else:
                        rate = await self.ceiling(judge, clips=clips, in_flight=result.ceiling_in_flight)
                        result.ceiling.append(rate)
                print(f"round {number + 1} of {rounds}: {result.last()}", file=sys.stderr)
        return result

    async def ours(self, judge: Judge, *, clips: int) -> float:
        """`vigil score` on a dataset's stored frames: reading, asking and keeping the verdicts."""
        with tempfile.TemporaryDirectory(prefix="vigil-bench-") as folder:
            stored = [self._store(Path(folder), number, window) for number, window in enumerate(self._windows(clips))]
            with Journal(Path(folder) / "verdicts.jsonl", header={}) as journal:
                started = time.perf_counter()
                records = await ScoreRun(judge=judge, journal=journal, in_flight=self.in_flight).ask_all(stored)
                taken_s = time.perf_counter() - started
        if any(record.cause is not None for record in records):
            raise VigilError(f"the server did not answer: {records[0].cause} {records[0].detail}")
        return clips / taken_s

    async def usual(self, model: str, *, clips: int) -> float:
        """One clip after another, six images and a whole answer, through the same client package."""
        windows = list(self._windows(clips))
        async with openai.AsyncOpenAI(
            base_url=self.endpoint.url, api_key=self.endpoint.api_key or "none", timeout=300.0
        ) as client:
            started = time.perf_counter()
            for window in windows:
                await client.chat.completions.create(
                    model=model,
                    messages=[{"role": "user", "content": usual_parts(window, self.task)}],  # type: ignore[list-item, misc]
                    max_tokens=ANSWER_TOKENS,
                    temperature=0.0,
                    # A tiny model may end its answer early; a real one describes the clip.
                    extra_body={"ignore_eos": True},
                )
            return clips / (time.perf_counter() - started)

    async def ceiling(self, judge: Judge, *, clips: int, in_flight: int) -> float:
        """The same requests as bytes made beforehand, over plain sockets that stay open."""
        requests = [self._request_bytes(judge, window) for window in self._windows(clips)]
        waiting = iter(requests)
        address = urlsplit(self.endpoint.url)
        host, port = address.hostname or "127.0.0.1", address.port or 80
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(connected(host, port)) for _ in range(in_flight)]
            started = time.perf_counter()
            await asyncio.gather(*(pump(reader, writer, waiting) for reader, writer in sockets))
            return clips / (time.perf_counter() - started)

    def _request_bytes(self, judge: Judge, window: Sequence[bytes]) -> bytes:
        asked = chat_messages(window, self.task.text, media=judge.media, fps=self.sampling.fps)
        body = json.dumps(
            {
                "model": judge.model,
                "messages": asked,
                "max_tokens": 1,
                "temperature": 0.0,
                **logprob_options(judge.label_tokens.place),
            }
        ).encode()
        address = urlsplit(self.endpoint.url)
        head = (
            f"POST {address.path}/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {self.endpoint.api_key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _store(self, folder: Path, number: int, window: Sequence[bytes]) -> EvalClip:
        files = [folder / f"{number:05d}-{i}.jpg" for i in range(len(window))]
        for file, jpeg in zip(files, window, strict=True):
            file.write_bytes(jpeg)
        name = str(number)
        return EvalClip(name=name, label="normal", group=name, windows=lambda: [_read(name, files)])

    def _windows(self, count: int) -> Iterator[tuple[bytes, ...]]:
        self.seed += 1
        return fresh_windows(count, sampling=self.sampling, seed=self.seed)


def usual_parts(window: Sequence[bytes], task: Question) -> list[dict[str, object]]:
    """A window as six single images and a question."""
    urls = [f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" for jpeg in window]
    images: list[dict[str, object]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [*images, {"type": "text", "text": task.text}]


def fresh_windows(count: int, *, sampling: FrameSampling, seed: int) -> Iterator[tuple[bytes, ...]]:
    """Windows of drawn pictures that no server has seen yet."""
    width, height = fit_size(640, 480, max_pixels=sampling.max_pixels)
    rng = np.random.default_rng(seed)
    still = rng.integers(60, 180, (height // 8, width // 8, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    for _ in range(count):
        grain = rng.integers(0, 12, (sampling.frames, height, width, 1), dtype=np.uint8)
        yield tuple(encode_jpeg(still + one, quality=sampling.jpeg_quality) for one in grain)


def _read(name: str, files: Sequence[Path]) -> EvalWindow:
    return EvalWindow(clip=name, window=0, start_s=0.0, end_s=2.5, jpegs=tuple(file.read_bytes() for file in files))


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: Iterator[bytes]) -> None:
    """Sends one request after another on a connection and reads each answer whole."""
    for request in waiting:
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise VigilError(f"the server refused: {head.decode(errors='replace').strip()}")
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)


if __name__ == "__main__":
    sys.exit(main())
