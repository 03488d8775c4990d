"""Probabilities of verdict words that are several tokens: each word's tokens are scored behind the prompt."""

import asyncio
from collections.abc import Sequence
from typing import Any

import openai

from vigil.judge.answer import Mass, Words, read_logprob
from vigil.judge.prompt import Message


async def sequence_mass(client: openai.AsyncOpenAI, model: str, asked: Sequence[Message], words: Words) -> Mass | None:
    """The two words' log probabilities, by one request a word; None when the server reports none."""
    alarm, normal = await asyncio.gather(
        _word_logprob(client, model, asked, words.alarm, words.alarm_ids),
        _word_logprob(client, model, asked, words.normal, words.normal_ids),
    )
    return None if alarm is None or normal is None else Mass(alarm, normal)


async def _word_logprob(
    client: openai.AsyncOpenAI, model: str, asked: Sequence[Message], word: str, ids: Sequence[int]
) -> float | None:
    answer = await client.chat.completions.create(
        model=model,
        messages=[*asked, {"role": "assistant", "content": word}],  # type: ignore[list-item]
        max_tokens=1,
        temperature=0.0,
        extra_body={"prompt_logprobs": 0, "continue_final_message": True, "add_generation_prompt": False},
    )
    reported: list[dict[str, Any] | None] | None = getattr(answer, "prompt_logprobs", None)
    if not reported or len(reported) < len(ids):
        return None
    tail = reported[len(reported) - len(ids) :]
    found = [(entry or {}).get(str(token), {}).get("logprob") for entry, token in zip(tail, ids, strict=True)]
    logprobs = [read_logprob(value) for value in found if value is not None]
    return sum(logprobs) if len(logprobs) == len(ids) else None
