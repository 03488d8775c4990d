"""Turns the reading of an answer into a verdict, and reports the verdict of a description as soon as it is known."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from vigil.judge.answer_parser import ALARM, LabelLogprobs, LabelTokens, StreamedAnswer, label_at_start, spelled
from vigil.judge.faults import RequestFault
from vigil.judge.server_facts import ServerFacts
from vigil.verdict import Cause, Outcome, Verdict

ALARM_FROM = 0.5
"""The probability from which a verdict is an alarm; event rules have higher tiers of their own."""

MIN_MASS = 0.5
"""The minimum total probability of the labels: below it the model is answering something else."""


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """The label probabilities in an answer, and the label whose word it begins with.

    `spelled` is the label whose word the first token begins, which may be less than the whole word.
    """

    mass: LabelLogprobs | None
    said: str | None = None
    tokens: int = 0
    spelled: str | None = None


def read_answer_labels(mass: LabelLogprobs | None, text: str, words: LabelTokens) -> AnswerReading:
    """The reading of an answer with this text."""
    return AnswerReading(mass, label_at_start(text, words), spelled=spelled(text, words))


def verdict_of_reading(reading: AnswerReading, facts: ServerFacts, *, min_mass: float, alarm_from: float) -> Verdict:
    """The verdict of a reading; without probabilities the word itself decides, and the verdict has no probability."""
    mass = reading.mass
    if mass is None:
        return replace(_by_word(reading.said), tokens=reading.tokens)
    if 1.0 - mass.outside < min_mass:
        detail = f"{mass.outside:.1%} of the probability lies outside the verdict words"
        return replace(Verdict.unknown(Cause.OUTSIDE, detail=detail), tokens=reading.tokens)
    if reading.spelled is not None and mass.contradicts(reading.spelled):
        return replace(_contradictory(reading.spelled, mass, facts.words), tokens=reading.tokens)
    p_alarm = mass.p_alarm(facts.calibration)
    return Verdict(
        outcome=Outcome.ALARM if p_alarm >= alarm_from else Outcome.NORMAL,
        p_alarm=p_alarm,
        p_raw=mass.p_alarm(),
        p_outside=mass.outside,
        tokens=reading.tokens,
    )


def _contradictory(label: str, mass: LabelLogprobs, words: LabelTokens) -> Verdict:
    said, alarm = words.texts[label], words.texts[ALARM]
    detail = f"the answer says {said!r}, and its probabilities p={mass.p_alarm():.2f} of {alarm!r}"
    return Verdict.unknown(Cause.CONTRADICTORY, detail=detail)


def _by_word(said: str | None) -> Verdict:
    if said is None:
        detail = "the answer shows neither verdict word nor their probabilities"
        return Verdict.unknown(Cause.UNPARSEABLE, detail=detail)
    return Verdict(outcome=Outcome(said))


OnVerdict: TypeAlias = Callable[[Verdict], None]
"""Called with the verdict of `describe` at its first token, long before the description is complete."""


@dataclass(slots=True, kw_only=True)
class EarlyVerdict:
    """Reports a verdict once, from the stream of its description or from a separate request if the stream is held back.

    `known` is a verdict that was there before the description was requested.
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
        """Whether only the verdict is wanted, and it is known."""
        there = self.told or self.known
        return there is not None and not self.describe_normal and there.outcome is not Outcome.ALARM

    def tell(self, verdict: Verdict) -> None:
        """Reports the first verdict that arrives."""
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
        """The verdict with its description, and why that broke off if it did."""
        is_whole = fault is None and (answer.complete or self.is_enough)
        broken = "" if is_whole else f"the description broke off: {fault.detail if fault else 'the stream ended early'}"
        spent = 0 if self.known is not None else verdict.tokens
        return replace(
            verdict, text=answer.text.strip() or None, tokens=answer.tokens + spent, detail=verdict.detail or broken
        )


def since_ms(began_s: float) -> float:
    """Milliseconds since a time of `time.perf_counter`."""
    return (time.perf_counter() - began_s) * 1000.0
