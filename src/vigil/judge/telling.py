"""The one verdict of an answer in words, told as soon as it is known."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from vigil.judge.faults import RequestFault
from vigil.judge.stream import StreamedAnswer
from vigil.verdict import Outcome, Verdict

OnVerdict: TypeAlias = Callable[[Verdict], None]
"""Told the verdict of `describe` at its first token, long before the words are complete."""


@dataclass(slots=True, kw_only=True)
class EarlyVerdict:
    """A verdict that is told once, by the stream of its words or, where that is held back, beside it.

    `known` is one that was there before its words were asked for.
    """

    start_s: float
    end_s: float
    describe_normal: bool
    on_verdict: OnVerdict | None
    known: Verdict | None = None
    when_told: Callable[[], None] = lambda: None
    told: Verdict | None = None
    began_s: float = field(default_factory=time.perf_counter)

    @property
    def is_enough(self) -> bool:
        """Whether nothing but the verdict is wanted, and it is there."""
        there = self.told or self.known
        return there is not None and not self.describe_normal and there.outcome is not Outcome.ALARM

    def tell(self, verdict: Verdict) -> None:
        """Tells the first verdict that comes."""
        if self.told is not None:
            return
        self.told = verdict if verdict is self.known else self.stamped(verdict)
        self.when_told()
        if self.on_verdict is not None:
            self.on_verdict(self.told)

    def stamped(self, verdict: Verdict) -> Verdict:
        """The verdict with its window and its latency."""
        return replace(verdict, start_s=self.start_s, end_s=self.end_s, latency_ms=since_ms(self.began_s))

    def worded(self, verdict: Verdict, answer: StreamedAnswer, fault: RequestFault | None) -> Verdict:
        """The verdict with what came of its words, and why they broke off if they did."""
        is_whole = fault is None and (answer.complete or self.is_enough)
        broken = "" if is_whole else f"the words broke off: {fault.detail if fault else 'the stream ended early'}"
        spent = 0 if self.known is not None else verdict.tokens
        return replace(
            verdict, text=answer.text.strip() or None, tokens=answer.tokens + spent, detail=verdict.detail or broken
        )


def since_ms(began_s: float) -> float:
    """Milliseconds since a time of `time.perf_counter`."""
    return (time.perf_counter() - began_s) * 1000.0
