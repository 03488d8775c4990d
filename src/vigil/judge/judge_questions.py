"""The requests about a window that a judge sends to its server, and the readings of their answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import openai

from vigil.answer_schema import AnswerSchema
from vigil.frames import FrameSampling
from vigil.judge.answer_parser import (
    LabelLogprobs,
    LabelTokens,
    Place,
    StreamedAnswer,
    combine_places,
    logprob_options,
    parse_label_logprobs,
    read_place,
    score_label_sequences,
    stream_answer,
)
from vigil.judge.model_client import CONTINUED, Message, ModelClient, answer_begun, chat_messages
from vigil.judge.server_facts import ServerFacts
from vigil.judge.verdict_reader import AnswerReading, read_answer_labels
from vigil.questions import Question

OnText: TypeAlias = Callable[[str], None]
"""Called with each piece of text as it arrives."""

GoOn: TypeAlias = Callable[[StreamedAnswer], Awaitable[bool]]
"""Whether to read more of a streamed answer; called once, when its verdict can be read."""

SPELLED_TOKENS = 8
"""Tokens to generate for a verdict if the deciding token ids are unknown: the server must at least spell the word."""


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """The maximum number of tokens of a streamed answer, the callback for its text, and the form it is held to."""

    max_tokens: int
    on_text: OnText | None = None
    schema: AnswerSchema[Any] | None = None


class JudgeQuestions:
    """Asks one server about windows, using the given facts of it and the tokens of the question's labels.

    Every method raises the endpoint faults in `vigil.judge.faults.REPLY_FAULTS`; the caller bounds the time.
    """

    def __init__(self, client: openai.AsyncOpenAI, transport: ModelClient, *, sampling: FrameSampling) -> None:
        self._client = client
        self._transport = transport
        self._sampling = sampling

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()
        await self._client.close()

    async def label(
        self, jpegs: Sequence[bytes], facts: ServerFacts, question: Question, label_tokens: LabelTokens
    ) -> AnswerReading:
        """The reading of one token, or of the spelled word if the server reports no probabilities."""
        messages = self._messages(jpegs, facts, question.text)
        if not label_tokens.is_single_request:
            return AnswerReading(await self._mass(messages, facts, label_tokens))
        reading = await self._read(messages, facts, label_tokens)
        if reading.mass or reading.stated_label or label_tokens.place is None:
            return reading
        # A server that does not report the requested tokens may still report the most likely ones, or spell the word.
        return await self._read(messages, facts, LabelTokens(texts=label_tokens.texts))

    async def stream(
        self,
        jpegs: Sequence[bytes],
        facts: ServerFacts,
        question: Question,
        answer: StreamedAnswer,
        request: AnswerRequest,
        go_on: GoOn,
    ) -> None:
        """Streams the label that answers the judge's own question, followed by the description."""
        messages, label_tokens = self._messages(jpegs, facts, question.text), facts.label_tokens
        answer.beginning = label_tokens.beginning
        if not label_tokens.is_single_request:
            answer.mass = await self._mass(messages, facts, label_tokens)
        options = logprob_options(label_tokens.place)
        body = self.body(facts.model, messages, max_tokens=request.max_tokens, place=label_tokens.place) | options
        await stream_answer(
            self._transport, answer, body=body, label_tokens=label_tokens, go_on=go_on, on_text=request.on_text
        )

    async def stream_text(
        self,
        jpegs: Sequence[bytes],
        facts: ServerFacts,
        text: str,
        answer: StreamedAnswer,
        request: AnswerRequest,
        go_on: GoOn,
    ) -> None:
        """Streams the answer to a question that has no labels, from the model that describes."""
        messages = self._messages(jpegs, facts, text)
        body = self.body(facts.describer or facts.model, messages, max_tokens=request.max_tokens)
        body |= {} if request.schema is None else request.schema.response_format()
        label_tokens = LabelTokens(texts={})
        await stream_answer(
            self._transport, answer, body=body, label_tokens=label_tokens, go_on=go_on, on_text=request.on_text
        )

    def body(
        self, model: str, messages: Sequence[Message], *, max_tokens: int, place: Place | None = None
    ) -> dict[str, Any]:
        """The request body, without the fields that request probabilities."""
        head = {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0.0}
        if place is not None and place.beginning:
            head |= {"messages": answer_begun(messages, place.beginning)} | CONTINUED
        return head

    async def _read(self, messages: Sequence[Message], facts: ServerFacts, label_tokens: LabelTokens) -> AnswerReading:
        answer = await self._ask(
            messages, facts, max_tokens=1 if label_tokens.place else SPELLED_TOKENS, place=label_tokens.place
        )
        if not answer["choices"]:
            return AnswerReading(None)
        choice = answer["choices"][0]
        text = label_tokens.beginning + (choice["message"].get("content") or "")
        tokens = int((answer.get("usage") or {}).get("total_tokens") or 0)
        return replace(
            read_answer_labels(parse_label_logprobs(choice.get("logprobs"), label_tokens), text, label_tokens),
            tokens=tokens,
        )

    async def _mass(
        self, messages: Sequence[Message], facts: ServerFacts, label_tokens: LabelTokens
    ) -> LabelLogprobs | None:
        """The label log probabilities from several requests, if one is not enough."""
        if label_tokens.method == "sequences":
            return await score_label_sequences(self._client, facts.model, messages, label_tokens)
        read = await asyncio.gather(*(self._read_place(messages, facts, place) for place in label_tokens.places))
        return combine_places(read, label_tokens)

    async def _read_place(
        self, messages: Sequence[Message], facts: ServerFacts, place: Place
    ) -> dict[str, float] | None:
        answer = await self._ask(messages, facts, max_tokens=1, place=place)
        return read_place(answer["choices"][0].get("logprobs"), place) if answer["choices"] else None

    async def _ask(
        self, messages: Sequence[Message], facts: ServerFacts, *, max_tokens: int, place: Place | None
    ) -> Any:
        body = self.body(facts.model, messages, max_tokens=max_tokens, place=place)
        return await self._transport.chat(body | logprob_options(place))

    def _messages(self, jpegs: Sequence[bytes], facts: ServerFacts, question: str) -> list[Message]:
        return chat_messages(jpegs, question, media=facts.media, fps=self._sampling.fps)
