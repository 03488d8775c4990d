"""The figures of a question with several labels: per class, their means, and which class is taken for which.

The class that a clip is said to be is its most probable label. A clip without an answer is a miss of its class. Average
precision and calibration error of a class are one against the rest: its probability, and whether it is the truth.
Means are over the classes that have clips; intervals resample whole recordings. `docs/scoring.md` has the rules.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vigil.questions import LabelName
from vigil.score.metrics import (
    Floats,
    Interval,
    average_precision,
    bootstrap,
    expected_calibration_error,
    wilson,
)
from vigil.score.predictions import Prediction

Numbers: TypeAlias = NDArray[np.intp]
_Statistic: TypeAlias = Callable[[Numbers], float | None]

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
    right = int((table.true == table.said).sum())
    commonest = Counter(table.true.tolist()).most_common(1)[0][0]
    always = np.full_like(table.said, commonest)
    return ClassScore(
        n=len(answers),
        accuracy=right / len(answers),
        accuracy_ci95=wilson(right, len(answers)),
        accuracy_majority=float((table.true == commonest).mean()),
        macro_f1=_macro_f1(table, present) or 0.0,
        macro_f1_ci95=_interval(groups, lambda rows: _macro_f1(table.drawn(rows), present)),
        macro_f1_majority=float(np.mean([_f1(table.true, always, number) for number in present])),
        macro_average_precision=_macro_precision(table, present),
        macro_average_precision_ci95=_interval(groups, lambda rows: _macro_precision(table.drawn(rows), present)),
        ece=table.top_label_ece(),
        classes=tuple(_class_figures(table, number, labels[number], groups) for number in present),
        confusion=_confusion(table, labels),
        without_clips=tuple(label for number, label in enumerate(labels) if number not in present),
    )


@dataclass(frozen=True, slots=True)
class _AnswerTable:
    """Answers as arrays: the numbers of the true and of the said label (or NO_LABEL), and all probabilities."""

    true: Numbers
    said: Numbers
    p: Floats

    @classmethod
    def of(cls, answers: Sequence[Prediction], labels: Sequence[LabelName]) -> "_AnswerTable":
        number = {label: index for index, label in enumerate(labels)}
        rows = [[answer.probabilities.get(label, 0.0) for label in labels] for answer in answers]
        return cls(
            true=np.array([number[answer.label] for answer in answers], dtype=np.intp),
            said=np.array([number.get(answer.said or "", NO_LABEL) for answer in answers], dtype=np.intp),
            p=np.array(rows, dtype=np.float64).reshape(len(answers), len(labels)),
        )

    def drawn(self, rows: Numbers) -> "_AnswerTable":
        return _AnswerTable(self.true[rows], self.said[rows], self.p[rows])

    def answered(self) -> "_AnswerTable":
        return self.drawn(np.flatnonzero(self.said != NO_LABEL))

    def top_label_ece(self) -> float | None:
        known = self.answered()
        return expected_calibration_error(known.p.max(axis=1, initial=0.0), known.true == known.said)


def _interval(groups: Sequence[str], statistic: _Statistic) -> Interval | None:
    """The bootstrap's interval over recordings; None if there is only one."""
    return bootstrap(statistic, groups) if len(set(groups)) > 1 else None


def _f1(true: Numbers, said: Numbers, number: int) -> float:
    both = int(((true == number) & (said == number)).sum())
    either = int((true == number).sum() + (said == number).sum())
    return 2 * both / either if either else 0.0


def _macro_f1(table: _AnswerTable, present: Sequence[int]) -> float | None:
    """The mean F1 of the classes that a draw holds; None if it holds one only."""
    drawn = [number for number in present if (table.true == number).any()]
    return float(np.mean([_f1(table.true, table.said, number) for number in drawn])) if len(drawn) > 1 else None


def _precision_of(table: _AnswerTable, number: int) -> float | None:
    known = table.answered()
    return average_precision(known.p[:, number], known.true == number)


def _macro_precision(table: _AnswerTable, present: Sequence[int]) -> float | None:
    each = [value for number in present if (value := _precision_of(table, number)) is not None]
    return float(np.mean(each)) if each else None


def _class_figures(table: _AnswerTable, number: int, label: LabelName, groups: Sequence[str]) -> ClassFigures:
    is_true, is_said = table.true == number, table.said == number
    both, known = int((is_true & is_said).sum()), table.answered()
    return ClassFigures(
        label=label,
        n=int(is_true.sum()),
        average_precision=_precision_of(table, number),
        average_precision_ci95=_interval(groups, lambda rows: _precision_of(table.drawn(rows), number)),
        baseline=float(is_true.mean()),
        precision=both / int(is_said.sum()) if is_said.any() else 0.0,
        recall=both / int(is_true.sum()),
        f1=_f1(table.true, table.said, number),
        ece=expected_calibration_error(known.p[:, number], known.true == number),
    )


def _confusion(table: _AnswerTable, labels: Sequence[LabelName]) -> dict[LabelName, dict[LabelName, int]]:
    cells = Counter(zip(table.true.tolist(), table.said.tolist(), strict=True))
    columns = [*enumerate(labels), (NO_LABEL, UNKNOWN)]
    return {label: {said: cells[true, number] for number, said in columns} for true, label in enumerate(labels)}
