"""Combines the verdicts of a clip's windows into one answer per clip.

A clip's label says that an incident is somewhere in it, so the mean over all its windows would hide a short fight in a
long clip. The maximum alone would turn one noisy moment into an alarm, more often the longer the clip is, and noisy-or
does so even sooner: ten windows at 0.1 are an alarm to it. An incident outlasts the 2 s between windows, so a real one
shows in two of them. Hence the default, `top2`: the mean log-odds of the two windows with the highest probability. A
clip of one window keeps its probability; and because log-odds are averaged, calibrating windows and calibrating clips
is the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vigil.calibration import logit, sigmoid
from vigil.questions import LabelName
from vigil.score.eval_set import EvalClip
from vigil.score.journal import JournalEntry
from vigil.verdict import Cause, Outcome

CombineRule = Literal["top2", "max", "mean"]

P_OF_WORD = {Outcome.ALARM: 0.99, Outcome.NORMAL: 0.01}
"""The probability that stands for a verdict word from a server that reports no probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer for one clip or one window, and the truth; `p_alarm` is None if it is unknown."""

    clip: str
    label: LabelName
    group: str
    p_alarm: float | None
    cause: Cause | None = None
    windows: int = 1
    windows_unknown: int = 0

    @property
    def is_alarm(self) -> bool:
        """The truth."""
        return self.label == "alarm"


def probability(record: JournalEntry) -> float | None:
    """The probability of alarm of one window, or None if it is unknown."""
    if record.outcome is Outcome.UNKNOWN:
        return None
    return P_OF_WORD[record.outcome] if record.p_alarm is None else record.p_alarm


def combine(p_alarm: Sequence[float], *, rule: CombineRule = "top2") -> float:
    """The probability of alarm of a clip from those of its answered windows (at least one)."""
    odds = sorted(map(logit, p_alarm), reverse=True)
    counted = {"top2": odds[:2], "max": odds[:1], "mean": odds}[rule]
    return sigmoid(sum(counted) / len(counted))


def per_clip(
    clips: Sequence[EvalClip], records: Iterable[JournalEntry], *, rule: CombineRule = "top2"
) -> list[Prediction]:
    """One answer per clip; a clip without answered windows is unknown, with their most frequent cause."""
    by_clip: Mapping[str, list[JournalEntry]] = _by_clip(records)
    return [_answer(clip, by_clip.get(clip.name, []), rule=rule) for clip in clips]


def _by_clip(records: Iterable[JournalEntry]) -> dict[str, list[JournalEntry]]:
    by_clip: dict[str, list[JournalEntry]] = {}
    for record in records:
        by_clip.setdefault(record.clip, []).append(record)
    return by_clip


def _answer(clip: EvalClip, records: Sequence[JournalEntry], *, rule: CombineRule) -> Prediction:
    probabilities = [p for record in records if (p := probability(record)) is not None]
    causes = Counter(record.cause for record in records if record.cause is not None)
    return Prediction(
        clip=clip.name,
        label=clip.label,
        group=clip.group,
        p_alarm=combine(probabilities, rule=rule) if probabilities else None,
        cause=None if probabilities else _commonest(causes),
        windows=len(records),
        windows_unknown=len(records) - len(probabilities),
    )


def _commonest(causes: "Counter[Cause]") -> Cause:
    return causes.most_common(1)[0][0] if causes else Cause.CANCELLED


def per_window(clips: Sequence[EvalClip], records: Iterable[JournalEntry]) -> list[Prediction]:
    """One answer per window, with the label of its clip."""
    clip_of = {clip.name: clip for clip in clips}
    return [
        Prediction(
            clip=record.clip,
            label=clip_of[record.clip].label,
            group=clip_of[record.clip].group,
            p_alarm=probability(record),
            cause=record.cause,
            windows_unknown=int(record.outcome is Outcome.UNKNOWN),
        )
        for record in records
    ]
