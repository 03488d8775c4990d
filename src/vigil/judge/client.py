"""The judge asks the endpoint about windows and turns whatever comes back into verdicts.

    async with await Judge.connect(endpoint, task, sampling) as judge:
        verdict = await judge.verdict(window.jpegs, start_s=window.start_s, end_s=window.end_s)

`verdict` costs one token. `describe` streams: the verdict is told at the first token, a normal answer
is cut off there, and only an alarm is put into words. A model that was trained on verdicts alone has none behind its
verdict: then the task's `describe` is asked, of the base where the model is an adapter beside it. Neither ever raises
for a fault of the endpoint: that is an `unknown` with its cause.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import openai

from vigil.frames import Sampling
from vigil.judge import connection
from vigil.judge.answer import Mass, Place, Words, joined_mass, read_mass, read_place, request_options, word_at_start
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import REPLY_FAULTS, Fault, cause_of, detail_of
from vigil.judge.probe import supported_media
from vigil.judge.prompt import CONTINUED, Media, Message, answer_begun, messages
from vigil.judge.sequences import sequence_mass
from vigil.judge.stream import StreamedAnswer, stream_answer
from vigil.judge.transport import Transport
from vigil.judge.words import find_words
from vigil.manifest import Answers, Calibration, Contract
from vigil.tasks import Task
from vigil.verdict import Cause, Outcome, Verdict

log = logging.getLogger(__name__)

OnVerdict: TypeAlias = Callable[[Verdict], None]
"""Told the verdict of `describe` at its first token, long before the words are complete."""

OnText: TypeAlias = Callable[[str], None]
"""Told each piece of text as it arrives."""

ALARM_FROM = 0.5
"""The probability from which a verdict is an alarm; events have their own, higher tiers."""

CONNECT_S = 10.0
"""The least patience for the questions before the first window; each window's own deadline is `deadline_s`."""

SPELLED_TOKENS = 8
"""Tokens asked for a verdict where the deciding ones cannot be named: such a server must at least spell the word."""

WORDS_DEADLINES = 3
"""Words that flow may take so many deadlines in all; silence for one of them ends them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer told: the words' probabilities, or else the word that it begins with."""

    mass: Mass | None
    said: str | None = None
    tokens: int = 0


class Judge:
    """Asks one model of one endpoint about windows of one task.

    `max_in_flight` bounds the requests at once, `deadline_s` each request with its retries, of which
    there are `retries`, only for refusals that a repetition can cure (429, 5xx, no connection).
    `min_mass` is the least probability that the words of the labels must have together. `describer` is the model that
    puts windows into words by a question of its own; empty where the answers themselves hold words.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        transport: Transport,
        *,
        model: str,
        describer: str = "",
        words: Words,
        task: Task,
        sampling: Sampling,
        media: Media = "video",
        calibration: Calibration | None = None,
        contract_differences: Sequence[str] = (),
        max_in_flight: int = 32,
        deadline_s: float = 30.0,
        min_mass: float = 0.0,
        alarm_from: float = ALARM_FROM,
    ) -> None:
        self.model = model
        self.describer = describer
        self.task = task
        self.sampling = sampling
        self.media = media
        self.words = words
        self.calibration = calibration
        self.contract_differences = tuple(contract_differences)
        self.deadline_s = deadline_s
        self.min_mass = min_mass
        self.alarm_from = alarm_from
        self._client = client
        self._transport = transport
        self._room = asyncio.Semaphore(max_in_flight)
        self._unforeseen: set[type[Exception]] = set()

    @classmethod
    async def connect(
        cls,
        endpoint: Endpoint,
        task: Task,
        sampling: Sampling,
        *,
        media: Media | None = None,
        strict: bool = False,
        answers: Answers = "words",
        retries: int = 2,
        answer_tokens: int = 1,
        deadline_s: float = 30.0,
        **settings: Any,
    ) -> Self:
        """Finds the model, checks its contract, words, context and media, and returns a judge ready to ask.

        `answers` is what the model's manifest tells, for servers that tell no contract.
        Raises EndpointError when no verdict could ever come of it.
        """
        client = connection.open_client(endpoint, timeout_s=max(deadline_s, CONNECT_S), retries=retries)
        try:
            model = await connection.find_model(client, endpoint)
            differences = connection.check_contract(model, Contract.of(task, sampling), strict=strict)
            describer = model.describer(answers)
            longest = max(task.question, task.description_question if describer else "", key=len)
            asked = replace(task, question=longest)
            connection.check_context(model, asked, sampling, answer_tokens=answer_tokens)
            words = await cls.find_words(endpoint, task, model)
            media = media or await supported_media(client, model.name)
        except BaseException:
            await client.close()
            raise
        return cls(
            client,
            Transport(endpoint, retries=retries),
            model=model.name,
            describer=describer,
            words=words,
            task=task,
            sampling=sampling,
            media=media,
            contract_differences=differences,
            deadline_s=deadline_s,
            **settings,
        )

    @classmethod
    async def find_words(cls, endpoint: Endpoint, task: Task, model: connection.ServedModel) -> Words:
        """How this kind of judge reads the words of a task from a model; raises EndpointError when it cannot."""
        return await find_words(endpoint, task.words(), model)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()
        await self._client.close()

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
        """The verdict and, for alarms (or always, with `describe_normal`), the words, streamed in one request.

        `latency_ms` is the time to the verdict. The deadline holds for the first token, then for each silence, and
        `WORDS_DEADLINES` of them for all. Words that break off after the verdict do not undo it: the verdict keeps
        what text there is and says so in `detail`. Where a describer is asked, a verdict that is `known` already is
        not asked for again.
        """
        if self.describer:
            verdict = known or await self.verdict(jpegs, start_s=start_s, end_s=end_s)
            wanted = describe_normal or verdict.outcome is Outcome.ALARM
            asked = _Asked(max_tokens if wanted else 0, known is not None, on_verdict, on_text)
            return await self._describe_apart(jpegs, verdict, asked)
        started = time.perf_counter()
        answer = StreamedAnswer(self.words.beginning)
        told: list[Verdict] = []

        def go_on(answer: StreamedAnswer) -> bool:
            reading = Reading(answer.mass, word_at_start(answer.text, self.words))
            verdict = replace(self._weigh(reading), start_s=start_s, end_s=end_s, latency_ms=_since_ms(started))
            told.append(verdict)
            if on_verdict is not None:
                on_verdict(verdict)
            return describe_normal or verdict.outcome is Outcome.ALARM

        async def ask(limit: asyncio.Timeout) -> None:
            asked = self._messages(jpegs)
            last_s = asyncio.get_running_loop().time() + WORDS_DEADLINES * self.deadline_s

            def heard(piece: str) -> None:
                limit.reschedule(min(last_s, asyncio.get_running_loop().time() + self.deadline_s))
                if on_text is not None:
                    on_text(piece)

            if not self.words.is_told_at_once:
                answer.mass = await self._read_mass(asked)
            body = self._body(asked, max_tokens=max_tokens, place=self.words.place)
            await stream_answer(self._transport, answer, body=body, words=self.words, go_on=go_on, on_text=heard)

        fault = await self._bounded(ask)
        if not told:
            fault = fault or Fault(Cause.CUT_OFF, "the answer ended before its first token")
            return replace(fault.verdict(), start_s=start_s, end_s=end_s, latency_ms=_since_ms(started))
        broken = "" if fault is None else f"the words broke off: {fault.detail}"
        if fault is None and not answer.complete and not answer.stopped:
            broken = "the words broke off: the stream ended early"
        return replace(told[0], text=answer.text or None, tokens=answer.tokens, detail=told[0].detail or broken)

    async def _describe_apart(self, jpegs: Sequence[bytes], verdict: Verdict, asked: "_Asked") -> Verdict:
        """The verdict with the describer's words. Where the verdict was known and no word comes, the fault is told."""
        if verdict.cause not in {None, Cause.OUTSIDE}:
            return verdict
        if not asked.is_known:
            asked.tell(verdict)
        if not asked.max_tokens:
            return verdict
        answer = StreamedAnswer()

        def go_on(_: StreamedAnswer) -> bool:
            if asked.is_known:
                asked.tell(verdict)
            return True

        async def ask(limit: asyncio.Timeout) -> None:
            last_s = asyncio.get_running_loop().time() + WORDS_DEADLINES * self.deadline_s

            def heard(piece: str) -> None:
                limit.reschedule(min(last_s, asyncio.get_running_loop().time() + self.deadline_s))
                if asked.on_text is not None:
                    asked.on_text(piece)

            shown = messages(jpegs, self.task.description_question, media=self.media, fps=self.sampling.fps)
            body = {"model": self.describer, "messages": shown, "max_tokens": asked.max_tokens, "temperature": 0.0}
            await stream_answer(self._transport, answer, body=body, words=self.words, go_on=go_on, on_text=heard)

        fault = await self._bounded(ask)
        if fault is not None and asked.is_known and not answer.pieces:
            return replace(fault.verdict(), start_s=verdict.start_s, end_s=verdict.end_s)
        broken = "the stream ended early" if fault is None and not answer.complete else fault.detail if fault else ""
        detail = verdict.detail or (f"the words broke off: {broken}" if broken else "")
        tokens = answer.tokens + (0 if asked.is_known else verdict.tokens)
        return replace(verdict, text=answer.text.strip() or None, tokens=tokens, detail=detail)

    async def verdict(self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0) -> Verdict:
        """Whether the window alarms, by one token. The JPEGs are of one size and even in number."""
        started = time.perf_counter()
        read: list[Reading] = []

        async def ask(limit: asyncio.Timeout) -> None:
            read.append(await self._read(jpegs))

        fault = await self._bounded(ask)
        verdict = self._weigh(read[0]) if fault is None else fault.verdict()
        return replace(verdict, start_s=start_s, end_s=end_s, latency_ms=_since_ms(started))

    async def _bounded(self, ask: Callable[[asyncio.Timeout], Awaitable[None]]) -> Fault | None:
        """Asks within the deadline, which `ask` may move, when there is room; a fault is returned and not raised."""
        async with self._room:
            try:
                async with asyncio.timeout(self.deadline_s) as limit:
                    await ask(limit)
            except REPLY_FAULTS as error:
                return Fault(cause_of(error), detail_of(error) if str(error) else f"nothing in {self.deadline_s:g} s")
            except Exception as error:
                if type(error) not in self._unforeseen:
                    log.exception("an answer could not be read; this is a fault in Vigil, please report it")
                self._unforeseen.add(type(error))
                return Fault(Cause.UNPARSEABLE, detail_of(error))
        return None

    async def _read(self, jpegs: Sequence[bytes]) -> Reading:
        asked = self._messages(jpegs)
        if not self.words.is_told_at_once:
            return Reading(await self._read_mass(asked))
        reading = await self._read_once(asked, self.words)
        if reading.mass or reading.said or self.words.place is None:
            return reading
        # A server that does not report the tokens it is asked for may still report the likeliest, or spell the word.
        return await self._read_once(asked, Words(texts=self.words.texts))

    async def _read_once(self, asked: Sequence[Message], words: Words) -> Reading:
        max_tokens = 1 if words.place else SPELLED_TOKENS
        answer = await self._transport.chat(self._body(asked, max_tokens=max_tokens, place=words.place))
        if not answer["choices"]:
            return Reading(None)
        choice = answer["choices"][0]
        said = word_at_start(words.beginning + (choice["message"].get("content") or ""), words)
        tokens = int((answer.get("usage") or {}).get("total_tokens") or 0)
        return Reading(read_mass(choice.get("logprobs"), words), said, tokens)

    async def _read_mass(self, asked: Sequence[Message]) -> Mass | None:
        """The labels' probabilities by several requests, where one does not tell them."""
        if self.words.way == "sequences":
            return await sequence_mass(self._client, self.model, asked, self.words)
        read = await asyncio.gather(*(self._read_place(asked, place) for place in self.words.places))
        return joined_mass(read, self.words)

    async def _read_place(self, asked: Sequence[Message], place: Place) -> dict[str, float] | None:
        answer = await self._transport.chat(self._body(asked, max_tokens=1, place=place))
        return read_place(answer["choices"][0].get("logprobs"), place) if answer["choices"] else None

    def _weigh(self, reading: Reading) -> Verdict:
        """The verdict that a reading makes; without probabilities the word itself decides, without a p."""
        mass = reading.mass
        if mass is None:
            return replace(_by_word(reading.said), tokens=reading.tokens)
        if 1.0 - mass.outside < self.min_mass:
            detail = f"{mass.outside:.1%} of the probability lies outside the two verdict words"
            return Verdict.unknown(Cause.OUTSIDE, detail=detail)
        p_alarm = mass.p_alarm(self.calibration)
        return Verdict(
            outcome=Outcome.ALARM if p_alarm >= self.alarm_from else Outcome.NORMAL,
            p_alarm=p_alarm,
            p_raw=mass.p_alarm(),
            p_outside=mass.outside,
            tokens=reading.tokens,
        )

    def _body(self, asked: Sequence[Message], *, max_tokens: int, place: Place | None) -> dict[str, Any]:
        head = {"model": self.model, "messages": asked, "max_tokens": max_tokens, "temperature": 0.0}
        if place is not None and place.beginning:
            head |= {"messages": answer_begun(asked, place.beginning)} | CONTINUED
        return head | request_options(place)

    def _messages(self, jpegs: Sequence[bytes]) -> list[Message]:
        return messages(jpegs, self.task.question, media=self.media, fps=self.sampling.fps)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is wanted of a description: at most so many tokens (0 for none), and who is told what of it."""

    max_tokens: int
    is_known: bool
    on_verdict: OnVerdict | None
    on_text: OnText | None

    def tell(self, verdict: Verdict) -> None:
        if self.on_verdict is not None:
            self.on_verdict(verdict)


def _by_word(said: str | None) -> Verdict:
    if said is None:
        detail = "the answer shows neither verdict word nor their probabilities"
        return Verdict.unknown(Cause.UNPARSEABLE, detail=detail)
    return Verdict(outcome=Outcome(said))


def _since_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0
