"""Bounds the requests of a judge in number and time, and returns their faults instead of raising them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

from vigil.errors import VigilError
from vigil.judge.faults import NOT_FOUND, REPLY_FAULTS, RequestFault
from vigil.judge.server_facts import ServerFactsCache
from vigil.verdict import Cause

log = logging.getLogger(__name__)

Ask: TypeAlias = Callable[[asyncio.Timeout], Awaitable[None]]
"""Sends one request; may reschedule the timeout it runs under."""

DOUBTFUL = frozenset({Cause.UNREACHABLE, Cause.TIMEOUT, Cause.SERVER_ERROR, Cause.CUT_OFF, Cause.UNAUTHORIZED})
"""Faults after which another server may be running at the address."""


class RequestSlots:
    """Runs at most `max_in_flight` requests at a time, each within `deadline_s`.

    After a fault that may mean another server, the facts of the server are in doubt and are read again.
    """

    def __init__(self, facts: ServerFactsCache, *, max_in_flight: int, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self._facts = facts
        self._free = asyncio.Semaphore(max_in_flight)
        self._unforeseen: set[type[Exception]] = set()
        self._refused: set[int | None] = set()

    async def run(self, ask: Ask, *, harmless: frozenset[Cause] = frozenset()) -> RequestFault | None:
        """Runs `ask` in a slot and within the deadline, which it may move; a fault is returned, not raised.

        Faults with a `harmless` cause do not put the server's facts in doubt.
        """
        async with self._free:
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
            self._facts.doubt()
        if fault.cause is Cause.REJECTED and fault.status not in self._refused:
            self._refused.add(fault.status)
            model = self._facts.now.model
            log.warning("model %s: a window was refused: %s (logged once for each kind)", model, fault.detail)
