"""The judge asks the endpoint about windows and turns whatever comes back into verdicts.

    async with await Judge.connect(endpoint, task, sampling) as judge:
        verdict = await judge.verdict(window.jpegs, start_s=window.start_s, end_s=window.end_s)

`verdict` costs one token. `describe` streams: the verdict is told at the first token, a normal answer
is cut off there, and only an alarm is put into words. Neither ever raises for a fault of the endpoint:
that is an `unknown` with its cause.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, TypeAlias

import openai

from vigil.errors import VigilError
from vigil.frames import Sampling
from vigil.judge import connection
from vigil.judge.answer import Mass, Place, Words, joined_mass, read_mass, read_place, request_options
from vigil.judge.endpoint import Endpoint
from vigil.judge.facts import CONNECT_S, Facts, KeptFacts, ReadCalibration, Reader
from vigil.judge.faults import NOT_FOUND, REPLY_FAULTS, SLOWNESS, Fault
from vigil.judge.prompt import CONTINUED, Media, Message, answer_begun, messages
from vigil.judge.reading import ALARM_FROM, MIN_MASS, Reading, reading_of, weigh
from vigil.judge.sequences import sequence_mass
from vigil.judge.stream import StreamedAnswer, stream_answer
from vigil.judge.telling import OnVerdict, Telling, since_ms
from vigil.judge.transport import Transport
from vigil.judge.words import find_words, warn_of_way
from vigil.manifest import Calibration
from vigil.tasks import Task
from vigil.verdict import Cause, Verdict

log = logging.getLogger(__name__)

OnText: TypeAlias = Callable[[str], None]
"""Told each piece of text as it arrives."""

DOUBTFUL = frozenset({Cause.UNREACHABLE, Cause.TIMEOUT, Cause.SERVER_ERROR, Cause.CUT_OFF, Cause.UNAUTHORIZED})
"""Faults after which another server may be there."""

SPELLED_TOKENS = 8
"""Tokens asked for a verdict where the deciding ones cannot be named: such a server must at least spell the word."""

WORDS_DEADLINES = 3
"""An answer in words may take so many deadlines in all, flowing or held back by a proxy until its end."""


class Judge:
    """Asks one model of one endpoint about windows of one task.

    `max_in_flight` bounds the requests at once, `deadline_s` each request with its retries, of which
    there are `retries`, only for refusals that a repetition can cure (429, 5xx, no connection).
    `min_mass` is the least probability that the words of the labels must have together. What is known of the
    server (`facts`) is read again wherever it may be another one.
    """

    reads_words: ClassVar[bool] = True

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        transport: Transport,
        *,
        model: str,
        words: Words,
        task: Task,
        sampling: Sampling,
        media: Media = "video",
        calibration: Calibration | None = None,
        facts: KeptFacts | None = None,
        max_in_flight: int = 32,
        deadline_s: float = 30.0,
        min_mass: float = MIN_MASS,
        alarm_from: float = ALARM_FROM,
    ) -> None:
        self.task = task
        self.sampling = sampling
        self.facts = facts or KeptFacts(Facts(model=model, words=words, media=media, calibration=calibration))
        self.deadline_s = deadline_s
        self.min_mass = min_mass
        self.alarm_from = alarm_from
        self._client = client
        self._transport = transport
        self._room = asyncio.Semaphore(max_in_flight)
        self._unforeseen: set[type[Exception]] = set()
        self._refused: set[int | None] = set()

    @property
    def model(self) -> str:
        """The name of the model that is asked."""
        return self.facts.now.model

    @property
    def words(self) -> Words:
        """How its tokenizer splits the words of the labels; what is set stays, and nothing is read again."""
        return self.facts.now.words

    @words.setter
    def words(self, words: Words) -> None:
        self.facts.fix(words=words)

    @property
    def media(self) -> Media:
        """Which form of the pictures it is shown; what is set stays, and nothing is read again."""
        return self.facts.now.media

    @media.setter
    def media(self, media: Media) -> None:
        self.facts.fix(media=media)

    @property
    def calibration(self) -> Calibration | None:
        """What makes its probabilities mean what they say."""
        return self.facts.now.calibration

    @property
    def contract_differences(self) -> tuple[str, ...]:
        """What its contract says otherwise than ours."""
        return self.facts.now.differences

    @classmethod
    async def connect(
        cls,
        endpoint: Endpoint,
        task: Task,
        sampling: Sampling,
        *,
        media: Media | None = None,
        strict: bool = False,
        pinned: bool = False,
        retries: int = 2,
        answer_tokens: int = 1,
        deadline_s: float = 30.0,
        calibration: Calibration | None = None,
        read_calibration: ReadCalibration | None = None,
        **settings: Any,
    ) -> Self:
        """Finds the model, checks its contract, words, context and media, and returns a judge ready to ask.

        `read_calibration` reads the calibration whenever the model is read, else `calibration` stays. A `pinned` judge
        takes no other model than the one that it found. Raises EndpointError when no verdict could ever come of it,
        EndpointAway while the server does not tell what it can do.
        """
        reader = Reader(
            endpoint=endpoint,
            task=task,
            sampling=sampling,
            find_words=cls.find_words,
            media=media,
            strict=strict,
            retries=retries,
            answer_tokens=answer_tokens,
            timeout_s=max(deadline_s, CONNECT_S),
            read_calibration=read_calibration or (lambda: calibration),
        )
        facts = await reader.first()
        if cls.reads_words:
            warn_of_way(facts.words, facts.model)
        transport = Transport(endpoint, retries=retries)
        return cls(
            connection.open_client(endpoint, timeout_s=reader.timeout_s, retries=retries),
            transport,
            model=facts.model,
            words=facts.words,
            task=task,
            sampling=sampling,
            facts=KeptFacts(
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
        cls, endpoint: Endpoint, task: Task, model: connection.ServedModel, *, before: Words | None = None
    ) -> Words:
        """How this kind of judge reads the words of a task from a model; raises EndpointError when it cannot."""
        return await find_words(endpoint, task.words(), model, before=before)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.facts.close()
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
        on_verdict: OnVerdict | None = None,
        on_text: OnText | None = None,
    ) -> Verdict:
        """The verdict and, for alarms (or always, with `describe_normal`), the words, streamed in one request.

        `latency_ms` is the time to the verdict, for which the deadline holds; with `describe_normal` it holds for no
        part. All may take `WORDS_DEADLINES` deadlines, however it arrives: a proxy may hold a stream back to its end.
        Words that break off after the verdict do not undo it: it keeps what text there is and says so in `detail`.
        """
        telling = Telling(start_s=start_s, end_s=end_s, describe_normal=describe_normal, on_verdict=on_verdict)
        answer = StreamedAnswer()

        async def ask(limit: asyncio.Timeout) -> None:
            last_s = asyncio.get_running_loop().time() + WORDS_DEADLINES * self.deadline_s
            telling.when_told = lambda: limit.reschedule(last_s)
            if describe_normal:
                limit.reschedule(last_s)
            facts = await self.facts.current()
            beside = asyncio.create_task(self._tell_beside(jpegs, facts, telling))
            streaming = asyncio.create_task(self._stream(jpegs, facts, answer, telling, max_tokens, on_text))
            try:
                await asyncio.wait([beside, streaming], return_when=asyncio.FIRST_COMPLETED)
                if not telling.is_enough:
                    await streaming
            finally:
                await _end(beside, streaming)

        fault = await self._bounded(ask, harmless=SLOWNESS)
        if telling.told is None:
            fault = fault or Fault(Cause.CUT_OFF, "the answer ended before its first token")
            return telling.stamped(fault.verdict())
        broken = "" if fault is None else f"the words broke off: {fault.detail}"
        if fault is None and not answer.complete and not telling.is_enough:
            broken = "the words broke off: the stream ended early"
        told = telling.told
        return replace(told, text=answer.text or None, tokens=answer.tokens, detail=told.detail or broken)

    async def _stream(
        self,
        jpegs: Sequence[bytes],
        facts: Facts,
        answer: StreamedAnswer,
        telling: Telling,
        max_tokens: int,
        on_text: OnText | None,
    ) -> None:
        """The answer as it is streamed, its verdict told at its first token."""
        asked, words = self._messages(jpegs, facts), facts.words

        async def go_on(answer: StreamedAnswer) -> bool:
            telling.tell(await self._known(facts, reading_of(answer.mass, answer.text, words)))
            return not telling.is_enough

        answer.beginning = words.beginning
        if not words.is_told_at_once:
            answer.mass = await self._read_mass(asked, facts)
        body = self._body(asked, facts, max_tokens=max_tokens, place=words.place)
        await stream_answer(self._transport, answer, body=body, words=words, go_on=go_on, on_text=on_text)

    async def _tell_beside(self, jpegs: Sequence[bytes], facts: Facts, telling: Telling) -> None:
        """Asks for the verdict alone where its stream is held back, and is quiet where that fails, too."""
        if telling.describe_normal:
            return
        await asyncio.sleep(self.deadline_s / 2)
        if telling.told is None:
            telling.tell(await self._known(facts, await self._read(jpegs, facts)))

    async def verdict(self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0) -> Verdict:
        """Whether the window alarms, by one token. The JPEGs are of one size and even in number."""
        started = time.perf_counter()
        found: list[Verdict] = []

        async def ask(_: asyncio.Timeout) -> None:
            facts = await self.facts.current()
            weighed = await self._known(facts, await self._read(jpegs, facts))
            if weighed.cause is Cause.EXCHANGED:
                # The server that answers now was not there when the question was put: it is asked itself.
                facts = await self.facts.current()
                weighed = await self._known(facts, await self._read(jpegs, facts))
            found.append(weighed)

        fault = await self._bounded(ask)
        verdict = found[0] if fault is None else fault.verdict()
        return replace(verdict, start_s=start_s, end_s=end_s, latency_ms=since_ms(started))

    async def _known(self, facts: Facts, reading: Reading) -> Verdict:
        """The verdict of a reading, if the server is still the one that the facts are about, or the same again."""
        weighed = weigh(reading, facts, min_mass=self.min_mass, alarm_from=self.alarm_from)
        if weighed.cause in {Cause.OUTSIDE, Cause.CONTRADICTORY, Cause.UNPARSEABLE}:
            self.facts.wonder()
        if await self.facts.current() == facts:
            return weighed
        return Verdict.unknown(Cause.EXCHANGED, detail="the server was exchanged while it was asked")

    async def _bounded(
        self, ask: Callable[[asyncio.Timeout], Awaitable[None]], *, harmless: frozenset[Cause] = frozenset()
    ) -> Fault | None:
        """Asks within the deadline, which `ask` may move, when there is room; a fault is returned and not raised."""
        async with self._room:
            began_s = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self.deadline_s) as limit:
                    await ask(limit)
            except (*REPLY_FAULTS, VigilError) as error:
                fault = Fault.of(error)
                self._note(fault, harmless)
                waited_s = (limit.when() or began_s) - began_s
                return fault if str(error) else replace(fault, detail=f"nothing in {round(waited_s, 3):g} s")
            except Exception as error:
                if type(error) not in self._unforeseen:
                    log.exception("an answer could not be read; this is a fault in Vigil, please report it")
                self._unforeseen.add(type(error))
                return Fault(Cause.UNPARSEABLE, Fault.of(error).detail)
        return None

    def _note(self, fault: Fault, harmless: frozenset[Cause]) -> None:
        """After some faults the server may be another; a refusal that every window will meet is said once."""
        if fault.cause in DOUBTFUL - harmless or fault.status == NOT_FOUND:
            self.facts.doubt()
        if fault.cause is Cause.REJECTED and fault.status not in self._refused:
            self._refused.add(fault.status)
            log.warning("model %s: a window was refused: %s (said once for each kind)", self.model, fault.detail)

    async def _read(self, jpegs: Sequence[bytes], facts: Facts) -> Reading:
        asked, words = self._messages(jpegs, facts), facts.words
        if not words.is_told_at_once:
            return Reading(await self._read_mass(asked, facts))
        reading = await self._read_once(asked, facts)
        if reading.mass or reading.said or words.place is None:
            return reading
        # A server that does not report the tokens it is asked for may still report the likeliest, or spell the word.
        return await self._read_once(asked, replace(facts, words=Words(texts=words.texts)))

    async def _read_once(self, asked: Sequence[Message], facts: Facts) -> Reading:
        words = facts.words
        max_tokens = 1 if words.place else SPELLED_TOKENS
        answer = await self._transport.chat(self._body(asked, facts, max_tokens=max_tokens, place=words.place))
        if not answer["choices"]:
            return Reading(None)
        choice = answer["choices"][0]
        text = words.beginning + (choice["message"].get("content") or "")
        tokens = int((answer.get("usage") or {}).get("total_tokens") or 0)
        mass = read_mass(choice.get("logprobs"), words)
        return replace(reading_of(mass, text, words), tokens=tokens)

    async def _read_mass(self, asked: Sequence[Message], facts: Facts) -> Mass | None:
        """The labels' probabilities by several requests, where one does not tell them."""
        if facts.words.way == "sequences":
            return await sequence_mass(self._client, facts.model, asked, facts.words)
        read = await asyncio.gather(*(self._read_place(asked, facts, place) for place in facts.words.places))
        return joined_mass(read, facts.words)

    async def _read_place(self, asked: Sequence[Message], facts: Facts, place: Place) -> dict[str, float] | None:
        answer = await self._transport.chat(self._body(asked, facts, max_tokens=1, place=place))
        return read_place(answer["choices"][0].get("logprobs"), place) if answer["choices"] else None

    def _body(self, asked: Sequence[Message], facts: Facts, *, max_tokens: int, place: Place | None) -> dict[str, Any]:
        head = {"model": facts.model, "messages": asked, "max_tokens": max_tokens, "temperature": 0.0}
        if place is not None and place.beginning:
            head |= {"messages": answer_begun(asked, place.beginning)} | CONTINUED
        return head | request_options(place)

    def _messages(self, jpegs: Sequence[bytes], facts: Facts) -> list[Message]:
        return messages(jpegs, self.task.question, media=facts.media, fps=self.sampling.fps)


async def _end(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
