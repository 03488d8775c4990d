"""Answers a question to the past from what a store has: the search decides what there is, a model puts it into words.

    found = find_records(store, question)
    async for step in answer_question(question, found, endpoint):
        ...                                       # pieces of the answer, and last the checked answer

Without records no model is asked; without a model, the records are the answer, and `trouble` says why.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vigil.chat import ChatClient
from vigil.errors import EndpointError
from vigil.history.citations import AnswerSentence, check_citations
from vigil.history.prompt import HistoryPrompt, make_prompt
from vigil.history.question import HistoryQuestion
from vigil.history.records import FoundRecords
from vigil.judge.contract import served_model
from vigil.judge.discovery import ServedModel
from vigil.judge.endpoint import Endpoint

ANSWER_WITHIN_S = 120.0
NO_MODEL = "no model was asked"

Outcome: TypeAlias = Literal["answered", "nothing_recorded", "records_only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAnswer:
    """The answer to a question.

    `answered`: `sentences` are the model's, each with the records it rests on; `unknown_refs` are citations that were
    taken off, since there is no such record. `nothing_recorded`: the search has found nothing. `records_only`: no model
    has answered, for the reason in `trouble`. `left_out` counts records that did not fit beside the question.
    """

    outcome: Outcome
    question: HistoryQuestion
    found: FoundRecords
    sentences: tuple[AnswerSentence, ...] = ()
    unknown_refs: tuple[str, ...] = ()
    model: str = ""
    trouble: str = ""
    left_out: int = 0


AnswerStep: TypeAlias = str | HistoryAnswer


async def answer_question(
    question: HistoryQuestion, found: FoundRecords, endpoint: Endpoint | None
) -> AsyncGenerator[AnswerStep, None]:
    """Yields the pieces of the model's answer as they arrive, and last the answer, checked; raises no EndpointError."""
    if found.is_empty:
        yield HistoryAnswer(outcome="nothing_recorded", question=question, found=found)
        return
    if endpoint is None:
        yield HistoryAnswer(outcome="records_only", question=question, found=found, trouble=NO_MODEL)
        return
    pieces: list[str] = []
    try:
        model = await served_model(endpoint)
        prompt = make_prompt(question, found.records, context=model.max_model_len)
        deadline_s = asyncio.get_running_loop().time() + ANSWER_WITHIN_S
        async with aclosing(_pieces(endpoint, model, prompt)) as arriving:
            while (piece := await _next(arriving, deadline_s)) is not None:
                pieces.append(piece)
                yield piece
    except (EndpointError, TimeoutError) as error:
        why = str(error) or f"{endpoint.url} has not answered within {ANSWER_WITHIN_S:g} s"
        yield HistoryAnswer(outcome="records_only", question=question, found=found, trouble=why)
        return
    yield _checked(question, found, prompt, "".join(pieces), _name(model))


async def whole_answer(question: HistoryQuestion, found: FoundRecords, endpoint: Endpoint | None) -> HistoryAnswer:
    """The answer at once, without its pieces."""
    last: AnswerStep = ""
    async with aclosing(answer_question(question, found, endpoint)) as steps:
        async for step in steps:
            last = step
    assert isinstance(last, HistoryAnswer)
    return last


async def _pieces(endpoint: Endpoint, model: ServedModel, prompt: HistoryPrompt) -> AsyncGenerator[str, None]:
    async with ChatClient(endpoint) as client:
        arriving = client.answer(_name(model), prompt.messages, max_tokens=prompt.max_tokens)
        async with aclosing(arriving) as pieces:
            async for piece in pieces:
                yield piece


async def _next(arriving: AsyncGenerator[str, None], deadline_s: float) -> str | None:
    # A time limit around a `yield` would end whatever the caller does meanwhile.
    async with asyncio.timeout_at(deadline_s):
        return await anext(arriving, None)


def _name(model: ServedModel) -> str:
    """A model that was taught verdicts alone leaves words to its base."""
    return model.describer() or model.name


def _checked(
    question: HistoryQuestion, found: FoundRecords, prompt: HistoryPrompt, text: str, model: str
) -> HistoryAnswer:
    checked = check_citations(text, prompt.records)
    if not checked.sentences:
        trouble = f"the model {model} gave no answer"
        return HistoryAnswer(outcome="records_only", question=question, found=found, trouble=trouble, model=model)
    return HistoryAnswer(
        outcome="answered",
        question=question,
        found=found,
        sentences=checked.sentences,
        unknown_refs=checked.unknown,
        model=model,
        left_out=len(found.records) - len(prompt.records),
    )
