"""Splits clips into train, val, calibration and test: groups stay whole, and all labels keep their share.

Groups are assigned largest first, each to the side that is furthest below its share of all labels. The seed shuffles
groups of equal size; the same seed and clips give the same split.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vigil.calibration import MIN_CLIPS
from vigil.dataset.clips import LabelledClip, Split
from vigil.errors import DatasetError, UsageError
from vigil.questions import LabelName

CALIBRATION_SHARE = 0.1
CALIBRATION_CLIPS = 24
"""Fitting a temperature needs 20 answered clips; the margin allows for recordings that must stay whole."""

CALIBRATION_MOST = 0.2
"""If calibration needed more of the remaining clips than this, they are too few and all stay in training."""

MOST_HELD = 0.3
"""Calibration or val that was not asked for is dropped if it would take more of the remaining clips than this."""

VAL_SHARE = 0.15
"""Of 200 clips, 60 are for test, 24 for calibration, and 17 of the other 116 select the best epoch."""

LEAST_OF_LABEL = 5
"""Fewer clips of a label than this select an epoch or temperature by chance; they are more useful in training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """How to split clips into train and test: by share, or as fold number `fold` of `folds`.

    `calibration_share`, and then `val_share`, are taken from the training clips. None means CALIBRATION_SHARE (or
    enough for CALIBRATION_CLIPS) and VAL_SHARE if the clips and recordings allow it, and 0 if not. Folds hold out
    nothing for calibration, because their scores are out of fold. `resplit` ignores train/ and test/ folders;
    otherwise they are kept as they are.
    """

    test_share: float = 0.3
    calibration_share: float | None = None
    val_share: float | None = None
    seed: int = 0
    folds: int | None = None
    fold: int | None = None
    resplit: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.test_share <= 1:
            raise UsageError(f"--test-share must be from 0 to 1, not {self.test_share}")
        if self.calibration_share is not None and not 0 <= self.calibration_share < 1:
            raise UsageError(f"--calibration-share must be from 0 to below 1, not {self.calibration_share}")
        if self.val_share is not None and not 0 <= self.val_share < 1:
            raise UsageError(f"--val-share must be from 0 to below 1, not {self.val_share}")
        if (self.folds is None) != (self.fold is None):
            raise UsageError("--folds K and --fold I belong together; folds are numbered from 0 to K-1")
        if self.folds is not None and (self.folds < 2 or not 0 <= (self.fold or 0) < self.folds):
            raise UsageError(f"--fold {self.fold} of --folds {self.folds}: K is at least 2, I from 0 to K-1")


def assign_splits(clips: Sequence[LabelledClip], groups: Mapping[str, str], plan: SplitSettings) -> dict[str, Split]:
    """The split of every clip, by name.

    Raises DatasetError if a requested side would lack a label, or if train/ and test/ cover only some clips.
    """
    if any(clip.split for clip in clips) and not plan.resplit and plan.folds is None:
        splits = _by_folders(clips)
    else:
        splits = _by_groups(clips, groups, plan)
    splits = _with_calibration(clips, groups, splits, plan)
    if "val" not in splits.values():
        splits = _with_val(clips, groups, splits, plan)
    _refuse_one_sided(clips, splits, plan)
    return splits


def _holding_out(
    side: Split,
    share: float,
    clips: Sequence[LabelledClip],
    groups: Mapping[str, str],
    splits: Mapping[str, Split],
    plan: SplitSettings,
) -> dict[str, Split]:
    """The splits with a share of the training clips moved to another side, in whole groups."""
    learning = [clip for clip in clips if splits[clip.name] == "train"]
    assigned = assign_groups(learning, groups, shares=[1 - share, share], seed=plan.seed)
    return {name: side if assigned.get(name) == 1 else split for name, split in splits.items()}


def _with_calibration(
    clips: Sequence[LabelledClip], groups: Mapping[str, str], splits: dict[str, Split], plan: SplitSettings
) -> dict[str, Split]:
    if plan.calibration_share is not None or plan.folds is not None:
        share = plan.calibration_share or 0.0
        return _holding_out("calibration", share, clips, groups, splits, plan) if share else splits
    learning = sum(split == "train" for split in splits.values())
    share = max(CALIBRATION_SHARE, CALIBRATION_CLIPS / max(1, learning))
    if share > CALIBRATION_MOST:
        return splits
    taken = _holding_out("calibration", share, clips, groups, splits, plan)
    return taken if _is_useful("calibration", clips, taken, least=MIN_CLIPS) else splits


def _with_val(
    clips: Sequence[LabelledClip], groups: Mapping[str, str], splits: dict[str, Split], plan: SplitSettings
) -> dict[str, Split]:
    share = VAL_SHARE if plan.val_share is None else plan.val_share
    if not share:
        return splits
    taken = _holding_out("val", share, clips, groups, splits, plan)
    return taken if plan.val_share is not None or _is_useful("val", clips, taken) else splits


def _is_useful(side: Split, clips: Sequence[LabelledClip], splits: Mapping[str, Split], *, least: int = 0) -> bool:
    """Whether a default split is large enough to be useful and leaves enough for training."""
    counts_by_side = Counter((splits[clip.name], clip.label) for clip in clips)
    labels = labels_in(clips)
    kept, train = (sum(counts_by_side[each, label] for label in labels) for each in (side, "train"))
    enough = kept >= least and all(
        counts_by_side[side, label] >= LEAST_OF_LABEL and counts_by_side["train", label] for label in labels
    )
    return enough and kept <= MOST_HELD * (kept + train)


def _by_folders(clips: Sequence[LabelledClip]) -> dict[str, Split]:
    unplaced = [clip.name for clip in clips if clip.split is None]
    present = {clip.split for clip in clips if clip.split}
    if unplaced or len(present) < 2:
        problem = f"{len(unplaced)} clips are outside of train/ and test/ ({unplaced[0]}, ...)" if unplaced else (
            f"there is only a {present.pop()}/ folder"
        )  # fmt: skip
        raise DatasetError(f"{problem}; sort all clips into train/ and test/, or let Vigil split them: --resplit")
    return {clip.name: clip.split for clip in clips if clip.split}


def _by_groups(clips: Sequence[LabelledClip], groups: Mapping[str, str], plan: SplitSettings) -> dict[str, Split]:
    if plan.folds is not None:
        sides = assign_groups(clips, groups, shares=[1 / plan.folds] * plan.folds, seed=plan.seed)
        return {name: "test" if side == plan.fold else "train" for name, side in sides.items()}
    sides = assign_groups(clips, groups, shares=[1 - plan.test_share, plan.test_share], seed=plan.seed)
    return {name: "test" if side == 1 else "train" for name, side in sides.items()}


def labels_in(clips: Iterable[LabelledClip]) -> list[LabelName]:
    """The labels of these clips, sorted."""
    return sorted({clip.label for clip in clips})


def assign_groups(
    clips: Sequence[LabelledClip], groups: Mapping[str, str], *, shares: Sequence[float], seed: int
) -> dict[str, int]:
    """Assigns whole groups to sides of the given shares; returns the index of the side by clip name."""
    counts: dict[str, Counter[LabelName]] = defaultdict(Counter)
    for clip in clips:
        counts[groups[clip.name]][clip.label] += 1
    totals = Counter(clip.label for clip in clips)
    order = sorted(counts)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -counts[group].total())
    counts_by_side: list[Counter[LabelName]] = [Counter() for _ in shares]
    side_of: dict[str, int] = {}
    for group in order:
        side = min(
            (side for side, share in enumerate(shares) if share > 0),
            key=lambda each: _cost(counts_by_side[each], counts[group], totals, shares[each]),
        )
        counts_by_side[side] += counts[group]
        side_of[group] = side
    return {clip.name: side_of[groups[clip.name]] for clip in clips}


def _cost(
    counts_by_side: Counter[LabelName], added: Counter[LabelName], totals: Counter[LabelName], share: float
) -> float:
    """How much further a group moves a side from its share of all labels; negative if nearer."""
    cost = 0.0
    for label in sorted(totals):
        total = totals[label] or 1
        before = counts_by_side[label] / total - share
        cost += (before + added[label] / total) ** 2 - before**2
    return cost / share


def _refuse_one_sided(clips: Sequence[LabelledClip], splits: Mapping[str, Split], plan: SplitSettings) -> None:
    counts_by_side = {(splits[clip.name], clip.label) for clip in clips}
    for side in _requested_sides(plan):
        for label in labels_in(clips):
            if (side, label) not in counts_by_side:
                raise DatasetError(
                    f"the {side} split would hold no {label} clips: recordings (groups) stay whole, and too few hold "
                    f"{label} clips; add clips of other recordings, choose another --test-share, or correct the CSV "
                    "of sources"
                )


def _requested_sides(plan: SplitSettings) -> list[Split]:
    requested: dict[Split, bool] = {
        "train": plan.folds is not None or plan.test_share < 1,
        "test": plan.folds is not None or plan.test_share > 0,
        "calibration": bool(plan.calibration_share),
        "val": bool(plan.val_share),
    }
    return [split for split, is_requested in requested.items() if is_requested]
