"""Asks a served model questions about windows and turns every answer into a verdict.

    async with await Judge.connect(endpoint, task, sampling) as judge:
        verdict = await judge.verdict(window.jpegs, start_s=window.start_s, end_s=window.end_s)

`verdict` generates one token. `describe` streams: it reports the verdict at the first token, stops there if the answer
is normal, and goes on with the description if it is an alarm. A model trained on verdicts alone has no description to
give: then the task's `describe` question is asked, of the base model if the model is an adapter beside it. Endpoint
failures are never raised: the verdict is then `unknown` with its cause.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, TypeAlias

import openai

from vigil.errors import EndpointError, VigilError
from vigil.frames import FrameSampling
from vigil.judge import discovery
from vigil.judge.answer_parser import LabelTokens, StreamedAnswer
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import NOT_FOUND, REPLY_FAULTS, SLOWNESS, RequestFault
from vigil.judge.judge_questions import AnswerRequest, JudgeQuestions, OnText
from vigil.judge.label_token_lookup import find_words, warn_of_way
from vigil.judge.model_client import MediaForm, ModelClient
from vigil.judge.server_facts import CONNECT_S, FactsReader, ReadCalibration, ServerFacts, ServerFactsCache
from vigil.judge.verdict_reader import (
    ALARM_FROM,
    MIN_MASS,
    AnswerReading,
    EarlyVerdict,
    OnVerdict,
    read_answer_labels,
    since_ms,
    verdict_of_reading,
)
from vigil.manifest import Answers, Calibration
from vigil.questions import Task
from vigil.verdict import Cause, Verdict

log = logging.getLogger(__name__)

Ask: TypeAlias = Callable[[asyncio.Timeout], Awaitable[None]]
"""Asks one question; may reschedule the timeout it runs under."""

DOUBTFUL = frozenset({Cause.UNREACHABLE, Cause.TIMEOUT, Cause.SERVER_ERROR, Cause.CUT_OFF, Cause.UNAUTHORIZED})
"""Faults after which another server may be running at the address."""

ODD = frozenset({Cause.OUTSIDE, Cause.CONTRADICTORY, Cause.UNPARSEABLE})
"""Causes that may mean that another model is answering."""

DESCRIBED = frozenset({None, Cause.OUTSIDE, Cause.CONTRADICTORY})
"""Causes of verdicts that can still be described: the server has answered."""

EXCHANGED = "the server was replaced during the request"

WORDS_DEADLINES = 3
"""A description may take this many deadlines in total, whether it streams or a proxy holds it back to its end."""


class Judge:
    """Asks one model of one endpoint about windows of one task.

    `max_in_flight` bounds concurrent requests. `deadline_s` bounds each request including its retries, which happen
    only for refusals that may succeed when repeated (429, 5xx, no connection). `min_mass` is the minimum total
    probability of the labels. What is known of the server (`facts`) is read again whenever it may be another one.
    """

    reads_words: ClassVar[bool] = True
    questions: ClassVar[type[JudgeQuestions]] = JudgeQuestions

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        transport: ModelClient,
        *,
        model: str,
        describer: str = "",
        words: LabelTokens,
        task: Task,
        sampling: FrameSampling,
        media: MediaForm = "video",
        calibration: Calibration | None = None,
        facts: ServerFactsCache | None = None,
        max_in_flight: int = 32,
        deadline_s: float = 30.0,
        min_mass: float = MIN_MASS,
        alarm_from: float = ALARM_FROM,
    ) -> None:
        self.task = task
        self.sampling = sampling
        self.facts = facts or ServerFactsCache(
            ServerFacts(model=model, describer=describer, words=words, media=media, calibration=calibration)
        )
        self.deadline_s = deadline_s
        self.min_mass = min_mass
        self.alarm_from = alarm_from
        self._questions = self.questions(client, transport, task=task, sampling=sampling)
        self._request_slots = asyncio.Semaphore(max_in_flight)
        self._unforeseen: set[type[Exception]] = set()
        self._refused: set[int | None] = set()

    @property
    def model(self) -> str:
        """The name of the model that is asked."""
        return self.facts.now.model

    @property
    def describer(self) -> str:
        """The model that describes windows in a request of its own; empty if the answers contain the description."""
        return self.facts.now.describer

    @property
    def words(self) -> LabelTokens:
        """The label words and their tokens; setting them fixes them, and nothing is read again."""
        return self.facts.now.words

    @words.setter
    def words(self, words: LabelTokens) -> None:
        self.facts.fix(words=words)

    @property
    def media(self) -> MediaForm:
        """The form in which frames are sent; setting it fixes it, and nothing is read again."""
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
        """How the server's contract differs from ours."""
        return self.facts.now.differences

    @classmethod
    async def connect(
        cls,
        endpoint: Endpoint,
        task: Task,
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
            task=task,
            sampling=sampling,
            kind=cls,
            media=media,
            answers=answers,
            strict=strict,
            retries=retries,
            answer_tokens=answer_tokens,
            timeout_s=max(deadline_s, CONNECT_S),
            read_calibration=read_calibration or (lambda: calibration),
        )
        facts = await reader.first()
        if cls.reads_words:
            warn_of_way(facts.words, facts.model)
        transport = ModelClient(endpoint, retries=retries)
        return cls(
            discovery.open_openai_client(endpoint, timeout_s=reader.timeout_s, retries=retries),
            transport,
            model=facts.model,
            words=facts.words,
            task=task,
            sampling=sampling,
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

    @classmethod
    async def find_words(
        cls, endpoint: Endpoint, task: Task, model: discovery.ServedModel, *, before: LabelTokens | None = None
    ) -> LabelTokens:
        """How this kind of judge reads the words of a task from a model; raises EndpointError if it cannot."""
        return await find_words(endpoint, task.words(), model, before=before)

    @classmethod
    def roles(cls, model: discovery.ServedModel, answers: Answers) -> tuple[str, str]:
        """The names of the model to ask and of the one that describes; the latter is empty if the answers describe."""
        return model.name, model.describer(answers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.facts.close()
        await self._questions.close()

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
        answer may take `WORDS_DEADLINES` deadlines, because a proxy may hold a stream back to its end. A description
        that breaks off does not undo the verdict: the text so far is kept and `detail` says so. If a describer is
        asked, the description is a request of its own, and a verdict that is already `known` is not asked for again.
        """
        telling = EarlyVerdict(start_s=start_s, end_s=end_s, describe_normal=describe_normal, on_verdict=on_verdict)
        wanted = AnswerRequest(max_tokens, on_text)
        if self.describer:
            return await self._describe_apart(jpegs, replace(telling, known=known), wanted)
        return await self._describe_at_once(jpegs, telling, wanted)

    async def _describe_at_once(self, jpegs: Sequence[bytes], telling: EarlyVerdict, wanted: AnswerRequest) -> Verdict:
        """The verdict and its description, from one answer."""
        answer = StreamedAnswer()

        async def ask(limit: asyncio.Timeout) -> None:
            last_s = self._last_s()
            telling.when_told = lambda: limit.reschedule(last_s)
            if telling.describe_normal:
                limit.reschedule(last_s)
            facts = await self.facts.current()

            async def go_on(answer: StreamedAnswer) -> bool:
                telling.tell(await self._known(facts, read_answer_labels(answer.mass, answer.text, facts.words)))
                return not telling.is_enough

            beside = asyncio.create_task(self._tell_beside(jpegs, facts, telling))
            streaming = asyncio.create_task(self._questions.stream(jpegs, facts, answer, wanted, go_on))
            try:
                await asyncio.wait([beside, streaming], return_when=asyncio.FIRST_COMPLETED)
                if not telling.is_enough:
                    await streaming
            finally:
                await _end(beside, streaming)

        fault = await self._within_deadline(ask, harmless=SLOWNESS)
        if telling.told is None:
            fault = fault or RequestFault(Cause.CUT_OFF, "the answer ended before its first token")
            return telling.stamped(fault.verdict())
        return telling.worded(telling.told, answer, fault)

    async def _describe_apart(self, jpegs: Sequence[bytes], telling: EarlyVerdict, wanted: AnswerRequest) -> Verdict:
        """The verdict with the describer's text. If the verdict was known and no text arrives, returns the fault."""
        verdict = telling.known or await self.verdict(jpegs, start_s=telling.start_s, end_s=telling.end_s)
        if verdict.cause not in DESCRIBED:
            return verdict
        if telling.known is None:
            telling.tell(verdict)
        if telling.is_enough:
            return verdict
        answer = StreamedAnswer()

        async def ask(limit: asyncio.Timeout) -> None:
            limit.reschedule(self._last_s())
            facts = await self.facts.current()

            async def go_on(_: StreamedAnswer) -> bool:
                if await self.facts.current() != facts:
                    raise EndpointError(EXCHANGED)
                telling.tell(verdict)
                return True

            await self._questions.stream_words(jpegs, facts, answer, wanted, go_on)

        fault = await self._within_deadline(ask, harmless=SLOWNESS)
        if fault is not None and telling.known is not None and not answer.pieces:
            return replace(fault.verdict(), start_s=telling.start_s, end_s=telling.end_s)
        return telling.worded(verdict, answer, fault)

    def _last_s(self) -> float:
        """The event loop's time by which a description must be complete if it is requested now."""
        return asyncio.get_running_loop().time() + WORDS_DEADLINES * self.deadline_s

    async def _tell_beside(self, jpegs: Sequence[bytes], facts: ServerFacts, telling: EarlyVerdict) -> None:
        """Asks for the verdict alone if its stream is held back; failures are ignored."""
        if telling.describe_normal:
            return
        await asyncio.sleep(self.deadline_s / 2)
        if telling.told is None:
            telling.tell(await self._known(facts, await self._questions.verdict(jpegs, facts)))

    async def verdict(self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0) -> Verdict:
        """Whether the window is an alarm, from one token. The JPEGs have one size and an even number."""
        started = time.perf_counter()
        found: list[Verdict] = []

        async def ask(_: asyncio.Timeout) -> None:
            facts = await self.facts.current()
            weighed = await self._known(facts, await self._questions.verdict(jpegs, facts))
            if weighed.cause is Cause.EXCHANGED:
                # The server was replaced while it was asked; ask the new one.
                facts = await self.facts.current()
                weighed = await self._known(facts, await self._questions.verdict(jpegs, facts))
            found.append(weighed)

        fault = await self._within_deadline(ask)
        verdict = found[0] if fault is None else fault.verdict()
        return replace(verdict, start_s=start_s, end_s=end_s, latency_ms=since_ms(started))

    async def _known(self, facts: ServerFacts, reading: AnswerReading) -> Verdict:
        """The verdict of a reading, if the server is still the one that the facts describe."""
        weighed = verdict_of_reading(reading, facts, min_mass=self.min_mass, alarm_from=self.alarm_from)
        if self.reads_words and weighed.cause in ODD:
            self.facts.wonder()
        if await self.facts.current() == facts:
            return weighed
        return Verdict.unknown(Cause.EXCHANGED, detail=EXCHANGED)

    async def _within_deadline(self, ask: Ask, *, harmless: frozenset[Cause] = frozenset()) -> RequestFault | None:
        """Runs `ask` in a request slot and within the deadline, which it may move; a fault is returned, not raised."""
        async with self._request_slots:
            began_s = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self.deadline_s) as limit:
                    await ask(limit)
            except (*REPLY_FAULTS, VigilError) as error:
                fault = RequestFault.of(error)
                self._note(fault, harmless)
                waited_s = (limit.when() or began_s) - began_s
                return fault if str(error) else replace(fault, detail=f"nothing in {round(waited_s, 3):g} s")
            except Exception as error:
                if type(error) not in self._unforeseen:
                    log.exception("an answer could not be read; this is a fault in Vigil, please report it")
                self._unforeseen.add(type(error))
                return RequestFault(Cause.UNPARSEABLE, RequestFault.of(error).detail)
        return None

    def _note(self, fault: RequestFault, harmless: frozenset[Cause]) -> None:
        """Doubts the facts after faults that may mean another server; logs each kind of rejection once."""
        if fault.cause in DOUBTFUL - harmless or fault.status == NOT_FOUND:
            self.facts.doubt()
        if fault.cause is Cause.REJECTED and fault.status not in self._refused:
            self._refused.add(fault.status)
            log.warning("model %s: a window was refused: %s (logged once for each kind)", self.model, fault.detail)


async def _end(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
