"""Probabilities of whole words, where no single token tells them: each word's tokens are scored behind the prompt."""

import asyncio
from collections.abc import Sequence
from typing import Any

import openai

from vigil.judge.answer import LabelLogprobs, LabelTokens, parse_logprob
from vigil.judge.prompt import CONTINUED, Message, answer_begun


async def score_label_sequences(
    client: openai.AsyncOpenAI, model: str, asked: Sequence[Message], words: LabelTokens
) -> LabelLogprobs | None:
    """The log probabilities of all words, by one request a word; None when the server reports none."""
    asking = (_word_logprob(client, model, asked, word, words.ids[label]) for label, word in words.texts.items())
    logprobs = dict(zip(words.texts, await asyncio.gather(*asking), strict=True))
    found = {label: logprob for label, logprob in logprobs.items() if logprob is not None}
    return LabelLogprobs(found) if len(found) == len(logprobs) else None


async def _word_logprob(
    client: openai.AsyncOpenAI, model: str, asked: Sequence[Message], word: str, ids: Sequence[int]
) -> float | None:
    answer = await client.chat.completions.create(
        model=model,
        messages=answer_begun(asked, word),  # type: ignore[arg-type]
        max_tokens=1,
        temperature=0.0,
        extra_body={"prompt_logprobs": 0} | CONTINUED,
    )
    reported: list[dict[str, Any] | None] | None = getattr(answer, "prompt_logprobs", None)
    if not reported or len(reported) < len(ids):
        return None
    tail = reported[len(reported) - len(ids) :]
    found = [(entry or {}).get(str(token), {}).get("logprob") for entry, token in zip(tail, ids, strict=True)]
    logprobs = [parse_logprob(value) for value in found if value is not None]
    return sum(logprobs) if len(logprobs) == len(ids) else None
