"""Combines the verdicts of a clip's windows into one answer per clip.

A clip's label says that an incident is somewhere in it, so the mean over all its windows would hide a short fight in a
long clip. The maximum alone would turn one noisy moment into an alarm, more often the longer the clip is, and noisy-or
does so even sooner: ten windows at 0.1 are an alarm to it. An incident outlasts the 2 s between windows, so a real one
shows in two of them. Hence the default, `top2`: the mean log-odds of the two windows with the highest probability. A
clip of one window keeps its probability; and because log-odds are averaged, calibrating windows and calibrating clips
is the same. With several labels, the log probability of each is averaged over the windows with the highest probability
of an alarm, which is the same for two labels.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from vigil.calibration import calibrate, calibrate_labels, logit, mean_of_labels, sigmoid
from vigil.manifest import Calibration
from vigil.questions import NORMAL, LabelName
from vigil.score.eval_set import EvalClip
from vigil.score.journal import JournalEntry
from vigil.verdict import Cause, Outcome

CombineRule = Literal["top2", "max", "mean"]

P_OF_WORD = {Outcome.ALARM: 0.99, Outcome.NORMAL: 0.01}
"""The probability that stands for a verdict word from a server that reports no probabilities."""


WINDOWS_COUNTED: Mapping[CombineRule, int | None] = {"top2": 2, "max": 1, "mean": None}
"""How many windows, the most probable alarms first, make the answer of a clip; None: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer for one clip or one window, and the truth; `p_alarm` is None if it is unknown.

    `probabilities` holds those of the labels if the question has others than alarm and normal; it is empty if it has
    not, and if the answer is unknown. Labels other than `normal_labels` alarm.
    """

    clip: str
    label: LabelName
    group: str
    p_alarm: float | None
    cause: Cause | None = None
    windows: int = 1
    windows_unknown: int = 0
    probabilities: Mapping[LabelName, float] = field(default_factory=dict)
    normal_labels: tuple[LabelName, ...] = (NORMAL,)

    @property
    def is_alarm(self) -> bool:
        """The truth."""
        return self.label not in self.normal_labels

    @property
    def said(self) -> LabelName | None:
        """The most probable label, None if there are no probabilities of labels."""
        return max(self.probabilities, key=self.probabilities.__getitem__, default=None)

    def is_right(self, *, threshold: float) -> bool:
        """Whether the most probable label is the truth; with two labels, an alarm is one from `threshold` on."""
        if self.probabilities:
            return self.said == self.label
        return self.p_alarm is not None and (self.p_alarm >= threshold) is self.is_alarm

    def calibrated(self, calibration: Calibration) -> "Prediction":
        """The same answer, which is not calibrated yet, with calibrated probabilities."""
        if self.p_alarm is None:
            return self
        if not self.probabilities:
            return replace(self, p_alarm=calibrate(self.p_alarm, calibration))
        alarms = [label for label in self.probabilities if label not in self.normal_labels]
        probabilities = calibrate_labels(self.probabilities, alarms, calibration)
        return replace(self, p_alarm=sum(probabilities[label] for label in alarms), probabilities=probabilities)

    def to_json(self) -> dict[str, Any]:
        """The answer as plain data; with two labels, without what concerns several."""
        data = asdict(self)
        if self.normal_labels == (NORMAL,):
            del data["normal_labels"]
        if not self.probabilities:
            del data["probabilities"]
        return data


def probability(record: JournalEntry) -> float | None:
    """The probability of alarm of one window, or None if it is unknown."""
    if record.outcome is Outcome.UNKNOWN:
        return None
    return P_OF_WORD[record.outcome] if record.p_alarm is None else record.p_alarm


def combine(p_alarm: Sequence[float], *, rule: CombineRule = "top2") -> float:
    """The probability of alarm of a clip from those of its answered windows (at least one)."""
    odds = sorted(map(logit, p_alarm), reverse=True)
    counted = odds[: WINDOWS_COUNTED[rule]]
    return sigmoid(sum(counted) / len(counted))


def combine_labels(records: Sequence[JournalEntry], *, rule: CombineRule = "top2") -> dict[LabelName, float]:
    """The probabilities of a clip's labels from those of its answered windows; empty if these have none."""
    labelled = [record for record in records if record.probabilities]
    labelled.sort(key=lambda record: -(probability(record) or 0.0))
    return mean_of_labels([record.probabilities for record in labelled[: WINDOWS_COUNTED[rule]]]) if labelled else {}


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
    answered = [p for record in records if (p := probability(record)) is not None]
    causes = Counter(record.cause for record in records if record.cause is not None)
    labels = combine_labels(records, rule=rule)
    alarms = [label for label in labels if label not in clip.normal_labels]
    p_alarm = sum(labels[label] for label in alarms) if labels else combine(answered, rule=rule) if answered else None
    return Prediction(
        clip=clip.name,
        label=clip.label,
        group=clip.group,
        p_alarm=p_alarm,
        cause=None if answered else _commonest(causes),
        windows=len(records),
        windows_unknown=len(records) - len(answered),
        probabilities=labels,
        normal_labels=clip.normal_labels,
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
            probabilities=record.probabilities,
            normal_labels=clip_of[record.clip].normal_labels,
        )
        for record in records
    ]
