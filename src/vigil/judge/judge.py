"""Asks a served model questions about windows.

    async with await Judge.connect(endpoint, question, sampling) as judge:
        answer = await judge.ask(window)                          # a probability for each label, from one token
        verdict = answer.verdict(question, alarm_from=0.5)
        answers = await judge.ask_all(window, [smoke, falls])     # other questions to the same window

`ask` generates one token; a question without labels is answered by a text. `describe` streams: it reports the verdict
at the first token, stops there if the answer is normal, and goes on with the description if it is an alarm. A model
trained on verdicts alone gives no descriptions: then the question's `describe` is asked, of the base model if the model
is an adapter that is served with it. Endpoint failures are never raised: the answer is then unknown, with its cause.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Self, TypeAlias

import openai

from vigil.errors import EndpointError, EndpointUnreachable, UsageError
from vigil.frames import FrameSampling
from vigil.judge import discovery
from vigil.judge.answer_parser import LabelTokens, StreamedAnswer
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import SLOWNESS, RequestFault
from vigil.judge.judge_questions import AnswerRequest, JudgeQuestions, OnText
from vigil.judge.label_token_lookup import find_label_tokens, warn_of_method
from vigil.judge.model_client import MediaForm, ModelClient
from vigil.judge.request_slots import RequestSlots
from vigil.judge.server_facts import CONNECT_S, FactsReader, ReadCalibration, ServerFacts, ServerFactsCache
from vigil.judge.verdict_reader import (
    ALARM_FROM,
    MIN_LABEL_PROBABILITY,
    AnswerReading,
    EarlyVerdict,
    OnVerdict,
    answer_of_reading,
    broken_off,
    read_answer_labels,
    since_ms,
)
from vigil.manifest import Answers, Calibration
from vigil.questions import Question
from vigil.verdict import Answer, Cause, Verdict
from vigil.windows import JpegWindow

FindTokens: TypeAlias = Callable[[Mapping[str, str], str], Awaitable[LabelTokens]]
"""Finds the tokens of label words in the tokenizer of a served model; raises EndpointError."""

SUSPICIOUS_CAUSES = frozenset({Cause.OUTSIDE, Cause.CONTRADICTORY, Cause.UNPARSEABLE})
"""Causes that may mean that another model is answering."""

DESCRIBABLE_CAUSES = frozenset({None, Cause.OUTSIDE, Cause.CONTRADICTORY})
"""Causes of verdicts that can still be described: the server has answered."""

REPLACED = "the server was replaced during the request"

DESCRIPTION_DEADLINES = 3
"""A description may take this many deadlines in total, even if a proxy buffers it until its end."""


class Judge:
    """Asks one model of one endpoint about windows: a question of its own, `question`, and any others.

    `find_tokens` finds the tokens of other questions' labels; without it they are read from the most likely tokens.
    `max_in_flight` bounds concurrent requests. `deadline_s` bounds each request including its retries, which happen
    only for transient failures (429, 5xx, no connection). `min_label_probability` is the minimum
    total probability of the labels. The `facts` about the server are read again whenever it may have been replaced.
    """

    questions: ClassVar[type[JudgeQuestions]] = JudgeQuestions

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        transport: ModelClient,
        *,
        model: str,
        describer: str = "",
        label_tokens: LabelTokens,
        question: Question,
        sampling: FrameSampling,
        find_tokens: FindTokens | None = None,
        media: MediaForm = "video",
        calibration: Calibration | None = None,
        facts: ServerFactsCache | None = None,
        max_in_flight: int = 32,
        deadline_s: float = 30.0,
        min_label_probability: float = MIN_LABEL_PROBABILITY,
        alarm_from: float = ALARM_FROM,
    ) -> None:
        self.question = question
        self.sampling = sampling
        self.facts = facts or ServerFactsCache(
            ServerFacts(
                model=model, describer=describer, label_tokens=label_tokens, media=media, calibration=calibration
            )
        )
        self.deadline_s = deadline_s
        self.min_label_probability = min_label_probability
        self.alarm_from = alarm_from
        self._questions = self.questions(client, transport, sampling=sampling)
        self._find_tokens = find_tokens
        self._tokens: dict[tuple[tuple[str, str], ...], tuple[int, LabelTokens]] = {}
        self._slots = RequestSlots(self.facts, max_in_flight=max_in_flight, deadline_s=deadline_s)

    @property
    def model(self) -> str:
        """The name of the model that is asked."""
        return self.facts.now.model

    @property
    def describer(self) -> str:
        """The model that describes windows in a request of its own; empty if the answers contain the description."""
        return self.facts.now.describer

    @property
    def label_tokens(self) -> LabelTokens:
        """The label words and their tokens; setting them by hand disables every later reading from the server."""
        return self.facts.now.label_tokens

    @label_tokens.setter
    def label_tokens(self, label_tokens: LabelTokens) -> None:
        self.facts.fix(label_tokens=label_tokens)

    @property
    def media(self) -> MediaForm:
        """The form in which frames are sent; setting it by hand disables every later reading from the server."""
        return self.facts.now.media

    @media.setter
    def media(self, media: MediaForm) -> None:
        self.facts.fix(media=media)

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of the model's probabilities; None if it has none."""
        return self.facts.now.calibration

    @property
    def contract_differences(self) -> tuple[str, ...]:
        """How the server's contract differs from this judge's."""
        return self.facts.now.differences

    @classmethod
    async def connect(
        cls,
        endpoint: Endpoint,
        question: Question,
        sampling: FrameSampling,
        *,
        media: MediaForm | None = None,
        strict: bool = False,
        pinned: bool = False,
        answers: Answers = "words",
        retries: int = 2,
        answer_tokens: int = 1,
        deadline_s: float = 30.0,
        calibration: Calibration | None = None,
        read_calibration: ReadCalibration | None = None,
        **settings: Any,
    ) -> Self:
        """Finds the model, checks its contract, label words, context length and media, and returns a connected judge.

        `answers` is what the model's manifest declares, for servers that declare no contract. `read_calibration` is
        called whenever the server's facts are read; without it `calibration` is used throughout. A `pinned` judge
        accepts only the model it found first. Raises EndpointError if no verdict could ever be given,
        EndpointUnreachable if the server did not report its capabilities.
        """
        reader = FactsReader(
            endpoint=endpoint,
            question=question,
            sampling=sampling,
            media=media,
            answers=answers,
            strict=strict,
            retries=retries,
            answer_tokens=answer_tokens,
            timeout_s=max(deadline_s, CONNECT_S),
            read_calibration=read_calibration or (lambda: calibration),
        )
        facts = await reader.first()
        if question.labels:
            warn_of_method(facts.label_tokens, facts.model)
        transport = ModelClient(endpoint, retries=retries)
        return cls(
            discovery.open_openai_client(endpoint, timeout_s=reader.timeout_s, retries=retries),
            transport,
            model=facts.model,
            label_tokens=facts.label_tokens,
            question=question,
            sampling=sampling,
            find_tokens=partial(find_label_tokens, endpoint),
            facts=ServerFactsCache(
                facts,
                read=replace(reader, retries=0).read,
                breaks=lambda: transport.breaks,
                pinned=pinned,
                deadline_s=deadline_s,
            ),
            deadline_s=deadline_s,
            **settings,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.facts.close()
        await self._questions.close()

    async def ask(self, window: JpegWindow, question: Question | None = None) -> Answer:
        """The answer to a question (the judge's own if none is given) about a window.

        The window's JPEGs have one size and an even number. The answer to a question without labels is a text of at
        most `answer_tokens` tokens; its cause is `words_only`. A failure of the endpoint is an unknown answer. Raises
        UsageError if the model's tokens do not distinguish the labels.
        """
        return await self._ask(window.jpegs, question or self.question, start_s=window.start_s, end_s=window.end_s)

    async def ask_all(self, window: JpegWindow, questions: Sequence[Question]) -> dict[str, Answer]:
        """The answers to several questions about one window, by the questions' names; all are asked at the same time.

        The server computes the pictures once if its prefix cache is on, since they precede the question.
        """
        answers = await asyncio.gather(*(self.ask(window, question) for question in questions))
        return {question.name: answer for question, answer in zip(questions, answers, strict=True)}

    async def verdict(self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0) -> Verdict:
        """Whether a window is an alarm, by the judge's own question. The JPEGs have one size and an even number."""
        return self._verdict(await self._ask(jpegs, self.question, start_s=start_s, end_s=end_s))

    async def _ask(self, jpegs: Sequence[bytes], question: Question, *, start_s: float, end_s: float) -> Answer:
        started_s = time.perf_counter()
        await self._require_distinct_labels(question)
        if question.labels:
            answer = await self._ask_for_label(jpegs, question)
        else:
            answer = await self._ask_for_text(
                jpegs, question, AnswerRequest(question.answer_tokens, schema=question.schema)
            )
        return replace(answer, question=question.name, start_s=start_s, end_s=end_s, latency_ms=since_ms(started_s))

    async def _ask_for_label(self, jpegs: Sequence[bytes], question: Question) -> Answer:
        found: list[Answer] = []

        async def ask(_: asyncio.Timeout) -> None:
            answer = await self._label(jpegs, await self.facts.current(), question)
            if answer.cause is Cause.EXCHANGED:
                # The server was replaced while it was asked; ask the new one.
                answer = await self._label(jpegs, await self.facts.current(), question)
            found.append(answer)

        fault = await self._slots.run(ask)
        return found[0] if fault is None else fault.answer()

    async def _label(self, jpegs: Sequence[bytes], facts: ServerFacts, question: Question) -> Answer:
        label_tokens = await self._tokens_of(question, facts)
        return await self._checked(
            facts, question, label_tokens, await self._questions.label(jpegs, facts, question, label_tokens)
        )

    async def _ask_for_text(self, jpegs: Sequence[bytes], question: Question, request: AnswerRequest) -> Answer:
        answer = StreamedAnswer()

        async def ask(limit: asyncio.Timeout) -> None:
            limit.reschedule(self._description_due_s())
            facts = await self.facts.current()
            go_on = partial(self._is_same_server, facts)
            await self._questions.stream_text(jpegs, facts, question.text, answer, request, go_on)

        fault = await self._slots.run(ask, harmless=SLOWNESS)
        if not answer.text.strip():
            return fault.answer() if fault else Answer.unknown(Cause.UNPARSEABLE, detail="the answer is empty")
        return Answer(
            cause=Cause.WORDS_ONLY, text=answer.text.strip(), detail=broken_off(answer, fault), tokens=answer.tokens
        )

    async def _is_same_server(self, facts: ServerFacts, _: StreamedAnswer) -> bool:
        """True if the server is still the one that the facts describe; raises EndpointError otherwise."""
        if await self.facts.current() != facts:
            raise EndpointError(REPLACED)
        return True

    async def _require_distinct_labels(self, question: Question) -> None:
        """Raises UsageError if the model's tokens do not distinguish the labels of another question."""
        try:
            await self._tokens_of(question, self.facts.now)
        except EndpointUnreachable:
            return  # the request itself meets the same fault, and returns it
        except EndpointError as error:
            raise UsageError(f"question {question.name!r} cannot be asked: {error}") from error

    async def _tokens_of(self, question: Question, facts: ServerFacts) -> LabelTokens:
        """The tokens of a question's labels, read from the server once and again whenever its facts are."""
        words = question.words()
        if not words or words == facts.label_tokens.texts:
            return facts.label_tokens
        if self._find_tokens is None:
            return LabelTokens(texts=words)
        known = self._tokens.get(tuple(words.items()))
        if known is None or known[0] != self.facts.readings:
            known = (self.facts.readings, await self._find_tokens(words, facts.model))
            self._tokens[tuple(words.items())] = known
        return known[1]

    async def describe(
        self,
        jpegs: Sequence[bytes],
        *,
        start_s: float = 0.0,
        end_s: float = 0.0,
        max_tokens: int = 200,
        describe_normal: bool = False,
        known: Verdict | None = None,
        on_verdict: OnVerdict | None = None,
        on_text: OnText | None = None,
    ) -> Verdict:
        """The verdict and, for alarms (or always, with `describe_normal`), the description, streamed in one request.

        `latency_ms` is the time to the verdict, which `deadline_s` bounds (except with `describe_normal`). The whole
        answer may take `DESCRIPTION_DEADLINES` deadlines, because a proxy may buffer a stream until its end. A
        description that breaks off does not undo the verdict: the text so far is kept and `detail` says so. If a
        describer is asked, the description is a request of its own, and a verdict that is already `known` is not asked
        for again.
        """
        early = EarlyVerdict(start_s=start_s, end_s=end_s, describe_normal=describe_normal, on_verdict=on_verdict)
        request = AnswerRequest(max_tokens, on_text)
        if not self.question.labels:
            answer = await self._ask_for_text(jpegs, self.question, request)
            return early.with_times(self._verdict(answer))
        if self.describer:
            return await self._describe_apart(jpegs, replace(early, known=known), request)
        return await self._describe_at_once(jpegs, early, request)

    async def _describe_at_once(self, jpegs: Sequence[bytes], early: EarlyVerdict, request: AnswerRequest) -> Verdict:
        """The verdict and its description, from one answer."""
        answer = StreamedAnswer()

        async def ask(limit: asyncio.Timeout) -> None:
            due_s = self._description_due_s()
            early.on_reported = lambda: limit.reschedule(due_s)
            if early.describe_normal:
                limit.reschedule(due_s)
            facts = await self.facts.current()

            async def go_on(answer: StreamedAnswer) -> bool:
                reading = read_answer_labels(answer.mass, answer.text, facts.label_tokens)
                early.report(self._verdict(await self._checked(facts, self.question, facts.label_tokens, reading)))
                return not early.is_enough

            beside = asyncio.create_task(self._ask_verdict_beside(jpegs, facts, early))
            streaming = asyncio.create_task(self._questions.stream(jpegs, facts, self.question, answer, request, go_on))
            try:
                await asyncio.wait([beside, streaming], return_when=asyncio.FIRST_COMPLETED)
                if not early.is_enough:
                    await streaming
            finally:
                await _cancel(beside, streaming)

        fault = await self._slots.run(ask, harmless=SLOWNESS)
        if early.reported is None:
            fault = fault or RequestFault(Cause.CUT_OFF, "the answer ended before its first token")
            return early.with_times(fault.verdict())
        return early.with_description(early.reported, answer, fault)

    async def _describe_apart(self, jpegs: Sequence[bytes], early: EarlyVerdict, request: AnswerRequest) -> Verdict:
        """The verdict with the describer's text. If the verdict was known and no text arrives, returns the fault."""
        verdict = early.known or await self.verdict(jpegs, start_s=early.start_s, end_s=early.end_s)
        if verdict.cause not in DESCRIBABLE_CAUSES:
            return verdict
        if early.known is None:
            early.report(verdict)
        if early.is_enough:
            return verdict
        answer = StreamedAnswer()

        async def ask(limit: asyncio.Timeout) -> None:
            limit.reschedule(self._description_due_s())
            facts = await self.facts.current()

            async def go_on(streamed: StreamedAnswer) -> bool:
                await self._is_same_server(facts, streamed)
                early.report(verdict)
                return True

            text = self.question.description_question
            await self._questions.stream_text(jpegs, facts, text, answer, request, go_on)

        fault = await self._slots.run(ask, harmless=SLOWNESS)
        if fault is not None and early.known is not None and not answer.pieces:
            return replace(fault.verdict(), start_s=early.start_s, end_s=early.end_s)
        return early.with_description(verdict, answer, fault)

    def _description_due_s(self) -> float:
        """The event loop's time by which a description must be complete if it is requested now."""
        return asyncio.get_running_loop().time() + DESCRIPTION_DEADLINES * self.deadline_s

    async def _ask_verdict_beside(self, jpegs: Sequence[bytes], facts: ServerFacts, early: EarlyVerdict) -> None:
        """Asks for the verdict alone if the stream delivers nothing for half the deadline; failures are ignored."""
        if early.describe_normal:
            return
        await asyncio.sleep(self.deadline_s / 2)
        if early.reported is None:
            early.report(self._verdict(await self._label(jpegs, facts, self.question)))

    def _verdict(self, answer: Answer) -> Verdict:
        return answer.verdict(self.question, alarm_from=self.alarm_from)

    async def _checked(
        self, facts: ServerFacts, question: Question, label_tokens: LabelTokens, reading: AnswerReading
    ) -> Answer:
        """The answer in a reading, if the server is still the one that the facts describe.

        The calibration was fitted to the judge's own question, so it applies to no other.
        """
        calibration = facts.calibration if question == self.question else None
        answer = answer_of_reading(
            reading, question, label_tokens, min_label_probability=self.min_label_probability, calibration=calibration
        )
        if answer.cause in SUSPICIOUS_CAUSES:
            self.facts.doubt_if_stale()
        if await self.facts.current() == facts:
            return answer
        return Answer.unknown(Cause.EXCHANGED, detail=REPLACED)


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
