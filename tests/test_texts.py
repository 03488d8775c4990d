"""Text questions to an OpenAI-compatible endpoint: Chinese, English, several turns, streamed.

python tests/test_texts.py --url http://127.0.0.1:8000/v1 --model NAME      (key: $VIGIL_API_KEY)
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from exchange import Exchange, client_of, completed, endpoint_of, exchange, parser, problems, run
from vigil.judge import Endpoint
from vigil.judge.contract import served_model

MAX_TOKENS = 48
QUESTIONS: tuple[tuple[str, list[dict[str, str]]], ...] = (
    ("English", [{"role": "user", "content": "In one sentence: what does a security guard watch for?"}]),
    ("Chinese", [{"role": "user", "content": "用一句话回答:监控画面里什么算异常行为?"}]),
    (
        "several turns",
        [
            {"role": "user", "content": "我的摄像头在北门。"},
            {"role": "assistant", "content": "好的,记住了。"},
            {"role": "user", "content": "我的摄像头在哪里?"},
        ],
    ),
)


async def ask_texts(endpoint: Endpoint) -> list[Exchange]:
    """Asks every question whole, then one streamed, then one of a model that is not there."""
    model = (await served_model(endpoint)).name
    async with client_of(endpoint) as client:
        asked = [
            await exchange(f"{name}: {turns[-1]['content']}", lambda turns=turns: _whole(client, model, turns))  # type: ignore[misc]
            for name, turns in QUESTIONS
        ]
        name, turns = QUESTIONS[1]
        asked.append(await exchange(f"{name}, streamed", lambda: _streamed(client, model, turns)))
        asked.append(await exchange("a model that is not served", lambda: _refused(client)))
    return asked


async def _whole(client: openai.AsyncOpenAI, model: str, turns: Sequence[Any]) -> tuple[str, str]:
    answer = await client.chat.completions.create(
        model=model, messages=list(turns), max_tokens=MAX_TOKENS, temperature=0.0
    )
    return completed(answer)


async def _streamed(client: openai.AsyncOpenAI, model: str, turns: Sequence[Any]) -> tuple[str, str]:
    stream = await client.chat.completions.create(
        model=model, messages=list(turns), max_tokens=MAX_TOKENS, temperature=0.0, stream=True
    )
    choices = [chunk.choices[0] async for chunk in stream if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    ended = bool(choices) and choices[-1].finish_reason in {"stop", "length"}
    return f"{text} ({len(choices)} pieces)", "" if ended else "the stream broke off"


async def _refused(client: openai.AsyncOpenAI) -> tuple[str, str]:
    try:
        await _whole(client, "no-such-model", QUESTIONS[0][1])
    except (openai.NotFoundError, openai.BadRequestError, openai.PermissionDeniedError) as error:
        return f"refused with {error.status_code}", ""
    # Some servers of a single model take any name; that is odd, but no fault of the endpoint.
    return "answered, whatever the name", ""


@pytest.mark.e2e
def test_texts(endpoint: Endpoint) -> None:
    assert problems(asyncio.run(ask_texts(endpoint))) == []


def main() -> int:
    chosen = parser(__doc__).parse_args()
    return run(lambda: ask_texts(endpoint_of(chosen)))


if __name__ == "__main__":
    sys.exit(main())
