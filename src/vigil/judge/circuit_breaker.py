"""A circuit breaker: while the endpoint fails, windows fail immediately instead of each waiting for its deadline.

    breaker = CircuitBreaker(judge)
    verdict = await breaker.verdict(window.jpegs, start_s=..., end_s=...)                # live: do not wait
    verdict = await breaker.verdict(window.jpegs, start_s=..., end_s=..., wait_s=600.0)  # files: wait for the server

It opens after `failures` consecutive endpoint faults: windows are then `unknown` with the last cause, without a
request. Every `probe_s` one real window is sent as a probe, even if earlier probes are still unanswered, so that a
server that accepts connections and never answers does not delay recovery. The first answer closes the breaker again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias, TypeVar

from vigil.judge.faults import SLOWNESS
from vigil.questions import Question
from vigil.verdict import Answer, Cause, Verdict
from vigil.windows import JpegWindow

log = logging.getLogger(__name__)

BreakerState: TypeAlias = Literal["closed", "open", "probing"]

OnBreakerState: TypeAlias = Callable[[BreakerState], None]
"""Called with each state that the breaker enters, including `probing` and back."""

ENDPOINT_CAUSES = frozenset(
    {
        *(Cause.UNREACHABLE, Cause.TIMEOUT, Cause.SERVER_ERROR),
        *(Cause.CUT_OFF, Cause.RATE_LIMITED, Cause.UNAUTHORIZED, Cause.EXCHANGED),
    }
)
"""Faults of the endpoint, which the next window will also meet. All others concern a single window and its answer."""

TRANSIENT_CAUSES = ENDPOINT_CAUSES - {Cause.UNAUTHORIZED}
"""Transient faults; a wrong key stays wrong."""

PROBES_AT_ONCE = 5
PROBE_TIMEOUT_S = 5.0
"""The time limit of the first probe; each probe that times out doubles the next limit, up to the judge's own."""


class SupportsAsk(Protocol):
    """Answers questions about windows: a Judge, or a CircuitBreaker around one."""

    deadline_s: float

    async def ask(self, window: JpegWindow, question: Question | None = None) -> Answer:
        """The answer to a question about a window; the judge's own question if none is given."""

    async def verdict(self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0) -> Verdict:
        """Whether the window is an alarm, from one token."""

    async def describe(
        self,
        jpegs: Sequence[bytes],
        *,
        start_s: float = 0.0,
        end_s: float = 0.0,
        max_tokens: int = 200,
        describe_normal: bool = False,
        known: Verdict | None = None,
        on_verdict: Callable[[Verdict], None] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Verdict:
        """The verdict, unless it is already `known`, and the description."""


Harmless: TypeAlias = frozenset[Cause]
"""Causes that do not count as failures of the endpoint for a certain kind of request."""

Result = TypeVar("Result", Verdict, Answer)

PendingAsk: TypeAlias = Callable[[asyncio.Timeout], Awaitable[Result]]
"""Asks the judge about one window; may reschedule the timeout it runs under."""


class CircuitBreaker:
    """Wraps a judge and rejects windows at once while the endpoint cannot answer.

    For one event loop. `rejected` counts the windows that were not sent, `times_opened` how often the breaker opened.
    """

    def __init__(
        self,
        judge: SupportsAsk,
        *,
        failures: int = 5,
        probe_s: float = 1.0,
        on_state: OnBreakerState | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.deadline_s = judge.deadline_s
        self.failures = failures
        self.probe_s = probe_s
        self.times_opened = 0
        self.rejected = 0
        self.cause: Cause | None = None
        self._judge = judge
        self._on_state = on_state or (lambda state: None)
        self._detail = ""
        self._failed = 0
        self._probes = 0
        self._next_probe_s = 0.0
        self._probe_timeout_s = 0.0
        self._changed_s = self._clock()
        self._answering = asyncio.Event()
        self._answering.set()

    @property
    def state(self) -> BreakerState:
        """`closed`: windows are sent. `open`: they are not. `probing`: they are not, except for a probe in flight."""
        if self._answering.is_set():
            return "closed"
        return "probing" if self._probes else "open"

    @property
    def reason(self) -> str:
        """Why it is open: the cause and detail of the last fault; empty while it is closed."""
        return "" if self._answering.is_set() else self._fault

    @property
    def since_s(self) -> float:
        """Seconds since it last opened or closed."""
        return self._clock() - self._changed_s

    async def wait_closed(self, timeout_s: float | None = None) -> bool:
        """Waits until the endpoint answers; False after `timeout_s`. Sends nothing: another task must send requests."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._answering.wait(), timeout_s)
        return self._answering.is_set()

    async def ask(self, window: JpegWindow, question: Question | None = None, *, wait_s: float = 0.0) -> Answer:
        """`Judge.ask`, retried after transient faults until the endpoint has been down for `wait_s`."""

        async def ask(_: asyncio.Timeout) -> Answer:
            return await self._judge.ask(window, question)

        # A text takes long by nature: that it is slow says nothing about whether the endpoint can give verdicts.
        harmless = frozenset() if question is None or question.labels else SLOWNESS
        answer = await self._ask_with_retries(ask, Answer, wait_s=wait_s, harmless=harmless)
        return replace(answer, start_s=window.start_s, end_s=window.end_s)

    async def verdict(
        self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0, wait_s: float = 0.0
    ) -> Verdict:
        """`Judge.verdict`, retried after transient faults until the endpoint has been down for `wait_s`."""

        async def ask(_: asyncio.Timeout) -> Verdict:
            return await self._judge.verdict(jpegs, start_s=start_s, end_s=end_s)

        return replace(await self._ask_with_retries(ask, Verdict, wait_s=wait_s), start_s=start_s, end_s=end_s)

    async def describe(
        self,
        jpegs: Sequence[bytes],
        *,
        start_s: float = 0.0,
        end_s: float = 0.0,
        max_tokens: int = 200,
        describe_normal: bool = False,
        known: Verdict | None = None,
        on_verdict: Callable[[Verdict], None] | None = None,
        on_text: Callable[[str], None] | None = None,
        wait_s: float = 0.0,
    ) -> Verdict:
        """`Judge.describe`, retried after transient faults until the endpoint has been down for `wait_s`."""

        async def ask(limit: asyncio.Timeout) -> Verdict:
            def report_verdict(verdict: Verdict) -> None:
                limit.reschedule(None)
                self._answered()
                if on_verdict is not None:
                    on_verdict(verdict)

            return await self._judge.describe(
                jpegs,
                start_s=start_s,
                end_s=end_s,
                max_tokens=max_tokens,
                describe_normal=describe_normal,
                known=known,
                on_verdict=report_verdict,
                on_text=on_text,
            )

        verdict = await self._ask_with_retries(ask, Verdict, wait_s=wait_s, harmless=SLOWNESS)
        return replace(verdict, start_s=start_s, end_s=end_s)

    async def _ask_with_retries(
        self, ask: PendingAsk[Result], kind: type[Result], *, wait_s: float, harmless: Harmless = frozenset()
    ) -> Result:
        """Retries until there is an answer, the time is up, or this window itself makes the endpoint fail."""
        give_up_s = self._clock() + wait_s
        attempts = self.failures
        while True:
            result = await self._once(ask, kind, harmless)
            over = self._clock() >= give_up_s or self._is_hopeless(wait_s)
            if result is None and over:
                self.rejected += 1
                return self._refusal(kind)
            if result is not None:
                # If other windows get answers in the meantime, the fault may be this window's own.
                attempts -= self._answering.is_set()
                if over or not attempts or result.cause not in TRANSIENT_CAUSES:
                    return result
            await self._pause(give_up_s)

    def _is_hopeless(self, wait_s: float) -> bool:
        """Whether the endpoint has been down longer than a window waits, so that windows do not wait one by one."""
        return not self._answering.is_set() and (self.since_s >= wait_s or self.cause not in TRANSIENT_CAUSES)

    async def _pause(self, give_up_s: float) -> None:
        """Waits until the breaker closes or the next probe is due; while it is closed, for one probe interval."""
        now_s = self._clock()
        if self._answering.is_set():
            await asyncio.sleep(max(0.0, min(self.probe_s, give_up_s - now_s)))
            return
        due_s = max(self._next_probe_s - now_s, self.probe_s / 4)
        await self.wait_closed(max(0.0, min(due_s, give_up_s - now_s)))

    async def _once(self, ask: PendingAsk[Result], kind: type[Result], harmless: Harmless) -> Result | None:
        """The answer; None if the window may not be sent now."""
        if self._answering.is_set():
            return await self._send(ask, kind, limit_s=None, harmless=harmless)
        if self._probes >= PROBES_AT_ONCE or self._clock() < self._next_probe_s:
            return None
        return await self._probe(ask, kind)

    async def _probe(self, ask: PendingAsk[Result], kind: type[Result]) -> Result:
        self._next_probe_s = self._clock() + self.probe_s
        self._probes += 1
        if self._probes == 1:
            self._on_state("probing")
        try:
            return await self._send(ask, kind, limit_s=self._probe_timeout_s)
        finally:
            self._probes -= 1
            if not self._probes and not self._answering.is_set():
                self._on_state("open")

    async def _send(
        self, ask: PendingAsk[Result], kind: type[Result], *, limit_s: float | None, harmless: Harmless = frozenset()
    ) -> Result:
        began_s = self._clock()
        try:
            async with asyncio.timeout(limit_s) as limit:
                result = await ask(limit)
        except TimeoutError:
            self._probe_timeout_s = min(2 * self._probe_timeout_s, self.deadline_s)
            detail = f"the endpoint did not answer a probe within {limit_s:.1f} s"
            result = kind.unknown(Cause.TIMEOUT, detail=detail)
            result = replace(result, latency_ms=(self._clock() - began_s) * 1000.0)
        if result.cause in ENDPOINT_CAUSES - harmless:
            self._failed_with(result, began_s)
        elif result.cause not in harmless:
            self._answered()
        return result

    def _answered(self) -> None:
        self._failed = 0
        if self._answering.is_set():
            return
        log.info(
            "the endpoint answers again after %.1f s (%d windows were not sent so far)", self.since_s, self.rejected
        )
        self._changed_s = self._clock()
        self._answering.set()
        self._on_state("closed")

    def _failed_with(self, result: Verdict | Answer, began_s: float) -> None:
        if began_s < self._changed_s and self._answering.is_set():
            # The request began before the breaker last changed; the server has answered since.
            return
        self.cause, self._detail = result.cause, result.detail
        self._failed += 1
        if self._answering.is_set() and self._failed >= self.failures:
            self._open()

    def _open(self) -> None:
        self.times_opened += 1
        self._changed_s = self._clock()
        self._next_probe_s = self._changed_s + self.probe_s
        self._probe_timeout_s = min(PROBE_TIMEOUT_S, self.deadline_s)
        self._answering.clear()
        log.warning(
            "the endpoint has failed %d times in a row (%s); windows are unknown until it answers, one is tried every "
            "%g s",
            self._failed,
            self._fault,
            self.probe_s,
        )
        self._on_state("open")

    @property
    def _fault(self) -> str:
        return f"{self.cause}: {self._detail}" if self._detail else str(self.cause)

    def _refusal(self, kind: type[Result]) -> Result:
        cause = self.cause or Cause.UNREACHABLE
        since = datetime.fromtimestamp(time.time() - self.since_s, UTC).astimezone().strftime("%H:%M:%S %z")
        next_s = max(0.0, self._next_probe_s - self._clock())
        detail = f"not asked: the endpoint has been failing since {since}, next try in {next_s:.1f} s ({self._fault})"
        return kind.unknown(cause, detail=detail)
