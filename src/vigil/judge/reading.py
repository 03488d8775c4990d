"""From what an answer told to a verdict: enough probability on the words, and no word that contradicts it."""

from dataclasses import dataclass, replace

from vigil.judge.answer import ALARM, LabelLogprobs, LabelTokens, label_at_start, spelled
from vigil.judge.facts import ServerFacts
from vigil.verdict import Cause, Outcome, Verdict

ALARM_FROM = 0.5
"""The probability from which a verdict is an alarm; events have their own, higher tiers."""

MIN_MASS = 0.5
"""The least probability of the words of the labels together: below it the model is answering something else."""


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """What an answer told: the words' probabilities, and the word that it begins with.

    `spelled` is the label that its first token is a beginning of, which is less than a word.
    """

    mass: LabelLogprobs | None
    said: str | None = None
    tokens: int = 0
    spelled: str | None = None


def read_answer_labels(mass: LabelLogprobs | None, text: str, words: LabelTokens) -> AnswerReading:
    """What an answer of this text told."""
    return AnswerReading(mass, label_at_start(text, words), spelled=spelled(text, words))


def verdict_of_reading(reading: AnswerReading, facts: ServerFacts, *, min_mass: float, alarm_from: float) -> Verdict:
    """The verdict that a reading makes; without probabilities the word itself decides, without a p."""
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
