"""The breaker: while the endpoint fails, windows learn so at once instead of each waiting for its deadline.

    breaker = Breaker(judge)
    verdict = await breaker.verdict(window.jpegs, start_s=..., end_s=...)                # live: now or never
    verdict = await breaker.verdict(window.jpegs, start_s=..., end_s=..., wait_s=600.0)  # files: wait for the server

After `failures` faults of the endpoint in a row it opens: a window is `unknown` with the last cause, unasked.
Every `probe_s` one real window is let through as a probe, whether or not earlier probes have been answered, so
that a server which accepts and never answers does not delay the return. The first answer closes it again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias

from vigil.judge.faults import SLOWNESS
from vigil.verdict import Cause, Verdict

log = logging.getLogger(__name__)

BreakerState: TypeAlias = Literal["closed", "open", "probing"]

OnBreakerState: TypeAlias = Callable[[BreakerState], None]
"""Told each state that the breaker enters, also `probing` and back."""

ENDPOINT_CAUSES = frozenset(
    {
        *(Cause.UNREACHABLE, Cause.TIMEOUT, Cause.SERVER_ERROR),
        *(Cause.CUT_OFF, Cause.RATE_LIMITED, Cause.UNAUTHORIZED, Cause.EXCHANGED),
    }
)
"""Faults of the endpoint, which the next window will meet too. The others are about one window and its answer."""

PASSING_CAUSES = ENDPOINT_CAUSES - {Cause.UNAUTHORIZED}
"""What waiting can cure; a wrong key stays wrong."""

PROBES_AT_ONCE = 5
PROBE_PATIENCE_S = 5.0
"""A probe's first limit; each probe that runs into its limit doubles the next one's, up to the judge's own."""


class SupportsAsk(Protocol):
    """What answers for windows: a Judge, or a Breaker around one."""

    deadline_s: float

    async def verdict(self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0) -> Verdict:
        """Whether the window alarms, by one token."""

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
        """The verdict, which may be known, and the words."""


Harmless: TypeAlias = frozenset[Cause]
"""Causes that say nothing of the endpoint after a question of one kind."""

PendingAsk: TypeAlias = Callable[[asyncio.Timeout], Awaitable[Verdict]]
"""Asks the judge about one window; may move the limit that it is asked under."""


class CircuitBreaker:
    """Stands before a judge and spares the windows, and the endpoint, questions that cannot be answered.

    For one event loop. `refused` counts the windows that were answered unasked, `opened` how often it opened.
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
        self._patience_s = 0.0
        self._changed_s = self._clock()
        self._answering = asyncio.Event()
        self._answering.set()

    @property
    def state(self) -> BreakerState:
        """`closed`: windows are asked. `open`: they are not. `probing`: not, but for one that is under way."""
        if self._answering.is_set():
            return "closed"
        return "probing" if self._probes else "open"

    @property
    def reason(self) -> str:
        """Why it is open: the last fault's cause and what the endpoint said; empty while it is closed."""
        return "" if self._answering.is_set() else self._fault

    @property
    def since_s(self) -> float:
        """Seconds since it last opened or closed."""
        return self._clock() - self._changed_s

    async def wait_closed(self, timeout_s: float | None = None) -> bool:
        """Waits until the endpoint answers; False when it did not in time. Somebody else must be asking meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._answering.wait(), timeout_s)
        return self._answering.is_set()

    async def verdict(
        self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0, wait_s: float = 0.0
    ) -> Verdict:
        """`Judge.verdict`; asked again after faults that pass, until the endpoint has been away for `wait_s`."""

        async def ask(_: asyncio.Timeout) -> Verdict:
            return await self._judge.verdict(jpegs, start_s=start_s, end_s=end_s)

        return replace(await self._insist(ask, wait_s=wait_s), start_s=start_s, end_s=end_s)

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
        """`Judge.describe`; asked again after faults that pass, until the endpoint has been away for `wait_s`."""

        async def ask(limit: asyncio.Timeout) -> Verdict:
            def told(verdict: Verdict) -> None:
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
                on_verdict=told,
                on_text=on_text,
            )

        said = await self._insist(ask, wait_s=wait_s, harmless=SLOWNESS)
        return replace(said, start_s=start_s, end_s=end_s)

    async def _insist(self, ask: PendingAsk, *, wait_s: float, harmless: Harmless = frozenset()) -> Verdict:
        """Asks until there is an answer, the time is over, or it is the window that the endpoint fails at."""
        give_up_s = self._clock() + wait_s
        left = self.failures
        while True:
            verdict = await self._once(ask, harmless)
            over = self._clock() >= give_up_s or self._is_hopeless(wait_s)
            if verdict is None and over:
                self.rejected += 1
                return self._refusal()
            if verdict is not None:
                # While others get their answers, the fault may be this window's own.
                left -= self._answering.is_set()
                if over or not left or verdict.cause not in PASSING_CAUSES:
                    return verdict
            await self._pause(give_up_s)

    def _is_hopeless(self, wait_s: float) -> bool:
        """Whether the endpoint has been away for longer than a window waits: ten thousand need not wait one by one."""
        return not self._answering.is_set() and (self.since_s >= wait_s or self.cause not in PASSING_CAUSES)

    async def _pause(self, give_up_s: float) -> None:
        """Until it closes or the next probe is due; while it is closed, as long as between two probes."""
        now_s = self._clock()
        if self._answering.is_set():
            await asyncio.sleep(max(0.0, min(self.probe_s, give_up_s - now_s)))
            return
        due_s = max(self._next_probe_s - now_s, self.probe_s / 4)
        await self.wait_closed(max(0.0, min(due_s, give_up_s - now_s)))

    async def _once(self, ask: PendingAsk, harmless: Harmless) -> Verdict | None:
        """The answer, or None when the window may not be asked about now."""
        if self._answering.is_set():
            return await self._let_through(ask, limit_s=None, harmless=harmless)
        if self._probes >= PROBES_AT_ONCE or self._clock() < self._next_probe_s:
            return None
        return await self._probe(ask)

    async def _probe(self, ask: PendingAsk) -> Verdict:
        self._next_probe_s = self._clock() + self.probe_s
        self._probes += 1
        if self._probes == 1:
            self._on_state("probing")
        try:
            return await self._let_through(ask, limit_s=self._patience_s)
        finally:
            self._probes -= 1
            if not self._probes and not self._answering.is_set():
                self._on_state("open")

    async def _let_through(
        self, ask: PendingAsk, *, limit_s: float | None, harmless: Harmless = frozenset()
    ) -> Verdict:
        began_s = self._clock()
        try:
            async with asyncio.timeout(limit_s) as limit:
                verdict = await ask(limit)
        except TimeoutError:
            self._patience_s = min(2 * self._patience_s, self.deadline_s)
            detail = f"the endpoint did not answer a probe within {limit_s:.1f} s"
            verdict = replace(
                Verdict.unknown(Cause.TIMEOUT, detail=detail), latency_ms=(self._clock() - began_s) * 1000.0
            )
        if verdict.cause in ENDPOINT_CAUSES - harmless:
            self._failed_with(verdict, began_s)
        elif verdict.cause not in harmless:
            self._answered()
        return verdict

    def _answered(self) -> None:
        self._failed = 0
        if self._answering.is_set():
            return
        log.info(
            "the endpoint answers again after %.1f s (%d windows were not asked so far)", self.since_s, self.rejected
        )
        self._changed_s = self._clock()
        self._answering.set()
        self._on_state("closed")

    def _failed_with(self, verdict: Verdict, began_s: float) -> None:
        if began_s < self._changed_s and self._answering.is_set():
            # It was asked of the server that failed before; the one that is there now has answered since.
            return
        self.cause, self._detail = verdict.cause, verdict.detail
        self._failed += 1
        if self._answering.is_set() and self._failed >= self.failures:
            self._open()

    def _open(self) -> None:
        self.times_opened += 1
        self._changed_s = self._clock()
        self._next_probe_s = self._changed_s + self.probe_s
        self._patience_s = min(PROBE_PATIENCE_S, self.deadline_s)
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

    def _refusal(self) -> Verdict:
        cause = self.cause or Cause.UNREACHABLE
        since = datetime.fromtimestamp(time.time() - self.since_s, UTC).astimezone().strftime("%H:%M:%S %z")
        next_s = max(0.0, self._next_probe_s - self._clock())
        detail = f"not asked: the endpoint fails since {since}, tried again in {next_s:.1f} s ({self._fault})"
        return Verdict.unknown(cause, detail=detail)
