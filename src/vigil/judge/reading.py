"""From what an answer told to a verdict: enough probability on the words, and no word that contradicts it."""

from dataclasses import dataclass, replace

from vigil.judge.answer import ALARM, Mass, Words, spelled, word_at_start
from vigil.judge.facts import Facts
from vigil.verdict import Cause, Outcome, Verdict

ALARM_FROM = 0.5
"""The probability from which a verdict is an alarm; events have their own, higher tiers."""

MIN_MASS = 0.5
"""The least probability of the words of the labels together: below it the model is answering something else."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer told: the words' probabilities, and the word that it begins with.

    `spelled` is the label that its first token is a beginning of, which is less than a word.
    """

    mass: Mass | None
    said: str | None = None
    tokens: int = 0
    spelled: str | None = None


def reading_of(mass: Mass | None, text: str, words: Words) -> Reading:
    """What an answer of this text told."""
    return Reading(mass, word_at_start(text, words), spelled=spelled(text, words))


def weigh(reading: Reading, facts: Facts, *, min_mass: float, alarm_from: float) -> Verdict:
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


def _contradictory(label: str, mass: Mass, words: Words) -> Verdict:
    said, alarm = words.texts[label], words.texts[ALARM]
    detail = f"the answer says {said!r}, and its probabilities p={mass.p_alarm():.2f} of {alarm!r}"
    return Verdict.unknown(Cause.CONTRADICTORY, detail=detail)


def _by_word(said: str | None) -> Verdict:
    if said is None:
        detail = "the answer shows neither verdict word nor their probabilities"
        return Verdict.unknown(Cause.UNPARSEABLE, detail=detail)
    return Verdict(outcome=Outcome(said))
