"""Windows against true incidents: which are positive, and how well their probabilities tell them apart.

A window is positive when it shares with an incident at least half of the shorter of the two, negative
when it shares nothing with any, and left out as ambiguous in between.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vigil.events.judged import JudgedWindow
from vigil.score.intervals import Flags, Floats, Interval, bootstrap
from vigil.score.metrics import average_precision, roc_auc
from vigil.score.timeline.truth import TrueIncident

SHARE = 0.5
BLOCK_S = 60.0
FEWER_RESAMPLES_FROM = 3000
LEAST_BLOCKS = 5
"""Of each class, for an interval: draws of fewer hardly differ, and would claim a certainty that is not there."""


@dataclass(frozen=True, slots=True)
class RatedWindow:
    """A window that counts: its probability, its truth, and the block of footage it is drawn with."""

    p_alarm: float
    is_positive: bool
    block: str


@dataclass(frozen=True, slots=True)
class RatedWindows:
    """The windows of one or more videos: those that count, and how many do not and why."""

    rated: tuple[RatedWindow, ...]
    ambiguous: int
    unknown: dict[str, int]

    @property
    def n(self) -> int:
        """All windows, whatever became of them."""
        return len(self.rated) + self.ambiguous + sum(self.unknown.values())


def rate_windows(name: str, judged: Sequence[JudgedWindow], spans: Sequence[TrueIncident]) -> RatedWindows:
    """Sorts the windows of one video by the truth."""
    rated: list[RatedWindow] = []
    ambiguous = 0
    unknown: Counter[str] = Counter()
    for one in judged:
        truth = is_positive(one.start_s, one.end_s, spans)
        if one.verdict.p_alarm is None:
            unknown[str(one.verdict.cause or "no probability")] += 1
        elif truth is None:
            ambiguous += 1
        else:
            rated.append(RatedWindow(one.verdict.p_alarm, truth, _block(name, one, spans)))
    return RatedWindows(tuple(rated), ambiguous, dict(unknown.most_common()))


def pool_windows(windows: Sequence[RatedWindows]) -> RatedWindows:
    """The windows of several videos together."""
    unknown: Counter[str] = Counter()
    for one in windows:
        unknown.update(one.unknown)
    rated = tuple(rated for one in windows for rated in one.rated)
    return RatedWindows(rated, sum(one.ambiguous for one in windows), dict(unknown.most_common()))


def is_positive(start_s: float, end_s: float, spans: Sequence[TrueIncident]) -> bool | None:
    """The truth about a window; None where it is ambiguous."""
    touched = False
    for span in spans:
        shared_s = min(end_s, span.end_s) - max(start_s, span.onset_s)
        if shared_s < 0 or (shared_s == 0 and end_s > start_s):
            continue
        touched = True
        if shared_s >= SHARE * min(end_s - start_s, span.end_s - span.onset_s):
            return True
    return None if touched else False


def _block(name: str, one: JudgedWindow, spans: Sequence[TrueIncident]) -> str:
    """Neighbouring windows are alike, so they are drawn together: an incident, or a minute between two."""
    before = sum(span.onset_s <= one.end_s for span in spans)
    within = any(span.onset_s <= one.end_s and one.start_s <= span.end_s for span in spans)
    return f"{name} {before}" if within else f"{name} {before}-{one.start_s // BLOCK_S:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFigures:
    """What the probabilities of windows are worth; `prevalence` is the average precision of guessing.

    Blocks are stretches of footage that are drawn as one; there is no interval with fewer than five of either class.
    """

    positive: int
    negative: int
    positive_blocks: int
    negative_blocks: int
    prevalence: float | None
    roc_auc: float | None
    roc_auc_ci95: Interval | None
    average_precision: float | None
    average_precision_ci95: Interval | None


def window_figures(windows: RatedWindows) -> WindowFigures:
    """The figures of windows, intervals by drawing whole blocks of footage anew."""
    p_alarm = np.array([one.p_alarm for one in windows.rated], dtype=np.float64)
    truth = np.array([one.is_positive for one in windows.rated], dtype=np.bool_)
    blocks = [one.block for one in windows.rated]
    positive = int(truth.sum())
    blocks_of = {kind: len({one.block for one in windows.rated if one.is_positive == kind}) for kind in (True, False)}
    draws = 2000 if len(blocks) < FEWER_RESAMPLES_FROM else 400

    def interval(statistic: Callable[[Floats, Flags], float | None]) -> Interval | None:
        if min(blocks_of.values()) < LEAST_BLOCKS:
            return None
        return bootstrap(lambda rows: statistic(p_alarm[rows], truth[rows]), blocks, resamples=draws)

    return WindowFigures(
        positive=positive,
        negative=len(truth) - positive,
        positive_blocks=blocks_of[True],
        negative_blocks=blocks_of[False],
        prevalence=positive / len(truth) if len(truth) else None,
        roc_auc=roc_auc(p_alarm, truth),
        roc_auc_ci95=interval(roc_auc),
        average_precision=average_precision(p_alarm, truth),
        average_precision_ci95=interval(average_precision),
    )
