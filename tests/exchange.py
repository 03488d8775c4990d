"""What the scripts tests/test_*.py share: their options, and exchanges that are printed as they happen.

Each script asks a real endpoint, prints what it asked and got with the latency, and exits 0 or 1. Under
pytest the same questions go to the server of the e2e tests.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from vigil.errors import VigilError
from vigil.judge import Endpoint, read_key
from vigil.judge.discovery import open_openai_client
from vigil.judge.endpoint import DEFAULT_URL

DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question and what came of it; `problem` is empty when the answer is as it must be."""

    asked: str
    got: str
    latency_ms: float
    problem: str = ""

    def __str__(self) -> str:
        mark = f"FAILED: {self.problem}" if self.problem else "ok"
        return f"> {self.asked}\n< {self.got}\n  {self.latency_ms:.0f} ms, {mark}"


def problems(exchanges: Sequence[Exchange]) -> list[str]:
    """What pytest asserts to be empty."""
    return [f"{exchange.asked}: {exchange.problem}" for exchange in exchanges if exchange.problem]


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every script takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--url", default=DEFAULT_URL, help="the OpenAI-compatible endpoint (%(default)s)")
    made.add_argument("--key", help="its key; better in $VIGIL_API_KEY or a --key-file, as ps shows this one")
    made.add_argument("--key-file", type=Path, help="a file that holds the key")
    made.add_argument("--ca-file", type=Path, help="certificates of your own authority, for https")
    made.add_argument("--model", default="", help="the model; may be left out where only one is served")
    return made


def endpoint_of(options: argparse.Namespace) -> Endpoint:
    """The endpoint that the options name."""
    key = options.key or read_key(options.key_file, url=options.url)
    return Endpoint(url=options.url, model=options.model, api_key=key, ca_file=options.ca_file)


def run(ask: Callable[[], Awaitable[Sequence[Exchange]]]) -> int:
    """Runs a script's questions; returns its exit code."""
    try:
        failed = problems(asyncio.run(_to_the_end(ask)))
    except VigilError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1
    print(f"\n{len(failed)} failed" if failed else "\nall as it must be")
    return 1 if failed else 0


async def _to_the_end(ask: Callable[[], Awaitable[Sequence[Exchange]]]) -> Sequence[Exchange]:
    return await ask()


def client_of(endpoint: Endpoint) -> openai.AsyncOpenAI:
    """The openai package's client of an endpoint."""
    return open_openai_client(endpoint, timeout_s=DEADLINE_S, retries=0)


async def exchange(asked: str, ask: Callable[[], Awaitable[tuple[str, str]]]) -> Exchange:
    """Asks, times and prints; a fault of the endpoint is a failed exchange, not a crash."""
    started = time.perf_counter()
    try:
        got, problem = await ask()
    except openai.OpenAIError as error:
        got, problem = " ".join(str(error).split()) or type(error).__name__, type(error).__name__
    done = Exchange(asked=asked, got=got, latency_ms=(time.perf_counter() - started) * 1000, problem=problem)
    print(done, flush=True)
    return done


def completed(answer: Any) -> tuple[str, str]:
    """The text of a chat completion, and what is wrong with it. A tiny model's text may be empty or odd."""
    if not answer.choices:
        return "", "the answer has no choices"
    choice = answer.choices[0]
    text = choice.message.content or ""
    ended = choice.finish_reason in {"stop", "length"}
    return text, "" if ended else f"it ended by {choice.finish_reason!r}"
