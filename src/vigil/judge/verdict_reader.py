"""Reads the answer to a question from a response, and the verdict of a streamed description as early as possible."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from vigil.calibration import calibrate, calibrate_labels
from vigil.judge.answer_parser import LabelLogprobs, LabelTokens, StreamedAnswer, label_at_start, spelled
from vigil.judge.faults import RequestFault
from vigil.manifest import Calibration
from vigil.questions import ALARM, NORMAL, Question
from vigil.verdict import Answer, Cause, Outcome, Verdict

ALARM_FROM = 0.5
"""The probability from which a verdict is an alarm; event rules have higher tiers of their own."""

MIN_LABEL_PROBABILITY = 0.5
"""The minimum total probability of the labels: below it the model is answering something else."""


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """The label probabilities in an answer, and `stated_label`, the label whose word it begins with.

    `spelled` is the label whose word the first token begins, which may be less than the whole word.
    """

    mass: LabelLogprobs | None
    stated_label: str | None = None
    tokens: int = 0
    spelled: str | None = None


def read_answer_labels(mass: LabelLogprobs | None, text: str, label_tokens: LabelTokens) -> AnswerReading:
    """The reading of an answer with this text."""
    return AnswerReading(mass, label_at_start(text, label_tokens), spelled=spelled(text, label_tokens))


def answer_of_reading(
    reading: AnswerReading,
    question: Question,
    label_tokens: LabelTokens,
    *,
    min_label_probability: float,
    calibration: Calibration | None,
) -> Answer:
    """The answer in a reading; without probabilities, the label whose word the text begins with.

    The answer is unknown if too much of the probability lies outside the labels, or if it spells another label than the
    one that its probabilities favour.
    """
    if not question.labels:
        return Answer(question=question.name, cause=Cause.WORDS_ONLY, tokens=reading.tokens)
    return replace(_answer(reading, question, label_tokens, min_label_probability, calibration), question=question.name)


def _answer(
    reading: AnswerReading,
    question: Question,
    label_tokens: LabelTokens,
    min_label_probability: float,
    calibration: Calibration | None,
) -> Answer:
    mass, tokens = reading.mass, reading.tokens
    if mass is None and reading.stated_label is None:
        detail = "the answer shows neither verdict word nor their probabilities"
        return Answer.unknown(Cause.UNPARSEABLE, detail=detail, tokens=tokens)
    if mass is None:
        return Answer(stated_label=reading.stated_label, tokens=tokens)
    if 1.0 - mass.outside < min_label_probability:
        detail = f"{mass.outside:.1%} of the probability lies outside the verdict words"
        return Answer.unknown(Cause.OUTSIDE, detail=detail, tokens=tokens)
    if reading.spelled is not None and mass.contradicts(reading.spelled):
        detail = _contradiction(reading.spelled, mass, label_tokens)
        return Answer.unknown(Cause.CONTRADICTORY, detail=detail, tokens=tokens)
    raw = {label: mass.probability(label) for label in mass.logprobs}
    return Answer(
        probabilities=calibrated_probabilities(raw, question, calibration),
        raw_probabilities=raw,
        outside=mass.outside,
        stated_label=reading.stated_label,
        tokens=tokens,
    )


def calibrated_probabilities(
    raw: Mapping[str, float], question: Question, calibration: Calibration | None
) -> Mapping[str, float]:
    """The probabilities of the labels under a calibration."""
    if calibration is None:
        return raw
    if not question.has_two_labels:
        return calibrate_labels(raw, question.alarm_labels, calibration)
    p_alarm = calibrate(raw[ALARM], calibration)
    return {ALARM: p_alarm, NORMAL: 1.0 - p_alarm}


def _contradiction(label: str, mass: LabelLogprobs, label_tokens: LabelTokens) -> str:
    likeliest = max(mass.logprobs, key=mass.logprobs.__getitem__)
    stated_label, other = label_tokens.texts[label], label_tokens.texts[likeliest]
    return f"the answer says {stated_label!r}, and its probabilities p={mass.probability(likeliest):.2f} of {other!r}"


OnVerdict: TypeAlias = Callable[[Verdict], None]
"""Called with the verdict of `describe` at its first token, long before the description is complete."""


@dataclass(slots=True, kw_only=True)
class EarlyVerdict:
    """Reports a verdict once: from the stream of its description, or from a separate request if a proxy buffers it.

    `known` is a verdict that was given before the description was requested.
    """

    start_s: float
    end_s: float
    describe_normal: bool
    on_verdict: OnVerdict | None
    known: Verdict | None = None
    on_reported: Callable[[], None] = lambda: None
    reported: Verdict | None = None
    began_s: float = field(default_factory=time.perf_counter)

    @property
    def is_enough(self) -> bool:
        """Whether only the verdict was requested, and it is known."""
        verdict = self.reported or self.known
        return verdict is not None and not self.describe_normal and verdict.outcome is not Outcome.ALARM

    def report(self, verdict: Verdict) -> None:
        """Reports the first verdict that arrives."""
        if self.reported is not None:
            return
        self.reported = verdict if verdict is self.known else self.with_times(verdict)
        self.on_reported()
        if self.on_verdict is not None:
            self.on_verdict(self.reported)

    def with_times(self, verdict: Verdict) -> Verdict:
        """The verdict with its window and its latency."""
        return replace(verdict, start_s=self.start_s, end_s=self.end_s, latency_ms=since_ms(self.began_s))

    def with_description(self, verdict: Verdict, answer: StreamedAnswer, fault: RequestFault | None) -> Verdict:
        """The verdict with its description, and with the reason if the description broke off."""
        broken = "" if fault is None and self.is_enough else broken_off(answer, fault)
        spent = 0 if self.known is not None else verdict.tokens
        return replace(
            verdict, text=answer.text.strip() or None, tokens=answer.tokens + spent, detail=verdict.detail or broken
        )


def broken_off(answer: StreamedAnswer, fault: RequestFault | None) -> str:
    """The reason why a streamed text is incomplete; empty if it is complete."""
    if fault is None and answer.complete:
        return ""
    return f"the description broke off: {fault.detail if fault else 'the stream ended early'}"


def since_ms(began_s: float) -> float:
    """Milliseconds since a time of `time.perf_counter`."""
    return (time.perf_counter() - began_s) * 1000.0
