"""The figures of a question with several labels: per class, their means, and which class is taken for which.

The class that a clip is said to be is its most probable label. A clip without an answer is a miss of its class. Average
precision and calibration error of a class are one against the rest: its probability, and whether it is the truth.
Means are over the classes that have clips; intervals resample whole recordings. `docs/scoring.md` has the rules.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vigil.questions import LabelName
from vigil.score.metrics import (
    Flags,
    Floats,
    Interval,
    bootstrap,
    expected_calibration_error,
    wilson,
)
from vigil.score.predictions import Prediction

Numbers: TypeAlias = NDArray[np.intp]
_OfWeights: TypeAlias = Callable[[Floats], float | None]
"""A figure of the clips, each counted as often as its weight says; None if it has none."""

UNKNOWN = "unknown"
"""The column of the confusion matrix for clips without an answer."""

NO_LABEL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """One class: `n` clips are of it; `baseline` is the average precision of guessing, the share of its clips."""

    label: LabelName
    n: int
    average_precision: float | None
    average_precision_ci95: Interval | None
    baseline: float
    precision: float
    recall: float
    f1: float
    ece: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """The figures of all classes.

    `confusion` counts clips by true class and by the class that was said, or UNKNOWN. `without_clips` are labels that
    no clip has: they can be said, which is an error, and have no figures. `ece` is that of the most probable label.
    `macro_f1_majority` is the macro-F1 of always saying the most frequent class.
    """

    n: int
    accuracy: float
    accuracy_ci95: Interval
    accuracy_majority: float
    macro_f1: float
    macro_f1_ci95: Interval | None
    macro_f1_majority: float
    macro_average_precision: float | None
    macro_average_precision_ci95: Interval | None
    ece: float | None
    classes: tuple[ClassFigures, ...]
    confusion: dict[LabelName, dict[LabelName, int]]
    without_clips: tuple[LabelName, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data."""
        return asdict(self)


def class_score(answers: Sequence[Prediction], labels: Sequence[LabelName]) -> ClassScore:
    """The figures of answers to a question with these labels, in the order of the question."""
    table = _AnswerTable.of(answers, labels)
    present = [number for number in range(len(labels)) if (table.true == number).any()]
    groups = [answer.group for answer in answers]
    once = np.ones(len(answers))
    right = int((table.true == table.said).sum())
    commonest = Counter(table.true.tolist()).most_common(1)[0][0]
    always = replace(table, said=np.full_like(table.said, commonest))
    return ClassScore(
        n=len(answers),
        accuracy=right / len(answers),
        accuracy_ci95=wilson(right, len(answers)),
        accuracy_majority=float((table.true == commonest).mean()),
        macro_f1=_mean(table.f1(once)[present]),
        macro_f1_ci95=table.interval(lambda weights: _macro_f1(table, weights, present), groups),
        macro_f1_majority=_mean(always.f1(once)[present]),
        macro_average_precision=_macro_precision(table, once, present),
        macro_average_precision_ci95=table.interval(lambda weights: _macro_precision(table, weights, present), groups),
        ece=table.top_label_ece(),
        classes=tuple(_class_figures(table, number, labels[number], groups) for number in present),
        confusion=_confusion(table, labels),
        without_clips=tuple(label for number, label in enumerate(labels) if number not in present),
    )


@dataclass(frozen=True, slots=True)
class _Ranking:
    """The answered clips in the order of a class's probability, to average its precision for many draws of clips."""

    order: Numbers
    is_hit: Flags
    last_of_ties: Numbers

    @classmethod
    def of(cls, p: Floats, is_hit: Flags, among: Numbers) -> "_Ranking":
        order = among[np.argsort(-p[among], kind="stable")]
        return cls(order, is_hit[order], np.flatnonzero(np.diff(p[order], append=-1.0) != 0))

    def average_precision(self, weights: Floats) -> float | None:
        """As `metrics.average_precision`, each clip counted as often as its weight says; None if no hit is drawn."""
        drawn = weights[self.order]
        hits = np.cumsum(drawn * self.is_hit)[self.last_of_ties]
        seen = np.cumsum(drawn)[self.last_of_ties]
        if not len(hits) or hits[-1] == 0:
            return None
        return float(np.sum(np.diff(hits, prepend=0.0) * hits / np.maximum(seen, 1.0)) / hits[-1])


@dataclass(frozen=True, slots=True)
class _AnswerTable:
    """Answers as arrays: the numbers of the true and of the said label (or NO_LABEL), and all probabilities."""

    true: Numbers
    said: Numbers
    p: Floats
    rankings: tuple[_Ranking, ...]

    @classmethod
    def of(cls, answers: Sequence[Prediction], labels: Sequence[LabelName]) -> "_AnswerTable":
        number = {label: index for index, label in enumerate(labels)}
        rows = [[answer.probabilities.get(label, 0.0) for label in labels] for answer in answers]
        true = np.array([number[answer.label] for answer in answers], dtype=np.intp)
        said = np.array([number.get(answer.said or "", NO_LABEL) for answer in answers], dtype=np.intp)
        p = np.array(rows, dtype=np.float64).reshape(len(answers), len(labels))
        answered = np.flatnonzero(said != NO_LABEL)
        return cls(true, said, p, tuple(_Ranking.of(p[:, each], true == each, answered) for each in range(len(labels))))

    def interval(self, statistic: "_OfWeights", groups: Sequence[str]) -> Interval | None:
        """The bootstrap's interval over recordings; None if there is only one."""
        if len(set(groups)) < 2:
            return None
        return bootstrap(lambda rows: statistic(np.bincount(rows, minlength=len(self.true)).astype(float)), groups)

    def counts(self, weights: Floats) -> Floats:
        """How often each label is true, said, and both: (labels, 3)."""
        labels = self.p.shape[1]
        is_right, is_answered = self.true == self.said, self.said != NO_LABEL
        return np.stack(
            (
                np.bincount(self.true, weights, labels),
                np.bincount(self.said[is_answered], weights[is_answered], labels),
                np.bincount(self.true[is_right], weights[is_right], labels),
            ),
            axis=1,
        )

    def f1(self, weights: Floats) -> Floats:
        """The F1 of each label, 0 where it is neither true nor said."""
        true, said, both = self.counts(weights).T
        return np.asarray(2 * both / np.maximum(true + said, 1.0))

    def top_label_ece(self) -> float | None:
        """The calibration error of the most probable label, over the answered clips."""
        known = self.said != NO_LABEL
        return expected_calibration_error(self.p[known].max(axis=1, initial=0.0), self.true[known] == self.said[known])


def _mean(values: Floats) -> float:
    return float(np.mean(values))


def _macro_f1(table: _AnswerTable, weights: Floats, present: Sequence[int]) -> float | None:
    """The mean F1 of the classes that a draw holds; None if it holds one only."""
    drawn = np.bincount(table.true, weights, table.p.shape[1])[present] > 0
    return _mean(table.f1(weights)[present][drawn]) if drawn.sum() > 1 else None


def _macro_precision(table: _AnswerTable, weights: Floats, present: Sequence[int]) -> float | None:
    each = [table.rankings[number].average_precision(weights) for number in present]
    known = [value for value in each if value is not None]
    return float(np.mean(known)) if known else None


def _class_figures(table: _AnswerTable, number: int, label: LabelName, groups: Sequence[str]) -> ClassFigures:
    once = np.ones(len(table.true))
    true, said, both = table.counts(once)[number]
    ranking, known = table.rankings[number], table.said != NO_LABEL
    return ClassFigures(
        label=label,
        n=int(true),
        average_precision=ranking.average_precision(once),
        average_precision_ci95=table.interval(ranking.average_precision, groups),
        baseline=float(true / len(table.true)),
        precision=float(both / said) if said else 0.0,
        recall=float(both / true),
        f1=float(table.f1(once)[number]),
        ece=expected_calibration_error(table.p[known, number], table.true[known] == number),
    )


def _confusion(table: _AnswerTable, labels: Sequence[LabelName]) -> dict[LabelName, dict[LabelName, int]]:
    cells = Counter(zip(table.true.tolist(), table.said.tolist(), strict=True))
    columns = [*enumerate(labels), (NO_LABEL, UNKNOWN)]
    return {label: {said: cells[true, number] for number, said in columns} for true, label in enumerate(labels)}
