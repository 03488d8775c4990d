"""Conditions: what must hold in a window for a rule to count it, as one term or several that hold together.

    lights left on = [Term(question="lights", label="on"), Term(question="person", label="present", holds=False)]

In a window, a term is true, false, or unknown (its answer has no probability). Several are false if one is false, else
unknown if one is unknown, else true: what was not seen neither fulfils a condition nor breaks it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vigil.errors import UsageError
from vigil.events import EventWindow, TierThresholds
from vigil.rules.rule import has_probabilities, label_probability
from vigil.verdict import JudgedWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """That a label of a question has at least the probability `p_from` in a window; with `holds` false, that it hasn't.

    An empty `question` is the task's own. Raises UsageError for inconsistent values.
    """

    question: str = ""
    label: str = "alarm"
    p_from: float = 0.5
    holds: bool = True

    def __post_init__(self) -> None:
        if not self.label:
            raise UsageError("label must not be empty")
        if not 0 < self.p_from <= 1:
            raise UsageError(f"p_from must be above 0 and at most 1, not {self.p_from}")


@dataclass(frozen=True, slots=True)
class Sight:
    """What a window shows of a condition: whether it is true, None if that is unknown, and how probable it is.

    `p` is the probability of the least probable term, that of a term which must not hold counted as 1 - p.
    """

    holds: bool | None
    p: float | None


UNKNOWN = Sight(None, None)


def sight_of(terms: Sequence[Term], judged: JudgedWindow, *, task: str, tiers: TierThresholds) -> Sight:
    """What a window shows of terms that must hold together; an answer without a measured probability is at most low."""
    known = [(term, p) for term in terms if (p := _probability(term, judged, task)) is not None]
    states = [(p >= term.p_from) is term.holds for term, p in known]
    shown = min((_shown(term, p, judged, task, tiers) for term, p in known), default=None)
    if not all(states):
        return Sight(False, shown)
    return Sight(True, shown) if len(known) == len(terms) else UNKNOWN


def evidence_of(judged: JudgedWindow, p_alarm: float | None, term: Term) -> EventWindow:
    """The window as part of an event with this probability; it shows the class of the term, if the verdict has it."""
    return EventWindow(
        window=judged.window,
        start_s=judged.start_s,
        end_s=judged.end_s,
        p_alarm=p_alarm,
        label=term.label if term.label in judged.verdict.probabilities else "",
    )


def _probability(term: Term, judged: JudgedWindow, task: str) -> float | None:
    return label_probability(judged, question=_question_of(term, judged, task), label=term.label)


def _shown(term: Term, p: float, judged: JudgedWindow, task: str, tiers: TierThresholds) -> float:
    strength = p if term.holds else 1.0 - p
    is_measured = has_probabilities(judged, question=_question_of(term, judged, task))
    return strength if is_measured else min(strength, tiers.low)


def _question_of(term: Term, judged: JudgedWindow, task: str) -> str:
    """The question whose answer counts; empty if the window has only a verdict, which answers the task."""
    question = term.question or task
    return "" if question == task and question not in judged.answers else question
