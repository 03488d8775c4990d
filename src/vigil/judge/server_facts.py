"""Facts about the server of a judge, read at the start and again whenever they are in doubt.

After an outage, a restart or a replacement, the same token ids may mean other words, and the same address may serve
another model. So every broken connection (`ModelClient.breaks`) and every endpoint fault puts the facts in doubt, and
no answer counts until they have been read again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from vigil.errors import EndpointError
from vigil.frames import FrameSampling
from vigil.judge import discovery
from vigil.judge.answer_parser import LabelTokens
from vigil.judge.discovery import supported_media
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import retry_while_busy
from vigil.judge.label_token_lookup import find_label_tokens
from vigil.judge.model_client import MediaForm
from vigil.manifest import Answers, Calibration, Contract
from vigil.questions import Question

log = logging.getLogger(__name__)

CONNECT_S = 10.0
"""The minimum timeout of the requests before the first window; each window has its own deadline, `deadline_s`."""

RENEW_S = 60.0
"""The maximum age of the facts: a proxy can replace the server behind it unnoticed."""

DOUBT_S = 10.0
"""Odd answers trigger another reading at most this often; a model may simply give odd answers."""

FIRST_TIMEOUT_S = 3.0
"""The first time limit for reading the facts again; each timeout doubles it, up to the judge's deadline."""


ReadCalibration: TypeAlias = Callable[[], Calibration | None]
"""Reads the model's calibration from its storage; raises VigilError if it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """Facts about the served model: its name, its contract, the label tokens, and the media it accepts.

    `describer` is the model that describes windows in a request of its own; empty if the answers contain the
    description.
    """

    model: str
    describer: str = ""
    label_tokens: LabelTokens
    media: MediaForm = "video"
    alias: str = ""
    root: str | None = None
    differences: tuple[str, ...] = ()
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsReader:
    """Reads the facts of an endpoint for the question of a judge; `media` is detected unless it is given.

    `answers` is what the model's manifest declares, for servers that declare no contract.
    """

    endpoint: Endpoint
    question: Question
    sampling: FrameSampling
    media: MediaForm | None = None
    answers: Answers = "words"
    strict: bool = False
    retries: int = 0
    answer_tokens: int = 1
    timeout_s: float = CONNECT_S
    read_calibration: ReadCalibration = field(default=lambda: None)

    async def first(self) -> ServerFacts:
        """The facts at the start; retries for a while if the server is temporarily down. Raises EndpointError."""
        facts = await retry_while_busy(self.read)
        for difference in facts.differences:
            log.warning("model %s: %s", facts.model, difference)
        return facts

    async def read(self, before: ServerFacts | None = None) -> ServerFacts:
        """The current facts. Raises EndpointError; EndpointUnreachable if the server did not answer."""
        async with discovery.open_openai_client(
            self.endpoint, timeout_s=self.timeout_s, retries=self.retries
        ) as client:
            served = await discovery.find_model(client, self.endpoint)
            facts = await self._facts_of(served, before.label_tokens if before else None)
            if before is not None and before.media == "video" and replace(facts, media="video") == before:
                return before
            if self.media is not None:
                return replace(facts, media=self.media)
            known = before is not None and before.media == "images"
            return replace(facts, media=await supported_media(client, facts.model, quiet=known))

    async def _facts_of(self, served: discovery.ServedModel, before: LabelTokens | None) -> ServerFacts:
        """Everything but the media; raises EndpointError if no verdict could ever be given."""
        model, describer = self._roles(served)
        contract = Contract.of(self.question, self.sampling)
        differences = discovery.contract_differences(served, contract, strict=self.strict)
        longest = max(self.question.text, self.question.description_question if describer else "", key=len)
        discovery.check_context_length(served, longest, self.sampling, answer_tokens=self.answer_tokens)
        return ServerFacts(
            model=model,
            describer=describer,
            label_tokens=await self._label_tokens(served, before),
            alias=served.alias,
            root=served.root,
            differences=tuple(differences),
            calibration=self.read_calibration(),
        )

    def _roles(self, served: discovery.ServedModel) -> tuple[str, str]:
        """The model to ask, and the one that describes: empty if the answers contain the description."""
        describer = served.describer(self.answers)
        return (served.name, describer) if self.question.labels else (describer or served.name, "")

    async def _label_tokens(self, served: discovery.ServedModel, before: LabelTokens | None) -> LabelTokens:
        if not self.question.labels:
            return LabelTokens(texts={})
        return await find_label_tokens(self.endpoint, self.question.words(), served.name, before=before)


class ServerFactsCache:
    """The facts of a server, read again before an answer counts whenever they are in doubt.

    `readings` counts how often they were read again. `breaks` returns how often the connection has broken. With
    `pinned` the model must stay exactly the same, as in a score. If `read` is None, the facts never change.
    """

    def __init__(
        self,
        facts: ServerFacts,
        *,
        read: Callable[[ServerFacts], Awaitable[ServerFacts]] | None = None,
        breaks: Callable[[], int] = lambda: 0,
        pinned: bool = False,
        deadline_s: float = 30.0,
    ) -> None:
        self.now = facts
        self._first = facts
        self.readings = 0
        self._read = read
        self._breaks = breaks
        self._pinned = pinned
        self._deadline_s = deadline_s
        self._timeout_s = min(FIRST_TIMEOUT_S, deadline_s)
        self._doubts = 0
        self._state_at_reading = (0, breaks())
        self._read_s = time.monotonic()
        self._reading: asyncio.Task[None] | None = None

    def fix(self, **facts: Any) -> None:
        """Sets facts by hand, and disables every later reading."""
        self.now = replace(self.now, **facts)
        self._read = None

    def doubt(self) -> None:
        """Forces another reading before the next answer counts, because the server failed."""
        self._doubts += 1

    def doubt_if_stale(self) -> None:
        """Does the same for an odd answer, unless the facts have just been read."""
        if time.monotonic() - self._read_s > DOUBT_S:
            self.doubt()

    async def current(self) -> ServerFacts:
        """The facts, read again first if they are in doubt; raises what `read` raises, and TimeoutError."""
        requested_s = time.monotonic()
        while self._read is not None and self._in_doubt() and self._read_s < requested_s:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._renew(self._read))
                # Retrieve the exception: all waiters may have been cancelled by then.
                self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.shield(self._reading)
        return self.now

    async def close(self) -> None:
        """Cancels a reading in progress."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _in_doubt(self) -> bool:
        age_s = time.monotonic() - self._read_s
        doubts, breaks = self._state_at_reading
        if breaks == 0 and self._breaks() == 1 and age_s < FIRST_TIMEOUT_S:
            # This is the first connection for windows, made right after the start.
            self._state_at_reading = (doubts, 1)
        return age_s > RENEW_S or self._state_at_reading != (self._doubts, self._breaks())

    async def _renew(self, read: Callable[[ServerFacts], Awaitable[ServerFacts]]) -> None:
        began_s, known = time.monotonic(), (self._doubts, self._breaks())
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await read(self.now)
        except TimeoutError as error:
            waited_s = self._timeout_s
            self._timeout_s = min(2 * waited_s, self._deadline_s)
            raise TimeoutError(f"the server did not report what it serves within {waited_s:.1f} s") from error
        self._timeout_s = min(FIRST_TIMEOUT_S, self._deadline_s)
        self._accept(found)
        self.readings += 1
        self._read_s, self._state_at_reading = began_s, known

    def _accept(self, found: ServerFacts) -> None:
        """Adopts the facts; raises EndpointError if the server is not the one that was connected to."""
        new = [each for each in found.differences if each not in self._first.differences]
        if new:
            raise EndpointError(f"the server came back with another contract: {'; '.join(new)}; restart to use it")
        if self._pinned and found != self._first:
            raise EndpointError(
                f"the server came back with another model than {self._first.model}, or with other weights; "
                "its answers cannot be compared with the earlier ones"
            )
        if found != self.now:
            log.warning("the server has changed; model %s is now read as the new server reports it", found.model)
        self.now = found
